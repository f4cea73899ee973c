"""A threshold that keeps to a policy: the good answer is given a little sooner or later, to everybody alike, so that groups
get it as evenly as asked at the least loss of right answers.

``adapt.settings.fair: {column: sex, good: granted, policy: demographic_parity, most: 0.1}``. Nobody's group is asked for when
an answer is given, so one threshold holds for all; thresholds of their own for groups (Hardt et al., NeurIPS 2016) would need
it, and treat two equal applications differently. It is chosen on rows set apart, as calibration is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from savile.adaptation import _folds
from savile.adaptation._asked import filled
from savile.adaptation._held import Held
from savile.base import catalogue, events
from savile.base.contracts import HeadSpec
from savile.base.errors import InputError, UnknownNameError
from savile.base.records import Calibration, Dataset
from savile.models._calibrate import decide

POLICIES = ("demographic_parity", "equal_opportunity", "four_fifths")
LEAST_ROWS = 30  # of a group that is looked at
TRIED = 201  # thresholds


@dataclass(frozen=True)
class Policy:
    """What is asked.

    Attributes:
        column: column of the groups.
        good: label that is good for whoever a row is about.
        policy: ``demographic_parity``: shares of good answers differ by at most `most`; ``equal_opportunity``: the same among
            rows whose label is the good one; ``four_fifths``: the lowest share is at least 1 - `most` of the highest.
        most: how far groups may be apart.
    """

    column: str
    good: str
    policy: str = "demographic_parity"
    most: float = 0.1


def asked(given: Mapping[str, Any], data: Dataset) -> Policy:
    """The policy of a setting.

    Raises:
        UnknownNameError: there is no such key, policy, column or label.
        InputError: a key is missing, the task has not one label a row, or fewer than two groups have rows enough.
    """
    known = [one.name for one in fields(Policy)]
    for name in given:
        if name not in known:
            raise UnknownNameError("key of adapt.settings.fair", name, known)
    if not {"column", "good"} <= given.keys():
        raise InputError("adapt.settings.fair with column and good", ", ".join(given) or "nothing", "Add them.")
    policy = filled(Policy, {**given, "good": str(given["good"])}, "fair")
    if not 0 <= policy.most <= 1:
        raise InputError("most from 0 to 1 in adapt.settings.fair", f"{policy.most:g}", "Correct most.")
    for kind, name, names in (
        ("policy", policy.policy, POLICIES),
        ("column", policy.column, data.table.column_names),
        ("label", policy.good, data.labels),
    ):
        if name not in names:
            raise UnknownNameError(kind, name, names)
    if catalogue.get("tasks", data.task).head(len(data.labels)).loss != "cross_entropy":
        raise InputError("one label a row, for adapt.settings.fair", f"the task {data.task}", "Leave it out.")
    groups(data, rows(data), policy.column)
    return policy


def rows(data: Dataset) -> np.ndarray:
    """Rows that a threshold is chosen on, int64: those set apart, or where they are few those that are learned from."""
    if _folds.few(data):
        return np.asarray(data.parts["train"][_folds.real(data)])
    return np.concatenate([data.parts[part] for part in ("valid", "calib")])


def groups(data: Dataset, rows: np.ndarray, column: str) -> list[np.ndarray]:
    """Who of some rows belongs to each group that has enough of them, bool (n,) each.

    Raises:
        InputError: fewer than two have.
    """
    values = np.array([str(one) for one in data.table.column(column).take(rows).to_pylist()])
    names, counts = np.unique(values, return_counts=True)
    found = [values == name for name, count in zip(names, counts, strict=True) if count >= LEAST_ROWS]
    if len(found) < 2:
        do = "Name another column, or give more rows."
        raise InputError(f"two groups of {LEAST_ROWS} rows or more in {column!r}", f"{len(found)}", do)
    return found


def leaned(
    data: Dataset, head: HeadSpec, held: Held, rows: np.ndarray, calibration: Calibration, policy: Policy
) -> tuple[Calibration, dict[str, Any]]:
    """The calibration with a lean towards or away from the good label, and what it does on the rows it was chosen on.

    Args:
        data: its column says who belongs together.
        head: of the task; one label a row.
        held: answers to rows the model has not seen.
        rows: their numbers.
        calibration: as it is without a policy.
        policy: what is asked.
    """
    together = groups(data, rows, policy.column)
    good = list(data.labels).index(policy.good)
    answers = decide(head, held.logits, calibration).probabilities
    others = np.delete(answers, good, axis=1).max(axis=1)
    edges = np.log(np.maximum(others, 1e-12)) - np.log(np.maximum(answers[:, good], 1e-12))  # the lean from which it is given
    tried = np.unique([0.0, *np.quantile(edges, np.linspace(0, 1, TRIED))])
    behind = np.delete(answers, good, axis=1).argmax(axis=1)
    behind = behind + (behind >= good)  # the best label but the good one

    def leaning(lean: float) -> tuple[float, float, float]:
        given = edges < lean
        right = np.where(given, good, behind) == held.gold
        return apart(given, held.gold == good, together, policy.policy), float(right.mean()), lean

    plain = leaning(0.0)
    best = plain  # what keeps to the policy already is left as it is
    if plain[0] > policy.most:
        best = min(map(leaning, tried.tolist()), key=lambda found: (max(0.0, found[0] - policy.most), -found[1], abs(found[2])))
    if best[0] > policy.most:
        said = f"No threshold brings {policy.column!r} within {policy.most:g} ({policy.policy}): {best[0]:.3f} is the nearest."
        events.emit("warning", text=said)
    leans = tuple(best[2] if label == good else 0.0 for label in range(len(data.labels)))
    told = {"policy": policy.policy, "column": policy.column, "before": plain[0], "after": best[0], "lean": best[2]}
    told |= {"accuracy_before": plain[1], "accuracy_after": best[1]}
    return (calibration if best[2] == 0.0 else replace(calibration, leans=leans)), told


def apart(given: np.ndarray, due: np.ndarray, groups: list[np.ndarray], policy: str) -> float:
    """How far groups are apart: 0 when they are treated alike, 1 at most.

    Args:
        given: who gets the good answer, bool (n,).
        due: whose label it is, bool (n,).
        groups: rows of each group, bool (n,).
        policy: among `POLICIES`.
    """
    if policy == "equal_opportunity":
        groups = [group & due for group in groups if (group & due).any()]
    rates = [float(given[group].mean()) for group in groups]
    if not rates:
        return 0.0
    if policy == "four_fifths":
        return 1.0 - min(rates) / max(rates) if max(rates) else 0.0
    return max(rates) - min(rates)
