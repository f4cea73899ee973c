"""How far numbers are off: mean absolute and root mean squared error, R squared, correlation, and what the intervals hold.

R squared and the correlation are 0 where the numbers, or the answers, do not vary. ``coverage90`` is the share of rows whose
number lies in its 90 % interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from savile.base import stats
from savile.base.contracts import Predictions, Value

tasks: tuple[str, ...] = ("score",)
lower_is_better: tuple[str, ...] = ("mae", "rmse")
in_units: tuple[str, ...] = lower_is_better  # of the label: what an update may lose of them is a share of what they were
FIGURES = ("mae", "rmse", "r2", "pearson")


def measure(predictions: Predictions, costs: Mapping[str, float] | None = None) -> dict[str, Any]:
    """``mae``, ``rmse``, ``r2``, ``pearson`` with bootstrap intervals, ``coverage90`` (Wilson); ``interval_width``."""
    outputs, rows = predictions.outputs, stats.ordered(_moments(predictions))
    figures = dict(zip(FIGURES, stats.bootstrap(np.ones(len(rows)), lambda counts: _scores(counts, rows)), strict=True))
    if outputs.low is None or outputs.high is None:
        return figures
    held = (outputs.low <= predictions.gold) & (predictions.gold <= outputs.high)
    width = float(np.median(outputs.high - outputs.low))
    return {**figures, "coverage90": stats.wilson(int(held.sum()), len(held)), "interval_width": width}


def compare(ours: Predictions, theirs: Predictions) -> dict[str, Value]:
    """Ours minus theirs on the same rows, each with its paired bootstrap interval; of errors, below 0 ours is better."""
    return stats.compared(_moments(ours), _moments(theirs), _scores, FIGURES)


def _moments(predictions: Predictions) -> np.ndarray:
    """Absolute error, squared error, and first and second moments of number and answer, standardised, (n, 8)."""
    gold, said = predictions.gold, np.asarray(predictions.outputs.choice, dtype=np.float64)
    centre, unit = gold.mean(), gold.std() or 1.0  # so that sums of squares lose no digits
    y, p, error = (gold - centre) / unit, (said - centre) / unit, said - gold
    return np.column_stack([np.abs(error), error**2, y, p, y * y, p * p, y * p, (error / unit) ** 2])


def _scores(counts: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Counts (r, n) -> mean absolute error, root mean squared error, R squared and correlation, (r, 4)."""
    mae, mse, y, p, yy, pp, yp, off = (counts @ rows / counts.sum(axis=1, keepdims=True)).T
    vary, answers = np.maximum(yy - y * y, 0), np.maximum(pp - p * p, 0)
    flat, still = vary <= 1e-12, answers <= 1e-12
    r2 = np.where(flat, 0.0, 1 - off / np.where(flat, 1, vary))
    together = np.sqrt(np.where(flat | still, 1, vary * answers))
    pearson = np.where(flat | still, 0.0, np.clip((yp - y * p) / together, -1, 1))
    return np.column_stack([mae, np.sqrt(mse), r2, pearson])
