"""How often labels are rightly given where any number applies: micro and macro F1, exact match, calibration error; per label.

Definitions follow scikit-learn: F1 averages run over the labels that are given or should be, and a label never rightly given
scores 0. The calibration error has 15 bins of equal width over the probability of every label of every row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from savile.base import stats
from savile.base.contracts import Predictions, Value
from savile.evaluation._per_label import per_label
from savile.models._calibrate import right

tasks: tuple[str, ...] = ("multilabel",)
FIGURES = ("micro_f1", "macro_f1", "exact_match", "ece")
BINS = 15


def measure(predictions: Predictions, costs: Mapping[str, float] | None = None) -> dict[str, Any]:
    """``micro_f1``, ``macro_f1``, ``exact_match`` (Wilson interval), ``ece``; ``per_class``; ``reliability``."""
    rows = stats.ordered(_contributions(predictions))
    figures = dict(zip(FIGURES, stats.bootstrap(np.ones(len(rows)), lambda counts: _scores(counts, rows)), strict=True))
    whole = right(predictions.outputs.choice, predictions.gold)
    figures["exact_match"] = stats.wilson(int(whole.sum()), len(whole))
    hits, given, due = np.split(rows[:, : 3 * len(predictions.labels)].sum(axis=0), 3)
    each = per_label(predictions.labels, hits, given, due)
    return {**figures, "per_class": each, "reliability": _reliability(predictions)}


def compare(ours: Predictions, theirs: Predictions) -> dict[str, Value]:
    """Ours minus theirs on the same rows, each with its paired bootstrap interval."""
    return stats.compared(_contributions(ours), _contributions(theirs), _scores, FIGURES)


def _contributions(predictions: Predictions) -> np.ndarray:
    """What each row adds: rightly given, given and due per label, right as a whole, and the gap in each bin, (n, 3 L + 16)."""
    gold, given = predictions.gold > 0, predictions.outputs.choice
    bins, gaps = _bins(predictions.outputs.probabilities), predictions.outputs.probabilities - gold
    by_bin = np.stack([np.where(bins == number, gaps, 0.0).sum(axis=1) for number in range(BINS)], axis=1)
    return np.column_stack([gold & given, given, gold, right(given, predictions.gold), by_bin]).astype(np.float64)


def _scores(counts: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Counts (r, n) -> micro F1, macro F1, exact match and calibration error, (r, 4)."""
    width, n = (rows.shape[1] - 1 - BINS) // 3, counts.sum(axis=1)
    sums = counts @ rows
    hits, given, due = np.split(sums[:, : 3 * width], 3, axis=1)
    both = given + due
    micro = 2 * hits.sum(axis=1) / np.maximum(both.sum(axis=1), 1)
    macro = (2 * hits / np.maximum(both, 1)).sum(axis=1) / np.maximum((both > 0).sum(axis=1), 1)
    ece = np.abs(sums[:, 3 * width + 1 :]).sum(axis=1) / (n * max(width, 1))
    return np.column_stack([micro, macro, sums[:, 3 * width] / n, ece])


def _bins(probabilities: np.ndarray) -> np.ndarray:
    number: np.ndarray = np.clip(np.ceil(probabilities * BINS).astype(np.int64) - 1, 0, BINS - 1)
    return number


def _reliability(predictions: Predictions) -> list[dict[str, float | int]]:
    """Mean probability of a label against how often it is due, with its Wilson interval, bin by bin."""
    probabilities, due = predictions.outputs.probabilities.ravel(), (predictions.gold > 0).ravel()
    bins, curve = _bins(probabilities), []
    for number in np.unique(bins):
        inside = bins == number
        share = stats.wilson(int(due[inside].sum()), int(inside.sum()))
        mean = float(np.sort(probabilities[inside]).mean())
        curve.append({"confidence": mean, "accuracy": share.value, "low": share.low, "high": share.high, "n": share.n})
    return curve
