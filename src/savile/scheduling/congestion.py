"""A game of routing: every waiting job's owner chooses the region that is best for itself, until nobody wants to change.

Regions become slower the more work they hold, and each owner only looks at its own end: a congestion game (Rosenthal, 1973).
One owner at a time answers the others' choices best; each such step lowers Rosenthal's potential, so the steps end in an
equilibrium. Within its region a job is placed by best fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from savile.base.cluster import State
from savile.base.work import WHOLE, Event, Start
from savile.scheduling import best_fit
from savile.scheduling._ledger import GBIT
from savile.scheduling._place import DAY_S, may_read, place, spread

deterministic = True


@dataclass(frozen=True)
class Settings:
    """`most`: waiting jobs that play; `patience_s`: when a job is overtaken no more."""

    most: int = 64
    patience_s: float = DAY_S


DEFAULT = Settings()


def decide(state: State, event: Event, rng: np.random.Generator, settings: Settings = DEFAULT) -> Sequence[Start]:
    """Start the jobs whose chosen region has room now."""
    if len(state.regions) == 1 or not len(state.pending):
        return place(state, event, best_fit.choose, patience_s=settings.patience_s)
    if state.now - state.jobs[int(state.pending[0])].release_s > settings.patience_s:
        return place(state, event, best_fit.choose, patience_s=settings.patience_s)
    players = state.pending[: settings.most].tolist()
    weight = np.array([max(state.jobs[n].pods * state.jobs[n].pod.gpu_milli / WHOLE, 0.01) for n in players])
    chosen = equilibrium(weight, base(state, players), _slope(state), _load(state))
    room, starts = state.room.copy(), list[Start]()
    for number, site in zip(players, chosen.tolist(), strict=True):
        job = state.jobs[number]
        places = spread(state, room, job, best_fit.choose, state.site == site)
        if places is not None:
            starts.append(Start(job.id, places, f"{list(state.regions)[site]}: nothing better for itself"))
    return starts


def equilibrium(weight: np.ndarray, own: np.ndarray, slope: np.ndarray, load: np.ndarray, rounds: int = 1000) -> np.ndarray:
    """Best responses, one player after the other, until nobody gains.

    A player of weight w in region r pays w times (own[player, r] + slope[r] times the load of r, its own weight included).

    Args:
        weight: (n,), positive. own: cost apart from others, (n, r), infinite where it may not go.
        slope, load: cost per weight, and weight that is there already, (r,).

    Returns:
        The region of each player, int64 (n,).
    """
    chosen = own.argmin(axis=1)
    total = load + np.bincount(chosen, weight, len(slope))
    for _ in range(rounds):
        moved = False
        for i, w in enumerate(weight.tolist()):
            total[chosen[i]] -= w
            cost = own[i] + slope * (total + w)
            best = int(cost.argmin())
            if cost[best] < cost[chosen[i]] - 1e-9:
                chosen[i], moved = best, True
            total[chosen[i]] += w
        if not moved:
            break
    return np.asarray(chosen)


def potential(chosen: np.ndarray, weight: np.ndarray, own: np.ndarray, slope: np.ndarray, load: np.ndarray) -> float:
    """What every best response lowers: the sum of w own, and per region slope (x^2 + sum of w^2) / 2, x the weight there."""
    there = load + np.bincount(chosen, weight, len(slope))
    squares = np.bincount(chosen, weight**2, len(slope))
    return float((weight * own[np.arange(len(chosen)), chosen]).sum() + (slope * (there**2 + squares) / 2).sum())


def base(state: State, players: Sequence[int]) -> np.ndarray:
    """Seconds a job takes in each region apart from others, (n, r); infinite where it may not go."""
    found = np.full((len(players), len(state.regions)), np.inf)
    for i, number in enumerate(players):
        job = state.jobs[number]
        may = state.allowed(job) & state.capacity.fits(job.pod)
        for site, region in enumerate(state.regions.values()):
            at = (may & (state.site == site)).nonzero()[0]
            if not len(at) or not may_read(state, job, region.id):
                continue
            far = [state.items[d] for d in job.data if region.id not in state.items[d].replicas]
            fetch = sum(item.gib for item in far) * GBIT / region.gbps
            speeds = [job.speed.get(state.nodes[n].device.type, state.nodes[n].device.speed) for n in at.tolist()]
            left = state.left_s(number)
            found[i, site] = fetch + (left / max(speeds) if np.isfinite(left) else 0.0)
    return found


def _slope(state: State) -> np.ndarray:
    """Seconds of delay per device of demand: an hour for each time the region's devices are wanted once over."""
    devices = np.bincount(state.site, state.capacity.total, len(state.regions)) / WHOLE
    return np.asarray(3600.0 / np.maximum(devices, 1e-3))


def _load(state: State) -> np.ndarray:
    return np.asarray(np.bincount(state.site, state.capacity.total - state.room.total, len(state.regions)) / WHOLE)
