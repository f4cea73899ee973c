"""Projects of tasks that wait for one another, planned by their owners against prices and repaired into one plan that fits.

The multi-project problem of distributed scheduling (RCPSP): each owner plans its project with CP-SAT at the auctioneer's
prices and tells only what it wants of the shared resource in each slot. With one owner and enough rounds the plan is the
central optimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from savile.base.errors import MissingExtraError

SCALE = 1_000


@dataclass(frozen=True)
class Task:
    """Slots it takes, units of the shared resource it uses, and the tasks (numbers in its project) that must end before."""

    slots: int
    units: int
    after: tuple[int, ...] = ()


Project = Sequence[Task]


@dataclass(frozen=True)
class Plan:
    """Start slot of each task of each project; the ends of the projects, summed; a bound that no plan can be below."""

    starts: list[list[int]]
    total: int
    bound: float
    rounds: int


def plan(projects: Sequence[Project], capacity: int, horizon: int, rounds: int = 20) -> Plan:
    """Negotiate starts that keep to the shared capacity, and minimise the sum of the projects' ends.

    Args:
        projects: at least one task each; with `capacity` units in each of `horizon` slots.

    Raises:
        MissingExtraError: ortools is not installed.
    """
    price, best, bound = np.zeros(horizon), None, -np.inf
    for k in range(1, rounds + 1):
        answers = [respond(project, price, horizon, capacity) for project in projects]
        wants = np.sum([_usage(project, own, horizon) for project, (own, _) in zip(projects, answers, strict=True)], axis=0)
        bound = max(bound, sum(cost for _, cost in answers) - float(price.sum()) * capacity)
        order = [(start, p, t) for p, (starts, _) in enumerate(answers) for t, start in enumerate(starts)]
        starts = repair(projects, sorted(order), capacity)
        total = sum(_end(project, own) for project, own in zip(projects, starts, strict=True))
        if best is None or total < best[0]:
            best = (total, starts)
        over = wants - capacity
        if (over <= 0).all() or best[0] <= bound + 1e-6:
            break
        price = np.maximum(0.0, price + over / max(float(np.abs(over).max()), 1.0) / (capacity * k) * len(projects))
    assert best is not None
    return Plan(best[1], best[0], bound, k)


def respond(project: Project, price: np.ndarray, horizon: int, capacity: int) -> tuple[list[int], float]:
    """An owner's best plan at these prices: start slots, and its end plus what it pays."""
    cp = _cp_sat()
    model = cp.CpModel()
    starts = [model.new_int_var(0, horizon - task.slots, f"s{i}") for i, task in enumerate(project)]
    end = model.new_int_var(0, horizon, "end")
    sums = np.concatenate([[0.0], np.cumsum(price)])
    paid = []
    for task, start in zip(project, starts, strict=True):
        model.add(end >= start + task.slots)
        for before in task.after:
            model.add(start >= starts[before] + project[before].slots)
        cost = [round(task.units * (sums[s + task.slots] - sums[s]) * SCALE) for s in range(horizon - task.slots + 1)]
        own = model.new_int_var(min(cost), max(cost), "")
        model.add_element(start, cost, own)
        paid.append(own)
    spans = [model.new_fixed_size_interval_var(s, task.slots, "") for task, s in zip(project, starts, strict=True)]
    model.add_cumulative(spans, [task.units for task in project], capacity)
    model.minimize(SCALE * end + sum(paid))
    solver = cp.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_deterministic_time = 10.0
    solver.solve(model)
    return [solver.value(start) for start in starts], solver.best_objective_bound / SCALE


def repair(projects: Sequence[Project], order: Sequence[tuple[int, int, int]], capacity: int) -> list[list[int]]:
    """The earliest plan that fits when tasks are taken in this order, those that must end before always first."""
    free: dict[int, int] = {}
    starts = [[-1] * len(project) for project in projects]
    waiting = list(order)
    while waiting:
        at = next(i for i, (_, p, t) in enumerate(waiting) if all(starts[p][b] >= 0 for b in projects[p][t].after))
        _, p, t = waiting.pop(at)
        task = projects[p][t]
        slot = max((starts[p][b] + projects[p][b].slots for b in task.after), default=0)
        while any(free.get(slot + i, capacity) < task.units for i in range(task.slots)):
            slot += 1
        for i in range(task.slots):
            free[slot + i] = free.get(slot + i, capacity) - task.units
        starts[p][t] = slot
    return starts


def _usage(project: Project, starts: Sequence[int], horizon: int) -> np.ndarray:
    used = np.zeros(horizon)
    for task, start in zip(project, starts, strict=True):
        used[start : start + task.slots] += task.units
    return used


def _end(project: Project, starts: Sequence[int]) -> int:
    return max(start + task.slots for task, start in zip(project, starts, strict=True))


def _cp_sat() -> Any:
    try:
        from ortools.sat.python import cp_model
    except ImportError:
        raise MissingExtraError("ortools", "schedule") from None
    return cp_model
