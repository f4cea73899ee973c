"""Temperature and threshold: known answers, and the best of all thresholds by trying each."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from savile.base.records import Calibration
from savile.models._calibrate import calibrate, decide
from savile.models._maps import fit_temperature
from savile.models._thresholds import cost_threshold
from savile.tasks import classify, multilabel, score


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
    logits = np.log(np.array([[0.7, 0.3], [0.45, 0.55]]))
    answers = decide(classify.head(2), logits, Calibration(threshold=0.6))
    assert answers.choice.tolist() == [0, 1]
    assert answers.confidence.tolist() == pytest.approx([0.7, 0.55])
    assert answers.abstain.tolist() == [False, True]


def test_labels_of_any_number_get_an_honest_temperature_and_the_cut_with_the_best_f1():
    rng, head = np.random.default_rng(0), multilabel.head(4)
    logits = rng.normal(-1, 2, size=(4_000, 4))
    gold = (rng.random(logits.shape) < multilabel.sigmoid(logits)).astype(np.float32)
    found = calibrate(head, 3 * logits, gold)
    assert found.temperature == pytest.approx(3, rel=0.05)
    chosen = multilabel.score(decide(head, 3 * logits, found).choice, gold)
    tried = [multilabel.score(multilabel.sigmoid(logits) >= cut, gold) for cut in np.linspace(0.05, 0.95, 91)]
    assert chosen == pytest.approx(max(tried), abs=0.002)
    assert chosen > multilabel.score(decide(head, 3 * logits, replace(found, cut=0.5)).choice, gold)


def test_the_interval_of_a_number_holds_nine_in_ten():
    rng, head = np.random.default_rng(0), score.head(1)
    logits = rng.normal(size=(6_000, 1)).astype(np.float32)
    gold = 50 + 20 * logits[:, 0] + 5 * rng.standard_t(4, size=len(logits))
    found = calibrate(head, logits[:1_000], gold[:1_000], None, Calibration(shift=50.0, scale=20.0))
    answers = decide(head, logits[1_000:], found)
    assert np.corrcoef(answers.choice, logits[1_000:, 0])[0, 1] == pytest.approx(1)
    held = (answers.low <= gold[1_000:]) & (gold[1_000:] <= answers.high)
    assert held.mean() == pytest.approx(0.9, abs=0.02)
    assert not answers.abstain.any()
