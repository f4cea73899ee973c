"""How well texts are found by their vectors: NDCG at 10, recall at 1 and at 10, mean reciprocal rank, Spearman of scored pairs.

Every first text asks for its right second texts among the second texts of all test rows. Where rows say how well their texts go
together, ``spearman`` is the rank correlation of that with how alike the vectors are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from savile.base import catalogue, stats
from savile.base.contracts import Predictions, Value

tasks: tuple[str, ...] = ("embed",)
FIGURES = ("ndcg_10", "recall_1", "recall_10", "mrr")
RESAMPLES = 300
DEPTH = 10


def measure(predictions: Predictions, costs: Mapping[str, float] | None = None) -> dict[str, Any]:
    """The figures, means over first texts with bootstrap intervals, and ``spearman`` where not all rows are alike."""
    rows = stats.ordered(by_query(predictions))
    found = dict(zip(FIGURES, (stats.mean(column) for column in rows.T), strict=True)) if len(rows) else {}
    return {**found, **_correlation(predictions)}


def compare(ours: Predictions, theirs: Predictions) -> dict[str, Value]:
    """Ours minus theirs on the same texts, each figure with its paired bootstrap interval."""
    mine, other = by_query(ours), by_query(theirs)
    return {name: stats.paired(mine[:, i], other[:, i]) for i, name in enumerate(FIGURES)} if len(mine) else {}


def by_query(predictions: Predictions) -> np.ndarray:
    """NDCG at 10, recall at 1 and at 10, reciprocal rank of each first text with a right second one, (q, 4)."""
    task = catalogue.get("tasks", "embed")
    found = [
        (task.ndcg(places), float(places[0] == 0), float((places < DEPTH).mean()), 1.0 / (places[0] + 1))
        for places in task.standing(predictions.outputs.choice, predictions.gold)
    ]
    return np.array(found).reshape(-1, len(FIGURES))


def _correlation(predictions: Predictions) -> dict[str, Value]:
    """Spearman with a bootstrap interval over rows; nothing where all rows go together equally well."""
    from scipy.stats import spearmanr

    wanted = predictions.gold[:, 0]
    if len(wanted) < 3 or wanted.min() == wanted.max():
        return {}
    rows = stats.ordered(np.column_stack([catalogue.get("tasks", "embed").alike(predictions.outputs.choice), wanted]))
    if rows[0, 0] == rows[:, 0].max() == rows[:, 0].min():  # nothing is told apart
        return {"spearman": Value(0.0, 0.0, 0.0, len(rows))}
    value = float(spearmanr(rows[:, 0], rows[:, 1]).statistic)
    rng, n = np.random.default_rng(0), len(rows)
    drawn = [float(spearmanr(*rows[rng.integers(n, size=n)].T).statistic) for _ in range(RESAMPLES)]
    low, high = np.nanquantile(drawn, [0.025, 0.975]).tolist()
    return {"spearman": Value(value, min(low, value), max(high, value), n)}
