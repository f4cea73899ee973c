"""Reserving against uncertain durations: distributionally robust, with event-wise ambiguity sets of finite support.

Durations of a class of jobs were seen in several events (such as "the queue was long"). The distribution within an event lies
within a Wasserstein distance of the one that was seen, the probabilities of events within a total variation of how often they
were seen: an event-wise ambiguity set (Chen, Sim and Xiong, Management Science 2020; Wasserstein balls as in Mohajerin Esfahani
and Kuhn, Mathematical Programming 2018). Overtime is bought at a price, so the worst expectation is a linear program.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from savile.base.errors import InputError, MachineError


@dataclass(frozen=True)
class Evidence:
    """Durations of one class of jobs.

    Attributes:
        seen: event by event, the durations that were seen in it, float64 (n_k,).
        often: how often each event was seen; shares that sum to 1.
        lowest, highest: between which any duration lies.
    """

    seen: tuple[np.ndarray, ...]
    often: tuple[float, ...]
    lowest: float
    highest: float

    def __post_init__(self) -> None:
        inside = all(len(z) and z.min() >= self.lowest and z.max() <= self.highest for z in self.seen)
        if not inside or len(self.seen) != len(self.often) or abs(sum(self.often) - 1) > 1e-9:
            raise InputError("durations between lowest and highest, and shares of events that sum to 1", "others", "Mend them.")


@dataclass(frozen=True)
class Reserved:
    """What to reserve for each class, (c,), and the cost that is expected in the worst case."""

    reserved: np.ndarray
    worst: float


@dataclass(frozen=True)
class Doubt:
    """How far the truth may be from the evidence, and what overtime costs.

    Attributes:
        overtime: price of a second of overtime, where a reserved one costs 1.
        distance: radius of the Wasserstein ball within each event, in seconds; 0 and no variation trust the evidence (SAA).
        variation: how much probability, in total variation, events may exchange.
        recourse: overtime decided after the duration is known (``full``), or as an affine function of it, which costs more.
    """

    overtime: float
    distance: float = 0.0
    variation: float = 0.0
    recourse: Literal["full", "affine"] = "full"


def reserve(classes: Sequence[Evidence], doubt: Doubt, capacity: float = np.inf) -> Reserved:
    """Minimise reserved time plus the worst expected cost of overtime.

    Args:
        classes: evidence for each class of jobs.
        doubt: how far it is trusted.
        capacity: seconds that can be reserved for all classes together.

    Raises:
        MachineError: the solver failed.
    """
    program = _Program(len(classes))
    for c, evidence in enumerate(classes):
        _class(program, c, evidence, doubt)
    if np.isfinite(capacity):
        program.at_most(dict.fromkeys(range(len(classes)), 1.0), capacity)
    values, cost = program.solve()
    return Reserved(values[: len(classes)], cost)


def _class(program: _Program, c: int, evidence: Evidence, doubt: Doubt) -> None:
    """The rows of one class: its events weighed by the worst probabilities, each with its worst distribution."""
    level, spread = program.free(1.0), program.positive(2.0 * doubt.variation)
    make = _full if doubt.recourse == "full" else _affine
    for durations, often in zip(evidence.seen, evidence.often, strict=True):
        shift = program.free(often)
        # worst probabilities: the event's cost <= level + shift, |shift| <= spread (linear programming duality)
        program.at_most({shift: 1.0, spread: -1.0}, 0.0)
        program.at_most({shift: -1.0, spread: -1.0}, 0.0)
        terms = make(program, c, durations, evidence, doubt)
        program.at_most({**terms, level: -1.0, shift: -1.0}, 0.0)


def _full(program: _Program, c: int, durations: np.ndarray, evidence: Evidence, doubt: Doubt) -> dict[int, float]:
    """Worst expected overtime within a Wasserstein ball: each duration may be moved up to the highest, at a price."""
    terms: dict[int, float] = {}
    moved = program.positive(0.0) if doubt.distance else None
    if moved is not None:
        terms[moved] = doubt.distance
    for z in durations.tolist():
        cost = program.positive(0.0)
        terms[cost] = 1.0 / len(durations)
        program.at_most({c: -doubt.overtime, cost: -1.0}, -doubt.overtime * z)
        if moved is not None:
            row = {c: -doubt.overtime, cost: -1.0, moved: -(evidence.highest - z)}
            program.at_most(row, -doubt.overtime * evidence.highest)
    return terms


def _affine(program: _Program, c: int, durations: np.ndarray, evidence: Evidence, doubt: Doubt) -> dict[int, float]:
    """Worst expectation of an affine overtime a + b z with b >= 0 that is enough everywhere between lowest and highest."""
    a, b = program.free(0.0), program.positive(0.0)
    for z in (evidence.lowest, evidence.highest):
        program.at_most({c: -doubt.overtime, a: -1.0, b: -z}, -doubt.overtime * z)
        program.at_most({a: -1.0, b: -z}, 0.0)
    return {a: 1.0, b: min(float(durations.mean()) + doubt.distance, evidence.highest)}


class _Program:
    """A linear program that grows row by row; the first columns are the reserved seconds."""

    def __init__(self, reserved: int) -> None:
        self.cost, self.lowest = [1.0] * reserved, [0.0] * reserved
        self.rows: list[dict[int, float]] = []
        self.limits: list[float] = []

    def free(self, cost: float) -> int:
        self.cost.append(cost)
        self.lowest.append(-np.inf)
        return len(self.cost) - 1

    def positive(self, cost: float) -> int:
        self.cost.append(cost)
        self.lowest.append(0.0)
        return len(self.cost) - 1

    def at_most(self, row: dict[int, float], limit: float) -> None:
        self.rows.append(row)
        self.limits.append(limit)

    def solve(self) -> tuple[np.ndarray, float]:
        from scipy.optimize import linprog
        from scipy.sparse import csr_matrix

        columns = [column for row in self.rows for column in row]
        starts = np.cumsum([0, *(len(row) for row in self.rows)])
        data = [value for row in self.rows for value in row.values()]
        matrix = csr_matrix((data, columns, starts), shape=(len(self.rows), len(self.cost)))
        found = linprog(self.cost, A_ub=matrix, b_ub=self.limits, bounds=[(low, None) for low in self.lowest], method="highs")
        if found.status != 0:
            raise MachineError("an optimum of the robust program", found.message, "Check that durations and prices are finite.")
        return np.asarray(found.x), float(found.fun)
