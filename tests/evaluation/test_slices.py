"""The weakest slice is found, small slices are left out, and lengths cut the rows into quarters."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from savile.base import stats
from savile.base.contracts import Predictions
from savile.evaluation import slices


@pytest.fixture
def regions(outputs_of):
    gold = np.zeros(300, dtype=int)
    said = np.zeros(300, dtype=int)
    region = ["north"] * 100 + ["south"] * 171 + ["tiny"] * 29
    said[:20] = 1
    said[271:] = 1
    channel = ["mail" if i % 2 else "chat" for i in range(300)]
    table = {"region": region, "channel": channel, "constant": ["x"] * 300, "id": [str(i) for i in range(300)]}
    return Predictions(gold, outputs_of(np.eye(2)[said]), ("a", "b"), table)


def test_the_worst_slice_is_the_one_with_the_lowest_lower_bound(regions):
    found = slices.measure(regions)
    north = stats.wilson(80, 100)
    assert found["worst_slice"] == {
        "column": "region",
        "value": "north",
        "metric": "accuracy",
        "estimate": 0.8,
        "value_low": north.low,
        "value_high": north.high,
        "n": 100,
    }
    assert found["slices"][0] == found["worst_slice"]
    assert [one["value_low"] for one in found["slices"]] == sorted(one["value_low"] for one in found["slices"])


def test_small_slices_and_columns_that_cut_nothing_are_left_out(regions):
    named = {(one["column"], one["value"]) for one in slices.measure(regions)["slices"]}
    assert named == {("region", "north"), ("region", "south"), ("channel", "mail"), ("channel", "chat")}


def test_without_slices_there_is_no_worst(answers):
    assert slices.measure(answers) == {"slices": [], "worst_slice": None}


def test_the_order_of_rows_changes_nothing(regions, reordered):
    order = np.random.default_rng(0).permutation(300)
    assert slices.measure(reordered(regions, order)) == slices.measure(regions)


@given(st.lists(st.text(max_size=60), min_size=1, max_size=80))
@settings(max_examples=80)
def test_lengths_cut_into_at_most_four_ranges_that_do_not_overlap(texts):
    named = slices.lengths(texts)
    assert len(named) == len(texts)
    ranges = sorted({tuple(map(int, name.removesuffix(" characters").split(" to "))) for name in named})
    assert len(ranges) <= 4
    assert all(low <= high for low, high in ranges)
    assert all(one[1] < other[0] for one, other in itertools.pairwise(ranges))
    for text, name in zip(texts, named, strict=True):
        low, high = map(int, name.removesuffix(" characters").split(" to "))
        assert low <= len(text) <= high


def test_quarters_are_quarters():
    named = slices.lengths(["x" * n for n in range(1, 401)])
    assert sorted(named.count(name) for name in set(named)) == [100, 100, 100, 100]
