"""Contrastive learning: what belongs together is found among the other texts of a batch.

Multiple negatives ranking (Henderson et al. 2017; InfoNCE: van den Oord et al. 2018). With `sizes`, the first so many numbers
of a vector are vectors, too (Matryoshka representation learning, Kusupati et al., NeurIPS 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from savile.base import answers, catalogue
from savile.base.errors import InputError
from savile.models._rows import TokenRows, embed
from savile.models._settings import FitSettings
from savile.models._vectors import log_losses, singles


class VectorHead(nn.Module):
    """Embeddings -> vectors of unit length; a matrix between them starts as the identity, so that the base is the start."""

    cosine = False

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(width))

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """Embeddings (n, d) -> vectors (n, d), float32 even where the trunk runs in bf16."""
        with torch.autocast(pooled.device.type, enabled=False):
            return F.normalize(F.linear(pooled.float(), self.weight), dim=-1)


def multiple_negatives(
    anchors: torch.Tensor, candidates: torch.Tensor, temperature: float, masked: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean over anchors of the cross-entropy of their own candidate against all others.

    Args:
        anchors: unit length, (n, d).
        candidates: unit length, (m, d); the first n belong to the anchors in this order.
        temperature: cosines are divided by it.
        masked: True where a candidate says nothing of an anchor, bool (n, m).
    """
    scores = anchors @ candidates.T / temperature
    if masked is not None:
        scores = scores.masked_fill(masked, -torch.inf)
    return F.cross_entropy(scores, torch.arange(len(anchors), device=scores.device))


class VectorRows:
    """Pairs to learn from, each with a text that looks right and is not where there is one.

    Args:
        network: whose texts they are; where its trunk learns nothing, what it makes of each text is kept.
        rows: pairs and targets as `savile.tasks.embed.paired` gives them.
        settings: temperature and sizes.
        kind: the type of matrix products.

    Attributes:
        tokens: both texts of each pair one behind the other, to make batches of like length by.

    Raises:
        InputError: no pair goes together, or a size is not one of the vector's.
    """

    def __init__(self, network: Any, rows: tuple[Sequence[str], np.ndarray], settings: FitSettings, kind: torch.dtype) -> None:
        texts, gold = rows
        width = network.head.weight.shape[0]
        if any(not 0 < size <= width for size in settings.sizes):
            raise InputError(f"sizes from 1 to {width}", str(list(settings.sizes)), "Correct adapt.settings.sizes.")
        good = gold[:, 0] > catalogue.get("tasks", "embed").middle(gold[:, 0])
        if not good.any():
            raise InputError("pairs that go together", "none", "Give rows whose label is above the middle.")
        self.network, self.settings = network, settings
        self.sizes = tuple(dict.fromkeys((width, *settings.sizes)))
        known = singles(texts)
        place = {text: number for number, text in enumerate(known)}
        sides = np.array([[place[part] for part in answers.parted(text)] for text in texts])
        self.first, self.second = sides[good].T
        wrong: dict[int, list[int]] = {}
        for anchor, other in sides[~good]:
            wrong.setdefault(int(anchor), []).append(int(other))
        self.wrong = np.full((len(self.first), max(map(len, wrong.values()), default=0)), -1)
        for row, anchor in enumerate(self.first.tolist()):
            others = wrong.get(anchor, [])
            self.wrong[row, : len(others)] = others
        pairs = set(zip(self.first.tolist(), self.second.tolist(), strict=True))
        self.right = np.array(sorted(one * len(known) + other for one, other in pairs), dtype=np.int64)
        ids = network.encode(known)
        self.texts = TokenRows(ids, network.pad_id)
        self.tokens = TokenRows([[*ids[a], *ids[b]] for a, b in zip(self.first, self.second, strict=True)], network.pad_id)
        frozen = network.frozen_depth() == len(network.layers)
        self.kept = embed(network, self.texts, 0, kind)[0] if frozen else None

    def loss(self, batch: np.ndarray) -> torch.Tensor:
        """The loss of some pairs, the mean over the sizes."""
        first, second = self.first[batch], self.second[batch]
        hard = np.unique(self.wrong[batch])
        candidates = np.concatenate([second, hard[hard >= 0]])
        each, inverse = np.unique(np.concatenate([first, candidates]), return_inverse=True)
        vectors = self._vectors(each)[torch.from_numpy(inverse)]
        masked = torch.from_numpy(np.isin(first[:, None] * len(self.texts) + candidates, self.right))
        masked |= torch.from_numpy(first[:, None] == candidates)  # a text is no wrong answer to itself
        masked.fill_diagonal_(False)  # the own one, in the first n columns
        masked = masked.to(vectors.device)
        anchors, others = vectors[: len(first)], vectors[len(first) :]
        losses = [
            multiple_negatives(
                F.normalize(anchors[:, :size], dim=-1), F.normalize(others[:, :size], dim=-1), self.settings.temperature, masked
            )
            for size in self.sizes
        ]
        return torch.stack(losses).mean()

    def _vectors(self, rows: np.ndarray) -> torch.Tensor:
        if self.kept is not None:
            found: torch.Tensor = self.network.head(self.kept[torch.from_numpy(rows)])
            return found
        ids, mask = (torch.from_numpy(array).to(self.network.device) for array in self.texts.padded(rows))
        found = self.network(ids, mask)
        return found


def judged(vectors: np.ndarray, gold: np.ndarray, score: Callable[[Any, Any], float]) -> tuple[float, float]:
    """The score of the vectors of pairs, and their loss."""
    return float(score(vectors, gold)), float(log_losses(vectors, gold).mean())
