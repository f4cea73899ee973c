"""Spans of a text and what they are: names, addresses, amounts, products.

A cell of the label column holds a JSON list of spans, ``[{"start": 3, "end": 7, "label": "name"}]``, or ``[[3, 7, "name"]]``:
offsets in characters, the end exclusive. An empty cell, or ``[]``, means that nothing is to be found. Tokens are labelled in
the scheme BIO (Ramshaw and Marcus 1995): output 0 is outside, 1 + 2 l begins a span of label l and 2 + 2 l goes on with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from savile.base.contracts import HeadSpec
from savile.base.errors import DataError
from savile.base.outputs import Span, spanned
from savile.tasks._texts import fields, render

__all__ = ["DO", "apart", "fields", "head", "labels", "render", "score", "softmax", "spans", "targets"]

DO = 'Write spans as [{"start": 0, "end": 4, "label": "name"}], offsets in characters, the end exclusive.'


def labels(values: Sequence[Any]) -> tuple[str, ...]:
    """The sorted distinct labels of all spans."""
    return tuple(sorted({label for value in values for _, _, label in spans(value)}))


def targets(values: Sequence[Any], labels: Sequence[str]) -> np.ndarray:
    """Cells -> a tuple of spans each, in order, object (n,); of spans that overlap the longest stays.

    Raises:
        DataError: a cell holds no spans.
    """
    index = {label: i for i, label in enumerate(labels)}
    return spanned([apart([Span(start, end, index[label]) for start, end, label in spans(value)]) for value in values])


def head(width: int) -> HeadSpec:
    """Three in two: outside, and the beginning and the inside of each label; softmax over them for each token."""
    return HeadSpec(outputs=1 + 2 * width, loss="token_cross_entropy", decode=softmax)


def score(predicted: Sequence[Any], gold: Sequence[Any]) -> float:
    """Micro F1 of spans, right when offsets and label are; 1 where none was to be found and none was; 0 for no rows."""
    if not len(gold):
        return 0.0
    pairs = [({span.key for span in said}, {span.key for span in due}) for said, due in zip(predicted, gold, strict=True)]
    hits, total = sum(len(said & due) for said, due in pairs), sum(len(said) + len(due) for said, due in pairs)
    return 2 * hits / total if total else 1.0


def softmax(logits: np.ndarray) -> np.ndarray:
    """Row-wise softmax in float64; logits (t, outputs) of tokens -> probabilities (t, outputs)."""
    shifted = np.asarray(logits, dtype=np.float64)
    shifted = np.exp(shifted - shifted.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def spans(value: Any) -> list[tuple[int, int, str]]:
    """The spans in one cell: start, end, label.

    Raises:
        DataError: it holds something else.
    """
    if value is None or value == "":
        return []
    try:
        found = json.loads(value) if isinstance(value, str) else value
        rows = [(one["start"], one["end"], one["label"]) if isinstance(one, Mapping) else tuple(one) for one in found]
        each = [(int(start), int(end), str(label)) for start, end, label in rows]
    except (TypeError, ValueError, KeyError):
        raise DataError("spans in every cell of the label column", repr(value)[:80], DO) from None
    if any(not 0 <= start < end for start, end, _ in each):
        raise DataError("spans that begin before they end", repr(value)[:80], DO)
    return each


def apart(found: Sequence[Span]) -> list[Span]:
    """The spans in order, without overlap: the longest stay, of equals the first."""
    kept: list[Span] = []
    for span in sorted(found, key=lambda one: (one.start - one.end, one.start)):
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return sorted(kept)
