"""Intervals hold at their nominal rate, ignore the order of rows, and differences of equal things are exactly zero."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from savile.base import stats
from savile.evaluation import accuracy

values = st.lists(st.floats(-1e3, 1e3, allow_nan=False), min_size=2, max_size=60)


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 30), (30, 30), (7, 30), (2_890, 3_080)])
def test_wilson_agrees_with_scipy(successes, n):
    ours = stats.wilson(successes, n)
    theirs = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert (ours.value, ours.n) == (successes / n, n)
    assert ours.low == pytest.approx(theirs.low, abs=1e-12)
    assert ours.high == pytest.approx(theirs.high, abs=1e-12)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (4, 3), (-1, 3)])
def test_wilson_refuses_impossible_counts(successes, n):
    with pytest.raises(ValueError, match=f"received {successes} of {n}"):
        stats.wilson(successes, n)


def test_intervals_cover_at_the_nominal_rate():
    rng = np.random.default_rng(7)
    wilson = [stats.wilson(int(rng.binomial(200, 0.9)), 200) for _ in range(2_000)]
    means = [stats.mean(rng.exponential(size=150), resamples=400, seed=trial) for trial in range(400)]
    covered = np.mean([value.low <= 0.9 <= value.high for value in wilson])
    held = np.mean([value.low <= 1.0 <= value.high for value in means])
    assert 0.93 <= covered <= 0.97
    assert 0.91 <= held <= 0.97  # the percentile interval of a skewed mean is known to run a little narrow


def test_a_paired_difference_is_narrower_than_the_two_apart_and_covers():
    rng = np.random.default_rng(3)
    held = 0
    for trial in range(300):
        hardness = rng.normal(size=300)
        ours, theirs = hardness + rng.normal(0.1, 0.2, 300), hardness + rng.normal(0, 0.2, 300)
        difference = stats.paired(ours, theirs, resamples=300, seed=trial)
        held += difference.low <= 0.1 <= difference.high
    apart = stats.mean(ours, 300), stats.mean(theirs, 300)
    assert 0.91 <= held / 300 <= 0.98
    assert difference.high - difference.low < min(value.high - value.low for value in apart)


@given(values)
@settings(max_examples=50, deadline=None)
def test_the_difference_of_equal_rows_is_exactly_zero(rows):
    difference = stats.paired(np.array(rows), np.array(rows), resamples=50)
    assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0)


@given(values, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_order_of_rows_changes_nothing(rows, random):
    shuffled = random.sample(rows, len(rows))
    assert stats.mean(np.array(rows), 50) == stats.mean(np.array(shuffled), 50)


@given(values)
@settings(max_examples=50, deadline=None)
def test_an_interval_holds_its_figure(rows):
    value = stats.mean(np.array(rows), 50)
    assert value.low <= value.value <= value.high
    assert value.value == pytest.approx(np.mean(rows), abs=1e-9)


def test_drawing_kinds_is_drawing_rows():
    rows, multiplicity = stats.kinds(np.array([2, 0, 2, 2]), np.array([1, 5, 1, 1]))
    assert rows.tolist() == [[0, 5], [2, 1]]
    assert multiplicity.tolist() == [1, 3]
    seen = []
    stats.bootstrap(multiplicity, lambda counts: seen.append(counts) or counts[:, 0] / 4, resamples=2_000)
    drawn = np.concatenate(seen[1:])
    assert drawn.shape == (2_000, 2)
    assert (drawn.sum(axis=1) == 4).all()
    assert drawn[:, 0].mean() == pytest.approx(1.0, abs=0.06)
    assert drawn[:, 0].var() == pytest.approx(4 * 0.25 * 0.75, rel=0.1)


def test_a_resample_that_does_not_define_the_figure_is_left_out():
    def ratio(counts):
        with np.errstate(invalid="ignore"):
            return np.where(counts[:, 0] > 0, 1.0, np.nan)

    assert stats.bootstrap(np.array([1, 3]), ratio)[0].low == 1.0


def test_draws_are_seeded():
    rows = np.arange(40.0)
    assert stats.mean(rows, seed=1) == stats.mean(rows, seed=1)
    assert stats.mean(rows, seed=1) != stats.mean(rows, seed=2)


@pytest.mark.parametrize("rows", [300, 2_000, 9_000])
def test_what_a_bootstrap_holds_is_told_before(rows):
    rng = np.random.default_rng(rows)
    gold, score = (rng.random(rows) < 0.3).astype(int), rng.random(rows)
    tracemalloc.start()
    try:
        accuracy._auc(gold, score)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most == pytest.approx(stats.held(rows), rel=0.35)
