"""Shortest remaining time first, with preemption: a short job takes the place of those that have much longer to go.

A job is stopped only for one that needs less than `RATIO` of what it has left, restart included, and never once it has waited
longer than the patience allows; so checkpoints pay for themselves and long jobs end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from savile.base.cluster import Room, State
from savile.base.work import Decision, Event, Job, Preempt, Start
from savile.scheduling._place import place, spread
from savile.scheduling.best_fit import DEFAULT, Settings, choose
from savile.scheduling.sjf import left

deterministic = True
RATIO = 0.5
MOST = 16  # jobs that are stopped for one


def decide(state: State, event: Event, rng: np.random.Generator, settings: Settings = DEFAULT) -> Sequence[Decision]:
    """Start what fits, shortest first; if the job that arrived does not fit, stop longer ones for it."""
    starts = place(state, event, choose, left, settings.patience_s, "shortest that fits")
    if starts or event.kind != "arrive" or not state.running:
        return starts
    number = int(state.pending[-1])
    return _instead(state, number, settings) if number == state.number(event.job) else starts


def _instead(state: State, number: int, settings: Settings) -> Sequence[Decision]:
    """Stop the jobs with most left until the new one fits."""
    job, room = state.jobs[number], state.room.copy()
    stopped: list[Preempt] = []
    for other in _longest(state, state.left_s(number), settings):
        _leave(state, room, other)
        stopped.append(Preempt(state.jobs[other].id, f"{job.id} has less left"))
        places = spread(state, room, job, choose)
        if places is not None:
            return [*_needed(state, stopped, places), Start(job.id, places, "shortest left")]
    return []


def _longest(state: State, seconds: float, settings: Settings) -> list[int]:
    """Running jobs that may be stopped, most left first."""
    ahead = []
    for number in state.running:
        job: Job = state.jobs[number]
        remains = state.left_s(number)
        patient = state.now - job.release_s < settings.patience_s
        if patient and remains * RATIO > seconds + job.ckpt_s + job.restart_s:
            ahead.append((-remains, number))
    return [number for _, number in sorted(ahead)[:MOST]]


def _leave(state: State, room: Room, number: int) -> None:
    pod = state.jobs[number].pod
    for node, devices in state.running[number].places:
        room.give(pod, state.index[node], devices)


def _needed(state: State, stopped: list[Preempt], places: Sequence[tuple[str, tuple[int, ...]]]) -> list[Preempt]:
    """Those of the stopped jobs on whose nodes the new one starts."""
    nodes = {node for node, _ in places}
    return [p for p in stopped if nodes & {node for node, _ in state.running[state.number(p.job)].places}]
