"""What an update keeps: each stage of a data set that grew, held against the model that serves now, within a budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from savile.base.contracts import Predictions
from savile.base.errors import InputError
from savile.base.records import Dataset


@dataclass(frozen=True)
class Budget:
    """What an update may cost.

    Attributes:
        lose: how much of the metric any earlier stage may lose.
        gain: how much the newest stage has to gain at least.
        own: stage -> the model that answered its rows alone, where several were made one: then no stage is the newest.
    """

    lose: float = 0.01
    gain: float = 0.0
    own: Mapping[str, str] = field(default_factory=dict)


def stages(data: Dataset) -> dict[str, np.ndarray]:
    """Name of each stage with test rows, the newest last -> its places in the test part, int64.

    Raises:
        InputError: the data never grew.
    """
    number = data.stages("test")
    if number is None:
        raise InputError("data that grew", data.ref or data.name, "Append rows to it with `savile improve`.")
    named = {name: np.flatnonzero(number == place) for place, name in enumerate(data.settings["stages"])}
    return {name: rows for name, rows in named.items() if len(rows)}


def part(predictions: Predictions, rows: np.ndarray) -> Predictions:
    """Some rows of what was answered."""
    queries = None if predictions.queries is None else predictions.queries[rows]
    return Predictions(predictions.gold[rows], predictions.outputs.rows(rows), predictions.labels, queries=queries)


def checks(kept: Mapping[str, Mapping[str, Any]], metric: str, budget: Budget) -> list[dict[str, Any]]:
    """One check a stage: earlier ones lose no more than the budget, the newest gains what it has to where there is one.

    Args:
        kept: stage, the newest last -> the metric before and now, and the gain, turned so that more is better.
        metric: which one, where a stage does not say.
        budget: what is allowed.
    """
    found, newest = [], None if budget.own else list(kept)[-1]
    for name, one in kept.items():
        bar = budget.gain if name == newest else -budget.lose
        what = f"learns {name}" if name == newest else f"keeps {name}"
        passed = one["gain"] >= bar - 1e-9
        about = {"metric": one.get("metric", metric), "side": "min", "slice": None, "n": one["n"]}
        about |= {"share": True} if one.get("share") else {}
        found.append({"name": what, "value": one["gain"], "bar": bar, "passed": passed, **about})
    return found
