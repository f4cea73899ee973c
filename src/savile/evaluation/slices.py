"""Where the model is weakest: accuracy in every slice of the test rows, and the slice with the lowest lower bound.

A slice is one value of a column with 2 to 50 distinct values, or a quarter of the texts by length when there is no such
column. Slices below 30 rows are left out: their intervals say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from savile.base import stats
from savile.base.contracts import Predictions

tasks: tuple[str, ...] = ("classify",)
LEAST_ROWS = 30
MOST_VALUES = 50


def measure(predictions: Predictions, costs: Mapping[str, float] | None = None) -> dict[str, Any]:
    """``slices``: accuracy with its Wilson interval in each slice, weakest first; ``worst_slice``: the first, or None."""
    right = predictions.outputs.choice == predictions.gold
    found = []
    for column, values in predictions.slices.items():
        named = np.asarray(values)
        for value in distinct(values):
            inside = named == value
            if (n := int(inside.sum())) >= LEAST_ROWS:
                share = stats.wilson(int(right[inside].sum()), n)
                found.append({"column": column, "value": value, "metric": "accuracy"} | _bounds(share.as_dict()))
    found.sort(key=lambda one: (one["value_low"], one["column"], one["value"]))
    return {"slices": found, "worst_slice": found[0] if found else None}


def distinct(values: Sequence[str]) -> list[str]:
    """The sorted distinct values of a column that can be sliced by, else none."""
    different = sorted(set(values))
    return different if 2 <= len(different) <= MOST_VALUES else []


def lengths(texts: Sequence[str]) -> list[str]:
    """The quarter each text falls in by length, named by its range of characters."""
    sizes = np.array([len(text) for text in texts])
    edges = np.quantile(sizes, [0.25, 0.5, 0.75])
    quarter = np.searchsorted(edges, sizes, side="left")
    names = {q: f"{sizes[quarter == q].min()} to {sizes[quarter == q].max()} characters" for q in np.unique(quarter)}
    return [names[q] for q in quarter]


def _bounds(share: Mapping[str, float | int]) -> dict[str, float | int]:
    return {"estimate": share["value"], "value_low": share["low"], "value_high": share["high"], "n": share["n"]}
