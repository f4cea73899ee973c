"""A queue for a team: quotas, fair share, deadlines, and hours for work that can wait.

Whoever has used least for its weight goes next (a job nearer its deadline first within a tenant); nobody goes beyond its quota;
jobs of a kind that can wait start in the off-peak hours, unless their deadlines say otherwise or they have waited a day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from savile.base.cluster import State
from savile.base.series import DAY_H, HOUR
from savile.base.work import Event, Job, Kind, Start
from savile.scheduling._place import DAY_S, Placing
from savile.scheduling.best_fit import choose
from savile.scheduling.drf import asks, capacity, usage

deterministic = True


@dataclass(frozen=True)
class Settings:
    """Who may have how much, and when.

    Attributes:
        quotas: tenant and the share of the cluster it may hold at most, of whatever resource it holds most.
        weights: tenant and its weight; 1 where not listed.
        off_peak: first and last hour (UTC) for work that can wait, as in (22, 6); empty: any hour.
        can_wait: kinds of jobs that wait for those hours.
        patience_s: a job that waited so long is overtaken no more, and waits for no hour.
    """

    quotas: tuple[tuple[str, float], ...] = ()
    weights: tuple[tuple[str, float], ...] = ()
    off_peak: tuple[int, ...] = ()
    can_wait: tuple[Kind, ...] = ("batch", "evaluate")
    patience_s: float = DAY_S


DEFAULT = Settings()


def decide(state: State, event: Event, rng: np.random.Generator, settings: Settings = DEFAULT) -> Sequence[Start]:
    """Start what fits and may start."""
    if not len(state.pending):
        return []
    held, full = usage(state), capacity(state)
    quotas, weights = dict(settings.quotas), dict(settings.weights)
    blocked = bool(quotas or settings.off_peak)  # then jobs may wait although there is room, and all are looked at again
    placing = Placing(state, Event("round", event.at) if blocked else event, choose, settings.patience_s)
    for start in placing.starts:
        job = state.jobs[state.number(start.job)]
        held[job.tenant] += asks(job)
    waiting: dict[str, list[Job]] = defaultdict(list)
    for number in placing.tried.tolist():
        if not _waits(state, state.jobs[number], settings):
            waiting[state.jobs[number].tenant].append(state.jobs[number])
    for jobs in waiting.values():
        jobs.sort(key=lambda job: np.inf if job.deadline_s is None else job.deadline_s)
    while waiting:
        tenant = min(waiting, key=lambda name: (float((held[name] / full).max()) / weights.get(name, 1.0), name))
        job = waiting[tenant].pop(0)
        if not waiting[tenant]:
            del waiting[tenant]
        if float(((held[tenant] + asks(job)) / full).max()) > quotas.get(tenant, 1.0) + 1e-9:
            continue
        if placing.start(state.number(job.id), f"{tenant} has used least for its weight") is not None:
            held[tenant] += asks(job)
    return placing.starts


def _waits(state: State, job: Job, settings: Settings) -> bool:
    """Whether a job is put off to the off-peak hours."""
    if not settings.off_peak or job.kind not in settings.can_wait or state.now - job.release_s > settings.patience_s:
        return False
    first, last = settings.off_peak
    hour = int(state.now // HOUR) % DAY_H
    if (first <= hour < last) if first < last else (hour >= first or hour < last):
        return False
    ahead = ((first - hour) % DAY_H) * HOUR - state.now % HOUR
    left = state.left_s(state.number(job.id))
    return job.deadline_s is None or state.now + ahead + 1.3 * left < job.deadline_s
