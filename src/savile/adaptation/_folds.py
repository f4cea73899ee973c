"""Small data: folds instead of validation and calibration parts, and the names of the labels as rows of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from savile.base.records import Dataset

FOLDS = 5


def few(data: Dataset) -> bool:
    """Whether out-of-fold answers take the place of validation and calibration parts."""
    return not (len(data.parts.get("valid", ())) and len(data.parts.get("calib", ())))


def assign(targets: np.ndarray, groups: Sequence[Any] | None, seed: int) -> np.ndarray:
    """The fold of each row, int64 (n,): labels spread evenly, or whole groups kept together when there are some."""
    rng = np.random.default_rng(seed)
    folds = min(FOLDS, len(targets)) if groups is None else min(FOLDS, len(set(groups)))
    if groups is not None and folds > 1:
        _, group = np.unique([str(value) for value in groups], return_inverse=True)
        return np.asarray((rng.permutation(group.max() + 1) % folds)[group], dtype=np.int64)
    order = rng.permutation(len(targets))
    order = order[np.argsort(targets[order], kind="stable")]
    number = np.empty(len(targets), dtype=np.int64)
    number[order] = np.arange(len(targets)) % max(2, folds)
    return number


def with_label_names(texts: Sequence[str], targets: np.ndarray, labels: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The rows and, for each label that is made of words, its name as one more row: a name is a description for free."""
    named = [(i, words) for i, words in enumerate(map(_words, labels)) if sum(map(str.isalpha, words)) >= 2]
    extra = np.array([i for i, _ in named], dtype=np.int64)
    return [*texts, *(words for _, words in named)], np.concatenate([targets, extra])


def _words(label: str) -> str:
    return label.replace("_", " ").replace("-", " ").replace("/", " ").strip()
