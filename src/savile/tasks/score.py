"""A number for each text or row: a price, a sentiment between -1 and 1, the days something will take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from savile.base.contracts import HeadSpec
from savile.base.errors import DataError
from savile.tasks._texts import fields, render

__all__ = ["NAME", "fields", "head", "labels", "plain", "render", "score", "targets"]

NAME = "value"  # of the one output


def labels(values: Sequence[Any]) -> tuple[str, ...]:
    """One output."""
    return (NAME,)


def targets(values: Sequence[Any], labels: Sequence[str]) -> np.ndarray:
    """Cells -> numbers, float64 (n,).

    Raises:
        DataError: a cell is no number.
    """
    return np.array([_number(value) for value in values], dtype=np.float64)


def head(width: int) -> HeadSpec:
    """One output, in standard units; the model keeps mean and deviation (`savile.base.records.Calibration`)."""
    return HeadSpec(outputs=1, loss="squared_error", decode=plain)


def score(predicted: Sequence[Any], gold: Sequence[Any]) -> float:
    """Share of the variance explained (R squared), no less than 0; 0 for no rows."""
    if not len(gold):
        return 0.0
    said, right = np.asarray(predicted, dtype=np.float64), np.asarray(gold, dtype=np.float64)
    left, whole = float(np.square(right - said).sum()), float(np.square(right - right.mean()).sum())
    return max(0.0, 1.0 - left / whole) if whole else float(left == 0)


def plain(logits: np.ndarray) -> np.ndarray:
    """Logits are the number in standard units."""
    return np.asarray(logits, dtype=np.float64)


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise DataError("a number in every cell of the label column", repr(value), "Correct the cell, or ask for labels.")
    return number
