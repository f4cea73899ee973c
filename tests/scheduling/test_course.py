"""The course of one job against brute force, and the sharing out of one hour against all ways to do it."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from savile.scheduling._course import Course, _in_turn, costs, penalty, settle


def brute(price, work, lost, first):
    """The cheapest sequence of regions and waits with this first step, by trying all; whole hours of work, `lost` of 0 or 1."""
    regions, slots = price.shape
    best = np.inf
    for rest in itertools.product(range(regions + 1), repeat=slots - 1):
        left, last, paid = work, regions, 0.0
        ran = False
        for t, step in enumerate((first, *rest)):
            if step < regions and left > 0:
                begins = ran and step != last
                paid += price[step, t]
                left -= 1 - (lost if begins else 0)
                ran = True
            last = step
        best = min(best, paid + max(left, 0) * penalty(price))
    return best


@pytest.mark.parametrize("lost", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_the_best_course_is_that_of_all_courses(lost, seed):
    rng = np.random.default_rng(seed)
    price, work = rng.uniform(1, 9, (2, 5)), 3.0
    found = costs(Course(work, np.ones(2), lost), price, np.ones(5))
    assert found == pytest.approx([brute(price, work, lost, first) for first in range(3)])


def test_a_job_with_no_time_to_spare_runs_and_one_with_time_waits():
    price = np.array([[5.0, 5.0, 1.0, 1.0]])
    late, early = (costs(Course(work, np.ones(1), 0.0), price, np.ones(4)) for work in (4.0, 2.0))
    assert late.argmin() == 0
    assert early.argmin() == 1
    assert early[1] == pytest.approx(2.0)


def test_a_faster_region_is_taken_when_its_work_is_cheaper():
    first = costs(Course(2.0, np.array([1.0, 2.0]), 0.0), np.array([[1.0, 1.0], [1.5, 1.5]]), np.ones(2))
    assert first[:2] == pytest.approx([1.75, 1.5])  # an hour here and half an hour there; all of it there


@pytest.mark.parametrize("seed", range(8))
def test_one_hour_is_shared_out_so_that_it_costs_least(seed):
    rng = np.random.default_rng(seed)
    price, size, room = rng.uniform(0, 9, (5, 3)), rng.integers(1, 4, 5).astype(float), np.array([3.0, 2.0])
    got = settle(price, size, room)
    assert all(size[got == r].sum() <= room[r] for r in range(2))
    ways = [np.array(way) for way in itertools.product(range(3), repeat=5)]
    fitting = [way for way in ways if all(size[way == r].sum() <= room[r] for r in range(2))]
    best = min(float(price[np.arange(5), way].sum()) for way in fitting)
    assert float(price[np.arange(5), got].sum()) == pytest.approx(best)


@st.composite
def hours(draw):
    """Costs of first steps, devices that jobs hold and devices that regions have, on grids where ties are common."""
    jobs, regions = draw(st.integers(1, 8)), draw(st.integers(1, 3))
    price = draw(arrays(np.float64, (jobs, regions + 1), elements=st.integers(0, 9).map(float)))
    size = draw(arrays(np.float64, jobs, elements=st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0])))
    return price, size, draw(arrays(np.float64, regions, elements=st.sampled_from([0.0, 0.5, 1.0, 3.0, 8.0])))


def paid(price, way):
    return float(price[np.arange(len(way)), way].sum())


@settings(max_examples=200, deadline=None)
@given(hours())
def test_in_turn_fits_and_leaves_nobody_a_cheaper_step(hour):
    price, size, room = hour
    way = _in_turn(price, size, room)
    left = room - [size[way == r].sum() for r in range(len(room))]
    assert (left >= 0).all()
    for i, step in enumerate(way):
        open_ = [*(left >= size[i]), True]
        assert price[i, step] <= price[i, open_].min(), "what is left over would have been cheaper"


@settings(max_examples=200, deadline=None)
@given(hours())
def test_the_exact_program_fits_and_is_never_dearer_than_in_turn(hour):
    price, size, room = hour
    way = settle(price, size, room)
    assert all(size[way == r].sum() <= room[r] + 1e-9 for r in range(len(room)))
    assert paid(price, way) <= paid(price, _in_turn(price, size, room)) + 1e-6
