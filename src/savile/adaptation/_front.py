"""Compromises between several goals, of which more is always better here: which no other beats, what they cover, which to take.

Non-dominated sorting and the hypervolume of a front against a fixed reference point (Zitzler and Thiele 1998).
"""

from __future__ import annotations

import numpy as np


def front(values: np.ndarray) -> np.ndarray:
    """Rows, int64, that no other row beats: as good in every goal and better in one; equal rows stay. Values are (n, goals)."""
    better = np.all(values[None] >= values[:, None], axis=2) & np.any(values[None] > values[:, None], axis=2)
    return np.flatnonzero(~better.any(axis=1))


def layers(values: np.ndarray) -> list[np.ndarray]:
    """Rows in the order of fronts: the first, then what is the front without it, and so on."""
    left, found = np.arange(len(values)), []
    while len(left):
        chosen = left[front(values[left])]
        found.append(chosen)
        left = np.setdiff1d(left, chosen)
    return found


def hypervolume(values: np.ndarray, reference: np.ndarray) -> float:
    """The volume between a reference point (goals,), worse than all that counts, and what rows (n, goals) are at least as
    good as.
    """
    over = np.unique(values[(values > reference).all(axis=1)], axis=0)
    if not len(over):
        return 0.0
    over = over[front(over)]
    if over.shape[1] == 1:
        return float(over.max() - reference[0])
    # slices of the last goal, from its highest level down: within one, the others cover a volume of one goal less
    over = over[np.argsort(-over[:, -1], kind="stable")]
    depths = np.append(over[1:, -1], reference[-1])
    return sum(
        hypervolume(over[: row + 1, :-1], reference[:-1]) * float(over[row, -1] - depths[row])
        for row in range(len(over))
        if over[row, -1] > depths[row]
    )


def knee(values: np.ndarray) -> int:
    """The row that is nearest, of goals stretched from 0 to 1 over the front, to being best in all of them."""
    kept = front(values)
    low, high = values[kept].min(axis=0), values[kept].max(axis=0)
    short = (high - values[kept]) / np.where(high > low, high - low, 1.0)
    return int(kept[np.argmin(np.square(short).sum(axis=1))])
