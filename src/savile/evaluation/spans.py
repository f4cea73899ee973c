"""How well spans are found: F1, precision and recall over all of them, per label, texts right as a whole, calibration error.

A span is right when its start, its end and its label are (the measure of CoNLL 2003). A label that is neither given nor due
scores 1. The calibration error has 15 bins of equal width over the probability of every span given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from savile.base import stats
from savile.base.contracts import Predictions, Value
from savile.evaluation._per_label import per_label
from savile.models._calibrate import right

tasks: tuple[str, ...] = ("tag",)
lower_is_better: tuple[str, ...] = ("span_ece",)
FIGURES = ("span_f1", "span_precision", "span_recall")
BINS = 15


def measure(predictions: Predictions, costs: Mapping[str, float] | None = None) -> dict[str, Any]:
    """``span_f1``, ``span_precision``, ``span_recall``, ``exact_match``, ``span_ece``, ``f1 <label>`` each; ``per_class``."""
    rows = stats.ordered(_contributions(predictions))
    names = (*FIGURES, "span_ece", *(f"f1 {label}" for label in predictions.labels))
    figures = dict(zip(names, stats.bootstrap(np.ones(len(rows)), lambda counts: _scores(counts, rows)), strict=True))
    whole = right(predictions.outputs.choice, predictions.gold)
    found: dict[str, Any] = {name: figures[name] for name in FIGURES}
    hits, given, due = np.split(rows[:, : 3 * len(predictions.labels)].sum(axis=0), 3)
    each = per_label(predictions.labels, hits, given, due)
    found["exact_match"] = stats.wilson(int(whole.sum()), len(whole))
    return {**found, **{name: figures[name] for name in names if name not in FIGURES}, "per_class": each}


def compare(ours: Predictions, theirs: Predictions) -> dict[str, Value]:
    """Ours minus theirs on the same rows, each with its paired bootstrap interval."""
    names = (*FIGURES, "span_ece", *(f"f1 {label}" for label in ours.labels))
    return stats.compared(_contributions(ours), _contributions(theirs), _scores, names)


def _contributions(predictions: Predictions) -> np.ndarray:
    """What each text adds: per label rightly given, given and due, and the gap in each bin, (n, 3 L + 15)."""
    width, n = len(predictions.labels), len(predictions.gold)
    found = np.zeros((n, 3 * width + BINS))
    for row, (said, due) in enumerate(zip(predictions.outputs.choice, predictions.gold, strict=True)):
        keys = {span.key for span in due}
        for span in due:
            found[row, 2 * width + span.label] += 1
        for span in said:
            hit = span.key in keys
            found[row, span.label] += hit
            found[row, width + span.label] += 1
            found[row, 3 * width + min(BINS - 1, int(span.probability * BINS))] += span.probability - hit
    return found


def _scores(counts: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Counts (r, n) -> F1, precision and recall of all spans, calibration error, and F1 of each label, (r, 4 + L)."""
    width = (rows.shape[1] - BINS) // 3
    sums = counts @ rows
    hits, given, due = np.split(sums[:, : 3 * width], 3, axis=1)
    each = np.where(given + due > 0, 2 * hits / np.maximum(given + due, 1), 1.0)
    all_hits, all_given, all_due = hits.sum(axis=1), given.sum(axis=1), due.sum(axis=1)
    f1 = np.where(all_given + all_due > 0, 2 * all_hits / np.maximum(all_given + all_due, 1), 1.0)
    precision, recall = (np.where(n > 0, all_hits / np.maximum(n, 1), f1 == 1.0) for n in (all_given, all_due))
    ece = np.abs(sums[:, 3 * width :]).sum(axis=1) / np.maximum(all_given, 1)
    return np.column_stack([f1, precision, recall, ece, each])
