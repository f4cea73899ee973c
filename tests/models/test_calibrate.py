"""Temperature and threshold: known answers, and the best of all thresholds by trying each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from savile.models._calibrate import cost_threshold, decide, fit_temperature


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_that_made_the_labels_is_found(temperature):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 5)) * 3
    shares = softmax(logits / temperature, axis=1)
    gold = (shares.cumsum(axis=1) > rng.random((len(shares), 1))).argmax(axis=1)
    assert fit_temperature(logits.astype(np.float32), gold) == pytest.approx(temperature, rel=0.05)


def test_without_rows_nothing_is_changed():
    assert fit_temperature(np.zeros((0, 3), np.float32), np.zeros(0, np.int64)) == 1.0


answers = st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.7, 0.9, 1.0]), st.booleans()), min_size=1, max_size=30)
worth = st.fixed_dictionaries({"right": st.floats(0, 3), "wrong": st.floats(-5, 0), "person": st.floats(-2, 1)})


def total(threshold, confidence, correct, value):
    answered = confidence >= threshold
    return np.where(answered, np.where(correct, value["right"], value["wrong"]), value["person"]).sum()


@given(answers, worth)
def test_no_other_threshold_is_worth_more(rows, value):
    confidence, correct = np.array([one for one, _ in rows]), np.array([one for _, one in rows])
    found = cost_threshold(confidence, correct, value)
    best = max(total(one, confidence, correct, value) for one in (0.0, *np.unique(confidence), 1.1))
    assert total(found, confidence, correct, value) == pytest.approx(best)


def test_what_is_below_the_threshold_is_handed_over():
    choice, confidence, abstain = decide(np.array([[0.7, 0.3], [0.45, 0.55]]), 0.6)
    assert choice.tolist() == [0, 1]
    assert confidence.tolist() == [0.7, 0.55]
    assert abstain.tolist() == [False, True]
