"""H1 and H2: GPU allocation at 100 % arrived demand on the openb trace, nodes shuffled, ten seeds; and how long a replay takes.

Protocol of Weng et al. (ATC 2023): tasks in random order, more drawn with replacement until they ask for 1.3 times the cluster,
nothing ends, what does not fit is dropped. Ours is a re-implementation, and so is the peer: fragmentation gradient descent with
its exact score. The tie rule was chosen on seeds 100-105, which are not measured here.
"""

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from _report import cached, report
from savile.base import stats
from savile.scheduling import SimBackend, World, _traces, policy, run
from savile.scheduling._fragmentation import typical

FOLDER = Path(os.environ["SAVILE_DATA"]) / "gpu-alibaba"
SEEDS, TUNE, NEVER = range(10), 1.3, 1e12
# what the authors' repository stores as results (mean of ten): expected_results/analysis_allo_discrete.csv
PUBLISHED = {"FGD": 95.23, "GpuPacking": 91.78, "BestFit": 92.86, "DotProd": 90.62, "Random": 86.30}
POLICIES = {
    "fgd": {"name": "fgd"},
    "fgd, ties by best fit": {"name": "fgd", "ties": "best_fit"},
    "fgd, exact score": {"name": "fgd", "steps": 10**9},
    "best_fit": {"name": "best_fit"},
    "first_fit": {"name": "first_fit"},
}


def world(seed):
    nodes, jobs = _traces.alibaba_2023(FOLDER)
    rng, wanted = np.random.default_rng(seed), sum(node.devices for node in nodes) * 1000 * TUNE
    drawn = [jobs[i] for i in rng.permutation(len(jobs))]
    while sum(job.pod.gpu_milli for job in drawn) < wanted:
        drawn += [jobs[i] for i in rng.integers(len(jobs), size=64)]
    arrived = np.cumsum([job.pod.gpu_milli for job in drawn])
    drawn = drawn[: int(np.searchsorted(arrived, wanted)) + 1]
    timed = [replace(job, id=str(i), release_s=float(i), work_s=None) for i, job in enumerate(drawn)]
    return World(tuple(nodes[i] for i in rng.permutation(len(nodes))), tuple(timed)), typical(jobs)


def allocation(outcome):
    """Share of the devices that is allocated when as much has been asked for as there is."""
    capacity = float(outcome.kernel.state.capacity.total.sum())
    asked = held = 0.0
    for entry in outcome.log.entries:
        if entry.job is not None:
            asked += entry.job.pod.gpu_milli
            if asked > capacity:
                break
            held += sum(outcome.kernel.jobs[int(decision.job)].pod.gpu_milli for decision in entry.decisions)
    return 100 * held / capacity


def measure(seed, name, settings):
    there, demands = world(seed)
    more = {"demands": demands} if name == "fgd" else {}
    started = time.process_time()
    outcome = run(policy(name, patience_s=NEVER, **more, **settings), SimBackend(there))
    seconds = time.process_time() - started
    figures = outcome.figures
    return {
        "allocation": allocation(outcome),
        "seconds": seconds,
        "placements": len(there.jobs),
        "p99_ms": figures["decision_p99_ms"],
        "violations": figures["violations"],
    }


def main():
    found = {}
    for label, setting in POLICIES.items():
        settings = {key: value for key, value in setting.items() if key != "name"}
        key = {"benchmark": "openb", "policy": label}
        found[label] = [
            cached({**key, "seed": seed}, lambda s=seed, n=setting["name"], m=settings: measure(s, n, m)) for seed in SEEDS
        ]
    columns = {label: np.array([run["allocation"] for run in runs]) for label, runs in found.items()}
    for label, values in columns.items():
        bar = 95.2 if label == "fgd" else None
        report(
            f"GPU allocation at 100 % demand, openb, nodes shuffled: {label}", round(float(values.mean()), 3), "%", bar,
            baseline="FGD, authors' stored results, mean of ten", baseline_value=PUBLISHED["FGD"], seeds=len(SEEDS),
            runs=[round(v, 3) for v in values],
        )  # fmt: skip
    for peer in list(POLICIES)[1:4]:
        pair = stats.paired(columns["fgd"], columns[peer])
        report(
            f"fgd minus {peer}: paired 95 % interval {pair.low:.3f} to {pair.high:.3f} points", round(pair.value, 3), "points",
            0.0 if peer != "best_fit" else None, baseline=peer, baseline_value=float(columns[peer].mean()), seeds=len(SEEDS),
        )  # fmt: skip
    for label, bar in (("best_fit", 1.0), ("fgd", 15.0)):
        seconds = [run["seconds"] for run in found[label]]
        report(
            f"replay of {found[label][0]['placements']} placements on 1,213 nodes: {label}, CPU seconds",
            round(float(np.median(seconds)), 3),
            "s", bar, higher=False, seeds=len(SEEDS), runs=[round(s, 3) for s in seconds],
            baseline="peer's documented run on 2 vCPU, logging included", baseline_value=600.0,
        )  # fmt: skip
    report(
        "FGD decision p99, openb", round(max(r["p99_ms"] for r in found["fgd"]), 3), "ms", 10.0, higher=False, seeds=len(SEEDS)
    )


if __name__ == "__main__":
    main()
