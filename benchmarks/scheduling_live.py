"""H10: the simulator against 56 live jobs on Ray on this machine: makespan and mean completion; and the live log replayed.

Jobs are numpy work in steps with checkpoints, profiled first by a pilot of 28 other jobs (the four that start
the workers apart); estimates are the medians of that, and the simulator is given nothing else.
"""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from _report import report
from savile.base.work import Job, Node, Pod
from savile.scheduling import RayBackend, SimBackend, World, policy, replay, run

KINDS = {"short": 20, "middle": 45, "long": 90}  # steps
STEP_S, JOBS, GAP_S = 0.05, 56, 0.35
NODES = (Node("n0", "here", 2000, 4096), Node("n1", "here", 2000, 4096))


class Steps:
    """Some arithmetic and a wait in each step, as of a job that reads its data from elsewhere; a checkpoint after each."""

    def __init__(self, many):
        self.many = many

    def __call__(self, turn):
        """Go on to the last step."""
        at = turn.folder / f"step{turn.rank}"
        step = int(at.read_text()) if at.exists() else 0
        matrix = np.random.default_rng(0).random((64, 64))
        while step < self.many and not turn.stop():
            until = time.monotonic() + STEP_S
            matrix = matrix @ matrix / np.abs(matrix).max()
            time.sleep(max(0.0, until - time.monotonic()))
            step += 1
            aside = at.with_suffix(".new")
            aside.write_text(str(step))
            aside.replace(at)
        return step


def jobs(profile, seed=0):
    rng, names = np.random.default_rng(seed), list(KINDS)
    picked = rng.choice(names, JOBS, p=[0.5, 0.3, 0.2])
    return [
        (
            Job(f"j{i}", Pod(1000, 256), GAP_S * i, profile[kind], pods=2 if i % 9 == 0 else 1, tenant=("a", "b")[i % 2]),
            Steps(KINDS[kind]),
        )
        for i, kind in enumerate(picked)
    ]


def main():
    import sys

    import ray

    from savile.scheduling._ray import UNITS, _connect

    ray_, _ = _connect(NODES, "")
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    assert UNITS
    with TemporaryDirectory() as folder:
        work = jobs(dict.fromkeys(KINDS, 1.0), seed=1)[: JOBS // 2]
        pilot = run("best_fit", RayBackend(work, NODES, Path(folder) / "pilot"))
        many = {job.id: steps.many for job, steps in work}
        spells = [(many[pilot.kernel.jobs[spell.job].id], spell.end - spell.start) for spell in pilot.kernel.ledger.spells]
        profile = {kind: float(np.median([s for steps, s in spells[4:] if steps == KINDS[kind]])) for kind in KINDS}
        for name in ("best_fit", "srpt"):
            work = jobs(profile)
            live = RayBackend(work, NODES, Path(folder) / name)
            ran = run(policy(name), live)
            simulated = run(policy(name), SimBackend(World(NODES, tuple(job for job, _ in work))))
            for figure in ("makespan_s", "jct_mean_s"):
                error = abs(simulated.figures[figure] / ran.figures[figure] - 1)
                report(
                    f"{name}, {JOBS} live jobs on Ray: error of the simulated {figure}", round(100 * error, 2), "%", 10.0,
                    higher=False,
                    baseline="live, s", baseline_value=round(ran.figures[figure], 3),
                )  # fmt: skip
            text = ran.log.text()
            same = replay(text, policy(name), live.kernel()).text() == text
            report(f"{name}: decisions of the live log, replayed, equal to the byte", float(same), "", 1.0)
            report(f"{name}: live jobs that finished", ran.figures["finished"], "jobs", float(JOBS))
    ray_.shutdown()


if __name__ == "__main__":
    main()
