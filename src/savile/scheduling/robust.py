"""Least slack first, with durations buffered against the worst distribution that the evidence allows.

How long a job takes is known as a distribution only. Planning with the mean misses deadlines, planning with the worst case
wastes the cluster. Here the buffer of a job is what minimises the cost of reserved time plus the expected cost of overtime
under the worst distribution near the one that was seen (see `_ambiguity`), and the job with the least time left after its
buffer goes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from savile.base.cluster import State
from savile.base.work import Event, Start
from savile.scheduling import best_fit
from savile.scheduling._ambiguity import Doubt, Evidence, reserve
from savile.scheduling._place import DAY_S, place

deterministic = True
SCENARIOS = 25  # points that stand for a distribution: its quantiles at equal steps


@dataclass(frozen=True)
class Settings:
    """`overtime`: cost of a second too late, in reserved ones; `variation`: probability that may move to longer durations."""

    overtime: float = 10.0
    variation: float = 0.05
    patience_s: float = DAY_S


DEFAULT = Settings()


def decide(state: State, event: Event, rng: np.random.Generator, settings: Settings = DEFAULT) -> Sequence[Start]:
    """Start what fits, the job with the least slack first; jobs without a deadline come last, shortest first."""

    def slack(state: State, numbers: np.ndarray) -> np.ndarray:
        deadline = state.table["deadline"][numbers]
        left = np.array([state.left_s(n) * buffer(state.jobs[n].spread, settings) for n in numbers.tolist()])
        without = np.isinf(deadline)
        latest = np.where(without, 0.0, deadline - state.now - left)
        return np.where(without, 1e15 + np.minimum(left, 1e14), latest)

    return place(state, event, best_fit.choose, slack, settings.patience_s, "least slack after its buffer")


@lru_cache(maxsize=4096)
def buffer(spread: float, settings: Settings = DEFAULT) -> float:
    """How many times its expected seconds to reserve for a job whose logarithm of duration has this standard deviation."""
    if not spread:
        return 1.0
    from scipy.special import ndtri

    quantiles = np.exp(spread * ndtri((np.arange(SCENARIOS) + 0.5) / SCENARIOS))
    evidence = Evidence(tuple(quantiles[:, None]), (1 / SCENARIOS,) * SCENARIOS, 0.0, float(quantiles[-1]))
    return float(reserve((evidence,), Doubt(settings.overtime, variation=settings.variation)).reserved[0])
