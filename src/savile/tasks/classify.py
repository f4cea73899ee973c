"""One label for each text: intents, topics, sentiment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from savile.base.contracts import HeadSpec
from savile.tasks._texts import fields, render

__all__ = ["fields", "head", "render", "score", "softmax"]


def head(width: int) -> HeadSpec:
    """One output a label, softmax on top."""
    return HeadSpec(outputs=width, loss="cross_entropy", decode=softmax)


def score(predicted: Sequence[Any], gold: Sequence[Any]) -> float:
    """Accuracy; 0 for no rows."""
    return float(np.mean(np.asarray(predicted) == np.asarray(gold))) if len(gold) else 0.0


def softmax(logits: np.ndarray) -> np.ndarray:
    """Row-wise softmax in float64; logits (n, outputs) -> probabilities (n, outputs)."""
    shifted = np.asarray(logits, dtype=np.float64)
    shifted = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
