"""Log loss and Brier equal scikit-learn's, ECE equals its definition, and honest probabilities look honest."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from savile.base.contracts import Predictions
from savile.evaluation import calibration


def ece_by_definition(confidence, right):
    total = 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return total


@given(seed=st.integers(0, 10_000), classes=st.integers(2, 9), rows=st.integers(1, 120))
@settings(max_examples=60, deadline=None)
def test_figures_equal_their_references(simulated, seed, classes, rows):
    answers = simulated(rows, classes, seed)
    gold, outputs = answers.gold, answers.outputs
    ours, labels = calibration.measure(answers), range(classes)
    assert ours["log_loss"].value == pytest.approx(metrics.log_loss(gold, outputs.probabilities, labels=labels), abs=1e-12)
    brier = metrics.brier_score_loss(gold, outputs.probabilities, labels=labels)
    assert ours["brier"].value == pytest.approx(brier, abs=1e-12)
    expected = ece_by_definition(outputs.confidence, outputs.choice == gold)
    assert ours["ece"].value == pytest.approx(expected, abs=1e-12)


def test_the_order_of_rows_changes_nothing(answers, reordered):
    order = np.random.default_rng(4).permutation(len(answers.gold))
    assert calibration.measure(reordered(answers, order)) == calibration.measure(answers)


def test_identical_answers_differ_by_exactly_zero(answers):
    found = calibration.compare(answers, answers)
    assert set(found) == set(calibration.lower_is_better)
    assert all((value.value, value.low, value.high) == (0, 0, 0) for value in found.values())


def test_overconfidence_is_found_and_proven(answers, outputs_of):
    loud = Predictions(answers.gold, outputs_of(answers.outputs.logits * 5), answers.labels)
    honest, boastful = calibration.measure(answers), calibration.measure(loud)
    assert honest["ece"].value < 0.05 < boastful["ece"].value
    worse = calibration.compare(loud, answers)
    assert all(worse[name].low > 0 for name in ("log_loss", "ece"))
    assert worse["ece"].value == pytest.approx(boastful["ece"].value - honest["ece"].value, abs=1e-12)


def test_the_interval_of_log_loss_covers_at_the_nominal_rate(outputs_of):
    rng, held, p = np.random.default_rng(2), 0, 0.8
    true = -(p * np.log(p) + (1 - p) * np.log(1 - p))
    for _ in range(300):
        gold = (rng.random(300) < p).astype(int)
        outputs = outputs_of(np.tile([0.0, np.log(p / (1 - p))], (300, 1)))
        value = calibration.measure(Predictions(gold, outputs, ("no", "yes")))["log_loss"]
        held += value.low <= true <= value.high
    assert 0.92 <= held / 300 <= 0.98


def test_a_certain_and_wrong_answer_costs_much_but_not_infinity(outputs_of):
    wrong = Predictions(np.array([1]), outputs_of([[900.0, 0.0, 0.0]]), ("a", "b", "c"))
    found = calibration.measure(wrong)
    assert 30 < found["log_loss"].value < 40
    assert (found["brier"].value, found["ece"].value) == (2.0, 1.0)


def test_the_reliability_curve_adds_up(answers):
    curve = calibration.measure(answers)["reliability"]
    right = (answers.outputs.choice == answers.gold).mean()
    assert sum(entry["n"] for entry in curve) == len(answers.gold)
    assert sum(entry["n"] * entry["accuracy"] for entry in curve) / len(answers.gold) == pytest.approx(right)
    assert all(entry["low"] <= entry["accuracy"] <= entry["high"] for entry in curve)
    assert [entry["confidence"] for entry in curve] == sorted(entry["confidence"] for entry in curve)
