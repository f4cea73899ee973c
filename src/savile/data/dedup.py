"""Finds rows with the same or nearly the same text, drops exact repeats from training, and keeps the rest of a family together.

Two texts are the same when their normal forms are (NFKC, case folded, white space collapsed), and nearly the same when the
Jaccard similarity of their sets of character 5-grams is at least 0.85, which keeps them in one part. Copies of which up to a
tenth was edited are told of too; they are not held together, as headlines of one form on two firms are as near. All work for
Chinese, which has no spaces to split at. Of a file that is too large to be learnt from whole, all rows are looked at; how they
meet says `_copies`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from savile.base import mask, media
from savile.base.records import Finding, canonical, digest
from savile.data import _columns, _copies, _spill
from savile.data._copies import normal as normal
from savile.data._draft import SCORE, Draft, Whole, counted, finding
from savile.data._gather import room
from savile.data._over import over

if TYPE_CHECKING:
    import pyarrow as pa

REPAIR = "Decide on one label for each of these texts."
MOSTLY = 0.5  # share of rows that agree with others from which a table simply has few different rows


def apply(draft: Draft) -> Draft:
    """Fill in `units`, and leave out rows that repeat an earlier one with the same label."""
    import pyarrow as pa

    if "text" not in draft.roles:
        return _rows(draft)
    used, whole = np.flatnonzero(draft.kept), _whole(draft)
    texts = [text + seen for text, seen in zip(draft.values("text"), _media(draft), strict=True)]
    own = pa.table({"text": pa.array(texts, pa.string()), "label": pa.array(draft.values("label"), pa.string())}).take(used)
    tables, places = _copies.cut(own), np.arange(len(used))
    if whole is not None:  # the sample is among all rows; rows of a given test file come behind them
        given = draft.given[used]
        tables = chain(_streamed(draft, whole), _copies.cut(own.filter(given)))
        places = np.empty(len(used), dtype=np.int64)
        places[~given], places[given] = whole.places[used[~given]], whole.count + np.arange(given.sum())
    found = _copies.find(over(_copies.look, tables, draft.options.where), room(draft.options.read))
    units, none = np.arange(len(draft.kept)) + len(found.same), np.full(len(draft.kept), -1)
    near, exact = none.copy(), none
    units[used], near[used], exact[used] = found.alike[places], found.near[places], found.same[places]
    draft = replace(draft, units=units)
    told = _near(_conflicts(_repeats(draft, exact), exact), exact, near)
    return told if whole is None else _of_all(told, found, whole.count)


def _whole(draft: Draft) -> Whole | None:
    """All rows, where the draft has a sample of them whose texts are as they stand in the file."""
    whole = draft.whole
    if whole is None or _senses(draft) or not {draft.roles["text"], draft.roles["label"]} <= whole.rows.columns:
        return None
    return whole


def _streamed(draft: Draft, whole: Whole) -> Iterator[pa.Table]:
    """Texts and labels of all rows, as the sample has them: trimmed and masked; without a text where one of the two is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    masker, roles = mask.Masker(draft.policy, draft.keys), (draft.roles["text"], draft.roles["label"])
    for table in whole.rows:
        if not set(roles) <= set(table.column_names):  # of several files one that lacks a column
            yield from _copies.cut(pa.table({"text": [""] * len(table), "label": [""] * len(table)}))
            continue
        text, label = (_columns.trimmed(table.column(name)) for name in roles)
        text = pc.if_else(label.is_valid(), text, pa.scalar(None, pa.string())) if draft.one_label else text
        filled = {"text": text, "label": label}
        masked = {
            role: pa.array(masker.many(pc.fill_null(values, "").to_pylist()), pa.string()) for role, values in filled.items()
        }
        yield from _copies.cut(pa.table(masked))


def _media(draft: Draft) -> list[str]:
    """What stands for the pictures and recordings of each row: one text on two of them is two rows."""
    names = _senses(draft)
    if not names:
        return [""] * draft.table.num_rows
    cells = zip(*(draft.table.column(name).to_pylist() for name in names), strict=True)
    return [" " + digest(canonical(row)) for row in cells]


def _senses(draft: Draft) -> list[str]:
    """The columns of pictures and recordings."""
    return [one.name for one in draft.columns if one.role in media.KINDS and one.name in draft.table.column_names]


def _rows(draft: Draft) -> Draft:
    """Without a text: rows that agree in every column but the label stay together, unless most rows do so by nature."""
    import pyarrow as pa

    used = np.flatnonzero(draft.kept)
    table = draft.table.drop_columns([draft.roles["label"]]).take(pa.array(used))
    keys = [column.combine_chunks().dictionary_encode(null_encoding="encode").indices.to_numpy() for column in table.columns]
    if not keys:
        return draft
    same = np.unique(np.stack(keys, axis=1), axis=0, return_inverse=True)[1]
    again = np.bincount(same)[same] > 1
    if not again.any() or again.mean() > MOSTLY:
        return draft
    units = np.arange(len(draft.kept)) + len(used)
    units[used] = same
    rows = used[again]
    evidence = f"{counted(len(rows), 'row')} agree with another in all columns but the label; each such group is in one part."
    return replace(draft, units=units).noting(finding("same_columns", "note", rows, evidence))


def _repeats(draft: Draft, exact: np.ndarray) -> Draft:
    """One row of each text and label is enough for training; a given test file is left alone."""
    rows = np.flatnonzero(draft.kept & ~draft.given)
    labels = np.unique(np.array(draft.values("label")), return_inverse=True)[1]
    _, first = np.unique(_pairs(exact[rows], labels[rows]), return_index=True)
    again = np.delete(rows, first)
    if not len(again):
        return draft
    kept = draft.kept.copy()
    kept[again] = False
    evidence = f"{counted(len(again), 'row')} with text and label of an earlier row, {draft.where(again)}; one of each is used."
    return replace(draft, kept=kept).noting(finding("exact_duplicate", "note", again, evidence))


def _conflicts(draft: Draft, exact: np.ndarray) -> Draft:
    """The same text under different labels: at most one of them is right, or both are and the task has several labels."""
    if draft.task == SCORE:
        return draft
    rows = np.flatnonzero(draft.kept)
    labels = np.unique(np.array(draft.values("label")), return_inverse=True)[1]
    _, first = np.unique(_pairs(exact[rows], labels[rows]), return_index=True)
    texts, count = np.unique(exact[rows][first], return_counts=True)
    disputed = texts[count > 1]
    if not len(disputed):
        return draft
    rows = rows[np.isin(exact[rows], disputed)]
    evidence = f"{counted(len(disputed), 'text')} under more than one label, {counted(len(rows), 'row')}, {draft.where(rows)}."
    return draft.noting(finding("label_conflict", "warning", rows, evidence, REPAIR))


def _near(draft: Draft, exact: np.ndarray, near: np.ndarray) -> Draft:
    """Texts that are nearly the same, told of because they look like more evidence than they are."""
    rows = np.flatnonzero(draft.kept)
    _, first = np.unique(exact[rows], return_index=True)
    families, count = np.unique(near[rows][first], return_counts=True)
    rows = rows[np.isin(near[rows], families[count > 1])]
    if not len(rows):
        return draft
    evidence = f"{len(rows):,} rows in {counted(int((count > 1).sum()), 'cluster')} of nearly the same text"
    alike, size = np.unique(draft.units[rows], return_counts=True)
    together = int(np.isin(draft.units[rows], alike[size > 1]).sum())
    if together and not draft.given.any():
        evidence += f"; {together:,} of them are so close that they stay in one part with their like"
    return draft.noting(finding("near_duplicate", "note", rows, evidence + "."))


def _of_all(draft: Draft, found: _copies.Copies, count: int) -> Draft:
    """Findings about all rows of a file of which a sample is used, in place of those about the sample."""
    again = disputed = conflicts = near = clusters = 0
    labels, sizes = (_spill.array(len(found.same), np.uint32) for _ in range(2))
    pieces = [np.arange(start, min(start + _copies.PIECE, count)) for start in range(0, count, _copies.PIECE)]
    for rows in pieces:
        first = rows[found.first[rows] == rows]
        again += len(rows) - len(first)
        np.add.at(labels, found.same[first], 1)
        np.add.at(sizes, found.near[rows[found.same[rows] == rows]], 1)
    for rows in pieces:
        first = rows[found.first[rows] == rows]
        disputed += int((labels[rows] > 1).sum())
        conflicts += int((labels[found.same[first]] > 1).sum())
        near += int((sizes[found.near[first]] > 1).sum())
        clusters += int((sizes[rows] > 1).sum())
    of, how = f"of all {count:,} rows", "" if found.exact else "; so large a file is searched by hashes, which miss a few"
    said = {
        "exact_duplicate": (again, f"{again:,} {of} have text and label of an earlier one; one of each is used."),
        "near_duplicate": (near, f"{near:,} {of} in {counted(clusters, 'cluster')} of nearly the same text{how}."),
    }
    if draft.task != SCORE:
        evidence = f"{counted(disputed, 'text')} under more than one label, {conflicts:,} {of}."
        said["label_conflict"] = (conflicts, evidence)
    seen = {one.rule: one.rows for one in draft.findings}
    others = tuple(one for one in draft.findings if one.rule not in said)
    draft = replace(draft, findings=others)
    for rule, (number, evidence) in said.items():
        severity, repair = ("warning", REPAIR) if rule == "label_conflict" else ("note", "")
        if number:
            draft = draft.noting(Finding(rule, severity, number, evidence, seen.get(rule, ()), repair=repair))
    return draft


def _pairs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """One number for each pair of numbers, int64 (n,)."""
    numbers: np.ndarray = first * (int(second.max(initial=0)) + 1) + second
    return numbers
