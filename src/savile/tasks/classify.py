"""One label for each text: intents, topics, sentiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from savile.base.contracts import Fields, HeadSpec


def fields() -> Fields:
    """A text and its label; time and group columns steer the split, the rest become slices."""
    return Fields(required=("label",), optional=("text", "time", "group"))


def render(example: Mapping[str, Any]) -> str:
    """The text itself; a missing value reads as the empty text."""
    text = example.get("text")
    return "" if text is None else str(text)


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
