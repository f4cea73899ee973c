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


def allocate(values: np.ndarray, demand: np.ndarray, capacity: np.ndarray, limit_s: float = 60.0) -> tuple[np.ndarray, float]:
    """Winner determination: at most one configuration for each agent, as much value as capacity allows.

    Args:
        values: reported value of n agents for k configurations, float64 (n, k); -inf where one is not offered.
        demand: what each takes, float64 (n, k, r).
        capacity: what there is, float64 (r,).

    Returns:
        The configuration of each agent, -1 for losers, int64 (n,), and the welfare.

    Raises:
        RefusalError: the optimum was not proven within the limit.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_matrix, vstack

    n = len(values)
    offered = np.isfinite(values) & (values > 0) & (demand <= capacity).all(axis=2)
    agent, config = offered.nonzero()
    chosen = np.full(n, -1, dtype=np.int64)
    if not len(agent):
        return chosen, 0.0
    worth = values[agent, config]
    once = csr_matrix((np.ones(len(agent)), (agent, np.arange(len(agent)))), shape=(n, len(agent)))
    limits = np.concatenate([np.ones(n), capacity])
    rows = LinearConstraint(vstack([once, csr_matrix(demand[agent, config].T)]), -np.inf, limits)
    options = {"time_limit": limit_s, "mip_rel_gap": 0.0}
    solved = milp(-worth, constraints=rows, bounds=Bounds(0, 1), integrality=np.ones(len(agent)), options=options)
    if solved.status != 0 or (solved.mip_gap or 0.0) > 1e-9:
        do = "Raise the limit, ask fewer bidders, or use the greedy rule."
        raise RefusalError("a proven optimum to price", f"status {solved.status}, gap {solved.mip_gap}", do)
    won = solved.x > 0.5
    chosen[agent[won]] = config[won]
    return chosen, float(worth[won].sum())


def payments(
    values: np.ndarray, demand: np.ndarray, capacity: np.ndarray, limit_s: float = 60.0
) -> tuple[np.ndarray, np.ndarray]:
    """The winners and what they pay: p_i = W(without i) - (W - v_i).

    Returns:
        The configuration of each agent, -1 for losers, int64 (n,), and payments, float64 (n,), 0 for losers.

    Raises:
        RefusalError: an optimum was not proven within the limit.
    """
    chosen, welfare = allocate(values, demand, capacity, limit_s)
    pays = np.zeros(len(values))
    for i in (chosen >= 0).nonzero()[0]:
        without = values.copy()
        without[i] = -np.inf
        others = allocate(without, demand, capacity, limit_s)[1]
        pays[i] = min(max(0.0, others - (welfare - values[i, chosen[i]])), values[i, chosen[i]])  # rounding aside, within both
    return chosen, pays


def greedy(values: np.ndarray, demand: np.ndarray, capacity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The monotone rule for agents who want one thing: by value per root of size, each paying the least that still wins.

    Args:
        values: float64 (n,).
        demand: float64 (n, r).
        capacity: float64 (r,).

    Returns:
        Who wins, bool (n,), and payments, float64 (n,).
    """
    size = np.sqrt(np.maximum((demand / np.maximum(capacity, 1e-12)).sum(axis=1), 1e-12))
    order = np.argsort(-values / size, kind="stable")
    wins, pays = np.zeros(len(values), dtype=bool), np.zeros(len(values))
    left = capacity.astype(np.float64).copy()
    for i in order:
        if values[i] > 0 and (demand[i] <= left + 1e-9).all():
            wins[i] = True
            left -= demand[i]
    for i in wins.nonzero()[0]:
        left = capacity.astype(np.float64).copy()
        for j in order:
            if j == i or not (values[j] > 0 and (demand[j] <= left + 1e-9).all()):
                continue
            left -= demand[j]
            if not (demand[i] <= left + 1e-9).all():
                pays[i] = values[j] / size[j] * size[i]
                break
    return wins, np.minimum(pays, values)


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
