"""The same policy object drives Ray: gangs, checkpoints, preemption, a lost node; and the log replays to the byte."""

import os
import sys
import time

import pytest

from savile import scheduling
from savile.base.errors import ViolationError
from savile.base.work import Job, Node, Pod, Preempt, Start
from savile.scheduling import RayBackend, replay, run

pytest.importorskip("ray", reason="the extra ray is not installed: pip install 'savile[ray]'")
pytestmark = pytest.mark.slow
CPU = Pod(1000, 256)


def machine(name, cores=2, region="here"):
    return Node(name, region, cores * 1000, 4096)


class Steps:
    """Counts to `many`, a step every `seconds`, from where its folder says."""

    def __init__(self, many, seconds=0.02):
        self.many, self.seconds = many, seconds

    def __call__(self, turn):
        at = turn.folder / f"step{turn.rank}"
        begun = step = int(at.read_text()) if at.exists() else 0
        while step < self.many and not turn.stop():
            time.sleep(self.seconds)
            step += 1
            aside = at.with_suffix(".new")
            aside.write_text(str(step))
            aside.replace(at)  # a kill leaves the step before or the step after, whole
        with (turn.folder / "turns").open("a") as file:
            file.write(f"{turn.rank} {turn.pods} {begun} {step}\n")
        return step


def broken(turn):
    raise ValueError("no such table")


@pytest.fixture(scope="module", autouse=True)
def cluster():
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="disabled")
    import ray

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import tests
    custom = dict.fromkeys(("node:a", "node:b", "region:here", "region:north"), 1e6)
    ray.init(num_cpus=8, resources=custom, include_dashboard=False, object_store_memory=100 * 2**20, log_to_driver=False)
    yield
    ray.shutdown()


def test_jobs_run_gangs_together_and_a_failing_one_is_said(tmp_path):
    jobs = [(Job(f"j{i}", CPU, 0.05 * i, 0.3), Steps(15)) for i in range(4)]
    jobs += [(Job("gang", CPU, 0.1, 0.3, pods=2), Steps(15)), (Job("bad", CPU, 0.1, 0.1), broken)]
    backend = RayBackend(jobs, [machine("a"), machine("b", region="north")], tmp_path)
    found = run("best_fit", backend)
    ended = {found.kernel.jobs[n].id: how for n, (_, how) in found.kernel.ended.items()}
    assert ended.pop("bad") == "failed"
    assert set(ended.values()) == {"finished"}
    assert backend.results["gang"] == 15
    assert sorted((tmp_path / "gang" / "turns").read_text().split()[::4]) == ["0", "1"]
    assert found.figures["violations"] == 0
    text = found.log.text()
    assert replay(text, scheduling.policy("best_fit"), backend.kernel()).text() == text


def test_a_preempted_job_goes_on_where_it_was(tmp_path):
    jobs = [(Job("long", Pod(2000, 256), 0.0, 100.0), Steps(150)), (Job("short", Pod(2000, 256), 1.5, 0.2), Steps(5))]
    backend = RayBackend(jobs, [machine("a")], tmp_path)
    found = run("srpt", backend)
    assert found.kernel.preempted == 1
    assert found.kernel.ended[1][0] < found.kernel.ended[0][0]
    first, second = (tmp_path / "long" / "turns").read_text().splitlines()
    assert first.split()[3] == second.split()[2] != "0"
    assert backend.results["long"] == 150


def test_a_lost_node_kills_its_jobs_and_they_run_again(tmp_path):
    jobs = [(Job("x", Pod(2000, 256), 0.0, 3.0, ckpt_every_s=0.5), Steps(100))]
    backend = RayBackend(jobs, [machine("a")], tmp_path, outages=(("a", 1.5, 2.0),))
    found = run("first_fit", backend)
    assert found.kernel.lost == 1
    assert found.kernel.ended[0][1] == "finished"
    assert int((tmp_path / "x" / "turns").read_text().split()[2]) > 0


def test_a_policy_that_breaks_a_gang_is_stopped_by_the_same_kernel(tmp_path):
    class Half:
        name, deterministic = "half", True

        def decide(self, state, event, rng):
            return [Start("gang", (("a", ()),))] if event.kind == "arrive" else [Preempt("gang")]

    with pytest.raises(ViolationError, match="2 pods"):
        run(Half(), RayBackend([(Job("gang", CPU, 0.0, 1.0, pods=2), Steps(1))], [machine("a")], tmp_path))
