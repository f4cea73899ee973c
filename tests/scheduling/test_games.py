"""Negotiation, games and programs under uncertainty: bounds hold, equilibria are equilibria, and only prices cross borders."""

from __future__ import annotations

import itertools
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from savile.scheduling import _projects, _stochastic, congestion, negotiate, piggyback
from savile.scheduling._projects import Task

PROJECTS = [
    [Task(2, 2), Task(1, 1, (0,)), Task(3, 1, (0,))],
    [Task(3, 2), Task(1, 2, (0,))],
    [Task(2, 1), Task(2, 2)],
]


def fits(projects: list[list[Task]], starts: list[list[int]], capacity: int) -> bool:
    used: dict[int, int] = {}
    for project, own in zip(projects, starts, strict=True):
        for task, start in zip(project, own, strict=True):
            if any(start < own[before] + project[before].slots for before in task.after):
                return False
            for slot in range(start, start + task.slots):
                used[slot] = used.get(slot, 0) + task.units
    return max(used.values()) <= capacity


def test_a_plan_fits_and_is_not_below_its_bound() -> None:
    pytest.importorskip("ortools", reason="planning projects needs the extra schedule")
    plan = _projects.plan(PROJECTS, 3, 30)
    assert fits(PROJECTS, plan.starts, 3)
    assert plan.bound <= plan.total + 1e-6


def test_one_owner_finds_the_central_optimum() -> None:
    pytest.importorskip("ortools", reason="planning projects needs the extra schedule")
    project = PROJECTS[0]
    plan = _projects.plan([project], 3, 30)
    best = min(
        max(s + task.slots for task, s in zip(project, starts, strict=True))
        for starts in itertools.product(range(8), repeat=3)
        if fits([project], [list(starts)], 3)
    )
    assert plan.total == best == round(plan.bound)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_negotiated_prices_give_a_bound_that_brute_force_confirms(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size, length = rng.integers(1, 3, 4).astype(float), rng.integers(1, 3, 4)
    capacity = np.full(6, 3.0)
    totals = [
        sum(starts)
        for starts in itertools.product(range(6), repeat=4)
        if (negotiate.usage(np.array(starts), size, length, 6) <= capacity + 1e-9).all()
    ]
    assume(totals)  # four that take two units for two slots each fit nowhere together
    talk = negotiate.negotiate(["a", "a", "b", "b"], size, length, capacity, rounds=40)
    assert talk.bound <= min(totals) + 1e-6


def test_only_prices_and_wishes_cross_the_border() -> None:
    assert [field.name for field in fields(negotiate.Message)] == ["tenant", "price", "wants"]
    talk = negotiate.negotiate(["a", "b"], np.array([2.0, 2.0]), np.array([2, 2]), np.full(8, 2.0), rounds=20)
    assert talk.messages
    assert all(message.price.shape == message.wants.shape == (8,) for message in talk.messages)
    assert talk.price.max() > 0  # both want the first slots, which hold one of them


@given(st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_routes_end_in_an_equilibrium(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, r = int(rng.integers(1, 9)), int(rng.integers(2, 5))
    weight, own = rng.uniform(0.5, 3, n), rng.uniform(0, 10, (n, r))
    slope, load = rng.uniform(0.1, 2, r), rng.uniform(0, 5, r)
    chosen = congestion.equilibrium(weight, own, slope, load)
    there = load + np.bincount(chosen, weight, r)
    for i in range(n):
        without = there.copy()
        without[chosen[i]] -= weight[i]
        costs = own[i] + slope * (without + weight[i])
        assert costs[chosen[i]] <= costs.min() + 1e-6
    start = own.argmin(axis=1)
    args = (weight, own, slope, load)
    assert congestion.potential(chosen, *args) <= congestion.potential(start, *args) + 1e-9


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_planning_with_scenarios_and_knowing_the_future_never_cost(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = _stochastic.reserve(rng.gamma(2, 5, (12, 3)), rng.uniform(1, 3, 3), rng.uniform(3, 9, 3))
    assert found.vss >= 0
    assert found.evpi >= 0
    sure = _stochastic.reserve(np.full((4, 2), 5.0), np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    assert sure.vss == pytest.approx(0.0, abs=1e-6)
    assert sure.evpi == pytest.approx(0.0, abs=1e-6)
    assert sure.cost == pytest.approx(15.0)


def test_of_one_type_the_reservation_is_a_quantile() -> None:
    demand = np.arange(1.0, 101.0)[:, None]
    found = _stochastic.reserve(demand, np.array([1.0]), np.array([4.0]))
    assert 74.0 <= found.reserved[0] <= 76.0  # the share of scenarios in which an hour less is missed is 1/4


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_routes_of_data_keep_to_the_budget_in_expectation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    choices = [{name: (float(rng.uniform(1, 9)), float(rng.choice([0.0, 5.0]))) for name in "abc"} for _ in range(5)]
    for choice in choices:
        choice["a"] = (choice["a"][0], 0.0)
    saved = [{name: float(rng.uniform(0, 6)) for name in "abc"} for _ in range(5)]
    shares = piggyback.marginals(choices, saved, 7.0)
    fetched = sum(share @ [gib for _, gib in choice.values()] for share, choice in zip(shares, choices, strict=True))
    assert fetched <= 7.0 + 1e-6
    drawn = np.array([[rng.choice(3, p=share) for share in shares] for _ in range(400)])
    for i, share in enumerate(shares):
        seen = np.bincount(drawn[:, i], minlength=3) / 400
        assert (np.abs(seen - share) <= 4 * np.sqrt(0.25 / 400)).all()
