"""Shortest job first, by the jobs' own estimates; on the node with the least left over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from savile.base.cluster import State
from savile.base.work import Event, Start
from savile.scheduling._place import place
from savile.scheduling.best_fit import DEFAULT, Settings, choose

deterministic = True


def left(state: State, numbers: np.ndarray) -> np.ndarray:
    """Seconds of work that are expected to be left of waiting jobs."""
    seconds: np.ndarray = state.table["work"][numbers].copy()
    if state.done_s:
        seconds -= np.array([state.done_s.get(number, 0.0) for number in numbers.tolist()])
    return seconds


def decide(state: State, event: Event, rng: np.random.Generator, settings: Settings = DEFAULT) -> Sequence[Start]:
    """Start what fits, shortest first."""
    return place(state, event, choose, left, settings.patience_s, "shortest that fits")
