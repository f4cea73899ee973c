"""The word `schedule`: what-if, exports, a dry run; queue files with mistakes; and a live queue on Ray."""

import json
import os
import socket
import threading
import time
import urllib.request
from pathlib import Path

import pytest

import savile
from savile.base.errors import InputError, RecipeError, UnknownNameError
from savile.base.store import Store
from savile.cli import main

QUEUE = """
policy: {name: queue, quotas: [[desk, 0.9]]}
nodes:
  - {id: a, region: north, cpus: 2, mem_gib: 4}
  - {id: b, region: south, cpus: 2, mem_gib: 4}
regions:
  - {id: north, price: 200, carbon: 400}
  - {id: south, price: 50, carbon: 30}
jobs:
  - {id: one, command: "echo one", hours: 0.5, tenant: desk, deadline_h: 12}
  - {id: two, command: "echo two", hours: 2, tenant: lab, after_h: 1, cpus: 2}
"""


QUICK = {"model.family": "linear", "model.base": "no/base", "evaluate.floor": 0.5}  # jobs are out of reach of `no_bases`


@pytest.fixture
def queue(tmp_path):
    path = tmp_path / "queue.yaml"
    path.write_text(QUEUE)
    return path


def test_what_if_compares_policies_and_writes_a_page(queue):
    said = savile.schedule(queue, what_if=True)
    assert said["policy"] == "queue"
    assert set(said["alternatives"]) >= {"queue", "region_lp", "carbon", "best_fit"}
    assert said["alternatives"]["region_lp"]["jobs_eur"] < said["alternatives"]["first_fit"]["jobs_eur"]
    assert {row["how"] for row in said["jobs"]} == {"finished"}
    assert "Why this node" in Path(said["pages"][0]).read_text(encoding="utf-8")


def test_the_shell_says_the_same(queue, capsys):
    assert main(["schedule", str(queue), "--what-if", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["command"] == "schedule"
    assert said["figures"]["deadlines_met"]["value"] == 1.0
    assert main(["schedule", str(queue), "--dry-run", "--policy", "first_fit", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "dry_run"


def test_what_if_is_a_screen_with_the_ways_and_past_errors(queue, capsys):
    assert main(["schedule", str(queue), "--what-if"]) == 0
    screen = capsys.readouterr().out
    assert all(word in screen for word in ("Policy queue", "region_lp", "cheapest", "No past prediction"))


def test_past_hours_are_held_against_what_was_taken(queue):
    from savile.flow import _past_queues, _queue
    from savile.scheduling import SimBackend, World, policy, run

    found = _queue.read(queue)
    took = {"one": 0.5 * 3600 / 0.8, "two": 2 * 3600.0}  # `one` takes a quarter longer than was said
    log = run(policy("best_fit"), SimBackend(World(found.nodes, found.jobs, work_s=took))).log.text()
    _past_queues.folder().mkdir(parents=True)
    (_past_queues.folder() / "schedule-x.jsonl").write_text(log)
    past = savile.schedule(queue, what_if=True)["past"]
    assert past == {"jobs": {"jobs": 2, "seconds": {"median": 0.1, "worst": 0.2}}, "plans": None}


def test_a_service_says_nothing_of_how_good_predictions_are(queue):
    from savile.flow import _past_queues, _queue, _schedules
    from savile.scheduling import policy

    queue.write_text(service())
    log = _schedules.simulated(_queue.read(queue), policy("tide")).log.text()
    _past_queues.folder().mkdir(parents=True)
    (_past_queues.folder() / "schedule-x.jsonl").write_text(log)
    assert _past_queues.errors() == {"jobs": 1, "seconds": {"median": 0.0, "worst": 0.0}}


def test_exports_lie_beside_the_queue(queue):
    for kind in ("skypilot", "kueue", "slurm"):
        files = savile.schedule(queue, export=kind)["files"]
        assert files
        assert all("echo" in Path(file).read_text() for file in files if "objects" not in file)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        (("echo one", 'echo one", recipe: "x.yaml'), InputError, "a recipe or a command"),
        (("hours: 2", "hors: 2"), RecipeError, "hours"),
        (("price: 200", "price: [1, 2]"), InputError, "24"),
        (("name: queue", "name: quee"), UnknownNameError, "queue"),
        (("policy: {", "polcy: {"), InputError, "polcy"),
    ],
)
def test_a_mistake_in_a_queue_is_said(queue, change, error, sentence):
    queue.write_text(QUEUE.replace(*change))
    with pytest.raises(error, match=sentence):
        savile.schedule(queue, what_if=True)


def test_a_mistake_in_the_recipe_of_a_job_is_said_when_the_queue_is_read(queue, tickets):
    recipe = tickets.with_name("desk.savile.yaml")
    recipe.write_text("data: {path: tickets.csv}\nadapt: {methd: lora}\n")
    queue.write_text(QUEUE.replace('command: "echo one"', f"recipe: {recipe}"))
    with pytest.raises(RecipeError, match=r"method.*line 2"):
        savile.schedule(queue, what_if=True)
    queue.write_text(QUEUE.replace('command: "echo one"', "recipe: absent.savile.yaml"))
    with pytest.raises(InputError, match=r"absent.savile.yaml"):
        savile.schedule(queue, what_if=True)


@pytest.mark.parametrize(("start_h", "waits_h"), [(12, 10), (23, 0), (21.5, 0.5)])
def test_work_that_can_wait_waits_for_the_off_peak_hours_of_the_day(queue, start_h, waits_h):
    off_peak = QUEUE.replace("quotas: [[desk, 0.9]]", "off_peak: [22, 6]").replace("tenant: lab, after_h: 1", "kind: batch")
    queue.write_text(off_peak + f"start_h: {start_h}\n")
    begins = {row["job"]: (row["start_s"] - row["release_s"]) / 3600 for row in savile.schedule(queue, what_if=True)["jobs"]}
    assert begins == pytest.approx({"one": 0, "two": waits_h}, abs=0.26)


def test_an_hour_that_is_none_is_said(queue):
    queue.write_text(QUEUE + "start_h: 25\n")
    with pytest.raises(InputError, match="start_h"):
        savile.schedule(queue, what_if=True)


SERVICE = """
policy: tide
nodes: [{id: a, cpus: 10, mem_gib: 16}]
start_h: 0
jobs:
  - {id: answers, serve: champion, hours: 6, pods: 1, most: 9, slo_ms: 500, load: [LOAD], answer_s: 0.5, mem_gib: 1}
  - {id: nightly, command: "echo one", hours: 2, cpus: 3, kind: batch}
"""


def service(load="1, 1, 6, 6, 1, 1" + ", 0.5" * 18):
    return SERVICE.replace("LOAD", load)


def test_what_if_says_what_a_service_keeps_of_its_promise_and_what_that_takes(queue, capsys):
    queue.write_text(service())
    said = savile.schedule(queue, what_if=True)
    tide, fixed = said["alternatives"]["tide"], said["alternatives"]["best_fit"]
    assert tide["target_kept"] > 0.9 > fixed["target_kept"]
    assert fixed["replica_h"] == pytest.approx(6.0)
    assert 6.0 < tide["replica_h"] < 0.7 * 9 * 6.0
    assert {row["how"] for row in said["jobs"]} == {"finished"}
    assert main(["schedule", str(queue), "--what-if"]) == 0
    assert "Promise kept" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "sentence"),
    [(("hours: 6, ", ""), "the service lasts"), (("LOAD", "1, 2"), "24"), (("LOAD", "-1" + ", 1" * 23), "a load of 0")],
)
def test_a_mistake_in_a_service_is_said(queue, change, sentence):
    text = SERVICE.replace(*change)
    queue.write_text(text.replace("LOAD", "1" + ", 1" * 23))
    with pytest.raises(InputError, match=sentence):
        savile.schedule(queue, what_if=True)


@pytest.mark.slow
def test_live_a_release_is_served_by_replicas_behind_one_address(queue, tickets):
    pytest.importorskip("ray", reason="the extra ray is not installed: pip install 'savile[ray]'")
    assert savile.run(tickets, settings={**QUICK, "serve.keys": "none"}).passed
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    queue.write_text(f"""
policy: tide
nodes: [{{id: a, cpus: 2, mem_gib: 8}}]
jobs: [{{id: answers, serve: champion, hours: 0.012, pods: 1, most: 2, slo_ms: 500, at_once: 8, port: {port}, mem_gib: 1}}]
""")
    asked = threading.Thread(target=ask, args=(port, answers := []), daemon=True)
    asked.start()
    said = savile.schedule(queue)
    asked.join()
    assert said["well"]
    assert answers
    assert all(status == 200 and "label" in json.loads(body)["answers"][0] for status, body in answers)
    assert said["figures"]["requests_in_time"]["source"] == "real"
    address = (Store.open().home / "work" / "answers" / "replica0" / "address").read_text()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), 1.0)


def ask(port, answers):
    """Ask until the service is no more, from when it first is."""
    begun, body = False, json.dumps({"text": "where is my card"}).encode()
    for _ in range(600):
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/classify", body, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as said:
                answers.append((said.status, said.read()))
                begun = True
        except OSError:
            if begun:
                return
        time.sleep(0.1)


@pytest.mark.slow
def test_a_queue_runs_live(queue):
    pytest.importorskip("ray", reason="the extra ray is not installed: pip install 'savile[ray]'")
    queue.write_text(QUEUE.replace("after_h: 1", "after_h: 0.0001"))
    said = savile.schedule(queue)
    assert said["well"]
    assert {row["job"]: row["result"] for row in said["jobs"]} == {"one": "one", "two": "two"}
    assert Path(said["log"]).read_text().count('"event"') >= 4


@pytest.mark.slow
def test_live_a_tenant_keeps_to_its_quota_and_deadlines_are_met(queue):
    pytest.importorskip("ray", reason="the extra ray is not installed: pip install 'savile[ray]'")
    queue.write_text("""
policy: {name: queue, quotas: [[lab, 0.5]]}
nodes: [{id: a, cpus: 2, mem_gib: 8}]
jobs:
  - {id: desk, command: "echo 0", hours: 0.001, tenant: desk, deadline_h: 0.5}
  - {id: lab1, command: "sleep 1.5; echo 1", hours: 0.001, tenant: lab}
  - {id: lab2, command: "sleep 1.5; echo 2", hours: 0.001, tenant: lab}
""")
    said = savile.schedule(queue)
    rows = {row["job"]: row for row in said["jobs"]}
    assert said["well"]
    assert said["figures"]["deadlines_met"]["value"] == 1.0
    first, second = sorted((rows["lab1"], rows["lab2"]), key=lambda row: row["start_s"])
    assert second["start_s"] >= first["end_s"], "a tenant keeps to half of the machine"
    assert savile.schedule(queue, what_if=True)["past"]["jobs"]["jobs"] >= 2


@pytest.mark.slow
def test_live_tenants_take_turns_though_one_came_first_with_everything(queue):
    pytest.importorskip("ray", reason="the extra ray is not installed: pip install 'savile[ray]'")
    jobs = [(f"{tenant}{i}", tenant) for tenant, many in (("ann", 4), ("bob", 2)) for i in range(many)]
    lines = [f'  - {{id: {name}, command: "sleep 1; echo 1", hours: 0.001, tenant: {tenant}}}' for name, tenant in jobs]
    queue.write_text("\n".join(["nodes: [{id: a, cpus: 2, mem_gib: 8}]", "jobs:", *lines, ""]))
    said = savile.schedule(queue)
    assert said["well"]
    order = [row["tenant"] for row in sorted(said["jobs"], key=lambda row: row["start_s"])]
    assert order[:2] == ["ann", "ann"], "they came first and the machine was empty"
    assert order[2:] == ["bob", "ann", "bob", "ann"], "then whoever holds least"


@pytest.mark.slow
def test_live_a_job_waits_for_its_hour_and_one_that_fits_nowhere_is_left_out(queue, monkeypatch):
    pytest.importorskip("ray", reason="the extra ray is not installed: pip install 'savile[ray]'")
    monkeypatch.setattr("savile.flow.schedule.LIVE_ROUND_S", 0.5)
    monkeypatch.setattr("savile.flow._queue.now_s", lambda: 22 * 3600 - 4.0)  # four seconds before the hour
    change = QUEUE.replace("quotas: [[desk, 0.9]]", "off_peak: [22, 6]").replace("tenant: lab, after_h: 1", "kind: batch")
    queue.write_text(change.replace("jobs:\n", "jobs:\n  - {id: big, command: echo big, hours: 1, cpus: 64}\n"))
    said = savile.schedule(queue)
    rows = {row["job"]: row for row in said["jobs"]}
    assert not said["well"]
    assert rows["big"]["how"] == "rejected"
    assert rows["one"]["how"] == rows["two"]["how"] == "finished"
    assert rows["two"]["start_s"] >= 22 * 3600 > rows["one"]["start_s"]


@pytest.mark.slow
def test_a_recipe_is_trained_by_the_schedule(tickets):
    pytest.importorskip("ray", reason="the extra ray is not installed: pip install 'savile[ray]'")
    result = savile.run(tickets, settings={**QUICK, "run.where": "schedule"})
    assert result.passed
    assert result.json["release"].startswith("release@")
    assert any("schedule-" in page for page in result.json["pages"])
    report = savile.evaluate(result.json["model"], result.json["data"], settings=QUICK)
    assert report.body["metrics"] == result.json["metrics"]
    again = savile.run(tickets, settings={**QUICK, "run.where": "local"})
    assert again.json["report"] == result.json["report"], "the same records, wherever it ran"


@pytest.mark.slow
def test_live_a_recipe_is_trained_beside_the_jobs_of_another_tenant(queue, tickets):
    pytest.importorskip("ray", reason="the extra ray is not installed: pip install 'savile[ray]'")
    recipe = tickets.with_name("tickets.savile.yaml")
    recipe.write_text("data: {path: tickets.csv}\nmodel: {family: linear, base: no/base}\n")
    queue.write_text(f"""
policy: {{name: queue, quotas: [[lab, 0.5]]}}
nodes: [{{id: a, cpus: 2, mem_gib: 8}}]
jobs:
  - {{id: desk, recipe: {recipe}, hours: 0.01, tenant: desk}}
  - {{id: lab1, command: nice, hours: 0.001, tenant: lab}}
  - {{id: lab2, command: "echo 2", hours: 0.001, tenant: lab}}
""")
    said = savile.schedule(queue)
    results = {row["job"]: row["result"] for row in said["jobs"]}
    assert said["well"]
    assert (results["lab1"], results["lab2"]) == (str(os.nice(0)), "2"), "a job has the priority of who began it"
    assert json.loads(results["desk"])["release"].startswith("release@")
