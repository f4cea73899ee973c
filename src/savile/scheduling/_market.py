"""Sharing unlike devices between tenants: mechanisms that say who gets how much of each type, from reported speeds.

Every mechanism maps reported speeds, (n, a), and devices of each type, (a,), to devices per tenant, (n, a). Utility is
linear: the work done, speeds times devices. See `_properties` for what each of them promises and what it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

Mechanism = Callable[[np.ndarray, np.ndarray], np.ndarray]
STEPS = 4_000  # of proportional response; its gap to the optimum falls at least as 1 / steps
SETTLED = 1e-10


def equal(speed: np.ndarray, devices: np.ndarray) -> np.ndarray:
    """The same part of every type for everybody."""
    return np.tile(devices / len(speed), (len(speed), 1))


def max_min(speed: np.ndarray, devices: np.ndarray) -> np.ndarray:
    """The least served tenant, relative to an even split, as well off as possible; then the sum (Gavel, OSDI 2020)."""
    fair = (speed * equal(speed, devices)).sum(axis=1)
    relative = speed / fair[:, None]
    least = _linear(relative, devices, floor=True)[1]
    return _linear(relative, devices, lowest=least * (1 - 1e-9))[0]


def efficient(speed: np.ndarray, devices: np.ndarray) -> np.ndarray:
    """The highest sum of work relative to an even split, whoever gets it."""
    fair = (speed * equal(speed, devices)).sum(axis=1)
    return _linear(speed / fair[:, None], devices)[0]


def proportional(speed: np.ndarray, devices: np.ndarray) -> np.ndarray:
    """The highest product of utilities (Nash welfare): the equilibrium of a market in which all have equal money.

    Computed by proportional response (Wu and Zhang, STOC 2007), which needs no solver.
    """
    worth = np.maximum(np.asarray(speed, dtype=np.float64) * devices, 0.0)
    bids = worth / worth.sum(axis=1, keepdims=True)
    for _ in range(STEPS):
        price = bids.sum(axis=0)
        gained = worth * np.divide(bids, price, out=np.zeros_like(bids), where=price > 0)
        new = gained / gained.sum(axis=1, keepdims=True)
        moved = float(np.abs(new - bids).max())
        bids = new
        if moved < SETTLED:
            break
    price = bids.sum(axis=0)
    return np.asarray(devices * np.divide(bids, price, out=np.zeros_like(bids), where=price > 0))


def partial(speed: np.ndarray, devices: np.ndarray) -> np.ndarray:
    """The partial allocation mechanism (Cole, Gkatzelis and Goel, EC 2013): truthful, by leaving a part unused.

    Each tenant gets that fraction of its proportionally fair part by which its presence lowers the product of the others'
    utilities. Nobody gains by misreporting speeds, and everybody has at least 1/e of its proportionally fair utility.
    """
    fair = proportional(speed, devices)
    utility = (speed * fair).sum(axis=1)
    given = fair.copy()
    for i in range(len(speed)):
        others = np.delete(np.arange(len(speed)), i)
        if len(others):
            without = (speed[others] * proportional(speed[others], devices)).sum(axis=1)
            given[i] *= min(1.0, float(np.exp(np.log(utility[others] / without).sum())))
    return given


MECHANISMS: Mapping[str, Mechanism] = {
    "equal": equal,
    "max_min": max_min,
    "efficient": efficient,
    "proportional": proportional,
    "strategy_proof": partial,
}


def _linear(relative: np.ndarray, devices: np.ndarray, floor: bool = False, lowest: float = 0.0) -> tuple[np.ndarray, float]:
    """Maximise the sum of relative utilities, or with `floor` the least of them; each at least `lowest`."""
    from scipy.optimize import linprog

    n, a = relative.shape
    cost = np.r_[np.zeros(n * a), -1.0] if floor else np.r_[-relative.ravel(), 0.0]
    rows = np.zeros((n + a, n * a + 1))
    for i in range(n):
        rows[i, i * a : (i + 1) * a] = -relative[i]
        rows[i, -1] = 1.0 if floor else 0.0
    for k in range(a):
        rows[n + k, k : n * a : a] = 1.0
    limits = np.r_[np.full(n, 0.0 if floor else -lowest), devices]
    found = linprog(cost, A_ub=rows, b_ub=limits, bounds=(0, None), method="highs")
    return np.asarray(found.x[:-1]).reshape(n, a), float(found.x[-1])
