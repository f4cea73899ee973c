"""What a new stage may see of the earlier ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Taught = tuple[Sequence[str], np.ndarray]  # texts, and what is right in each


@dataclass(frozen=True)
class Past:
    """The earlier model and some of its rows.

    Attributes:
        known: places of the labels the earlier model knew, among those of now, int64 (k,).
        memory: rows of earlier stages, as many as were asked for.
        seed: of everything random.
    """

    known: np.ndarray
    memory: Taught
    seed: int


def together(first: Taught, second: Taught) -> Taught:
    """The rows of both."""
    return [*first[0], *second[0]], np.concatenate([first[1], second[1]])


def batches(network: Any, texts: Sequence[str], rows: int) -> Any:
    """Ids and mask, int64 tensors (n, s), of `rows` texts at a time, in the order given."""
    import torch

    from savile.models._rows import TokenRows

    tokens = TokenRows(network.encode(texts), network.pad_id)
    for start in range(0, len(texts), rows):
        padded, mask = tokens.padded(np.arange(start, min(start + rows, len(texts))))
        yield torch.from_numpy(padded).to(network.device), torch.from_numpy(mask).to(network.device)
