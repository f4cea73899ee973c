"""How urgent a message is: of several levels, one is right, and taking an urgent one for a calm one is the worst mistake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from savile.base.contracts import Fields, HeadSpec
from savile.tasks.classify import softmax


def fields() -> Fields:
    """A message and its level; the subject line is read when there is one."""
    return Fields(required=("text", "label"), optional=("subject",))


def render(example: Mapping[str, Any]) -> str:
    """Subject and message, in two lines."""
    return "\n".join(str(example[role]) for role in ("subject", "text") if example.get(role) is not None)


def head(width: int) -> HeadSpec:
    """One output a level."""
    return HeadSpec(outputs=width, loss="cross_entropy", decode=softmax)


def score(predicted: Sequence[Any], gold: Sequence[Any]) -> float:
    """The share of right answers, where a message taken for calmer than it is counts twice; 0 for no rows."""
    costs = [2 if guess < truth else int(guess != truth) for guess, truth in zip(predicted, gold, strict=True)]
    return 1 - sum(costs) / (2 * len(costs)) if costs else 0.0
