"""Texts as vectors: how rows of one or two texts are answered, judged and cut short."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from savile.base import answers, catalogue
from savile.base.contracts import Loss
from savile.base.errors import InputError

VECTOR: Loss = "contrastive"
TEMPERATURE = 0.05  # cosines are divided by it
Embed = Callable[[Sequence[str]], np.ndarray]


def paired(texts: Sequence[str], vectors: Embed) -> np.ndarray:
    """Rows of one or two texts -> the vectors of both, float32 (n, 2 d), zeros where there is no second; each text is read
    once.

    Args:
        texts: see `savile.base.answers.pair`.
        vectors: single texts -> (m, d).
    """
    sides = [answers.parted(text) for text in texts]
    there = [(row, side, pair[side]) for row, pair in enumerate(sides) for side in (0, 1) if side == 0 or _two(texts[row])]
    known = {text: place for place, text in enumerate(dict.fromkeys(text for _, _, text in there))}
    single = vectors(list(known))
    found = np.zeros((len(texts), 2, single.shape[1]), dtype=np.float32)
    for row, side, text in there:
        found[row, side] = single[known[text]]
    return found.reshape(len(texts), -1)


def singles(texts: Sequence[str]) -> list[str]:
    """The different texts in rows of one or two."""
    return list(dict.fromkeys(part for text in texts for part in (answers.parted(text) if _two(text) else (text,))))


def _two(text: str) -> bool:
    return answers.PAIR in text


def log_losses(vectors: np.ndarray, gold: np.ndarray, temperature: float = TEMPERATURE) -> np.ndarray:
    """Negative log probability of its second text among all second texts, of each pair that goes together, (p,)."""
    from scipy.special import logsumexp

    first, second = np.split(np.asarray(vectors, dtype=np.float64), 2, axis=1)
    right = np.flatnonzero(gold[:, 0] > catalogue.get("tasks", "embed").middle(gold[:, 0]))
    _, candidates, column = np.unique(gold[:, 2], return_index=True, return_inverse=True)
    scores = first[right] @ second[candidates].T / temperature
    return np.asarray(logsumexp(scores, axis=1) - scores[np.arange(len(right)), column[right]])


def shortened(vectors: np.ndarray, size: int | None) -> np.ndarray:
    """Unit vectors (n, d) -> their first `size` numbers, of unit length again; all of them where it is None.

    Raises:
        InputError: there are not so many.
    """
    if size is None or size == vectors.shape[1]:
        return vectors
    if not 0 < size < vectors.shape[1]:
        raise InputError(f"dimensions from 1 to {vectors.shape[1]}", str(size), "Ask for fewer.")
    cut = vectors[:, :size]
    return np.asarray(cut / np.maximum(np.linalg.norm(cut, axis=1, keepdims=True), 1e-12))
