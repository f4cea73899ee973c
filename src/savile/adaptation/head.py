"""Only a new classifier on the frozen base: logistic regression on its embeddings, quick and a strong baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

    from savile.models._network import TextEncoder


@dataclass(frozen=True)
class Settings:
    """Nothing to set; the penalty is chosen by cross-validation."""


HEAD: Literal["cosine", "linear"] = "linear"
FIT: dict[str, Any] = {}
FIT_SMALL: dict[str, Any] = {}


def attach(network: TextEncoder, settings: Settings) -> None:
    """Freeze the trunk."""
    network.trunk.requires_grad_(False)


def parameters(network: TextEncoder) -> list[torch.nn.Parameter]:
    """The head's weight and bias."""
    return list(network.head.parameters())


def merge(network: TextEncoder) -> None:
    """Nothing to fold in."""
