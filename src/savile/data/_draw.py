"""Draws a part: so many rows of each class, and never half of what belongs together."""

from __future__ import annotations

import numpy as np


def shares(counts: np.ndarray, size: int, most: np.ndarray, least: np.ndarray | None = None) -> np.ndarray:
    """How many rows of each class a part of `size` rows gets: in proportion, by largest remainder, within least and most.

    Args:
        counts: rows of each class, int64 (k,).
        size: rows of the part.
        most: at most that many of each class, (k,).
        least: at least that many of each class, (k,).
    """
    exact = counts * (size / max(int(counts.sum()), 1))
    floor = np.zeros_like(counts) if least is None else least
    got: np.ndarray = np.clip(np.floor(exact).astype(np.int64), floor, most)
    while got.sum() != size:
        step = 1 if got.sum() < size else -1
        room = got < most if step > 0 else got > floor
        if not room.any():
            break
        got[int(np.argmax(np.where(room, step * (exact - got), -np.inf)))] += step
    return got


def draw(units: np.ndarray, labels: np.ndarray, wanted: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Choose rows for a part.

    Units of several rows come first, up to their fair share of the part, and single rows fill it up class by class. Where
    single rows are too few, as when everything is in groups, larger units that are mostly needed follow.

    Args:
        units: rows with one number are chosen or left together, int64 (n,).
        labels: class of each row, int64 (n,).
        wanted: rows wanted of each class, int64 (k,).
        order: the rows in the order of preference, a permutation of n.

    Returns:
        True for the chosen rows, bool (n,). The last row of a class is never among them.
    """
    unit = np.unique(units, return_inverse=True)[1]
    sizes = np.bincount(unit)
    chosen = np.zeros(len(units), dtype=bool)
    need = wanted.copy()
    left = np.bincount(labels, minlength=len(wanted))
    several = _several(unit, sizes, order)
    quota = wanted.sum() / max(len(units), 1) * sum(len(rows) for rows in several)

    def take(rows: np.ndarray, classes: np.ndarray, counts: np.ndarray) -> None:
        chosen[rows] = True
        need[classes] -= counts
        left[classes] -= counts

    for rows in several:
        classes, counts = np.unique(labels[rows], return_counts=True)
        if chosen.sum() + len(rows) <= quota and (counts <= need[classes]).all() and (counts < left[classes]).all():
            take(rows, classes, counts)
    single = order[sizes[unit[order]] == 1]
    single = single[_rank(labels[single]) < np.minimum(need, left - 1)[labels[single]]]
    take(single, *np.unique(labels[single], return_counts=True))
    for rows in several:
        classes, counts = np.unique(labels[rows], return_counts=True)
        useful = np.clip(np.minimum(need[classes], counts), 0, None).sum()
        if not chosen[rows[0]] and 2 * useful > len(rows) and (counts < left[classes]).all():
            take(rows, classes, counts)
    return chosen


def _several(unit: np.ndarray, sizes: np.ndarray, order: np.ndarray) -> list[np.ndarray]:
    """The rows of each unit of more than one row, units in the order of their first row."""
    rows = order[sizes[unit[order]] > 1]
    if not len(rows):
        return []
    _, first, inverse = np.unique(unit[rows], return_index=True, return_inverse=True)
    place = np.argsort(np.argsort(first))[inverse]  # units numbered by their first appearance
    by_unit = np.argsort(place, kind="stable")
    return np.split(rows[by_unit], np.cumsum(np.bincount(place))[:-1])


def _rank(labels: np.ndarray) -> np.ndarray:
    """How many rows of the same class come before each row, int64 (n,)."""
    by_class = np.argsort(labels, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(labels))])
    rank = np.empty(len(labels), dtype=np.int64)
    rank[by_class] = np.arange(len(labels)) - starts[labels[by_class]]
    return rank
