"""Uniform progress on machines that may be taken away (Wu et al., "Can't be late", NSDI 2024).

A job runs on spot when there is some, on demand when it falls behind the straight line from release to deadline, and for
certain when only just enough time is left.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from savile.base.cluster import State
from savile.base.work import Decision, Event, Resize
from savile.scheduling._place import DAY_S, Placing, spread
from savile.scheduling.best_fit import DEFAULT, Settings, choose

deterministic = True
MARGIN = 0.05  # of the work that is left, kept as slack for estimates that are a little short


def decide(state: State, event: Event, rng: np.random.Generator, settings: Settings = DEFAULT) -> Sequence[Decision]:
    """Start jobs on spot, or on demand when behind; take jobs that are ahead back to spot, and late ones off it."""
    spot = np.array([node.spot for node in state.nodes])
    placing = Placing(state, Event("round", event.at) if len(state.pending) else event, choose, settings.patience_s)
    for number in sorted(placing.tried.tolist(), key=lambda n: (_spare(state, n), n)):
        _begin(state, placing, number, spot)
    started = {start.job for start in placing.starts}
    placing.apart()
    moves = [move for number in state.running if (move := _move(state, placing, number, spot)) is not None]
    return [*placing.starts, *(move for move in moves if move.job not in started)]


def _begin(state: State, placing: Placing, number: int, spot: np.ndarray) -> None:
    job, free = state.jobs[number], placing.free
    if not _must(state, number):
        placing.free = spot if free is None else spot & free
        placing.failed.clear()
        if placing.start(number, "spot is there") is None and _behind(state, number):
            placing.free = ~spot if free is None else ~spot & free
            placing.failed.clear()
            placing.start(number, "behind the line")
    else:
        placing.free = ~spot if free is None else ~spot & free
        placing.failed.clear()
        placing.start(number, "just enough time left")
    placing.free = free
    placing.failed.clear()
    if job.deadline_s is None and not spot.any():
        placing.start(number, "no spot here")


def _move(state: State, placing: Placing, number: int, spot: np.ndarray) -> Resize | None:
    """Off spot when it must, back to spot when ahead by two restarts."""
    job, run = state.jobs[number], state.running[number]
    if job.deadline_s is None or job.work_s is None:
        return None
    on_spot = bool(spot[state.index[run.places[0][0]]])
    if on_spot and _must(state, number):
        wanted, why = ~spot, "just enough time left"
    elif not on_spot and job.on_spot and not _must(state, number, 2.0) and _ahead(state, number):
        wanted, why = spot, "ahead of the line"
    else:
        return None
    places = spread(
        state, placing.room, job, choose, wanted if placing.free is None else wanted & placing.free, placing.several
    )
    if places is None:
        return None
    return Resize(job.id, places, why)


def _spare(state: State, number: int) -> float:
    """Seconds to the deadline beyond what is left to do and one restart."""
    job = state.jobs[number]
    if job.deadline_s is None:
        return float("inf")
    return job.deadline_s - state.now - state.left_s(number) * (1 + MARGIN) - job.restart_s - job.ckpt_s


def _must(state: State, number: int, restarts: float = 1.0) -> bool:
    """Whether one more restart, or wait until the next round, could make it late."""
    job = state.jobs[number]
    step = float(state.options.get("round_s", 0.0))
    return _spare(state, number) <= restarts * (job.restart_s + job.ckpt_s + step)


def _behind(state: State, number: int) -> bool:
    return _lead(state, number) < 0 or (state.jobs[number].deadline_s is None and _waited(state, number) > DAY_S)


def _ahead(state: State, number: int) -> bool:
    job = state.jobs[number]
    return _lead(state, number) >= 2 * (job.restart_s + job.ckpt_s)


def _lead(state: State, number: int) -> float:
    """Seconds of work beyond the straight line; infinite without a deadline."""
    job = state.jobs[number]
    if job.deadline_s is None or job.work_s is None:
        return float("inf") if job.deadline_s is None else -1.0
    line = job.work_s * (state.now - job.release_s) / max(job.deadline_s - job.release_s, 1.0)
    return job.work_s - state.left_s(number) - line


def _waited(state: State, number: int) -> float:
    return state.now - state.jobs[number].release_s
