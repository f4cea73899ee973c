"""Fairness: known rates, the worst column, intervals that hold the figure, groups too small to count."""

from dataclasses import replace

import numpy as np
import pytest

from savile.evaluation import fairness


@pytest.fixture
def treated(outputs_of):
    """Good answers (label 0) to 60 % of group a, 30 % of b and all of c's five rows; half of each deserved one."""
    from savile.base.contracts import Predictions

    groups = ["a"] * 200 + ["b"] * 100 + ["c"] * 5
    given = np.array([row % 10 < 6 for row in range(200)] + [row % 10 < 3 for row in range(100)] + [True] * 5)
    gold = np.array([row % 2 for row in range(305)])
    logits = np.where(given[:, None], [2.0, 0.0], [0.0, 2.0])
    slices = {"sex": groups, "town": ["x", "y"] * 152 + ["x"]}
    return Predictions(gold, outputs_of(logits), ("granted", "refused"), slices, ("sex", "town"), 0)


def test_rates_and_differences_are_those_that_were_planted(treated):
    found = fairness.measure(replace(treated, watched=("sex",)))
    assert found["four_fifths"].value == pytest.approx(0.5)
    assert found["demographic_parity_difference"].value == pytest.approx(0.3)
    assert found["equal_opportunity_difference"].value == pytest.approx(0.6 - 0.4)
    (table,) = found["fairness"]
    assert [(group["group"], group["n"]) for group in table["groups"]] == [("a", 200), ("b", 100)]  # c is too small to count
    assert table["groups"][0]["rate"]["value"] == pytest.approx(0.6)


def test_intervals_hold_the_figure_and_the_worst_column_counts(treated):
    found = fairness.measure(treated)
    for name in fairness.NAMES:
        assert found[name].low <= found[name].value <= found[name].high
    assert found["four_fifths"].value == pytest.approx(0.5)
    assert found["four_fifths"].high < 0.8
    assert [table["column"] for table in found["fairness"]] == ["sex", "town"]


def test_without_a_good_label_or_groups_there_is_nothing_to_say(treated):
    assert fairness.measure(replace(treated, good=None)) == {}
    assert fairness.measure(replace(treated, watched=())) == {}
    assert fairness.measure(replace(treated, slices={"sex": ["a"] * 305}, watched=("sex",))) == {}


def test_where_nobody_gets_the_good_answer_nobody_is_treated_better(treated, outputs_of):
    none = replace(treated, outputs=outputs_of(np.tile([0.0, 2.0], (305, 1))), watched=("sex",))
    found = fairness.measure(none)
    assert found["four_fifths"].value == 1.0
    assert found["demographic_parity_difference"].value == 0.0
