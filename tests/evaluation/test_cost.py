"""Automation, its accuracy and its worth, against sums done by hand; the break-even against brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from savile.base.contracts import Predictions
from savile.base.records import Outputs
from savile.evaluation import cost

COSTS = {"right": 0.4, "wrong": -3.0, "person": -1.2}


def answered(confidence, right, threshold):
    confidence = np.array(confidence)
    probabilities = np.column_stack([confidence, 1 - confidence])
    choice = np.zeros(len(confidence), dtype=int)
    outputs = Outputs(np.log(probabilities), probabilities, choice, confidence, confidence < threshold)
    return Predictions(1 - np.array(right, dtype=int), outputs, ("a", "b"))


def test_business_by_hand():
    found = cost.measure(answered([0.95, 0.9, 0.8, 0.6, 0.55], [1, 1, 0, 1, 0], 0.75), COSTS)["business"]
    assert found["automated_share"] == pytest.approx(3 / 5)
    assert found["accuracy_when_automated"] == pytest.approx(2 / 3)
    assert found["value"] == pytest.approx((2 * 0.4 - 3.0 - 2 * 1.2) / 5)
    assert found["person_value"] == -1.2
    assert found["break_even"] == pytest.approx((-1.2 + 3.0) / 3.4)


def test_without_values_shares_are_still_measured():
    found = cost.measure(answered([0.9, 0.6], [1, 0], 0.7))
    expected = {"automated_share": 0.5, "accuracy_when_automated": 1.0, "value": None, "person_value": None, "break_even": None}
    assert found["business"] == expected


def test_nobody_answered_has_no_accuracy():
    found = cost.measure(answered([0.9, 0.6], [1, 0], 0.99), COSTS)["business"]
    assert (found["automated_share"], found["accuracy_when_automated"], found["value"]) == (0.0, None, pytest.approx(-1.2))


def test_the_curve_runs_from_everything_to_the_surest(answers):
    curve = cost.measure(answers, COSTS)["abstain_curve"]
    shares = [point["automated_share"] for point in curve]
    assert shares[0] == 1.0
    assert shares == sorted(shares, reverse=True)
    assert all(share > 0 for share in shares)
    assert curve[0]["accuracy_when_automated"] == pytest.approx((answers.outputs.choice == answers.gold).mean())
    assert curve[-1]["accuracy_when_automated"] > curve[0]["accuracy_when_automated"]


def test_at_the_break_even_honest_probabilities_are_worth_most(simulated):
    answers = simulated(20_000, 4)
    curve = cost.measure(answers, COSTS)["abstain_curve"]
    best = max(curve, key=lambda point: point["value"])
    assert best["threshold"] == pytest.approx(cost.break_even(COSTS), abs=0.08)


@given(*[st.integers(-40, 40).map(lambda quarters: quarters / 4)] * 3)
@settings(max_examples=100)
def test_at_the_break_even_both_are_worth_the_same(right, wrong, person):
    found = cost.break_even({"right": right, "wrong": wrong, "person": person})
    if right <= wrong:
        assert found is None
    elif 0 < found < 1:
        assert found * right + (1 - found) * wrong == pytest.approx(person, abs=1e-6)
    else:
        assert (found == 1) == (person >= right)


def test_the_order_of_rows_changes_nothing(answers, reordered):
    order = np.random.default_rng(9).permutation(len(answers.gold))
    one, other = cost.measure(reordered(answers, order), COSTS), cost.measure(answers, COSTS)
    assert one == other
