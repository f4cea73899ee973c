"""Accuracy, F1 and AUC equal scikit-learn's, and their intervals are fast and honest."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from savile.base.contracts import Predictions, Value
from savile.evaluation import accuracy


@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(1, 80))
@settings(max_examples=60, deadline=None)
def test_figures_equal_scikit_learn(simulated, seed, classes, rows):
    answers = simulated(rows, classes, seed)
    gold, choice = answers.gold, answers.outputs.choice
    ours = accuracy.measure(answers)
    assert ours["accuracy"].value == pytest.approx(metrics.accuracy_score(gold, choice), abs=1e-12)
    for name, average in (("macro_f1", "macro"), ("weighted_f1", "weighted")):
        assert ours[name].value == pytest.approx(metrics.f1_score(gold, choice, average=average, zero_division=0), abs=1e-12)
    assert ours["confusion"] == metrics.confusion_matrix(gold, choice, labels=range(classes)).tolist()
    table = metrics.precision_recall_fscore_support(gold, choice, labels=range(classes), zero_division=0)
    for entry, *reference in zip(ours["per_class"], *table, strict=True):
        measured = [entry[key] for key in ("precision", "recall", "f1", "n")]
        assert measured == pytest.approx([float(number) for number in reference], abs=1e-12)
    assert ("auc" in ours) == (classes == 2 and len(set(gold)) == 2)


@given(st.integers(0, 10_000), st.integers(2, 120), st.integers(2, 9))
@settings(max_examples=60, deadline=None)
def test_auc_equals_scikit_learn_with_and_without_ties(outputs_of, seed, rows, levels):
    rng = np.random.default_rng(seed)
    gold = rng.integers(2, size=rows)
    gold[:2] = 0, 1
    score = rng.integers(levels, size=rows) / levels
    answers = Predictions(gold, outputs_of(np.column_stack([np.zeros(rows), score])), ("no", "yes"))
    ours = accuracy.measure(answers)["auc"]
    assert ours.value == pytest.approx(metrics.roc_auc_score(gold, answers.outputs.probabilities[:, 1]), abs=1e-12)
    assert 0 <= ours.low <= ours.value <= ours.high <= 1


def test_the_order_of_rows_changes_nothing(reordered, simulated, answers):
    order = np.random.default_rng(1).permutation(600)
    assert accuracy.measure(reordered(answers, order)) == accuracy.measure(answers)
    two = simulated(300, 2)
    order = np.random.default_rng(1).permutation(300)
    assert accuracy.measure(reordered(two, order)) == accuracy.measure(two)


@pytest.mark.parametrize("classes", [2, 5])
def test_identical_answers_differ_by_exactly_zero(simulated, classes):
    answers = simulated(400, classes)
    found = accuracy.compare(answers, answers)
    assert set(found) == {"accuracy", "macro_f1", "weighted_f1"} | ({"auc"} if classes == 2 else set())
    assert all((value.value, value.low, value.high) == (0, 0, 0) for value in found.values())


@pytest.mark.parametrize("classes", [2, 5])
def test_a_difference_is_the_difference_of_the_figures(outputs_of, simulated, classes):
    ours = simulated(400, classes)
    noise = np.random.default_rng(5).normal(size=ours.outputs.logits.shape)
    theirs = Predictions(ours.gold, outputs_of(ours.outputs.logits + 4 * noise), ours.labels)
    one, other, between = accuracy.measure(ours), accuracy.measure(theirs), accuracy.compare(ours, theirs)
    assert between["accuracy"].low > 0
    for name, value in between.items():
        assert value.value == pytest.approx(one[name].value - other[name].value, abs=1e-12)
        back = accuracy.compare(theirs, ours)[name]
        assert back.value == pytest.approx(-value.value, abs=1e-12)


def test_the_interval_of_macro_f1_covers_at_the_nominal_rate(outputs_of):
    gold_rate, hit = np.array([0.5, 0.3, 0.2]), 0.8
    confusion = hit * np.diag(gold_rate) + (1 - hit) / 2 * (gold_rate[:, None] * (1 - np.eye(3)))
    true = np.mean(2 * np.diag(confusion) / (confusion.sum(0) + confusion.sum(1)))
    rng, held = np.random.default_rng(11), 0
    for _ in range(300):
        cells = rng.choice(9, size=400, p=confusion.ravel())
        outputs = outputs_of(np.eye(3)[cells % 3])
        value = accuracy.measure(Predictions(cells // 3, outputs, ("a", "b", "c")))["macro_f1"]
        held += value.low <= true <= value.high
    assert 0.92 <= held / 300 <= 0.98


def test_a_class_nobody_answers_scores_zero_and_one_that_never_occurs_counts_not(outputs_of):
    outputs = outputs_of(np.eye(4)[[0, 0, 2]])
    figures = accuracy.measure(Predictions(np.array([0, 1, 2]), outputs, ("a", "b", "c", "d")))
    assert figures["macro_f1"].value == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert figures["per_class"][3] == {"label": "d", "precision": 0.0, "recall": 0.0, "f1": 0.0, "n": 0}


def test_seventy_seven_classes_take_under_a_second_and_a_half(simulated):
    answers = simulated(3_080, 77)
    start = time.process_time()
    figures = accuracy.measure(answers)
    assert time.process_time() - start < 1.5
    assert isinstance(figures["macro_f1"], Value)
