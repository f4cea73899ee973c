"""The network of the family `joint`: a text encoder, columns, pictures and recordings, fused and trained together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from savile.base import catalogue
from savile.base.contracts import Loss
from savile.models._bases import Base
from savile.models._network import TextEncoder, choose_attention

Fusing = Literal["late", "gated", "cross"]
HEADS = 4  # of the attention between senses


@dataclass(frozen=True)
class Item:
    """One row: its text, its columns as numbers (c,), and an array for each picture or recording."""

    text: str
    columns: np.ndarray
    media: tuple[np.ndarray, ...]


class Answer(nn.Module):
    """Fused rows (n, d) -> logits (n, outputs), float32."""

    cosine, scale = False, None

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.weight = nn.Parameter(torch.randn(outputs, width) * width**-0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, fused: torch.Tensor) -> torch.Tensor:
        """The logits."""
        with torch.autocast(fused.device.type, enabled=False):
            return nn.functional.linear(self.norm(fused.float()), self.weight, self.bias)


class Late(nn.Module):
    """Each sense is pooled by itself; what they say is put side by side and read by two layers."""

    def __init__(self, width: int, senses: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(senses))
        self.mix = nn.Sequential(nn.Linear(width * senses, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, senses: Sequence[torch.Tensor], mask: torch.Tensor) -> torch.Tensor:
        """Tokens of each sense (n, p, d), the text's first with its mask (n, p) -> (n, d)."""
        apart = [norm(one) for norm, one in zip(self.norms, pooled(senses, mask), strict=True)]
        mixed: torch.Tensor = self.mix(torch.cat(apart, dim=1))
        return mixed


class Gated(nn.Module):
    """Gates that see every sense say how much of each counts (gated multimodal units, Arevalo et al. 2017)."""

    def __init__(self, width: int, senses: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(senses))
        self.said = nn.ModuleList(nn.Linear(width, width) for _ in range(senses))
        self.gate = nn.Linear(width * senses, width * senses)
        self.mix = nn.Sequential(nn.GELU(), nn.Linear(width, width))

    def forward(self, senses: Sequence[torch.Tensor], mask: torch.Tensor) -> torch.Tensor:
        """Tokens of each sense (n, p, d), the text's first with its mask (n, p) -> (n, d)."""
        apart = [norm(one) for norm, one in zip(self.norms, pooled(senses, mask), strict=True)]
        gates = self.gate(torch.cat(apart, dim=1)).sigmoid().chunk(len(apart), dim=1)
        heard = [gate * said(one).tanh() for gate, said, one in zip(gates, self.said, apart, strict=True)]
        mixed: torch.Tensor = self.mix(torch.stack(heard).sum(0))
        return mixed


class Cross(nn.Module):
    """Tokens of the text look at those of the other senses (cross-attention, as in Tsai et al., ACL 2019), and are pooled."""

    def __init__(self, width: int, senses: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(senses))
        self.look = nn.MultiheadAttention(width, HEADS, batch_first=True)
        self.after = nn.LayerNorm(width)
        self.mix = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, senses: Sequence[torch.Tensor], mask: torch.Tensor) -> torch.Tensor:
        """Tokens of each sense (n, p, d), the text's first with its mask (n, p) -> (n, d)."""
        text, *others = (norm(one) for norm, one in zip(self.norms, senses, strict=True))
        if others:
            seen = torch.cat(others, dim=1)
            text = text + self.look(text, seen, seen, need_weights=False)[0]
        text = text + self.mix(self.after(text))
        return pooled([text], mask)[0]


FUSERS: dict[Fusing, type[nn.Module]] = {"late": Late, "gated": Gated, "cross": Cross}


class JointNetwork(TextEncoder):
    """A text encoder beside which other senses learn; what a method freezes and adds concerns the text's trunk alone.

    Args:
        base: of the text.
        labels: label of each output.
        senses: name of the encoder of each picture or recording, in the order of `Item.media`.
        columns: numbers that columns are given as.
        fusing: how senses come together.
    """

    def __init__(self, base: Base, labels: Sequence[str], senses: Sequence[str], columns: int, fusing: Fusing) -> None:
        super().__init__(base, labels, len(labels), cosine=False)
        width = self.width
        self.head = Answer(width, len(labels))
        self.beside = nn.Linear(columns, width) if columns else None
        self.sensing = nn.ModuleList(catalogue.get("encoders", name).network(width) for name in senses)
        self.fusing = FUSERS[fusing](width, 1 + len(senses) + bool(columns))
        self.loss: Loss = "cross_entropy"

    def encode(self, texts: Sequence[Any]) -> list[list[int]]:
        """Token ids of the texts of items."""
        return self._read([item.text for item in texts])

    def more(self, items: Sequence[Item]) -> list[np.ndarray]:
        """What is read of rows beside their text: the columns (n, c), then pictures and recordings, each (n, …)."""
        columns = [np.stack([item.columns for item in items]).astype(np.float32)] if self.beside is not None else []
        return [*columns, *(np.stack(one) for one in zip(*(item.media for item in items), strict=True))]

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
        """Ids and mask, int64 (n, s), and what stands beside them -> logits, float32 (n, outputs)."""
        choose_attention(self.trunk, ids.shape[1])
        senses, rest = [self.trunk(input_ids=ids, attention_mask=mask).last_hidden_state], list(more)
        if self.beside is not None:
            senses.append(self.beside(rest.pop(0))[:, None])
        senses += [sense(one) for sense, one in zip(self.sensing, rest, strict=True)]
        logits: torch.Tensor = self.head(self.fusing(senses, mask))
        return logits

    def frozen_depth(self) -> int:
        """None: what is kept of the text alone is not what a row is."""
        return 0

    def learning(self) -> list[nn.Module]:
        """What learns beside the text's trunk, whatever the method."""
        return [one for one in (self.head, self.beside, self.sensing, self.fusing) if one is not None]


def pooled(senses: Sequence[torch.Tensor], mask: torch.Tensor) -> list[torch.Tensor]:
    """Tokens of each sense (n, p, d), the text's first with its mask (n, p) -> their means, (n, d) each."""
    weights = mask.unsqueeze(-1).to(senses[0].dtype)
    text = (senses[0] * weights).sum(1) / weights.sum(1)
    return [text, *(one.mean(1) for one in senses[1:])]
