"""Vickrey-Clarke-Groves auction: the jobs worth most run, and each pays what its being there costs the others.

At each round jobs bid for capacity, region by region; the winners are the exact optimum of an integer program, and pay the loss
of welfare they cause (Clarke 1971). That makes honest bids best, but only at a proven optimum, so nothing else is ever priced:
when the solver stops early, or winners do not fit node by node, a monotone greedy rule with critical payments decides instead
(Lehmann et al. 2002), which is honest for bidders who want one thing. Bids of 0 take what is left, for nothing. What no auction
can give (Myerson and Satterthwaite 1983): efficiency, honesty, no loss and a balanced budget at once, when sellers bid.
VCG is open to collusion and to bids under false names, and revenue can fall when bidders join.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from savile.base.cluster import State
from savile.base.errors import RefusalError
from savile.base.work import Decision, Event, Price, Start
from savile.scheduling._auction import payments
from savile.scheduling._place import DAY_S, Placing, spread
from savile.scheduling.best_fit import choose

deterministic = True


@dataclass(frozen=True)
class Settings:
    """`patience_s`: a job that waited so long runs outside the auction. `limit_s`: seconds for one solve. `most`: bidders."""

    patience_s: float = DAY_S
    limit_s: float = 20.0
    most: int = 200


DEFAULT = Settings()


def decide(state: State, event: Event, rng: np.random.Generator, settings: Settings = DEFAULT) -> Sequence[Decision]:
    """Hold an auction: at rounds where there are rounds, else at every event."""
    if not len(state.pending) or ("round_s" in state.options and event.kind != "round"):
        return []
    placing = Placing(state, Event("round", event.at), choose, settings.patience_s)
    bidders = [n for n in placing.tried.tolist() if _bid(state, n) > 0][: settings.most]
    decisions: list[Price] | None = []
    if bidders:
        decisions = _exact(state, placing, bidders, settings.limit_s)
    if decisions is None:
        decisions = _monotone(state, placing, bidders)
    for number in placing.tried.tolist():
        if _bid(state, number) <= 0:
            placing.start(number, "nobody bid for it")
    return [*placing.starts, *decisions]


def _bid(state: State, number: int) -> float:
    job = state.jobs[number]
    return job.value if job.bid is None else job.bid


def _exact(state: State, placing: Placing, bidders: list[int], limit_s: float) -> list[Price] | None:
    """The exact auction; None when it may not be priced, or winners do not fit node by node."""
    values, demand, capacity = _market(state, placing, bidders)
    try:
        chosen, pays = payments(values, demand, capacity, limit_s)
    except RefusalError:
        return None
    trial, starts = placing.room.copy(), []
    for i in np.argsort(-demand.max(axis=(1, 2)), kind="stable").tolist():
        if chosen[i] < 0:
            continue
        inside = state.site == int(chosen[i])
        places = spread(state, trial, state.jobs[bidders[i]], choose, inside if placing.free is None else inside & placing.free)
        if places is None:
            return None
        starts.append(Start(state.jobs[bidders[i]].id, places, "won the auction"))
    placing.starts += starts
    placing.room, placing.several = trial, True
    return [Price(state.jobs[n].id, float(pays[i]), "loss of the others") for i, n in enumerate(bidders) if chosen[i] >= 0]


def _market(state: State, placing: Placing, bidders: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Regions are the configurations; CPU, memory and devices of each are the resources."""
    regions, room = len(state.regions), placing.room
    usable = np.ones(len(state.nodes), dtype=bool) if placing.free is None else placing.free
    capacity = np.zeros((regions, 3))
    for r in range(regions):
        inside = (state.site == r) & usable
        capacity[r] = (room.cpu[inside].sum(), room.mem[inside].sum(), room.total[inside].sum())
    values = np.full((len(bidders), regions), -np.inf)
    demand = np.zeros((len(bidders), regions, regions, 3))
    for i, number in enumerate(bidders):
        job = state.jobs[number]
        fit = room.fits(job.pod) & state.allowed(job) & usable
        for r in range(regions):
            if (fit & (state.site == r)).any():
                values[i, r] = _bid(state, number)
            demand[i, r, r] = job.pods * np.array([job.pod.cpu_milli, job.pod.mem_mib, job.pod.gpu_milli])
    return values, demand.reshape(len(bidders), regions, -1), capacity.reshape(-1)


def _monotone(state: State, placing: Placing, bidders: list[int]) -> list[Price]:
    """The greedy rule with real places: by bid per root of size; the critical bid is that of whoever takes the last room."""
    size = {n: _size(state, n) for n in bidders}
    order = sorted(bidders, key=lambda n: (-_bid(state, n) / size[n], n))
    before = placing.room.copy()
    won = [n for n in order if placing.start(n, "won by bid per size") is not None]
    prices = []
    for number in won:
        room, pays = before.copy(), 0.0
        for other in order:
            if other == number or spread(state, room, state.jobs[other], choose, placing.free) is None:
                continue
            if spread(state, room, state.jobs[number], choose, placing.free, take=False) is None:
                pays = _bid(state, other) / size[other] * size[number]
                break
        prices.append(Price(state.jobs[number].id, min(pays, _bid(state, number)), "least bid that still wins"))
    return prices


def _size(state: State, number: int) -> float:
    job = state.jobs[number]
    return float(np.sqrt(job.pods * (job.pod.gpu_milli + job.pod.cpu_milli / 16 + 1)))
