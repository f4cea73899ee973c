"""How well each label is found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def per_label(
    labels: Sequence[str], hits: Iterable[float], given: Iterable[float], due: Iterable[float]
) -> list[dict[str, Any]]:
    """Precision, recall and F1 of each label from counts a label, with the `n` due; 0 where a ratio is not defined.

    Args:
        labels: L names.
        hits: how often each was rightly given.
        given: how often each was given.
        due: how often each should have been.
    """
    return [
        {
            "label": label,
            "precision": float(hit / max(said, 1)),
            "recall": float(hit / max(n, 1)),
            "f1": float(2 * hit / max(said + n, 1)),
            "n": int(n),
        }
        for label, hit, said, n in zip(labels, hits, given, due, strict=True)
    ]
