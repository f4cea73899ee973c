"""An answer in words to each message: instructions, questions, conversations.

A row is a prompt and the answer to give; of a conversation, all that was said before the last answer is the prompt. Answers are
learned, and nothing else. Measured is how likely the given ones are (perplexity, per token) and, of some that are written, how
many are as given and how many words they share with those.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from savile.base.contracts import HeadSpec
from savile.tasks._texts import fields, render

__all__ = ["METRIC", "NAME", "fields", "head", "labels", "overlap", "plain", "render", "same", "score", "targets"]

METRIC = "perplexity"
NAME = "answer"
ALONE = "\u3040-\u30ff\u3400-\u9fff"  # characters that are words by themselves
WORD = re.compile(f"[{ALONE}]|[^\\W{ALONE}]+")


def labels(values: Sequence[Any]) -> tuple[str, ...]:
    """One output: the answer."""
    return (NAME,)


def targets(values: Sequence[Any], labels: Sequence[str]) -> np.ndarray:
    """Cells -> the answers to give, texts (n,); a missing one is the empty text."""
    return np.array(["" if value is None else str(value) for value in values], dtype=np.dtypes.StringDType())


def head(width: int) -> HeadSpec:
    """No head but the language model's own, which says how likely each next token is."""
    return HeadSpec(outputs=1, loss="next_token", decode=plain)


def plain(logits: np.ndarray) -> np.ndarray:
    """What was written is the answer."""
    return np.asarray(logits, dtype=np.float64)


def score(predicted: Sequence[Any], gold: Sequence[Any]) -> float:
    """Mean `overlap` of written and given answers; 0 of no rows."""
    return float(np.mean([overlap(str(one), str(other)) for one, other in zip(predicted, gold, strict=True)] or [0.0]))


def overlap(written: str, given: str) -> float:
    """F1 of the words two texts share (Rajpurkar et al., EMNLP 2016), in any case; without words, whether they agree."""
    ours, theirs = (Counter(WORD.findall(text.casefold())) for text in (written, given))
    if not ours or not theirs:
        return float(same(written, given))
    return 2.0 * (ours & theirs).total() / (ours.total() + theirs.total())


def same(written: str, given: str) -> bool:
    """Whether two texts agree to the letter, but for spaces."""
    return written.split() == given.split()
