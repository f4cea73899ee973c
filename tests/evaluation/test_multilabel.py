"""Measures of any number of labels against scikit-learn, and paired comparisons."""

import numpy as np
import pytest
from sklearn import metrics

from savile.base.contracts import Predictions
from savile.base.records import Calibration
from savile.evaluation import multilabel, parity
from savile.models._calibrate import decide
from savile.tasks import multilabel as task

LABELS = ("a", "b", "c")


def answers(seed=0, rows=400, noise=1.0):
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(9).normal(-0.5, 2.0, size=(rows, len(LABELS)))
    gold = (np.random.default_rng(8).random(truth.shape) < task.sigmoid(truth)).astype(np.float32)
    logits = (truth + noise * rng.normal(size=truth.shape)).astype(np.float32)
    return Predictions(gold, decide(task.head(3), logits, Calibration(cut=0.45)), LABELS)


def test_figures_are_those_of_scikit_learn():
    found = answers()
    gold, said = found.gold, found.outputs.choice
    measured = multilabel.measure(found)
    assert measured["micro_f1"].value == pytest.approx(metrics.f1_score(gold, said, average="micro"))
    assert measured["macro_f1"].value == pytest.approx(metrics.f1_score(gold, said, average="macro"))
    assert measured["exact_match"].value == pytest.approx(metrics.accuracy_score(gold, said))
    assert [row["n"] for row in measured["per_class"]] == gold.sum(axis=0).astype(int).tolist()


def test_calibrated_answers_have_a_small_error_and_loud_ones_a_large_one():
    calm = multilabel.measure(answers(noise=0.0, rows=4_000))["ece"].value
    found = answers(noise=0.0, rows=4_000)
    loud = Predictions(found.gold, decide(task.head(3), found.outputs.logits * 4, Calibration()), LABELS)
    assert calm < 0.02 < multilabel.measure(loud)["ece"].value


def test_less_noise_is_better_beyond_doubt():
    difference = multilabel.compare(answers(noise=0.1), answers(noise=4.0))
    assert difference["micro_f1"].low > 0
    same = multilabel.compare(answers(), answers())
    assert all(value.value == value.low == value.high == 0 for value in same.values())


def test_rows_without_any_label_can_be_right():
    gold = np.zeros((40, 3), dtype=np.float32)
    silent = decide(task.head(3), np.full((40, 3), -5.0, dtype=np.float32), Calibration())
    measured = multilabel.measure(Predictions(gold, silent, LABELS))
    assert measured["exact_match"].value == 1.0
    assert measured["micro_f1"].value == 0.0  # as scikit-learn has it: there was nothing to find


def test_a_flipped_label_is_a_flip_and_a_far_one_a_wide_one():
    trained = answers(noise=0.0).outputs
    logits = trained.logits.copy()
    sure = np.abs(trained.probabilities - 0.45).max(axis=1).argmax()
    label = np.abs(trained.probabilities[sure] - 0.45).argmax()
    logits[sure, label] *= -1
    served = decide(task.head(3), logits, Calibration(cut=0.45))
    found = parity.parity({"onnx-int8": lambda _: served, "onnx-fp32": lambda _: trained}, [""], lambda _: trained)
    assert (found["onnx-int8"]["flips"], found["onnx-int8"]["wide_flips"], found["onnx-int8"]["passed"]) == (1, 1, False)
    assert (found["onnx-fp32"]["flips"], found["onnx-fp32"]["passed"]) == (0, True)
