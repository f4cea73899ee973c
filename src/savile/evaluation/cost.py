"""What the answers are worth: how many need no person, how right those are, and the value of an item.

An item is answered right, answered wrong or handed to a person, and each has its value (wrong and person are usually
negative). The threshold itself is the model's, chosen on calibration data; here it is only measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from savile.base import stats
from savile.base.contracts import Predictions, Value
from savile.models._calibrate import right as whole

tasks: tuple[str, ...] = ("classify", "multilabel", "tag")
GRID = 50
NOTHING = Value(1.0, 0.0, 1.0, 0)


def measure(predictions: Predictions, costs: Mapping[str, float] | None = None) -> dict[str, Any]:
    """``business`` at the model's own threshold; ``abstain_curve`` over a grid of thresholds; both with value per item.

    Where an accuracy was asked for, also the figures ``automated_share`` and ``automated_accuracy``; of no answers
    none is wrong, and the interval says how little that means.

    Args:
        predictions: gold labels and outputs.
        costs: value of an item answered ``right``, answered ``wrong``, and given to a ``person``, or the ``accuracy`` asked
            for; None leaves values null.
    """
    asked, costs = bool(costs and costs.get("accuracy")), costs if costs and costs.get("right") is not None else None
    outputs = predictions.outputs
    right = whole(outputs.choice, predictions.gold)
    business = _outcome(right, ~outputs.abstain, costs)
    thresholds = np.unique(np.quantile(outputs.confidence, np.linspace(0, 1, GRID + 1), method="higher"))
    curve = [{"threshold": float(bar), **_outcome(right, outputs.confidence >= bar, costs)} for bar in thresholds]
    person = costs["person"] if costs else None
    found = {"business": {**business, "person_value": person, "break_even": break_even(costs)}, "abstain_curve": curve}
    if not asked:
        return found
    given, some = ~outputs.abstain, bool((~outputs.abstain).any())
    accuracy = stats.wilson(int(right[given].sum()), int(given.sum())) if some else NOTHING
    return {"automated_share": stats.wilson(int(given.sum()), len(given)), "automated_accuracy": accuracy, **found}


def break_even(costs: Mapping[str, float] | None) -> float | None:
    """The probability above which an automatic answer is worth more than a person's (Chow 1970), or None without costs.

    An answer with probability p is worth p right + (1 - p) wrong, so it pays from p = (person - wrong) / (right - wrong).
    """
    if costs is None or costs["right"] <= costs["wrong"]:
        return None
    return float(np.clip((costs["person"] - costs["wrong"]) / (costs["right"] - costs["wrong"]), 0, 1))


def _outcome(right: np.ndarray, automated: np.ndarray, costs: Mapping[str, float] | None) -> dict[str, float | None]:
    """Share answered without a person, how right those are (None when nothing is answered), value per item."""
    share = float(automated.mean())
    good = float((right & automated).mean())
    value = None
    if costs is not None:
        value = good * costs["right"] + (share - good) * costs["wrong"] + (1 - share) * costs["person"]
    return {"automated_share": share, "accuracy_when_automated": good / share if share else None, "value": value}
