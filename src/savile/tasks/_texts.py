"""What tasks over texts have in common: the columns they need, and how a row reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from savile.base.contracts import Fields


def fields() -> Fields:
    """A text (two in one for pairs) and what is to be answered; time and group columns steer the split, the rest are slices."""
    return Fields(required=("label",), optional=("text", "time", "group"))


def render(example: Mapping[str, Any]) -> str:
    """The text as it is; a missing value reads as the empty text."""
    text = example.get("text")
    return "" if text is None else str(text)
