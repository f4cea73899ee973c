"""Piggybacked data: a job that has to read far data anyway may carry it to where later jobs will want it.

After runData (TPDS 2022): a job may go to a place that is worse for itself, but never more than a factor 1 + `slack` worse
than its own best, when keeping what it fetches there saves later jobs more. Which waiting job goes where is a linear program
over all of them, with a budget for bytes between regions; a job goes where with the fractions of the optimum as
probabilities. The published probabilities are not known to us; this formulation is our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from savile.base.cluster import Room, State
from savile.base.work import Event, Job, Start
from savile.scheduling import best_fit
from savile.scheduling._ledger import GBIT
from savile.scheduling._place import DAY_S, may_read, place, spread

deterministic = False
HALF_LIFE_S = 6 * 3600.0  # after which a read of some data counts half in how often it will be read


@dataclass(frozen=True)
class Settings:
    """What may be given up and spent.

    Attributes:
        slack: how much later than its own best a job may end, as a share.
        budget_gib: data that may move between regions at one event.
        horizon_s: how far ahead later reads count.
        most: waiting jobs looked at together.
    """

    slack: float = 0.1
    budget_gib: float = float("inf")
    horizon_s: float = DAY_S
    most: int = 32
    patience_s: float = DAY_S


DEFAULT = Settings()


def decide(state: State, event: Event, rng: np.random.Generator, settings: Settings = DEFAULT) -> Sequence[Start]:
    """Jobs that read data go where the program says, one after the other; everything else by best fit."""
    if len(state.pending) and state.now - state.jobs[int(state.pending[0])].release_s > settings.patience_s:
        return place(state, event, best_fit.choose, patience_s=settings.patience_s)
    fitting = state.fitting()[: settings.most].tolist()
    readers = [n for n in fitting if state.jobs[n].data]
    room, starts = state.room.copy(), list[Start]()
    choices = {n: options(state, room, n, settings) for n in readers}
    readers = [n for n in readers if choices[n]]
    gain = worth(state, settings)
    shares = marginals(
        [choices[n] for n in readers], [_saved(state, n, choices[n], gain) for n in readers], settings.budget_gib
    )
    for number, share in zip(readers, shares, strict=True):
        names = list(choices[number])
        drawn = names[int(rng.choice(len(names), p=share))]
        start = _start(state, room, state.jobs[number], (drawn, *names))
        if start is not None:
            starts.append(start)
    gone = {start.job for start in starts}
    for number in fitting:
        job = state.jobs[number]
        if job.id not in gone and number not in choices:
            places = spread(state, room, job, best_fit.choose)
            if places is not None:
                starts.append(Start(job.id, places, "reads nothing"))
    return starts


def options(state: State, room: Room, number: int, settings: Settings) -> dict[str, tuple[float, float]]:
    """Region -> (seconds to the end, GiB to fetch), for regions with room now in which the job ends in time, best first."""
    job, found = state.jobs[number], dict[str, tuple[float, float]]()
    for site, name in enumerate(state.regions):
        places = spread(state, room, job, best_fit.choose, state.site == site, take=False)
        if places is None or not may_read(state, job, name):
            continue
        rate = state.rate(job, places)
        left = state.left_s(number)
        took = state.begins(number, places) - state.now + (left / rate if np.isfinite(left) else 0.0)
        found[name] = (took, sum(state.items[d].gib for d in job.data if name not in state.items[d].replicas))
    best = min((took for took, _ in found.values()), default=0.0)
    near = {name: option for name, option in found.items() if option[0] <= (1 + settings.slack) * best + 1e-9}
    return dict(sorted(near.items(), key=lambda each: each[1]))


def marginals(
    choices: Sequence[Mapping[str, tuple[float, float]]], saved: Sequence[Mapping[str, float]], budget_gib: float
) -> list[np.ndarray]:
    """The linear program: where each job goes, as shares that sum to 1.

    Args:
        choices: of each job, region -> (seconds, GiB to fetch).
        saved: of each job, region -> seconds that later jobs save.
        budget_gib: GiB that may be fetched by all of them; where even the cheapest choices exceed it, those are taken.
    """
    from scipy.optimize import linprog

    if not choices:
        return []
    sizes = [len(each) for each in choices]
    ends = np.cumsum(sizes)
    cost = np.array(
        [took - gains[name] for each, gains in zip(choices, saved, strict=True) for name, (took, _) in each.items()]
    )
    gib = np.array([fetch for each in choices for _, fetch in each.values()])
    least = sum(min(fetch for _, fetch in each.values()) for each in choices)
    one = np.zeros((len(choices), ends[-1]))
    for i, (end, size) in enumerate(zip(ends, sizes, strict=True)):
        one[i, end - size : end] = 1.0
    limit = min(max(budget_gib, least) + 1e-9, 1e15)
    found = linprog(cost, A_ub=gib[None, :], b_ub=[limit], A_eq=one, b_eq=np.ones(len(choices)), bounds=(0, 1), method="highs")
    shares = [np.clip(part, 0.0, 1.0) for part in np.split(found.x, ends[:-1])]
    return [share / share.sum() for share in shares]


def worth(state: State, settings: Settings) -> dict[str, float]:
    """Data item -> how often it will be read within the horizon, by its reads so far; recent ones count more."""
    reads: dict[str, float] = {}
    for job in reversed(state.jobs):
        age = state.now - job.release_s
        if age > 20 * HALF_LIFE_S:
            break
        for item in job.data:
            reads[item] = reads.get(item, 0.0) + 0.5 ** (age / HALF_LIFE_S)
    per_s = np.log(2) / HALF_LIFE_S
    return {item: count * per_s * settings.horizon_s for item, count in reads.items()}


def _saved(
    state: State, number: int, choice: Mapping[str, tuple[float, float]], reads: Mapping[str, float]
) -> dict[str, float]:
    """Seconds later readers save when this job leaves its data in a region: one fetch each, at the pace of the link."""
    job, found = state.jobs[number], dict[str, float]()
    for name in choice:
        gbps = state.regions[name].gbps
        far = [state.items[d] for d in job.data if name not in state.items[d].replicas]
        share = 1.0 / max(len(state.regions), 1)  # a later reader goes to this region with the chance of any other
        found[name] = sum(reads.get(item.id, 0.0) * share * item.gib * GBIT / gbps for item in far)
    return found


def _start(state: State, room: Room, job: Job, names: Sequence[str]) -> Start | None:
    sites = list(state.regions)
    for name in names:
        places = spread(state, room, job, best_fit.choose, state.site == sites.index(name))
        if places is not None:
            return Start(job.id, places, f"{name}: its data stays for later readers", keep=True)
    return None
