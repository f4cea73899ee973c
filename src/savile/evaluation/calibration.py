"""Whether a probability means what it says: log loss, Brier score, expected calibration error, the reliability curve.

Log loss and Brier score follow scikit-learn: with two labels Brier is the squared error of one probability, else the sum over
labels. ECE has 15 bins of equal width over the probability of the chosen label (Guo et al. 2017). Lower is better for all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from savile.base import stats
from savile.base.contracts import Predictions, Value

tasks: tuple[str, ...] = ("classify",)
lower_is_better: tuple[str, ...] = ("log_loss", "brier", "ece")
BINS = 15


def measure(predictions: Predictions, costs: Mapping[str, float] | None = None) -> dict[str, Any]:
    """``log_loss``, ``brier``, ``ece`` with bootstrap intervals; ``reliability``, one entry per bin that holds rows."""
    rows = _rows(predictions)
    figures = stats.bootstrap(np.ones(len(rows)), lambda counts: _scores(counts, rows))
    return {**dict(zip(lower_is_better, figures, strict=True)), "reliability": _reliability(predictions)}


def compare(ours: Predictions, theirs: Predictions) -> dict[str, Value]:
    """Ours minus theirs on the same rows, each with its paired bootstrap interval; below 0 ours is better."""
    rows = _rows(ours, theirs)
    mine, other = np.split(rows, 2, axis=1)
    figures = stats.bootstrap(np.ones(len(rows)), lambda counts: _scores(counts, mine) - _scores(counts, other))
    return dict(zip(lower_is_better, figures, strict=True))


def _rows(*several: Predictions) -> np.ndarray:
    """What each row contributes, (n, 4) for each of `several` side by side, sorted so that the order of the rows is nothing."""
    rows = np.concatenate([_contributions(predictions) for predictions in several], axis=1)
    ordered: np.ndarray = rows[np.lexsort(rows.T)]
    return ordered


def _contributions(predictions: Predictions) -> np.ndarray:
    """Log loss, Brier score, bin, and confidence minus correctness of each row, (n, 4)."""
    gold, outputs = predictions.gold, predictions.outputs
    width = outputs.probabilities.shape[1]
    tiny = np.finfo(np.float64).eps
    surprise = -np.log(np.clip(outputs.probabilities[np.arange(len(gold)), gold], tiny, 1 - tiny))
    brier = np.square(outputs.probabilities - np.eye(width)[gold]).sum(axis=1) / (2 if width == 2 else 1)
    gap = outputs.confidence - (outputs.choice == gold)
    return np.column_stack([surprise, brier, _bin(outputs.confidence), gap])


def _scores(counts: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Counts (r, n) -> log loss, Brier score and ECE, (r, 3)."""
    n = counts.sum(axis=1, keepdims=True)
    gaps = counts @ ((rows[:, 2, None] == np.arange(BINS)) * rows[:, 3, None])
    return np.column_stack([counts @ rows[:, :2] / n, np.abs(gaps).sum(axis=1, keepdims=True) / n])


def _bin(confidence: np.ndarray) -> np.ndarray:
    """The bin of each confidence: bin b holds (b/15, (b+1)/15]."""
    number: np.ndarray = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    return number


def _reliability(predictions: Predictions) -> list[dict[str, float | int]]:
    """Mean confidence against the share right, with its Wilson interval, bin by bin."""
    confidence, right = predictions.outputs.confidence, predictions.outputs.choice == predictions.gold
    bins = _bin(confidence)
    curve: list[dict[str, float | int]] = []
    for number in np.unique(bins):
        inside = bins == number
        share = stats.wilson(int(right[inside].sum()), int(inside.sum()))
        mean = math.fsum(confidence[inside]) / share.n  # exact, so the order of the rows is nothing here either
        curve.append({"confidence": mean, "accuracy": share.value, "low": share.low, "high": share.high, "n": share.n})
    return curve
