"""Whether two texts go together: a question asked before, two names of one company, an answer that fits.

The two texts of a row are one where a model reads it, with `savile.base.answers.PAIR` between them; bases read each by itself
and compare what they make of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from savile.base.contracts import Fields, HeadSpec
from savile.tasks.classify import softmax

PAIRS = True  # two texts a row


def fields() -> Fields:
    """Two texts in one and whether they go together; time and group columns steer the split, the rest become slices."""
    return Fields(required=("label",), optional=("text", "time", "group"))


def render(example: Mapping[str, Any]) -> str:
    """Both texts, as they are; a missing value reads as the empty text."""
    text = example.get("text")
    return "" if text is None else str(text)


def head(width: int) -> HeadSpec:
    """One output a label, softmax on top."""
    return HeadSpec(outputs=width, loss="cross_entropy", decode=softmax)


def score(predicted: Sequence[Any], gold: Sequence[Any]) -> float:
    """Accuracy; 0 for no rows."""
    return float(np.mean(np.asarray(predicted) == np.asarray(gold))) if len(gold) else 0.0
