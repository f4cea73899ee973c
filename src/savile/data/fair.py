"""Training rows drawn so that a group says nothing of the label: every group has every label as often as it would by chance.

``data.steps.fair: {column: sex}``. Reweighing (Kamiran and Calders 2012) by drawing: of a group and a label with fewer rows
than the product of both shares, rows are repeated; of one with more, some are left out. The number of rows stays, and rows
that judge (validation, calibration, test) are as they were. Any family learns from it; see `savile.evaluation.fairness` for
what it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from pydantic import ConfigDict

from savile.base.errors import InputError, UnknownNameError
from savile.base.events import emit
from savile.base.page import Page
from savile.base.recipe import SECTION
from savile.base.records import Dataset
from savile.data._draft import Draft, counted

AFTER = "splits"
MOST_GROUPS = 50


@dataclass(frozen=True)
class Settings:
    """Whose groups are evened out.

    Attributes:
        column: column of the groups.
        share: how far, from 0 (as it is) to 1 (independent of the label).
        seed: of the draws.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    column: str
    share: float = 1.0
    seed: int = 0


def apply(draft: Draft, settings: Settings) -> Draft:
    """Draw the training rows again.

    Raises:
        UnknownNameError: there is no such column.
        InputError: it has no groups, or the task has no labels.
    """
    if settings.column not in draft.table.column_names:
        raise UnknownNameError("column", settings.column, draft.table.column_names)
    if not draft.one_label or not 0 <= settings.share <= 1:
        received = f"the task {draft.task}, a share of {settings.share:g}"
        raise InputError("one label a row, and a share from 0 to 1, for data.steps.fair", received, "Leave the step out.")
    train = draft.parts["train"]
    names, group = np.unique(
        [str(one) for one in draft.table.column(settings.column).take(train).to_pylist()], return_inverse=True
    )
    if not 2 <= len(names) <= MOST_GROUPS:
        received = f"{len(names)} values in {settings.column!r}"
        raise InputError(f"2 to {MOST_GROUPS} groups", received, "Name another column in data.steps.fair.")
    labels = np.unique(draft.classes()[train], return_inverse=True)[1]
    drawn = evened(group, labels, settings.share, np.random.default_rng(settings.seed))
    outcome = {"column": settings.column, **_said(group, labels, names, drawn)}
    emit("note", text=verdict(outcome))
    return replace(draft, parts={**draft.parts, "train": np.sort(train[drawn])}).telling("fair", outcome)


def evened(group: np.ndarray, label: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Places of rows, int64 (n,), some of them repeated, with group and label independent at a share of 1.

    Args:
        group, label: numbers from 0, int64 (n,).
        share: how far.
        rng: of the draws.
    """
    counts = np.zeros((group.max() + 1, label.max() + 1))
    np.add.at(counts, (group, label), 1)
    due = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0, keepdims=True) / len(group)
    due = np.where(counts > 0, counts + share * (due - counts), 0.0)
    wanted = _rounded(due * len(group) / due.sum(), len(group))
    chosen = []
    for one, other in np.argwhere(counts > 0):
        rows = rng.permutation(np.flatnonzero((group == one) & (label == other)))
        chosen.append(np.resize(rows, wanted[one, other]))
    drawn: np.ndarray = np.concatenate(chosen)
    return drawn


def _rounded(due: np.ndarray, total: int) -> np.ndarray:
    """Whole numbers near `due` that sum to `total`: the largest rests are rounded up."""
    found: np.ndarray = np.floor(due).astype(np.int64)
    rest = (due - found).ravel()
    found.ravel()[np.argsort(-rest, kind="stable")[: total - int(found.sum())]] += 1
    return found


def verdict(outcome: Mapping[str, Any]) -> str:
    """What was done, in a sentence."""
    rows, column = counted(outcome["rows"], "training row"), outcome["column"]
    says = "nothing" if outcome["after"] < 0.01 else "less"
    return (
        f"{outcome['repeated']:,} of {rows} are repeated and {outcome['left_out']:,} left out, so that {column!r} says {says} "
        f"of the label: shares of a label differ between groups by at most {outcome['after']:.1%}, "
        f"before by {outcome['before']:.1%}."
    )


def tell(outcome: Mapping[str, Any]) -> None:
    """Say it again."""
    emit("note", text=verdict(outcome))


def section(page: Page, data: Dataset, outcome: Mapping[str, Any]) -> None:
    """The same on the data page."""
    page.heading("Groups evened out")
    page.text(verdict(outcome))
    page.table(["group", "rows before", "rows now"], outcome["groups"])


def _said(group: np.ndarray, label: np.ndarray, names: np.ndarray, drawn: np.ndarray) -> dict[str, Any]:
    times = np.bincount(drawn, minlength=len(group))
    before, after = np.bincount(group, minlength=len(names)), np.bincount(group[drawn], minlength=len(names))
    return {
        "rows": len(group),
        "repeated": int(np.maximum(times - 1, 0).sum()),
        "left_out": int((times == 0).sum()),
        "before": _gap(group, label),
        "after": _gap(group[drawn], label[drawn]),
        "groups": [[str(name), int(one), int(other)] for name, one, other in zip(names, before, after, strict=True)],
    }


def _gap(group: np.ndarray, label: np.ndarray) -> float:
    """By how much the share of a label differs between two groups at most."""
    counts = np.zeros((group.max() + 1, label.max() + 1))
    np.add.at(counts, (group, label), 1)
    rates = counts[counts.sum(axis=1) > 0]
    rates = rates / rates.sum(axis=1, keepdims=True)
    return float((rates.max(axis=0) - rates.min(axis=0)).max())
