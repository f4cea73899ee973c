"""Vectors of texts, so that what belongs together lies close: questions and answers, messages and subjects, near names.

A row is a text, another one, and how well they go together: a number, 1 in every row where there is no such column. Rows above
the middle of these numbers are pairs to be found again among all other texts; those below are texts that look right and are
not. Measured is how high the right texts stand for each text (NDCG at 10), and where rows are scored how well similarities
order them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

from savile.base import answers
from savile.base.contracts import HeadSpec
from savile.base.errors import DataError
from savile.tasks._texts import fields, render

__all__ = [
    "GROUPED",
    "METRIC",
    "NAME",
    "PAIRS",
    "UNLABELLED",
    "alike",
    "each",
    "fields",
    "head",
    "labels",
    "middle",
    "paired",
    "plain",
    "render",
    "score",
    "standing",
    "targets",
]

PAIRS = True  # two texts a row
GROUPED = True  # rows of one first text stay together
UNLABELLED = "1"  # how well a row's texts go together where no column says it
METRIC = "ndcg_10"
NAME = "similarity"
DEPTH = 10
DIGITS = 6  # bytes of a text's number, which a float64 holds exactly
ROWS = 512  # texts whose similarities are in memory at once


def labels(values: Sequence[Any]) -> tuple[str, ...]:
    """One output: how alike two texts are."""
    return (NAME,)


def targets(values: Sequence[Any], labels: Sequence[str]) -> np.ndarray:
    """Cells -> how well the texts of each row go together, float64 (n,).

    Raises:
        DataError: a cell is no number.
    """
    return np.array([_number(value) for value in values], dtype=np.float64)


def paired(values: Sequence[Any], texts: Sequence[str]) -> np.ndarray:
    """Cells and pairs -> how well they go together, and a number for the first and for the second text, float64 (n, 3)."""
    sides = [[_known(side) for side in answers.parted(text)] for text in texts]
    return np.column_stack([targets(values, ()), np.array(sides, dtype=np.float64).reshape(-1, 2)])


def head(width: int) -> HeadSpec:
    """A vector of unit length a text, as long as the base makes it."""
    return HeadSpec(outputs=width, loss="contrastive", decode=plain)


def plain(logits: np.ndarray) -> np.ndarray:
    """Vectors are the answer."""
    return np.asarray(logits, dtype=np.float64)


def score(predicted: Sequence[Any], gold: Sequence[Any]) -> float:
    """NDCG at 10 of the right texts, or where rows have scores the rank correlation (Spearman), no less than 0; 0 of no rows.

    Args:
        predicted: vectors of both texts, (n, 2 d).
        gold: see `paired`.
    """
    vectors, right = np.asarray(predicted), np.asarray(gold)
    if not len(right):
        return 0.0
    if len(np.unique(right[:, 0])) > 2:
        from scipy.stats import spearmanr

        found = float(spearmanr(alike(vectors), right[:, 0]).statistic)
        return max(0.0, found) if math.isfinite(found) else 0.0
    gains = each(vectors, right)
    return float(gains.mean()) if len(gains) else 0.0


def alike(vectors: np.ndarray) -> np.ndarray:
    """Vectors of both texts (n, 2 d) -> how alike they are, float64 (n,)."""
    first, second = np.split(np.asarray(vectors), 2, axis=1)
    return np.asarray(np.einsum("nd,nd->n", first, second, dtype=np.float64))


def middle(relevance: np.ndarray) -> float:
    """Rows that go together better than this are pairs; where all are alike, all are."""
    return float(relevance.min() + relevance.max()) / 2 if len(relevance) and relevance.min() < relevance.max() else -math.inf


def each(vectors: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """NDCG at 10 of every first text with a right second one, float64 (q,)."""
    return np.array([ndcg(places) for places in standing(vectors, gold)])


def ndcg(places: np.ndarray) -> float:
    """Places of the right ones, from 0 and in order -> NDCG at 10 (Järvelin and Kekäläinen 2002)."""
    gains = (1.0 / np.log2(places[places < DEPTH] + 2)).sum()
    return float(gains / (1.0 / np.log2(np.arange(min(len(places), DEPTH)) + 2)).sum())


def standing(vectors: np.ndarray, gold: np.ndarray) -> Iterator[np.ndarray]:
    """For each first text with a right second one, where the right ones stand among all second texts, from 0 and in order.

    Of texts that are equally alike the right one stands behind.
    """
    first, second = np.split(np.asarray(vectors, dtype=np.float32), 2, axis=1)
    right = gold[:, 0] > middle(gold[:, 0])
    _, candidates, column = np.unique(gold[:, 2], return_index=True, return_inverse=True)
    names, queries, row = np.unique(gold[:, 1], return_index=True, return_inverse=True)
    due = np.zeros((len(names), len(candidates)), dtype=bool)
    due[row[right], column[right]] = True
    asked = np.flatnonzero(due.any(axis=1))
    for start in range(0, len(asked), ROWS):
        some = asked[start : start + ROWS]
        found = first[queries[some]] @ second[candidates].T
        for similar, good in zip(found, due[some], strict=True):
            order = np.lexsort((good, -similar))
            yield np.flatnonzero(good[order])


def _known(text: str) -> int:
    """A number that is the same for the same text."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGITS).digest(), "big")


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        do = "Write how well the texts go together, 1 for yes and 0 for no or any scale, or leave the column out."
        raise DataError("a number in every cell of the label column", repr(value), do)
    return number
