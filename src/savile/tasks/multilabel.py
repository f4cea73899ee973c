"""Any number of labels for each text: topics, tags, what a complaint is about.

A cell of the label column holds a JSON list, or names between ``|`` or ``;``; when no cell has either, names between commas.
An empty cell, or ``[]``, means that no label applies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from savile.base.contracts import HeadSpec
from savile.tasks._texts import fields, render

__all__ = ["COMMA", "SEPARATOR", "fields", "head", "labels", "render", "score", "sigmoid", "targets"]

SEPARATOR = re.compile(r"\s*[|;；]\s*")
COMMA = re.compile(r"\s*[,，、]\s*")


def labels(values: Sequence[Any]) -> tuple[str, ...]:
    """The sorted distinct names in all cells."""
    cells = [_names(value) for value in values]
    if all(len(names) < 2 for names in cells):
        cells = [[part for name in names for part in COMMA.split(name) if part] for names in cells]
    return tuple(sorted({name for names in cells for name in names}))


def targets(values: Sequence[Any], labels: Sequence[str]) -> np.ndarray:
    """Cells -> 1 where a label applies, float32 (n, L)."""
    index = {label: i for i, label in enumerate(labels)}
    found = np.zeros((len(values), len(labels)), dtype=np.float32)
    for row, value in enumerate(values):
        for name in _names(value):
            parts = [name] if name in index else [part for part in COMMA.split(name) if part]
            found[row, [index[part] for part in parts]] = 1.0
    return found


def head(width: int) -> HeadSpec:
    """One output a label, each with a probability of its own."""
    return HeadSpec(outputs=width, loss="binary_cross_entropy", decode=sigmoid)


def score(predicted: Sequence[Any], gold: Sequence[Any]) -> float:
    """Micro F1 over all labels, 1 where there was none to give and none was given; 0 for no rows."""
    if not len(gold):
        return 0.0
    said, right = np.asarray(predicted) > 0, np.asarray(gold) > 0
    total = int(said.sum() + right.sum())
    return float(2 * (said & right).sum() / total) if total else 1.0


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Logits (n, outputs) -> probabilities (n, outputs), float64."""
    from scipy.special import expit

    return np.asarray(expit(np.asarray(logits, dtype=np.float64)))


def _names(value: Any) -> list[str]:
    """The names in one cell, commas left alone."""
    if value is None:
        return []
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("["):
            try:
                value = json.loads(text)
            except ValueError:
                value = None
        if not isinstance(value, list):
            return [name for name in SEPARATOR.split(text) if name]
    elif not isinstance(value, Sequence):
        value = [value]
    return [str(name).strip() for name in value if str(name).strip()]
