"""Layer-wise unfreezing: the head learns first, then one layer more at a time from the top (ULMFiT, Howard and Ruder 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from savile.adaptation import full
from savile.adaptation._places import learning

if TYPE_CHECKING:
    import torch

    from savile.models._network import TextEncoder


@dataclass(frozen=True)
class Settings:
    """The pace.

    Attributes:
        within: share of the steps after which every layer that may learn does.
        freeze: number of lowest layers that never learn; -1 is a third of them.
    """

    within: float = 0.5
    freeze: int = -1


HEAD: Literal["cosine", "linear"] = "cosine"
FIT: dict[str, Any] = {"learning_rate": 4e-4, "epochs": 3.0}
FIT_SMALL: dict[str, Any] = {"learning_rate": 3e-4, "epochs": 5.0, "batch_rows": 32, "least_steps": 120}


def attach(network: TextEncoder, settings: Settings) -> None:
    """Freeze what never learns."""
    full.attach(network, full.Settings(freeze=settings.freeze))


def parameters(network: TextEncoder) -> list[torch.nn.Parameter]:
    """The layers that learn sooner or later, and the head."""
    return learning(network)


def before_step(network: TextEncoder, step: int, total: int) -> None:
    """Drop the gradients of layers whose turn has not come; `step` counts from 1."""
    within = network.method_settings.get("within", Settings.within)
    layers = [layer for layer in network.layers if any(p.requires_grad for p in layer.parameters())]
    open_layers = int((step - 1) / max(1.0, within * total) * (len(layers) + 1))
    for layer in layers[: max(0, len(layers) - open_layers)]:
        for parameter in layer.parameters():
            parameter.grad = None


def merge(network: TextEncoder) -> None:
    """Nothing to fold in: the base's own weights were trained."""
