"""Where the model is weakest: how often it is right in every slice of the test rows, and the slice with the lowest lower bound.

Right is the label, or the whole set of labels or spans; of numbers it is the mean absolute error, and the weakest has the
highest one.

A slice is one value of a column with 2 to 50 distinct values, or a quarter of the texts by length when there is no such
column. Slices below 30 rows are left out: their intervals say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.base import stats
from savile.base.contracts import Predictions, Value
from savile.base.errors import UnknownNameError
from savile.models._calibrate import right

if TYPE_CHECKING:
    import pyarrow as pa

LEAST_ROWS = 30
BOUND = re.compile(r"^(?P<column>.+?)\s*<\s*(?P<bound>[+-]?\d+(?:\.\d+)?)$")
MOST_VALUES = 50


def measure(predictions: Predictions, costs: Mapping[str, float] | None = None) -> dict[str, Any]:
    """``slices``: the figure and its interval in each slice, weakest first; ``worst_slice``: the first, or None."""
    vectors = predictions.gold.dtype.kind == "f" and predictions.outputs.choice.dtype.kind == "f" and predictions.gold.ndim == 2
    if vectors or predictions.gold.dtype.kind == "T":  # a text is found among all others; few are written
        return {"slices": [], "worst_slice": None}
    metric, each, measured = _figure(predictions)
    found = []
    for column, values in predictions.slices.items():
        named = np.asarray(values)
        for value in distinct(values):
            inside = named == value
            if inside.sum() >= LEAST_ROWS:
                found.append({"column": column, "value": value, "metric": metric} | _bounds(measured(each[inside]).as_dict()))
    worse = -1 if metric == "mae" else 1
    found.sort(key=lambda one: (worse * one["value_low"], one["column"], one["value"]))
    return {"slices": found, "worst_slice": found[0] if found else None}


def _figure(predictions: Predictions) -> tuple[str, np.ndarray, Callable[[np.ndarray], Value]]:
    """What is measured in a slice: its name, each row's share in it, and how those make a figure."""
    gold, choice = predictions.gold, predictions.outputs.choice
    if gold.dtype.kind == "f" and gold.ndim == 1:
        return "mae", np.abs(choice - gold), stats.mean
    name = "accuracy" if gold.ndim == 1 and gold.dtype != object else "exact_match"
    return name, right(choice, gold), lambda each: stats.wilson(int(each.sum()), len(each))


def column(table: pa.Table, named: str) -> list[str]:
    """The values of a column as strings, or which side of a bound they are on, as in ``age<26``.

    Raises:
        UnknownNameError: there is no such column.
    """
    if named in table.column_names:
        return [str(value) for value in table.column(named).to_pylist()]
    bounded = BOUND.match(named)
    if bounded is None or bounded["column"] not in table.column_names:
        raise UnknownNameError("column to slice by", named, table.column_names)
    bound, sides = float(bounded["bound"]), (f"below {bounded['bound']}", f"{bounded['bound']} or more")
    return [_side(value, bound, sides) for value in table.column(bounded["column"]).to_pylist()]


def _side(value: Any, bound: float, sides: tuple[str, str]) -> str:
    try:
        return sides[float(value) >= bound]
    except (TypeError, ValueError):
        return "no number"


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
