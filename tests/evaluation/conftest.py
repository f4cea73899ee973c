"""Simulated answers with the shape of real ones; the makers are fixtures of the session."""

import numpy as np
import pytest

from savile.base.contracts import Predictions
from savile.base.records import Outputs


def _outputs_of(logits, threshold=0.0):
    logits = np.asarray(logits, dtype=np.float64)
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exp / exp.sum(axis=1, keepdims=True)
    choice, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    return Outputs(logits.astype(np.float32), probabilities, choice, confidence, confidence < threshold)


def _simulated(rows, classes, seed=0, skill=3.0, threshold=0.0, slices=None):
    """Calibrated answers: the gold label is drawn from the very probabilities that are answered."""
    rng = np.random.default_rng(seed)
    outputs = _outputs_of(rng.normal(size=(rows, classes)) * skill, threshold)
    gold = (outputs.probabilities.cumsum(axis=1) > rng.random((rows, 1))).argmax(axis=1)
    return Predictions(gold, outputs, tuple(f"label {i}" for i in range(classes)), slices or {})


def _reordered(predictions, order):
    fields = {name: array[order] for name, array in vars(predictions.outputs).items()}
    slices = {name: [column[i] for i in order] for name, column in predictions.slices.items()}
    return Predictions(predictions.gold[order], Outputs(**fields), predictions.labels, slices)


@pytest.fixture(scope="session")
def outputs_of():
    return _outputs_of


@pytest.fixture(scope="session")
def simulated():
    return _simulated


@pytest.fixture(scope="session")
def reordered():
    return _reordered


@pytest.fixture(scope="session")
def answers():
    return _simulated(600, 5)
