"""How much capacity to reserve when demand is uncertain: sample average programs, what knowing more is worth.

Reserved device hours are cheap and paid for whether used or not; what demand exceeds is bought on demand. With scenarios of
demand the best reservation is a linear program (Birge and Louveaux, Introduction to Stochastic Programming). Two figures
belong beside it: the value of the stochastic solution (VSS), what planning with the mean demand loses, and the expected value
of perfect information (EVPI), what knowing the demand beforehand would save. Both are never negative.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from savile.base.errors import MachineError


@dataclass(frozen=True)
class Reservation:
    """What to reserve per device type, (a,); what it costs in expectation; VSS and EVPI, in EUR."""

    reserved: np.ndarray
    cost: float
    vss: float
    evpi: float


def reserve(demand: np.ndarray, rent: np.ndarray, on_demand: np.ndarray, works: np.ndarray | None = None) -> Reservation:
    """The best reservation for scenarios of demand that are equally likely.

    Args:
        demand: device hours per scenario and class of work, (s, c). rent, on_demand: EUR per device hour of each type, (a,).
        works: hours of a class's work that an hour of a type does, (c, a), 0 where it cannot; default: c = a, each its own
        type.

    Raises:
        MachineError: no optimum was found.
    """
    works = np.eye(demand.shape[1]) if works is None else works
    reserved, cost = _solve(demand, rent, on_demand, works)
    mean, _ = _solve(demand.mean(axis=0, keepdims=True), rent, on_demand, works)
    with_mean = _solve(demand, rent, on_demand, works, mean)[1]
    knowing = float(np.mean([_solve(one[None, :], rent, on_demand, works)[1] for one in demand]))
    return Reservation(reserved, cost, max(0.0, with_mean - cost), max(0.0, cost - knowing))


def _solve(
    demand: np.ndarray, rent: np.ndarray, on_demand: np.ndarray, works: np.ndarray, fixed: np.ndarray | None = None
) -> tuple[np.ndarray, float]:
    """Columns: reserved (a,), then per scenario hours of each class on each reserved type, then on each bought one (c, a)."""
    from scipy.optimize import linprog
    from scipy.sparse import block_diag, coo_matrix, csr_matrix, eye, hstack, kron, vstack

    scenarios, classes = demand.shape
    types = len(rent)
    cells = classes * types
    uses = kron(np.ones((1, classes)), eye(types))  # hours of each type over all classes
    within = hstack([uses, coo_matrix((types, cells))])
    does = block_diag([csr_matrix(works[c][None, :]) for c in range(classes)])
    served = hstack([does, does])
    capacity = hstack([-vstack([eye(types)] * scenarios), block_diag([within] * scenarios)])
    meets = hstack([coo_matrix((scenarios * classes, types)), -block_diag([served] * scenarios)])
    bought = np.concatenate([np.zeros(cells), np.tile(on_demand, classes)]) / scenarios
    cost = np.concatenate([rent, np.tile(bought, scenarios)])
    bounds = [(0.0, None)] * len(cost)
    if fixed is not None:
        bounds[:types] = [(value, value) for value in fixed.tolist()]
    limits = np.r_[np.zeros(scenarios * types), -demand.ravel()]
    found = linprog(cost, A_ub=vstack([capacity, meets]).tocsr(), b_ub=limits, bounds=bounds, method="highs")
    if found.status != 0:
        raise MachineError("an optimum of the reservation", found.message, "Give every class of work a type that does it.")
    return np.asarray(found.x[:types]), float(found.fun)
