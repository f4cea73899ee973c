"""EWC: weights that earlier answers depend on are held where they were (Kirkpatrick et al., PNAS 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from savile.adaptation._keeping._past import Past, Taught, batches


@dataclass(frozen=True)
class Settings:
    """How firmly.

    Attributes:
        weight: of the sum over weights of importance times squared distance; the mean importance is 1.
        memory: rows of earlier stages on which importance is measured; they are not learnt again.
    """

    weight: float = 10.0
    memory: int = 200


def begin(network: Any, past: Past, new: Taught, settings: Settings) -> Taught:
    """The new rows; the importance of every weight that learns is measured first."""
    network.keeper = _Held(network, list(past.memory[0]), settings, past.seed)
    return new


class _Held:
    """Where the weights were, and how much the earlier answers depend on each: the diagonal of Fisher's information."""

    def __init__(self, network: Any, texts: list[str], settings: Settings, seed: int) -> None:
        import torch

        self.weight = settings.weight
        named = dict(network.trainable())
        self.start = {name: p.detach().clone() for name, p in named.items()}
        found = {name: torch.zeros_like(p) for name, p in named.items()}
        dice = torch.Generator().manual_seed(seed)
        for ids, mask in batches(network, texts, 1):  # a row at a time: squares of single gradients are asked for
            loss = _drawn_loss(network(ids, mask), network.loss, dice)
            for name, slope in zip(named, torch.autograd.grad(loss, list(named.values()), allow_unused=True), strict=True):
                if slope is not None:
                    found[name] += slope**2
        every = sum(float(one.sum()) for one in found.values()) / max(1, sum(one.numel() for one in found.values()))
        self.importance = {name: one / (every or 1.0) for name, one in found.items()}

    def penalty(self, network: Any) -> Any:
        """Half the weighted sum of importance times squared distance."""
        import torch

        each = [(self.importance[name] * (p - self.start[name]) ** 2).sum() for name, p in network.trainable()]
        return self.weight / 2 * torch.stack(each).sum()


def _drawn_loss(logits: Any, loss: str, dice: Any) -> Any:
    """The loss of an answer drawn from what the network itself holds likely: its expected square is Fisher's information."""
    import torch
    import torch.nn.functional as F

    if loss == "cross_entropy":
        return F.cross_entropy(logits, torch.multinomial(logits.detach().softmax(1), 1, generator=dice)[:, 0])
    if loss == "binary_cross_entropy":
        return F.binary_cross_entropy_with_logits(
            logits, torch.bernoulli(logits.detach().sigmoid(), generator=dice), reduction="sum"
        )
    flat = logits.flatten(0, -2) if logits.ndim == 3 else logits
    if loss == "squared_error":
        return ((flat - flat.detach() - torch.randn(flat.shape, generator=dice)) ** 2).sum() / 2
    return F.cross_entropy(flat, torch.multinomial(flat.detach().softmax(1), 1, generator=dice)[:, 0], reduction="sum")
