"""Robust reservations: what holds for every ambiguity set, and what it buys on durations not seen before."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from savile.scheduling._ambiguity import Doubt, Evidence, reserve
from savile.scheduling.robust import Settings, buffer

durations = st.lists(st.floats(0.1, 50.0), min_size=2, max_size=12)


def evidence(*events: list[float]) -> Evidence:
    return Evidence(tuple(np.array(z) for z in events), (1 / len(events),) * len(events), 0.0, 60.0)


@given(durations, durations, st.floats(0.0, 5.0), st.floats(0.0, 0.5))
@settings(max_examples=40, deadline=None)
def test_the_worst_case_is_never_below_the_average_and_grows_with_the_radius(
    one: list[float], other: list[float], distance: float, variation: float
) -> None:
    average = reserve([evidence(one, other)], Doubt(5.0)).worst
    near = reserve([evidence(one, other)], Doubt(5.0, distance=distance / 2, variation=variation / 2)).worst
    far = reserve([evidence(one, other)], Doubt(5.0, distance=distance, variation=variation)).worst
    assert average <= near + 1e-6
    assert near <= far + 1e-6


@given(durations)
@settings(max_examples=40, deadline=None)
def test_without_a_radius_it_is_the_newsvendor(seen: list[float]) -> None:
    found = reserve([evidence(seen)], Doubt(4.0))
    best = min(x + 4.0 * np.mean(np.maximum(0.0, np.array(seen) - x)) for x in [0.0, *seen])
    assert found.worst == pytest.approx(best, abs=1e-6)


@given(durations, st.floats(0.0, 3.0))
@settings(max_examples=40, deadline=None)
def test_an_affine_answer_costs_at_least_as_much_as_a_free_one(seen: list[float], distance: float) -> None:
    free = reserve([evidence(seen)], Doubt(4.0, distance=distance)).worst
    affine = reserve([evidence(seen)], Doubt(4.0, distance=distance, recourse="affine")).worst
    assert free <= affine + 1e-6


def test_the_worst_distribution_is_the_worst_there_is() -> None:
    """Against a grid of every distribution within the distance: mass moves from where it was seen to the highest."""
    seen, distance, x = np.array([1.0, 3.0]), 0.5, 2.0
    found = reserve([Evidence((seen,), (1.0,), 0.0, 6.0)], Doubt(2.0, distance), capacity=x)
    grid = np.linspace(0.0, 1.0, 41)
    worst = 0.0
    for one, other in itertools.product(grid, grid):  # mass moved from each point to the highest
        if 0.5 * one * (6 - 1) + 0.5 * other * (6 - 3) <= distance + 1e-12:
            cost = 0.5 * (1 - one) * 0 + 0.5 * (1 - other) * 2.0 * 1 + 0.5 * (one + other) * 2.0 * (6 - x)
            worst = max(worst, cost)
    assert found.worst == pytest.approx(found.reserved[0] + worst, rel=0.02)


def test_capacity_is_shared_between_classes() -> None:
    found = reserve([evidence([5.0, 10.0]), evidence([20.0, 30.0])], Doubt(10.0), capacity=12.0)
    assert found.reserved.sum() <= 12.0 + 1e-9


def test_buffers_grow_with_doubt() -> None:
    assert buffer(0.0) == 1.0
    spreads = [buffer(spread) for spread in (0.1, 0.5, 1.0)]
    assert spreads == sorted(spreads)
    assert buffer(0.5, Settings(variation=0.3)) >= buffer(0.5, Settings(variation=0.0))


def test_more_doubt_means_fewer_jobs_that_outlast_their_buffer() -> None:
    drawn = np.random.default_rng(0).lognormal(0.0, 0.8, 20_000)
    outlast = [float((drawn > buffer(0.8, Settings(variation=v))).mean()) for v in (0.0, 0.05, 0.2)]
    assert outlast[0] >= outlast[1] >= outlast[2]
    assert outlast[0] > outlast[2]
