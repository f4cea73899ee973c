"""Two texts a row: read by one base each by itself, and answered by the angle between what it makes of them.

The angle is given to the head as a point on the unit circle, (cos, sin): a head of two weights an output is then a threshold on
the cosine, and training it alone is the frozen base with the best threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from savile.base import answers

BETWEEN = -1  # the id between two texts; no token has it
WIDTH = 2  # of what the head is given
NARROW = 1e-6  # sine squared, below which the slope of the sine is cut off


def encode(read: Callable[[Sequence[str]], list[list[int]]], texts: Sequence[str]) -> list[list[int]]:
    """Token ids of both texts of each row, with `BETWEEN` between them; of a row with one text, the second is empty."""
    parts = [answers.parted(text) for text in texts]
    first, second = (read([part[side] for part in parts]) for side in (0, 1))
    return [[*one, BETWEEN, *other] for one, other in zip(first, second, strict=True)]


def embedded(
    network: Any, pooled: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], ids: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Ids of pairs and mask, int64 (n, s) -> the angle of each, (n, 2).

    Args:
        network: whose padding id fills rows up.
        pooled: ids and mask of single texts -> embeddings.
        ids: as `encode` gives them, padded.
        mask: 1 where there is something.
    """
    first, second = parted(ids, mask, network.pad_id)
    # one pass over both, so that a graph has one trunk
    both, real = (torch.stack(side).flatten(0, 1) for side in zip(first, second, strict=True))
    if not torch.compiler.is_exporting():
        longest = int(real.sum(1).max())
        both, real = both[:, :longest], real[:, :longest]
    one, other = pooled(both, real).reshape(2, ids.shape[0], -1).unbind(0)
    return angle(one, other)


def parted(
    ids: torch.Tensor, mask: torch.Tensor, pad_id: int
) -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """Ids of pairs and mask -> ids and mask of the first texts, and of the second, each from the left."""
    before = (ids == BETWEEN).to(torch.int64).cumsum(1) == 0
    length = mask.sum(1, keepdim=True)
    first = mask * before.to(mask.dtype)
    place = torch.arange(ids.shape[1], device=ids.device).unsqueeze(0) + first.sum(1, keepdim=True) + 1
    second = (place < length).to(mask.dtype)
    moved = ids.gather(1, place.clamp(max=ids.shape[1] - 1))
    pad = torch.full_like(ids, pad_id)
    return (torch.where(first > 0, ids, pad), first), (torch.where(second > 0, moved, pad), second)


def angle(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Embeddings (n, d) each -> cosine and sine of the angle between them, float32 (n, 2)."""
    with torch.autocast(one.device.type, enabled=False):
        cosine = (F.normalize(one.float(), dim=-1) * F.normalize(other.float(), dim=-1)).sum(-1)
        sine = (1 - cosine.square()).clamp(min=NARROW).sqrt()
        return torch.stack([cosine, sine], dim=-1)
