"""Auctions: the exact winners, what they pay, and a greedy rule that is as honest when no optimum can be proven."""

from __future__ import annotations

from typing import Any

import numpy as np

from savile.base.errors import RefusalError

SLACK = 1e-6  # what floating-point bounds may be wrong by
STEPS = 10**9  # of the largest value, in whole numbers
MOST = 2.0**53  # the largest sum of demands that is exact
FEW = 5_000  # ways to choose up to which they are gone through without a solver, whose import takes half a second


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

    n = len(values)
    offered = np.isfinite(values) & (values > 0) & (demand <= capacity).all(axis=2)
    agent, config = offered.nonzero()
    chosen = np.full(n, -1, dtype=np.int64)
    if not len(agent):
        return chosen, 0.0
    worth, takes = values[agent, config], demand[agent, config]
    if np.prod(1.0 + offered.sum(axis=1)) <= FEW:
        won = _gone_through(worth, takes, agent, capacity)
        chosen[agent[won]] = config[won]
        return chosen, float(worth[won].sum())
    kept, must = _narrowed(worth, takes, agent, n, capacity)
    agent, config, worth, takes = agent[kept], config[kept], worth[kept], takes[kept]
    won = _solved(worth, takes, agent, must, capacity, limit_s)
    chosen[agent[won]] = config[won]
    return chosen, float(worth[won].sum())


def _gone_through(worth: np.ndarray, takes: np.ndarray, agent: np.ndarray, capacity: np.ndarray) -> np.ndarray:
    """Pairs of the optimum, int64, by depth-first search: agent by agent, best offers first, cut where none can gain."""
    own = [(agent == i).nonzero()[0] for i in np.unique(agent)]
    own.sort(key=lambda pairs: -float(worth[pairs].max()))
    turns = [[(float(worth[j]), takes[j].tolist(), int(j)) for j in pairs[np.argsort(-worth[pairs])]] for pairs in own]
    most = np.append(np.cumsum([turn[0][0] for turn in turns][::-1])[::-1], 0.0).tolist()  # that agents from here on may add
    best, found = -1.0, list[int]()

    def search(turn: int, value: float, left: list[float], picked: list[int]) -> None:
        nonlocal best, found
        if value > best:
            best, found = value, picked
        if turn == len(turns) or value + most[turn] <= best:
            return
        for adds, wants, pair in turns[turn]:
            if all(w <= room for w, room in zip(wants, left, strict=True)):
                search(turn + 1, value + adds, [room - w for w, room in zip(wants, left, strict=True)], [*picked, pair])
        search(turn + 1, value, left, picked)

    search(0, 0.0, capacity.tolist(), [])
    return np.array(found, dtype=np.int64)


def _narrowed(
    worth: np.ndarray, takes: np.ndarray, agent: np.ndarray, n: int, capacity: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What an optimum may hold, by the duals of the relaxation and a solution that is known; exact, and most of the speed.

    Returns:
        Pairs of agent and configuration that may be chosen, bool, and agents that every optimum serves, bool (n,).
    """
    from scipy.optimize import linprog

    matrix, limits = _rows(takes, agent, n, capacity)
    relaxed = linprog(-worth, A_ub=matrix, b_ub=limits, bounds=(0, None), method="highs-ds")
    duals = -np.asarray(relaxed.ineqlin.marginals)
    known = _rounded(relaxed.x, worth, takes, agent, capacity)
    gap = -relaxed.fun - known + SLACK
    loss = duals[agent] + takes @ duals[n:] - worth  # what choosing it takes off the bound, at least
    return loss <= gap, duals[:n] > gap


def _rounded(x: np.ndarray, worth: np.ndarray, takes: np.ndarray, agent: np.ndarray, capacity: np.ndarray) -> float:
    """The welfare of a solution near the relaxed one: what is whole there, then what fits, best first."""
    left, served, welfare = capacity.astype(np.float64).copy(), set[int](), 0.0
    density = worth / np.maximum((takes / np.maximum(capacity, 1e-12)).sum(axis=1), 1e-12)
    for j in np.lexsort((-density, -np.round(x, 6))).tolist():
        if int(agent[j]) not in served and (takes[j] <= left).all():
            left -= takes[j]
            served.add(int(agent[j]))
            welfare += float(worth[j])
    return welfare


def _rows(takes: np.ndarray, agent: np.ndarray, n: int, capacity: np.ndarray) -> tuple[Any, np.ndarray]:
    """At most one configuration for each agent, and no resource beyond what there is."""
    from scipy.sparse import csr_matrix, vstack

    once = csr_matrix((np.ones(len(agent)), (agent, np.arange(len(agent)))), shape=(n, len(agent)))
    return vstack([once, csr_matrix(takes.T)], format="csr"), np.concatenate([np.ones(n), capacity])


def _solved(
    worth: np.ndarray, takes: np.ndarray, agent: np.ndarray, must: np.ndarray, capacity: np.ndarray, limit_s: float
) -> np.ndarray:
    """Who is chosen in a proven optimum, bool: by CP-SAT, mostly faster, where it is installed and demands are whole."""
    whole = bool((takes == np.rint(takes)).all()) and float(takes.sum(initial=0.0)) < MOST
    won = _by_cp_sat(worth, takes, agent, must, (capacity, limit_s)) if whole else None
    return _by_highs(worth, takes, agent, must, (capacity, limit_s)) if won is None else won


def _by_cp_sat(
    worth: np.ndarray, takes: np.ndarray, agent: np.ndarray, must: np.ndarray, limits: tuple[np.ndarray, float]
) -> np.ndarray | None:
    """By constraint programming, with values in 10^-9 of the largest; None where OR-tools is not installed."""
    try:
        from ortools.sat.python import cp_model
    except ImportError:
        return None
    capacity, limit_s = limits
    model = cp_model.CpModel()
    chosen = [model.new_bool_var("") for _ in worth]
    for i in np.unique(agent).tolist():
        own = [chosen[j] for j in (agent == i).nonzero()[0]]
        (model.add_exactly_one if must[i] else model.add_at_most_one)(own)
    for r, room in enumerate(capacity.tolist()):
        model.add(cp_model.LinearExpr.weighted_sum(chosen, takes[:, r].astype(np.int64).tolist()) <= int(min(room, MOST)))
    steps = np.rint(worth / float(worth.max()) * STEPS).astype(np.int64)
    model.maximize(cp_model.LinearExpr.weighted_sum(chosen, steps.tolist()))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.max_time_in_seconds = limit_s
    status = solver.solve(model)
    if status != cp_model.OPTIMAL:
        raise _unproven(solver.status_name(status))
    return np.array([solver.boolean_value(each) for each in chosen])


def _by_highs(
    worth: np.ndarray, takes: np.ndarray, agent: np.ndarray, must: np.ndarray, limits: tuple[np.ndarray, float]
) -> np.ndarray:
    """By mixed-integer programming."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    capacity, limit_s = limits
    matrix, most = _rows(takes, agent, len(must), capacity)
    least = np.concatenate([np.where(must, 1.0, -np.inf), np.full(len(capacity), -np.inf)])
    options = {"time_limit": limit_s, "mip_rel_gap": 0.0}
    rows, whole = LinearConstraint(matrix, least, most), np.ones(len(worth))
    solved = milp(-worth, constraints=rows, bounds=Bounds(0, 1), integrality=whole, options=options)
    if solved.status != 0 or (solved.mip_gap or 0.0) > 1e-9:
        raise _unproven(f"status {solved.status}, gap {solved.mip_gap}")
    won: np.ndarray = solved.x > 0.5
    return won


def _unproven(received: str) -> RefusalError:
    return RefusalError("a proven optimum to price", received, "Raise the limit, ask fewer bidders, or use the greedy rule.")


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
