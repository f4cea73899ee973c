"""Minimum-cost flows in whole numbers, solved by OR-tools and certified against overflow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from savile.base.errors import InputError, MissingExtraError, RefusalError

SCALE = 10_000  # steps of a cost of 1
MOST = 2**62


@dataclass(frozen=True)
class Network:
    """A network of v vertices and e arcs; supplies are positive at sources and negative at sinks, and add up to 0.

    Attributes:
        tails, heads: vertex numbers, int64 (e,).
        capacity: units, int64 (e,).
        cost: whole numbers, int64 (e,); see `scaled`.
        supply: units, int64 (v,).
    """

    tails: np.ndarray
    heads: np.ndarray
    capacity: np.ndarray
    cost: np.ndarray
    supply: np.ndarray


def scaled(costs: np.ndarray) -> np.ndarray:
    """Costs as whole numbers, rounded to 1 / `SCALE`."""
    if len(costs) and not np.isfinite(costs).all():
        raise InputError("finite costs", "a cost that is not", "Leave out arcs that must not be used.")
    whole: np.ndarray = np.rint(np.asarray(costs) * SCALE).astype(np.int64)
    return whole


def solve(network: Network) -> tuple[np.ndarray, int]:
    """The cheapest flow: units on each arc, int64 (e,), and its cost in steps.

    Raises:
        InputError: costs so large that their sum may overflow.
        RefusalError: no flow meets the supplies.
        MissingExtraError: OR-tools is not installed.
    """
    try:
        from ortools.graph.python.min_cost_flow import SimpleMinCostFlow
    except ImportError:
        raise MissingExtraError("ortools", "schedule") from None
    total = int(network.supply.clip(min=0).sum())
    largest = int(np.abs(network.cost).max(initial=0))
    if largest * max(total, 1) * max(len(network.supply), 1) >= MOST:  # potentials grow with the number of vertices
        raise InputError("costs whose sum stays below 2^62", f"{largest} on {total} units", "Scale them down.")
    flow = SimpleMinCostFlow()
    flow.add_arcs_with_capacity_and_unit_cost(network.tails, network.heads, network.capacity, network.cost)
    flow.set_nodes_supplies(np.arange(len(network.supply)), network.supply)
    if flow.solve() != flow.OPTIMAL:
        raise RefusalError("a flow that meets every supply", "none", "Give every source a way that has room, such as waiting.")
    return np.asarray(flow.flows(np.arange(len(network.tails)))), int(flow.optimal_cost())


def relaxed(network: Network) -> float:
    """The cost of the same flow as a linear program by HiGHS: what `solve` must equal, as such programs have whole optima."""
    from scipy.optimize import linprog
    from scipy.sparse import csr_matrix

    arcs = np.arange(len(network.tails))
    signs = np.concatenate([np.ones(len(arcs)), -np.ones(len(arcs))])
    balance = csr_matrix(
        (signs, (np.concatenate([network.tails, network.heads]), np.concatenate([arcs, arcs]))),
        shape=(len(network.supply), len(arcs)),
    )
    bounds = np.column_stack([np.zeros(len(arcs)), network.capacity])
    return float(linprog(network.cost, A_eq=balance, b_eq=network.supply, bounds=bounds, method="highs").fun)
