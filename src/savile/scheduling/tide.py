"""Tide: services get as many replicas as their load needs, within seconds; what they do not need is lent to other jobs.

How many replicas keep a promise follows from the load by a queueing rule: the fewest with which 199 of 200 requests wait no
longer than they may (99 of 100 are promised), by the waiting times of c servers (Erlang 1917), stretched for seconds of service
that vary (Allen and Cunneen 1990), and enough besides to clear what waits. The load expected is the largest of what was
measured last, its mean over a minute, and, after a day, what came at this time on the days before; with so much above it as
chance may add.

The tide rises at once and falls slowly: replicas go when fewer would have done for `keep_s`. For a rising tide jobs that
are not services give way, the youngest first, with their checkpoints. Everything else is placed as `best_fit` does.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil, exp, sqrt

import numpy as np

from savile.base.cluster import Room, Run, State
from savile.base.series import DAY_H, HOUR
from savile.base.work import Decision, Event, Job, Load, Place, Preempt, Resize, Start
from savile.scheduling._place import DAY_S, Placing, spread
from savile.scheduling.best_fit import choose

deterministic = True
follows_load = True
LATE = 0.005  # of the requests may wait longer: half of what is promised, because stretches of time differ
MOST = 10_000


@dataclass(frozen=True)
class Settings:
    """How the tide follows.

    Attributes:
        short_s, long_s: seconds over which the load is averaged; the larger mean counts.
        keep_s: seconds for which fewer replicas must have been enough before some go.
        sigmas: standard deviations of a Poisson count that are added to the load.
        days: days back at which the same time of day is looked at; 0 looks at none.
        ahead_s: seconds after this time of day that are looked at there.
        patience_s: a job that waited so long is overtaken no more.
    """

    short_s: float = 15.0
    long_s: float = 60.0
    keep_s: float = 300.0
    sigmas: float = 1.0
    days: int = 7
    ahead_s: float = 900.0
    patience_s: float = DAY_S


DEFAULT = Settings()


@lru_cache(maxsize=65_536)
def servers(rate: float, busy_s: float, target_s: float, spread: float = 1.0) -> int:
    """The fewest servers with which at most `LATE` of the requests wait longer than `target_s`.

    Args:
        rate: requests a second. busy_s: mean seconds of service. target_s: what they may wait.
        spread: squared coefficient of variation of the seconds of service; 1 is exponential, for which the rule is exact.
    """
    offered = rate * busy_s
    if offered <= 0:
        return 0
    blocked, stretch = 1.0, busy_s * (1 + spread) / 2
    for c in range(1, MOST):
        blocked = offered * blocked / (c + offered * blocked)  # Erlang B, by its recursion
        if c > offered:
            waits = blocked / (1 - offered / c * (1 - blocked))  # Erlang C
            if waits * exp(-(c - offered) * target_s / stretch) <= LATE:
                return c
    return MOST


def wanted(job: Job, loads: Sequence[tuple[float, Load]], now: float, settings: Settings) -> tuple[int, int]:
    """Replicas that are needed now, and those below which it would have been too few in the last `keep_s`."""
    if not loads:
        return job.pods, job.pods
    busy, spread = loads[-1][1].busy_s, loads[-1][1].spread
    recent = loads[bisect_left(loads, now - settings.keep_s - settings.long_s, key=lambda each: each[0]) :]
    times, rates = np.array([at for at, _ in recent]), np.array([load.rate for _, load in recent])
    peak = float(max(_means(times, rates, settings.short_s).max(), _means(times, rates, settings.long_s).max()))
    usual = _usual(loads, now, settings)
    level = max(_means(times, rates, settings.short_s)[-1], _means(times, rates, settings.long_s)[-1], usual)
    target = float(job.slo_ms or 0) / 1000
    backlog = loads[-1][1].waiting * busy / max(target, 1.0)
    rise = max(_servers(level, busy, target, spread, settings), ceil(level * busy + backlog))
    keep = max(rise, _servers(max(peak, usual), busy, target, spread, settings))
    return _replicas(rise, job), _replicas(keep, job)


def _servers(rate: float, busy_s: float, target_s: float, spread: float, settings: Settings) -> int:
    more = settings.sigmas * sqrt(rate / settings.long_s)
    return servers(round(rate + more, 4), round(busy_s, 4), target_s, round(spread, 1))


def _replicas(places: int, job: Job) -> int:
    return min(max(ceil(places / job.at_once), job.pods), max(job.most, job.pods))


def _means(times: np.ndarray, rates: np.ndarray, span_s: float) -> np.ndarray:
    """Means of the rates over the seconds before each time, float64 (n,)."""
    sums, first = np.concatenate([[0.0], np.cumsum(rates)]), np.searchsorted(times, times - span_s, side="right")
    ends = np.arange(1, len(times) + 1)
    means: np.ndarray = (sums[ends] - sums[first]) / (ends - first)
    return means


def _usual(loads: Sequence[tuple[float, Load]], now: float, settings: Settings) -> float:
    """The mean rate at this time of day, and a little later, on the days before; 0 when there is no day before."""
    rates = list[float]()
    for day in range(1, settings.days + 1):
        start = now - day * DAY_H * HOUR
        if start < loads[0][0]:
            break
        first, last = (bisect_left(loads, at, key=lambda each: each[0]) for at in (start, start + settings.ahead_s))
        rates += [load.rate for _, load in loads[first:last]]
    return sum(rates) / len(rates) if rates else 0.0


def decide(state: State, event: Event, rng: np.random.Generator, settings: Settings = DEFAULT) -> Sequence[Decision]:
    """First the services, then the jobs that wait."""
    services = [n for n in state.running if state.jobs[n].service]
    if event.kind == "load":
        services = [n for n in services if state.jobs[n].id == event.job]
    waiting = [n for n in state.pending.tolist() if state.jobs[n].service]
    if not services and not len(state.pending):
        return []
    needs = {n: wanted(state.jobs[n], state.loads.get(n, ()), state.now, settings) for n in services}
    changing = any(not rise <= len(state.running[n].places) <= keep for n, (rise, keep) in needs.items())
    if event.kind == "load" and not changing:
        return []
    placing = Placing(state, Event("round", event.at), choose, settings.patience_s, "room that no service needs")
    placing.apart()
    tide = _Tide(state, placing)
    for number, (rise, keep) in sorted(needs.items(), key=lambda each: each[1][0] - len(state.running[each[0]].places)):
        have = len(state.running[number].places)
        tide.resize(number, max(rise, min(have, keep)))
    begun = {start.job for start in placing.starts}  # what has waited too long comes before all else
    for number in [n for n in waiting if state.jobs[n].id not in begun]:
        tide.begin(number, wanted(state.jobs[number], state.loads.get(number, ()), state.now, settings)[0])
    for number in placing.tried.tolist():
        if not state.jobs[number].service:
            placing.start(number)
    return [*tide.stops, *tide.resizes, *placing.starts]


class _Tide:
    """Decisions of one moment, over the room of a placing."""

    def __init__(self, state: State, placing: Placing) -> None:
        self.state, self.placing = state, placing
        self.stops, self.resizes = list[Preempt](), list[Resize]()
        self.lent = [run for run in state.running.values() if not state.jobs[run.job].service]

    def resize(self, number: int, want: int) -> None:
        """Bring a running service to so many replicas, or as near as there is room."""
        job, places = self.state.jobs[number], self.state.running[number].places
        have, room = len(places), self.placing.room
        for node, devices in places[want:]:
            room.give(job.pod, self.state.index[node], devices)
        places = places[:want]
        site = self.state.site == self.state.site[self.state.index[places[0][0]]]
        while len(places) < want and (more := self._one(job, site)):
            places += more
        if len(places) != have:
            load = self.state.loads[number][-1][1]
            self.resizes.append(Resize(job.id, places, f"{load.rate:.3g} requests a second of {load.busy_s:.3g} s each"))

    def _one(self, job: Job, site: np.ndarray) -> tuple[Place, ...] | None:
        """A place for one replica more; the youngest of the jobs that are no services give way until there is one."""
        free = site if self.placing.free is None else site & self.placing.free
        one = _single(job)
        found = spread(self.state, self.placing.room, one, choose, free)
        if found is not None:
            return found
        gone = self._giving_way(one, site)
        for run in gone:
            self.lent.remove(run)
            self.stops.append(Preempt(self.state.jobs[run.job].id, f"{job.id} needs the room"))
            _give(self.state, self.placing.room, run)
        return spread(self.state, self.placing.room, one, choose, site) if gone else None

    def _giving_way(self, one: Job, site: np.ndarray) -> list[Run]:
        """The fewest of the youngest jobs without which there is a place; none when there would be none anyway."""
        trial, gone = self.placing.room.copy(), list[Run]()
        for run in sorted(self.lent, key=lambda run: (-run.since, -run.job)):
            if not any(site[self.state.index[node]] for node, _ in run.places):
                continue
            _give(self.state, trial, run)
            gone.append(run)
            if spread(self.state, trial, one, choose, site, take=False) is not None:
                return gone
        return []

    def begin(self, number: int, want: int) -> None:
        """Start a service that waits, with so many replicas or as many as there is room for; jobs that are none give way."""
        job = self.state.jobs[number]
        self.placing.tried = self.placing.tried[self.placing.tried != number]
        for r in range(len(self.state.regions)):
            places, site = tuple[Place, ...](), self.state.allowed(job) & (self.state.site == r)
            before = self.placing.room.copy(), self.stops.copy(), self.lent.copy()
            while len(places) < want and (more := self._one(job, site)):
                places += more
            if len(places) >= job.pods:
                self.placing.starts.append(Start(job.id, places, "a service, before all others"))
                return
            self.placing.room, self.stops, self.lent = before


def _single(job: Job) -> Job:
    """One replica of a service, as a job of its own."""
    return replace(job, pods=1, most=0)


def _give(state: State, room: Room, run: Run) -> None:
    for node, devices in run.places:
        room.give(state.jobs[run.job].pod, state.index[node], devices)
