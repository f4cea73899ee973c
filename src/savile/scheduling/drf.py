"""Dominant resource fairness: whoever has the smallest dominant share goes next (Ghodsi et al., NSDI 2011)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from savile.base.cluster import State
from savile.base.work import Event, Job, Start
from savile.scheduling._place import Placing
from savile.scheduling.best_fit import DEFAULT, Settings, choose

deterministic = True


def decide(state: State, event: Event, rng: np.random.Generator, settings: Settings = DEFAULT) -> Sequence[Start]:
    """Start what fits, always of the tenant that has least, in order of arrival within a tenant."""
    if not len(state.pending):
        return []
    placing = Placing(state, event, choose, settings.patience_s)
    waiting: dict[str, list[Job]] = defaultdict(list)
    for number in placing.tried.tolist():
        waiting[state.jobs[number].tenant].append(state.jobs[number])
    if not waiting:
        return placing.starts
    held, all_there_is = usage(state), capacity(state)
    for start in placing.starts:
        job = state.jobs[state.number(start.job)]
        held[job.tenant] += asks(job)
    while waiting:
        tenant = min(waiting, key=lambda name: (float((held[name] / all_there_is).max()), name))
        job = waiting[tenant].pop(0)
        if not waiting[tenant]:
            del waiting[tenant]
        if placing.start(state.number(job.id), f"{tenant} has the smallest dominant share") is not None:
            held[tenant] += asks(job)
    return placing.starts


def capacity(state: State) -> np.ndarray:
    """CPU, memory and devices of the whole cluster, float64 (3,), never 0."""
    room = state.capacity
    return np.maximum(np.array([room.cpu.sum(), room.mem.sum(), room.total.sum()], dtype=np.float64), 1.0)


def asks(job: Job) -> np.ndarray:
    """What a job asks for in all, float64 (3,)."""
    return job.pods * np.array([job.pod.cpu_milli, job.pod.mem_mib, job.pod.gpu_milli], dtype=np.float64)


def usage(state: State) -> dict[str, np.ndarray]:
    """What each tenant holds now, float64 (3,) each."""
    held: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(3))
    for number, run in state.running.items():
        job = state.jobs[number]
        held[job.tenant] = held[job.tenant] + asks(job) * (len(run.places) / job.pods)
    return held
