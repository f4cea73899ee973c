"""Reversal: a judge learns to tell new texts from earlier ones, and the model learns to leave it nothing to go by.

Domain-adversarial training (Ganin et al., JMLR 2016): the gradient of the judge is turned round before it reaches the trunk, at
a strength that grows from 0 to 1. What is learned of either domain then rests on what both have in common. Earlier rows are
learnt again, as by replay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from savile.adaptation._keeping._past import Past, Taught, batches, together
from savile.base.errors import InputError

STEEP = 10.0  # how quickly the strength grows, as published


@dataclass(frozen=True)
class Settings:
    """How strongly.

    Attributes:
        weight: of the judge's loss.
        memory: rows of earlier stages, the same share of every label; they are learnt again.
        rows: texts of either kind that are judged at each step.
    """

    weight: float = 0.1
    memory: int = 1000
    rows: int = 16


def begin(network: Any, past: Past, new: Taught, settings: Settings) -> Taught:
    """The new rows and the earlier ones; a judge joins the network while it learns.

    Raises:
        InputError: no earlier rows, a trunk in which nothing learns, or spans instead of whole texts.
    """
    learns = any(p.requires_grad for p in network.trunk.parameters())
    if not len(past.memory[0]) or not learns or network.loss == "token_cross_entropy":
        received = f"{len(past.memory[0])} earlier rows, a model of {network.method}, {network.loss}"
        do = "Set keep.memory, and use a method that tunes the base, such as lora."
        raise InputError("earlier rows, and a model of whole texts whose trunk learns", received, do)
    width = network.head.weight.shape[1]
    groups = [list(batches(network, list(texts), settings.rows)) for texts in (past.memory[0], new[0])]
    network.keeper = Judge(width, groups, settings.weight, past.seed)
    return together(new, past.memory)


class _Turned(torch.autograd.Function):
    """The same forwards; backwards the gradient times -strength."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, strength: float) -> torch.Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[torch.Tensor, None]:
        return -ctx.strength * gradients[0], None


class Judge(nn.Module):
    """Tells earlier texts from new ones by their embeddings.

    Args:
        width: of an embedding.
        groups: batches of ids and mask, of earlier texts and of new ones.
        weight: of its loss.
        seed: of its start.
    """

    def __init__(self, width: int, groups: list[list[tuple[torch.Tensor, torch.Tensor]]], weight: float, seed: int) -> None:
        super().__init__()
        self.groups, self.weight, self.strength = groups, weight, 0.0
        self.line = nn.Linear(width, 1)
        start = torch.randn(1, width, generator=torch.Generator().manual_seed(seed)) / width**0.5
        self.line.weight.data, self.line.bias.data = start, torch.zeros(1)

    def begin_step(self, network: Any, step: int, total: int) -> None:
        """Let the strength grow."""
        self.strength = strength((step - 1) / total)

    def penalty(self, network: Any) -> torch.Tensor:
        """The judge's loss on a batch of either kind, drawn by torch's generator, which the loop seeds for every step."""
        losses = []
        for kind, group in enumerate(self.groups):
            ids, mask = group[int(torch.randint(len(group), ()))]
            unit = F.normalize(network.pooled(ids, mask).float(), dim=-1)
            said = self.line(_Turned.apply(unit, self.strength))[:, 0]  # type: ignore[no-untyped-call]
            losses.append(F.binary_cross_entropy_with_logits(said, torch.full_like(said, float(kind))))
        return self.weight * torch.stack(losses).mean()


def strength(progress: float) -> float:
    """2 / (1 + e^(-10 p)) - 1 of the share of training that is done."""
    return 2 / (1 + math.exp(-STEEP * progress)) - 1
