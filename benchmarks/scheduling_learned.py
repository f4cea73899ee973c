"""A learned policy against the best heuristic, on weeks that learning never saw: shipped only if it is better, told either way.

Agents of six regions with devices of three speeds learn by the cross-entropy method on two weeks of Philly's jobs (see
`_regions`), once for each of five seeds, and are tried on one other week each, beside every heuristic that needs no learning.
The best heuristic is chosen on the training weeks. The figure is the mean completion time.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from _regions import world
from _report import cached, report
from savile.scheduling import SimBackend, _environment, run

SEEDS = (0, 1, 2, 3, 4)
TRAINING, HELD_OUT = (100, 101), 200
JOBS, ROUNDS, TRIES = 2500, 5, 8
HEURISTICS = ("first_fit", "best_fit", "sjf", "srpt", "congestion")


def main() -> None:
    seeds = [
        cached({"benchmark": "learned", "seed": seed, "jobs": JOBS, "rounds": ROUNDS}, lambda s=seed: one(s)) for seed in SEEDS
    ]
    trained = {name: statistics.mean(found["training"][name] for found in seeds) for name in HEURISTICS}
    best = min(trained, key=lambda name: trained[name])
    ours, theirs = [found["agents"] for found in seeds], [found["held out"][best] for found in seeds]
    report(
        "learned_mean_completion",
        statistics.median(ours),
        "h",
        higher=False,
        baseline=f"{best}, the best heuristic on the training weeks",
        baseline_value=statistics.median(theirs),
        ratio=statistics.median(their / our for our, their in zip(ours, theirs, strict=True)),
        seeds=list(SEEDS),
        runs={"agents": ours, best: theirs},
    )


def one(seed: int) -> dict[str, Any]:
    """Learn with one seed; completion times in hours of the agents and the heuristics."""
    training = [world(week, JOBS, mixed=True) for week in TRAINING]
    weights = _environment.learn([_environment.Environment(SimBackend(each)) for each in training], ROUNDS, seed, TRIES)
    held_out = world(HELD_OUT + seed, JOBS, mixed=True)
    agents = -_environment.Environment(SimBackend(held_out)).episode(_environment.linear_wish(weights), seed)
    found = {
        "agents": agents,
        "weights": weights.tolist(),
        "held out": {name: hours(name, held_out) for name in HEURISTICS},
        "training": {name: statistics.mean(hours(name, each) for each in training) for name in HEURISTICS},
    }
    print({"seed": seed, **found}, file=sys.stderr, flush=True)
    return found


def hours(name: str, given: Any) -> float:
    return float(run(name, SimBackend(given)).figures["jct_mean_s"]) / 3600


if __name__ == "__main__":
    main()
