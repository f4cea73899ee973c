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
        stages: the stage each of them came with, int64.
        names: of all stages, the new one last.
    """

    known: np.ndarray
    memory: Taught
    seed: int
    stages: np.ndarray | None = None
    names: tuple[str, ...] = ("first", "new")


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


def pooled(hidden: Any, mask: Any, pooling: str) -> Any:
    """Hidden states (n, s, d) and mask (n, s) -> embeddings (n, d), as a base is pooled: ``mean`` or ``cls``."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return hidden[:, 0] if pooling == "cls" else (hidden * weights).sum(1) / weights.sum(1)


class Still:
    """Rows of a head that answer for labels known before, and its biases, which later rows may not move.

    New labels learn no bias, for no row of theirs says that an old one is right.

    Args:
        network: whose head.
        known: places of the labels that stand still, int64 (k,).
    """

    def __init__(self, network: Any, known: np.ndarray) -> None:
        import torch

        head, rows = network.head, torch.from_numpy(known)
        # a head of another shape has no rows of labels that could stand still
        still: list[tuple[Any, Any]] = [(head.weight, rows)] if len(head.weight) == len(network.labels) else []
        still += [(p, ...) for name, p in head.named_parameters() if name != "weight"]
        self.still = [(p, where, p.detach()[where].clone()) for p, where in still]

    def restore(self) -> None:
        """Undo what a step did to them."""
        for parameter, where, before in self.still:
            parameter[where] = before
