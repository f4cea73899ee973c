"""Finds rows with the same or nearly the same text, drops exact repeats from training, and keeps the rest of a family together.

Two texts are the same when their normal forms are (NFKC, case folded, white space collapsed), and nearly the same when the
Jaccard similarity of their sets of character 5-grams is at least 0.85, which keeps them in one part. Copies of which up to a
tenth was edited are told of too; they are not held together, as headlines of one form on two firms are as near. All work for
Chinese, which has no spaces to split at. The join is exact, see `_similar`.
"""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import numpy as np

from savile.data import _similar
from savile.data._draft import SCORE, Draft, counted, finding

MOSTLY = 0.5  # share of rows that agree with others from which a table simply has few different rows


def normal(text: str) -> str:
    """The form in which texts are compared."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def apply(draft: Draft) -> Draft:
    """Fill in `units`, and leave out rows that repeat an earlier one with the same label."""
    if "text" not in draft.roles:
        return _rows(draft)
    texts = np.array([normal(text) for text in draft.values("text")], dtype=object)
    used = np.flatnonzero(draft.kept)
    distinct, same = np.unique(texts[used], return_inverse=True)
    units = np.arange(len(texts)) + len(distinct)
    families = _similar.families(distinct.tolist())
    units[used] = families.alike[same]
    near = np.full(len(texts), -1)
    near[used] = families.near[same]
    exact = np.full(len(texts), -1)
    exact[used] = same
    draft = replace(draft, units=units)
    return _near(_conflicts(_repeats(draft, exact), exact), exact, near)


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
    return draft.noting(finding("label_conflict", "warning", rows, evidence, "Decide on one label for each of these texts."))


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


def _pairs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """One number for each pair of numbers, int64 (n,)."""
    numbers: np.ndarray = first * (int(second.max(initial=0)) + 1) + second
    return numbers
