"""H10: the simulator against 56 live jobs on Ray on this machine: makespan and mean completion; and the live log replayed.

Jobs are numpy work in steps with checkpoints. Jobs that are not measured start Ray's workers. Then, just before each live run,
as many other jobs are timed as pilots: a line through steps and seconds is the estimate of a job, and what pilots took beyond
it (gangs apart, for a gang is as late as its later pod) is drawn from for the truth of the simulations, whose mean over 20
draws is the figure. Beside it stands the simulation told what each job took: what is left there is the simulator's own.
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.stats import theilslopes

from _report import report
from savile.base.work import Job, Node, Pod
from savile.scheduling import RayBackend, SimBackend, World, policy, replay, run
from savile.scheduling._ray import cluster

KINDS = {"short": 20, "middle": 45, "long": 90}  # steps
STEP_S, JOBS, GAP_S = 0.05, 56, 0.35
DRAWS, STARTERS = 20, 16
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


def jobs(seconds=lambda steps: 1.0, restart_s=0.0, seed=0):
    """Jobs and their work; `seconds` estimates the time of so many steps."""
    picked = np.random.default_rng(seed).choice(list(KINDS), JOBS, p=[0.5, 0.3, 0.2])
    return [
        (
            Job(
                f"j{i}", Pod(1000, 256), GAP_S * i, seconds(KINDS[kind]), pods=2 if i % 9 == 0 else 1,
                tenant=("a", "b")[i % 2], restart_s=restart_s,
            ),
            Steps(KINDS[kind]),
        )
        for i, kind in enumerate(picked)
    ]  # fmt: skip


def pilot(folder):
    """Seconds by steps as a line (slope, start), and what single jobs and gangs took beyond it."""
    work = jobs(seed=1)
    spells = run("best_fit", RayBackend(work, NODES, folder)).kernel.ledger.spells
    steps = np.array([work[spell.job][1].many for spell in spells])
    gang = np.array([work[spell.job][0].pods > 1 for spell in spells])
    took = np.array([spell.end - spell.start for spell in spells])
    slope, start = theilslopes(took, steps)[:2]
    beyond = took - slope * steps - start
    return slope, start, {True: beyond[gang], False: beyond[~gang]}


def simulations(name, work, beyond):
    """Figures of `DRAWS` simulations, each with another truth."""
    there = tuple(job for job, _ in work)
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        truth = {job.id: max(0.0, job.work_s + float(rng.choice(beyond[job.pods > 1]))) for job in there}
        yield run(policy(name), SimBackend(World(NODES, there, work_s=truth))).figures


def main():
    with cluster(NODES) as ray, TemporaryDirectory() as folder:
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
        run("best_fit", RayBackend(jobs(seed=2)[:STARTERS], NODES, Path(folder) / "starters"))
        for name in ("best_fit", "srpt"):
            slope, start, beyond = pilot(Path(folder) / f"pilot-{name}")
            work = jobs(lambda steps, a=start, b=slope: float(a + b * steps), max(0.0, float(start)))
            live = RayBackend(work, NODES, Path(folder) / name)
            ran = run(policy(name), live)
            simulated = list(simulations(name, work, beyond))
            there = tuple(job for job, _ in work)
            took = dict.fromkeys((job.id for job in there), 0.0)
            for spell in ran.kernel.ledger.spells:  # of a job that gave way there are several
                took[there[spell.job].id] += max(0.0, spell.end - spell.begins)
            told = run(policy(name), SimBackend(World(NODES, there, work_s=took))).figures
            for figure in ("makespan_s", "jct_mean_s"):
                errors = [100 * (one[figure] / ran.figures[figure] - 1) for one in simulated]
                report(
                    f"{name}, {JOBS} live jobs on Ray: error of the simulated {figure}", round(abs(float(np.mean(errors))), 2),
                    "%", 10.0, higher=False,
                    baseline="live, s", baseline_value=round(ran.figures[figure], 3), runs=[round(e, 2) for e in errors],
                )  # fmt: skip
                report(
                    f"{name}: error of the {figure} simulated from what each job took",
                    round(100 * abs(told[figure] / ran.figures[figure] - 1), 3), "%", higher=False,
                )  # fmt: skip
            text = ran.log.text()
            same = replay(text, policy(name), live.kernel()).text() == text
            report(f"{name}: decisions of the live log, replayed, equal to the byte", float(same), "", 1.0)
            report(f"{name}: live jobs that finished", ran.figures["finished"], "jobs", float(JOBS))


if __name__ == "__main__":
    main()
