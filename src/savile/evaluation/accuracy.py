"""How often the answers are right: accuracy, macro and weighted F1, AUC when there are two labels; per class and confusion.

Definitions follow scikit-learn: F1 averages run over the classes that occur in the gold labels or the answers, and a class
never answered scores 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from savile.base import stats
from savile.base.contracts import Predictions, Value
from savile.evaluation._per_label import per_label

tasks: tuple[str, ...] = ("classify",)


def measure(predictions: Predictions, costs: Mapping[str, float] | None = None) -> dict[str, Any]:
    """``accuracy`` (Wilson interval), ``macro_f1``, ``weighted_f1``, ``auc`` when binary; ``per_class``; ``confusion``."""
    gold, choice, width = predictions.gold, predictions.outputs.choice, len(predictions.labels)
    right = stats.wilson(int((gold == choice).sum()), len(gold))
    pairs, rows = stats.kinds(gold, choice)
    macro, weighted = stats.bootstrap(rows, lambda counts: _f1(counts, pairs[:, 0], pairs[:, 1], width))
    confusion = np.zeros((width, width), dtype=np.int64)
    confusion[pairs[:, 0], pairs[:, 1]] = rows
    figures: dict[str, Any] = {"accuracy": right, "macro_f1": macro, "weighted_f1": weighted}
    if width == 2 and 0 < gold.sum() < len(gold):
        figures["auc"] = _auc(gold, predictions.outputs.probabilities[:, 1])
    each = per_label(predictions.labels, np.diag(confusion), confusion.sum(axis=0), confusion.sum(axis=1))
    return {**figures, "per_class": each, "confusion": confusion.tolist()}


def compare(ours: Predictions, theirs: Predictions) -> dict[str, Value]:
    """Ours minus theirs on the same rows, each with its paired bootstrap interval."""
    width = len(ours.labels)
    triples, rows = stats.kinds(ours.gold, ours.outputs.choice, theirs.outputs.choice)
    gold, mine, other = triples.T
    right = (mine == gold).astype(np.float64) - (other == gold)

    def difference(counts: np.ndarray) -> np.ndarray:
        f1 = _f1(counts, gold, mine, width) - _f1(counts, gold, other, width)
        return np.column_stack([counts @ right / counts.sum(axis=1), f1])

    figures = dict(zip(("accuracy", "macro_f1", "weighted_f1"), stats.bootstrap(rows, difference), strict=True))
    if width == 2 and 0 < ours.gold.sum() < len(ours.gold):
        figures["auc"] = _auc(ours.gold, ours.outputs.probabilities[:, 1], theirs.outputs.probabilities[:, 1])
    return figures


def _f1(counts: np.ndarray, gold: np.ndarray, choice: np.ndarray, width: int) -> np.ndarray:
    """Counts (r, k) of (gold, choice) pairs -> macro and weighted F1, (r, 2)."""
    classes = np.arange(width)
    is_gold = (gold[:, None] == classes).astype(np.float64)
    is_choice = (choice[:, None] == classes).astype(np.float64)
    support = counts @ is_gold
    both = support + counts @ is_choice
    f1 = 2 * (counts @ (is_gold * is_choice)) / np.maximum(both, 1)
    macro = f1.sum(axis=1) / (both > 0).sum(axis=1)
    weighted = (f1 * support).sum(axis=1) / support.sum(axis=1)
    return np.column_stack([macro, weighted])


def _auc(gold: np.ndarray, score: np.ndarray, other: np.ndarray | None = None) -> Value:
    """AUC of `score`, minus that of `other` when given."""
    scores = [score] if other is None else [score, other]
    cells, rows = stats.kinds(gold, *(np.unique(each, return_inverse=True)[1] for each in scores))
    positive = cells[:, 0] == 1

    def statistic(counts: np.ndarray) -> np.ndarray:
        areas = [_area(counts, rank, positive) for rank in cells[:, 1:].T]
        return areas[0] if other is None else areas[0] - areas[1]

    return stats.bootstrap(rows, statistic)[0]


def _area(counts: np.ndarray, rank: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Counts (r, k) of rows with a rank and a sign -> the chance that a positive outranks a negative, ties half, (r,)."""
    order = np.argsort(rank)
    rank, positive, counts = rank[order], positive[order], counts[:, order]
    below = np.pad(np.cumsum(counts * ~positive, axis=1), ((0, 0), (1, 0)))
    outranked = (below[:, np.searchsorted(rank, rank, "left")] + below[:, np.searchsorted(rank, rank, "right")]) / 2
    pairs = (counts * positive).sum(axis=1) * below[:, -1]
    with np.errstate(invalid="ignore"):  # a resample without positives, or without negatives, has no AUC: NaN
        chance: np.ndarray = (counts * positive * outranked).sum(axis=1) / pairs
    return chance
