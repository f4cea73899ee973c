"""A whole run: the contract of its JSON, the gate, the recipe beside the file, and nothing done twice."""

import json
import subprocess
import sys

import pytest

import savile
from savile.base import recipe as recipes
from savile.base.errors import InputError
from savile.base.store import Store
from savile.flow import _order
from savile.flow.run import plan
from savile.flow.serve import plan as serving_plan

LINEAR = {"model.family": "linear"}
REFS = ("data", "model", "report", "release")

pytestmark = pytest.mark.usefixtures("no_bases")


def test_a_run_gives_the_whole_object(tickets):
    result = savile.run(tickets, settings={**LINEAR, "evaluate.floor": 0.5, "evaluate.must_beat": "linear"})
    said = json.loads(json.dumps(result.json, allow_nan=False))
    assert (said["schema"], said["command"], said["name"]) == (1, "run", "tickets")
    assert [said[kind].partition("@")[0] for kind in REFS] == list(REFS)
    assert list(said["metrics"])[:3] == ["accuracy", "macro_f1", "weighted_f1"]
    assert all(set(figure) == {"value", "low", "high", "n"} for figure in said["metrics"].values())
    assert said["baselines"]["base"] is None
    assert said["baselines"]["linear"]["accuracy"]["value"] == said["metrics"]["accuracy"]["value"]
    assert said["gate"]["passed"] is True
    assert [check["name"] for check in said["gate"]["checks"]] == ["floor", "beat linear"]
    assert {"automated_share", "accuracy_when_automated", "value"} <= set(said["business"])
    assert set(said["cost"]) == {"seconds", "peak_rss_mb", "trainable_share", "size_mb", "kwh"}
    home = Store.open().home
    assert said["pages"]
    assert all(page.startswith(str(home / "pages")) for page in said["pages"])
    assert result.verdict == "not_proven"
    assert result.passed
    assert Store.open().aliases() == {"champion": said["release"]}
    assert "savile serve" in result.next


def test_a_gate_that_is_not_passed_is_a_result(tickets):
    settings = {**LINEAR, "evaluate.floor": 1.01, "evaluate.gates": [{"metric": "ece", "max": 1.0}]}
    result = savile.run(tickets, settings=settings)
    assert (result.verdict, result.passed, result.json["release"]) == ("refused", False, None)
    assert [(check["name"], check["passed"]) for check in result.json["gate"]["checks"]] == [("floor", False), ("ece", True)]
    assert Store.open().list("release") == []
    assert Store.open().aliases() == {}


def test_a_second_run_does_nothing_again(tickets, heard):
    first = savile.run(tickets, settings=LINEAR)
    store = Store.open()
    before = (store.list(), store.audit.state(), tickets.with_name("tickets.savile.yaml").read_bytes())
    heard.clear()
    assert savile.run(tickets, settings=LINEAR) == first
    assert savile.run(tickets.with_name("tickets.savile.yaml")) == first
    assert (store.list(), store.audit.state(), tickets.with_name("tickets.savile.yaml").read_bytes()) == before
    assert not [event for event in heard if event.kind in ("roles", "progress")]


def test_the_recipe_beside_the_file_is_what_was_followed(tickets):
    savile.run(tickets, label="queue", settings=LINEAR)
    path = tickets.with_name("tickets.savile.yaml")
    found = recipes.load(path)
    assert (found.task.text, found.task.label, found.model.family) == ("message", "queue", "linear")
    assert "path: tickets.csv" in path.read_text()
    assert found.data.source == str(tickets)


def test_a_recipe_of_ones_own_is_never_overwritten(tickets):
    path = tickets.with_name("tickets.savile.yaml")
    path.write_text("data: {path: other.csv}\nevaluate: {floor: 0.1}\n")
    with pytest.raises(InputError, match="a recipe of something else"):
        savile.run(tickets, settings=LINEAR)
    assert path.read_text() == "data: {path: other.csv}\nevaluate: {floor: 0.1}\n"


def test_changed_data_is_not_run_by_an_old_recipe(tickets):
    savile.init(tickets)
    tickets.write_text(tickets.read_text() + "one more message,status\n")
    for source in (tickets, tickets.with_name("tickets.savile.yaml")):
        with pytest.raises(InputError, match="another content"):
            savile.run(source, settings=LINEAR)
    assert not Store.open().exists


def test_a_folder_one_may_not_write_to_gets_its_recipe_in_the_working_folder(tickets, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    writable = {str(tickets.parent): False}
    monkeypatch.setattr("savile.flow._order.os.access", lambda path, _: writable.get(str(path), True))
    savile.init(tickets)
    found = recipes.load(tmp_path / "tickets.savile.yaml")
    assert found.data.source == str(tickets)
    assert not tickets.with_name("tickets.savile.yaml").exists()
    assert savile.run(tickets, settings=LINEAR).passed


def test_a_plan_writes_nothing(tickets):
    result = plan(tickets, settings=LINEAR)
    said = json.loads(json.dumps(result.json))
    assert (result.verdict, result.passed) == ("dry_run", True)
    assert all(said[kind] is None for kind in REFS)
    assert said["roles"] == {"text": "message", "label": "queue"}
    assert sum(said["parts"].values()) == 90
    assert set(said["plan"]) >= {"seconds", "peak_rss_mb", "disk_mb", "kwh", "money", "stages"}
    assert all(said["plan"][name] > 0 for name in ("seconds", "peak_rss_mb", "disk_mb"))
    assert "label: queue" in said["recipe"]
    assert [path.name for path in tickets.parent.iterdir()] == ["tickets.csv"]
    assert not Store.open().exists


def test_a_budget_caps_the_plan(tickets):
    free = plan(tickets, settings={"adapt.method": "lora"}).json["plan"]["seconds"]
    assert plan(tickets, settings={"adapt.method": "lora", "adapt.budget.minutes": 0.001}).json["plan"]["seconds"] < free


def test_a_given_test_file_is_the_test_part(tickets, rows, tmp_path):
    test = tmp_path / "work" / "published.csv"
    test.write_text("message,queue\n" + "".join(f"again {text},{label}\n" for text, label in rows[:12]))
    result = savile.run(tickets, test=test, settings=LINEAR)
    assert result.json["metrics"]["accuracy"]["n"] == 12
    assert savile.run(tickets, settings=LINEAR) == result  # the recipe names the test file


def test_a_typo_in_a_gate_is_found_before_training(tickets, heard):
    with pytest.raises(InputError, match="Did you mean 'macro_f1'"):
        savile.run(tickets, settings={**LINEAR, "evaluate.gates": [{"metric": "macro_f2", "min": 0.5}]})
    assert Store.open().list("model") == []


def test_no_bar_is_stated(tickets):
    assert "No bar was asked for" in " ".join(savile.run(tickets, settings=LINEAR).summary)
    asked = savile.run(tickets, settings={**LINEAR, "evaluate.floor": 0.1})
    assert "No bar" not in " ".join(asked.summary)


def test_the_value_of_answers_sets_the_threshold(tickets):
    worth = {"right": 0.4, "wrong": -3.0, "person": -1.2}
    result = savile.run(tickets, settings={**LINEAR, "evaluate.value": worth})
    assert result.json["business"]["value"] is not None
    assert any(line.startswith("Worth") for line in result.summary)


def test_a_slice_that_nobody_has_is_found_before_training(tickets, heard):
    rows = tickets.read_text().splitlines()
    tickets.write_text(
        "\n".join([f"{rows[0]},region", *(f"{row},{('north', 'south')[i % 2]}" for i, row in enumerate(rows[1:]))])
    )
    for named in ("region=nroth", "region=north"):  # a typo; and a value with too few test rows to measure
        bars = [{"metric": "accuracy", "slice": named, "min": 0.1}]
        with pytest.raises(InputError, match="slice of enough rows"):
            savile.run(tickets, label="queue", settings={**LINEAR, "evaluate.gates": bars})
    assert Store.open().list("model") == []


def test_runs_of_one_file_at_once_agree(tickets, savile_home):
    command = [sys.executable, "-m", "savile.cli", "run", str(tickets), "--set", "model.family=linear", "--json"]
    script = "import sys; import savile.models._bases as b; b.installed = dict; from savile.cli import main; sys.exit(main())"
    command[1:3] = ["-c", script]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    said = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0] * 4, said
    assert len({tuple(json.loads(out)[kind] for kind in REFS) for out, _ in said}) == 1
    assert sorted(path.name for path in tickets.parent.iterdir()) == ["tickets.csv", "tickets.savile.yaml"]
    assert Store(savile_home).audit.verify() == []
    assert not list((savile_home / "locks").iterdir())


def test_a_recipe_written_meanwhile_for_something_else_is_not_followed(tickets, monkeypatch):
    order = _order.settle(tickets, {}, LINEAR)
    order.target.write_text("data: {path: other.csv}\n")
    with pytest.raises(InputError, match="a recipe of something else"):
        _order.write(order)
    assert order.target.read_text() == "data: {path: other.csv}\n"


def test_the_same_bytes_under_another_suffix_are_read_anew(tickets):
    tickets.write_text(tickets.read_text().replace(",", "\t"))
    as_table = tickets.rename(tickets.with_suffix(".tsv"))
    assert savile.govern(as_table).roles["label"] == "queue"
    as_csv = tickets.with_name("tickets.csv")
    as_csv.write_bytes(as_table.read_bytes())
    assert savile.govern(as_csv).settings["sources"]["source"]["name"] == "tickets.csv"


def test_the_release_serves_as_its_recipe_says(tickets, monkeypatch):
    asked = []

    def serve(release, host, port, keys, ready, apps, alias=None):
        asked.append((host, port, keys, alias))

    monkeypatch.setattr("savile.serving.serve", serve)
    said = {"serve.host": "127.0.0.2", "serve.port": 9009, "serve.keys": "none"}
    result = savile.run(tickets, settings={**LINEAR, **said})
    assert result.next == f"savile serve {result.json['release']}"  # no key is needed
    savile.serve(result.json["release"])
    savile.serve("champion", port=0, settings={"serve.keys": "required"})
    assert asked == [("127.0.0.2", 9009, False, None), ("127.0.0.2", 0, True, "champion")]  # what has a name is followed
    assert serving_plan(result.json["release"])["serve"] == {"host": "127.0.0.2", "port": 9009, "keys": "none"}
