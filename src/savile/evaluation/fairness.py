"""Whether groups are treated alike: how often each gets the good answer, and how often those who should get it do.

For every column that is watched: ``four_fifths``, the lowest rate of good answers divided by the highest (the rule of thumb of
the US Uniform Guidelines of 1978 asks for 0.8); ``demographic_parity_difference``, the highest rate minus the lowest; and
``equal_opportunity_difference``, the same among those whose label is the good one (Hardt et al., NeurIPS 2016). With several
columns a figure is that of the worst. Groups below 30 rows are left out: their rates say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from savile.base import stats
from savile.base.contracts import Predictions, Value

tasks: tuple[str, ...] = ("classify",)
lower_is_better: tuple[str, ...] = ("demographic_parity_difference", "equal_opportunity_difference")
NAMES = ("four_fifths", *lower_is_better)
LEAST_ROWS = 30


def measure(predictions: Predictions, costs: Mapping[str, float] | None = None) -> dict[str, Any]:
    """The three figures of the worst column, and ``fairness``: every group of every column; nothing without a good label."""
    if predictions.good is None:
        return {}
    tables = [table for column in predictions.watched if (table := _column(predictions, column)) is not None]
    if not tables:
        return {}
    worst = {}
    for name in NAMES:
        found = [table["figures"][name] for table in tables if name in table["figures"]]
        if found:
            worst[name] = max(found, key=lambda one: one.value if name in lower_is_better else -one.value)
    said = [{**table, "figures": {name: value.as_dict() for name, value in table["figures"].items()}} for table in tables]
    return {**worst, "fairness": said}


def _column(predictions: Predictions, column: str) -> dict[str, Any] | None:
    """Rates of the groups of one column and the figures between them; None when fewer than two groups are large enough."""
    values = np.asarray(predictions.slices[column])
    names, counts = np.unique(values, return_counts=True)
    names = names[counts >= LEAST_ROWS]
    if len(names) < 2:
        return None
    inside = np.isin(values, names)
    group = np.searchsorted(names, values[inside])
    given, due = (
        (answers[inside] == predictions.good).astype(np.int64) for answers in (predictions.outputs.choice, predictions.gold)
    )
    rows, counts = stats.kinds(group, given, due)
    figures = stats.bootstrap(counts, lambda drawn: _figures(_rates(drawn, rows, len(names))))
    entries = [_group(str(name), given[group == number], due[group == number]) for number, name in enumerate(names)]
    named = dict(zip(NAMES, figures, strict=True))
    return {"column": column, "groups": entries, "figures": {n: v for n, v in named.items() if np.isfinite(v.value)}}


def _rates(counts: np.ndarray, rows: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts (r, k) -> share of good answers of each group, (r, groups), and the same among those who should get one."""
    member = rows[:, 0, None] == np.arange(groups)
    given, due = rows[:, 1, None] == 1, rows[:, 2, None] == 1
    with np.errstate(invalid="ignore", divide="ignore"):
        all_rows = (counts @ (member & given)) / (counts @ member)
        deserving = (counts @ (member & given & due)) / (counts @ (member & due))
    return all_rows, deserving


def _figures(rates: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Rates (r, groups), twice -> the three figures, (r, 3)."""
    given, deserving = rates
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(given.max(axis=1) > 0, given.min(axis=1) / given.max(axis=1), 1.0)  # nobody is treated better
    return np.column_stack([ratio, given.max(axis=1) - given.min(axis=1), deserving.max(axis=1) - deserving.min(axis=1)])


def _group(name: str, given: np.ndarray, due: np.ndarray) -> dict[str, Any]:
    """One group: how many rows, how often the good answer was given and was right, with Wilson intervals."""
    rate: Value = stats.wilson(int(given.sum()), len(given))
    entry = {"group": name, "n": len(given), "rate": rate.as_dict(), "base_rate": float(due.mean())}
    deserving = int(due.sum())
    return entry | {"recall": stats.wilson(int((given & due).sum()), deserving).as_dict() if deserving else None}
