"""Divides the rows into train, valid, calib and test, so that what is measured was never seen.

A given test file is kept as it is. Otherwise 20 % of the rows become the test part: the latest when there is a time column,
whole groups when there is a group column, else the same share of every class. `valid` and `calib` come out of train. When train
is small they stay empty, and out-of-fold predictions take their place. Rows of the same or nearly the same text stay together.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from savile.base import answers, dates
from savile.base.events import emit
from savile.base.records import PARTS, Finding
from savile.data._draft import Draft, counted, finding
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
    labels = draft.classes()
    units = _units(draft)
    draft, train, test = _given(draft, units) if draft.given.any() else _own(draft, units, labels, rng)
    draft, train, valid, calib = _sides(draft, train, units, labels, rng)
    named = zip(PARTS, (train, valid, calib, test), strict=True)
    parts = {name: np.sort(rows).astype(np.int64) for name, rows in named}
    emit("parts", **{name: len(rows) for name, rows in parts.items()})
    return _unseen(replace(draft, parts=parts, units=units), labels)


def _units(draft: Draft) -> np.ndarray:
    """What stays together: rows of nearly equal text, and all rows of a group when groups steer the split."""
    if "group" not in draft.roles:
        return draft.units
    values = np.array(draft.values("group"))
    group = np.unique(values, return_inverse=True)[1]
    alone = values == ""
    group[alone] = len(values) + np.arange(alone.sum())
    return join(draft.units, group)


def join(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The finest grouping of rows that holds together whatever one of two groupings, int64 (n,), holds together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes = int(first.max()) + int(second.max()) + 2
    edges = coo_array((np.ones(len(first)), (first, first.max() + 1 + second)), shape=(nodes, nodes))
    grouping: np.ndarray = connected_components(edges, directed=False)[1][first]
    return grouping


def _given(draft: Draft, units: np.ndarray) -> tuple[Draft, np.ndarray, np.ndarray]:
    """A published split is kept; what it shares between train and test is reported."""
    train, test = np.flatnonzero(draft.kept & ~draft.given), np.flatnonzero(draft.kept & draft.given)
    rows = test[np.isin(units[test], units[train])]
    if not len(rows):
        return draft, train, test
    share = len(rows) / len(test)
    of = f", or the same {draft.roles['group']!r}," if "group" in draft.roles else ""
    evidence = (
        f"{counted(len(rows), 'test row')} ({share:.1%}) with the same or nearly the same text{of} as a training row. The "
        "given test file is kept, so the measured accuracy may be too good."
    )
    severity = "error" if share >= LEAK else "warning"
    repair = "Remove these rows from one of the two files."
    return draft.noting(finding("test_overlap", severity, rows, evidence, repair)), train, test


def _own(draft: Draft, units: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> tuple[Draft, np.ndarray, np.ndarray]:
    """Train and test of rows that came without a test file."""
    own = np.flatnonzero(draft.kept)
    if "time" in draft.roles:
        cut = _by_time(draft, own)
        if cut is not None:
            return cut
        draft = _told(
            draft, f"No moment in {draft.roles['time']!r} divides the rows near 80 to 20; every label is divided instead."
        )
    counts = np.bincount(labels[own])
    wanted = shares(counts, round(TEST_SHARE * len(own)), most=counts - 1)
    chosen = draw(units[own], labels[own], wanted, rng.permutation(len(own)))
    if "group" in draft.roles:
        draft = _told(draft, f"No {draft.roles['group']!r} is in two parts; {chosen.mean():.0%} of the rows are the test part.")
    return draft, own[~chosen], own[chosen]


def _by_time(draft: Draft, own: np.ndarray) -> tuple[Draft, np.ndarray, np.ndarray] | None:
    """The latest rows are the test part, and earlier ones of nearly the same text left out; None without a moment to cut."""
    when = _when(draft, own)
    moments, rows = np.unique(when, return_counts=True)
    later = 1.0 - np.cumsum(rows) / len(own)  # share of the rows after each moment
    best = int(np.argmin(np.abs(later - TEST_SHARE)))
    if abs(later[best] - TEST_SHARE) > CUT_TOLERANCE * TEST_SHARE:
        return None
    train, test = own[when <= moments[best]], own[when > moments[best]]
    draft = _told(draft, f"The latest rows by {draft.roles['time']!r}, {later[best]:.0%} of all, are the test part.")
    again = train[np.isin(draft.units[train], draft.units[test])]
    if len(again):
        evidence = f"{counted(len(again), 'earlier row')} with nearly the text of a later test row, not learnt from."
        draft = draft.noting(finding("test_overlap", "note", again, evidence))
    return draft, np.setdiff1d(train, again), test


def _when(draft: Draft, rows: np.ndarray) -> np.ndarray:
    """Seconds since 1970 of some rows; rows without a date come before all others."""
    seconds = dates.seconds(draft.table.column(draft.roles["time"]).combine_chunks())
    when: np.ndarray = np.zeros(len(rows)) if seconds is None else np.nan_to_num(seconds[rows], nan=-np.inf)
    return when


def _sides(
    draft: Draft, train: np.ndarray, units: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> tuple[Draft, np.ndarray, np.ndarray, np.ndarray]:
    """Train, valid and calib out of the training rows; the latter two are empty when train is small."""
    counts = np.bincount(labels[train])
    rarest = int(counts[counts > 0].min())
    if len(train) < TRAIN_MIN or rarest < CLASS_MIN:
        why = f"{len(train):,} rows to learn from, fewer than {TRAIN_MIN:,}"
        if len(train) >= TRAIN_MIN:
            why = f"{rarest} rows of the rarest label, fewer than {CLASS_MIN}"
        usual = "each is judged by models that did not see it"
        judged = "a fifth is when it is adapted" if answers.in_words(draft.task) else usual
        evidence = f"There are {why}: no rows are set apart for validation, {judged}."
        return draft.noting(Finding("small", "note", len(train), evidence)), train, train[:0], train[:0]
    least = np.where(counts > 0, SIDE_PER_CLASS, 0)
    size = min(max(round(SIDE_SHARE * len(train)), SIDE_MIN, int(least.sum())), SIDE_MAX)
    wanted = shares(counts, size, most=counts, least=least)
    sides = []
    for _ in range(2):
        order = np.argsort(-_when(draft, train), kind="stable") if "time" in draft.roles else rng.permutation(len(train))
        chosen = draw(units[train], labels[train], wanted, order)
        sides.append(train[chosen])
        train = train[~chosen]
    calib, valid = sides  # by time, calib is the later of the two
    return draft, train, valid, calib


def _told(draft: Draft, how: str) -> Draft:
    """A note on how the rows were divided."""
    emit("note", text=how)
    return draft.noting(Finding("split", "note", int(draft.kept.sum()), how))


def _unseen(draft: Draft, labels: np.ndarray) -> Draft:
    """Labels that occur in test and never in train cannot be answered right."""
    test = draft.parts["test"] if draft.one_label else draft.parts["test"][:0]
    rows = test[~np.isin(labels[test], labels[np.concatenate([draft.parts[name] for name in ("train", "valid", "calib")])])]
    if not len(rows):
        return draft
    named = draft.values("label")
    names = ", ".join(sorted({named[row] for row in rows})[:5])
    evidence = (
        f"{counted(len(rows), 'test row')} with a label that no training row has: {names}. Such rows count as wrong answers."
    )
    repair = "Add training rows of these labels, or correct them."
    return draft.noting(finding("label_only_in_test", "warning", rows, evidence, repair))
