"""Parallel adapters: beside each feed-forward block, from its input to its output (He et al., ICLR 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from savile.adaptation._adapters import Adapter, Kind, beside, inner
from savile.adaptation._places import learning

if TYPE_CHECKING:
    import torch

    from savile.models._network import TextEncoder


@dataclass(frozen=True)
class Settings:
    """Shape of FFN(x) + scale * W_up f(W_down x).

    Attributes:
        reduction: how many times narrower than the base the bottleneck is; the paper's 2 is 4 % of a small base.
        kind: f: ``relu``, ``swish`` or ``gelu``.
        scale: factor on what is added; 4 as in the paper, where a high learning rate soon diverges.
    """

    reduction: int = 16
    kind: Kind = "relu"
    scale: float = 4.0


HEAD: Literal["cosine", "linear"] = "cosine"
FIT: dict[str, Any] = {"learning_rate": 2e-3, "epochs": 3.0}
FIT_SMALL: dict[str, Any] = {"learning_rate": 1e-3, "epochs": 6.0, "batch_rows": 32, "least_steps": 96}


def attach(network: TextEncoder, settings: Settings) -> None:
    """Freeze the trunk and put an adapter, zero at the start, beside each feed-forward block.

    Raises:
        InputError: the base has no feed-forward blocks.
    """
    network.trunk.requires_grad_(False)
    beside(network, lambda width: Adapter(width, inner(width, settings.reduction), settings.kind, settings.scale))


def parameters(network: TextEncoder) -> list[torch.nn.Parameter]:
    """The adapters and the head."""
    return learning(network)


def merge(network: TextEncoder) -> None:
    """Nothing to fold in: what bends cannot become part of a matrix, so adapters stay where they are."""
