"""The exact Shapley value of every training row for a nearest-neighbour classifier, in one sort for each question.

A coalition S of training rows is worth, for one question with label y, the share of right votes among its K nearest rows:
u(S) = 1/K sum over the nearest min(K, |S|) of 1[label = y]. Jia et al. (VLDB 2019) show that the Shapley values then follow
from the far end of the sorted rows by a recursion: s_N = 1[y_N = y] min(K, N) / (N K), s_i = s_(i+1) + (1[y_i = y] - 1[y_(i+1)
= y]) / max(K, i). With `soft`, votes are divided by min(K, |S|) and no rows at all are worth a guess, 1/C (Wang and Jia 2023):
then a row is not paid for making up the number of votes. The sum over rows is u of all rows less u of none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

CELLS = 1 << 22  # distances held at once: 16 MB and a few times that while they are sorted


@dataclass(frozen=True)
class Points:
    """Rows as points: features (n, d), float32, and label numbers (n,)."""

    features: np.ndarray
    labels: np.ndarray

    def take(self, rows: np.ndarray) -> Points:
        """Some of them."""
        return Points(self.features[rows], self.labels[rows])


def blocks(rows: Points, questions: Points, k: int, soft: int = 0) -> Iterator[tuple[slice, np.ndarray]]:
    """The value of every row for every question, some questions at a time.

    Args:
        rows: training rows, at least one.
        questions: rows whose labels are to be found.
        k: number of neighbours that vote.
        soft: number of classes for the soft-label utility; 0 for the original one.

    Yields:
        Which questions, and values float64 (questions, rows).
    """
    step = max(1, CELLS // max(len(rows.labels), 1))
    lengths = np.einsum("ij,ij->i", rows.features, rows.features)
    for start in range(0, len(questions.labels), step):
        some = slice(start, min(start + step, len(questions.labels)))
        distance = lengths - 2.0 * (questions.features[some] @ rows.features.T)
        order = np.argsort(distance, axis=1, kind="stable")
        right = (rows.labels[order] == questions.labels[some, None]).astype(np.float64)
        sorted_values = _soft(right, k, soft) if soft else _hard(right, k)
        values = np.empty_like(sorted_values)
        np.put_along_axis(values, order, sorted_values, axis=1)
        yield some, values


def values(rows: Points, questions: Points, k: int, soft: int = 0) -> np.ndarray:
    """The value of every row, the mean over all questions, float64 (n,)."""
    total = np.zeros(len(rows.labels))
    for _, part in blocks(rows, questions, k, soft):
        total += part.sum(axis=0)
    return total / max(len(questions.labels), 1)


def _hard(right: np.ndarray, k: int) -> np.ndarray:
    """Values of sorted rows, nearest first, from whether each has the right label, (questions, rows)."""
    n = right.shape[1]
    place = np.arange(1, n)
    steps = (right[:, :-1] - right[:, 1:]) / np.maximum(k, place)
    return _from_far(steps, right[:, -1] * (min(k, n) / (n * k)))


def _soft(right: np.ndarray, k: int, classes: int) -> np.ndarray:
    """The same for votes divided by how many vote.

    For two neighbours in the order, i and i + 1, the difference of their values is (right_i - right_(i+1)) times the mean over
    sizes s of coalitions without both, of the chance that fewer than K of them are nearer, over the number of votes min(K, s +
    1). With i - 1 nearer rows and s drawn evenly from 0 to N - 2 that chance sums to the closed form below.
    """
    n = right.shape[1]
    if n == 1:
        return right - 1.0 / classes
    place = np.arange(1, n)
    votes = min(k, n - 1)
    harmonic = float((1.0 / np.arange(1, votes + 1)).sum())
    nearer = (np.minimum(place, k) * (n - 1) / place - votes) / k
    steps = (right[:, :-1] - right[:, 1:]) / (n - 1) * (harmonic + nearer)
    rest = right[:, :-1].mean(axis=1)
    growing = float((1.0 / np.arange(2, min(k, n) + 1)).sum())  # 1/(s + 1) for each size at which the farthest still votes
    last = (right[:, -1] - 1.0 / classes) / n + (right[:, -1] - rest) * growing / n
    return _from_far(steps, last)


def _from_far(steps: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The farthest row's value, and going nearer the sum of all steps on the way, (questions, rows)."""
    found = np.empty((steps.shape[0], steps.shape[1] + 1))
    found[:, -1] = last
    found[:, :-1] = last[:, None] + np.cumsum(steps[:, ::-1], axis=1)[:, ::-1]
    return found
