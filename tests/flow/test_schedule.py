"""The word `schedule`: what-if, exports, a dry run; queue files with mistakes; and a live queue on Ray."""

import json
from pathlib import Path

import pytest

import savile
from savile.base.errors import InputError, RecipeError, UnknownNameError
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


@pytest.mark.slow
def test_a_queue_runs_live(queue):
    pytest.importorskip("ray", reason="the extra ray is not installed: pip install 'savile[ray]'")
    queue.write_text(QUEUE.replace("after_h: 1", "after_h: 0.0001"))
    said = savile.schedule(queue)
    assert said["well"]
    assert {row["job"]: row["result"] for row in said["jobs"]} == {"one": "one", "two": "two"}
    assert Path(said["log"]).read_text().count('"event"') >= 4
