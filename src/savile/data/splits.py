"""Divides the rows into train, valid, calib and test, so that what is measured was never seen.

A given test file is kept as it is. Otherwise 20 % of the rows become the test part: the latest when there is a time column,
whole groups when there is a group column, else the same share of every class. `valid` and `calib` come out of train. When train
is small they stay empty, and out-of-fold predictions take their place. Rows of the same or nearly the same text stay together.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from savile.base.events import emit
from savile.data import profile
from savile.data._draft import Draft, finding
from savile.data._draw import draw, shares

TEST_SHARE = 0.20
SIDE_SHARE = 0.05  # valid and calib, each, of train
SIDE_MIN, SIDE_MAX, SIDE_PER_CLASS = 200, 2_000, 2
TRAIN_MIN, CLASS_MIN = 2_000, 30  # below either there are no valid and calib parts
LEAK = 0.10  # share of overlapping test rows from which the measured accuracy is not to be trusted
CUT_TOLERANCE = 0.5  # a time cut may miss the wished share by this much of it


def apply(draft: Draft) -> Draft:
    """Fill in the parts."""
    rng = np.random.default_rng(draft.options.seed)
    labels = np.unique(np.array(draft.values("label")), return_inverse=True)[1]
    own = np.flatnonzero(draft.kept & ~draft.given)
    units = _units(draft)
    if draft.given.any():
        draft = _report_overlap(draft)
        train, test = own, np.flatnonzero(draft.kept & draft.given)
    else:
        draft, train, test = _test_part(draft, own, units, labels, rng)
    train, valid, calib = _sides(draft, train, units, labels, rng)
    parts = {"train": train, "valid": valid, "calib": calib, "test": test}
    parts = {name: np.sort(rows).astype(np.int64) for name, rows in parts.items()}
    emit("parts", **{name: len(rows) for name, rows in parts.items()})
    return _unseen(replace(draft, parts=parts), labels)


def _units(draft: Draft) -> np.ndarray:
    """What stays together: rows of nearly equal text, and all rows of a group when groups steer the split."""
    if "group" not in draft.roles:
        return draft.units
    values = np.array(draft.values("group"))
    alone = values == ""
    group = np.unique(values, return_inverse=True)[1]
    group[alone] = len(values) + np.arange(alone.sum())
    return join(draft.units, np.unique(group, return_inverse=True)[1])


def join(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The finest grouping of rows (n,) in which both groupings hold together what they hold: connected components."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes = int(first.max()) + int(second.max()) + 2
    edges = coo_array((np.ones(len(first)), (first, first.max() + 1 + second)), shape=(nodes, nodes))
    grouping: np.ndarray = connected_components(edges, directed=False)[1][first]
    return grouping


def _test_part(
    draft: Draft, own: np.ndarray, units: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> tuple[Draft, np.ndarray, np.ndarray]:
    """Train and test of rows that came without a test file."""
    if "time" in draft.roles:
        late = _late(draft, own)
        if late is not None:
            return _cut_by_time(draft, own, late)
    counts = np.bincount(labels[own])
    wanted = shares(counts, round(TEST_SHARE * len(own)), most=np.maximum(counts - 1, 0))
    chosen = draw(units[own], labels[own], wanted, rng.permutation(len(own)))
    return draft, own[~chosen], own[chosen]


def _when(draft: Draft, rows: np.ndarray) -> np.ndarray:
    """Seconds since 1970 of some rows; rows without a date come before all others."""
    column = draft.table.column(draft.roles["time"]).combine_chunks()
    when: np.ndarray = np.nan_to_num(profile.seconds(column)[rows], nan=-np.inf)
    return when


def _late(draft: Draft, own: np.ndarray) -> np.ndarray | None:
    """True for the latest rows, about the wished share; None when no point in time cuts near it."""
    when = _when(draft, own)
    moments, rows = np.unique(when, return_counts=True)
    later = 1.0 - np.cumsum(rows) / len(own)  # share of rows after each moment
    best = int(np.argmin(np.abs(later - TEST_SHARE)))
    if abs(later[best] - TEST_SHARE) > CUT_TOLERANCE * TEST_SHARE:
        return None
    late: np.ndarray = when > moments[best]
    return late


def _cut_by_time(draft: Draft, own: np.ndarray, late: np.ndarray) -> tuple[Draft, np.ndarray, np.ndarray]:
    """The latest rows are the test part; earlier rows that say nearly the same are left out of train."""
    train, test = own[~late], own[late]
    again = np.isin(draft.units[train], draft.units[test])
    if again.any():
        rows = train[again]
        evidence = (
            f"{len(rows):,} earlier rows say the same or nearly the same as a later test row, and are left out of training."
        )
        kept = draft.kept.copy()
        kept[rows] = False
        draft = replace(draft, kept=kept)
        draft = draft.noting(finding("test_overlap", "note", rows, evidence))
    return draft, train[~again], test


def _sides(
    draft: Draft, train: np.ndarray, units: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train, valid and calib out of the training rows; the latter two are empty when train is small."""
    counts = np.bincount(labels[train])
    if len(train) < TRAIN_MIN or counts[counts > 0].min() < CLASS_MIN:
        return train, train[:0], train[:0]
    least = np.where(counts > 0, SIDE_PER_CLASS, 0)
    size = min(max(round(SIDE_SHARE * len(train)), SIDE_MIN, int(least.sum())), SIDE_MAX)
    wanted = shares(counts, size, most=counts, least=least)
    sides = []
    for _ in range(2):
        order = np.argsort(-_when(draft, train), kind="stable") if "time" in draft.roles else rng.permutation(len(train))
        chosen = draw(units[train], labels[train], wanted, order)
        sides.append(train[chosen])
        train = train[~chosen]
    return train, sides[1], sides[0]  # by time, calib is the later of the two


def _report_overlap(draft: Draft) -> Draft:
    """A published split is kept; what it shares between train and test is reported."""
    train, test = draft.kept & ~draft.given, draft.kept & draft.given
    rows = np.flatnonzero(test & np.isin(draft.units, draft.units[train]))
    if not len(rows):
        return draft
    share = len(rows) / int(test.sum())
    evidence = (
        f"{len(rows):,} test rows ({share:.1%}) say the same or nearly the same as a training row. The given test file is kept "
        "as it is, so the measured accuracy may be too good."
    )
    severity = "error" if share >= LEAK else "warning"
    return draft.noting(finding("test_overlap", severity, rows, evidence, "Remove these rows from one of the two files."))


def _unseen(draft: Draft, labels: np.ndarray) -> Draft:
    """Labels that occur in test and never in train cannot be answered right."""
    test = draft.parts["test"]
    rows = test[~np.isin(labels[test], labels[np.concatenate([draft.parts[name] for name in ("train", "valid", "calib")])])]
    if not len(rows):
        return draft
    names = sorted({draft.values("label")[row] for row in rows})
    evidence = (
        f"{len(rows):,} test rows have labels that no training row has: {', '.join(names[:5])}. They count as wrong answers."
    )
    return draft.noting(
        finding("label_only_in_test", "warning", rows, evidence, "Add training rows of these labels, or correct them.")
    )
