"""How high right candidates stand among those of their query: NDCG at 10, mean reciprocal rank, and the share that stand first.

A query without a right candidate says nothing and is left out. Of equal scores the right candidate stands behind, so that a
model that tells nothing apart gains nothing by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from savile.base import stats
from savile.base.contracts import Predictions, Value

tasks: tuple[str, ...] = ("rank",)
FIGURES = ("ndcg_10", "mrr", "first")
DEPTH = 10


def measure(predictions: Predictions, costs: Mapping[str, float] | None = None) -> dict[str, Any]:
    """``ndcg_10``, ``mrr`` and ``first``, means over queries with bootstrap intervals."""
    rows = stats.ordered(by_query(predictions))
    return dict(zip(FIGURES, (stats.mean(column) for column in rows.T), strict=True)) if len(rows) else {}


def compare(ours: Predictions, theirs: Predictions) -> dict[str, Value]:
    """Ours minus theirs on the same queries, each figure with its paired bootstrap interval."""
    mine, other = by_query(ours), by_query(theirs)
    return {name: stats.paired(mine[:, i], other[:, i]) for i, name in enumerate(FIGURES)} if len(mine) else {}


def by_query(predictions: Predictions) -> np.ndarray:
    """NDCG at 10, reciprocal rank and whether a right candidate stands first, of each query with one, (q, 3)."""
    if predictions.queries is None:
        return np.zeros((0, len(FIGURES)))
    right, score = predictions.gold == 1, predictions.outputs.probabilities[:, 1]
    order = np.lexsort((right, -score, predictions.queries))
    starts = np.flatnonzero(np.diff(predictions.queries[order], prepend=-1))
    found = []
    for places in np.split(order, starts[1:]):
        good = np.flatnonzero(right[places])
        if not len(good):
            continue
        gains = 1.0 / np.log2(good[good < DEPTH] + 2)
        best = (1.0 / np.log2(np.arange(min(len(good), DEPTH)) + 2)).sum()
        found.append((gains.sum() / best, 1.0 / (good[0] + 1), float(good[0] == 0)))
    return np.array(found).reshape(-1, len(FIGURES))
