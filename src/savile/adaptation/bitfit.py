"""BitFit: of the whole base only the biases learn (Ben Zaken et al., ACL 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from savile.adaptation._places import learning
from savile.base.errors import InputError

if TYPE_CHECKING:
    import torch

    from savile.models._network import TextEncoder


@dataclass(frozen=True)
class Settings:
    """What learns.

    Attributes:
        norms: whether the factors of layer norms learn beside the biases.
    """

    norms: bool = False


HEAD: Literal["cosine", "linear"] = "cosine"
FIT: dict[str, Any] = {"learning_rate": 4e-3, "epochs": 4.0}
FIT_SMALL: dict[str, Any] = {"learning_rate": 3e-3, "epochs": 8.0, "batch_rows": 32, "least_steps": 128}


def attach(network: TextEncoder, settings: Settings) -> None:
    """Freeze everything but the biases of the layers.

    Raises:
        InputError: the base has no biases, as Llama-like ones have none.
    """
    network.trunk.requires_grad_(False)
    vectors = [(name, p) for layer in network.layers for name, p in layer.named_parameters() if p.ndim == 1]
    chosen = [p for name, p in vectors if settings.norms or name.endswith("bias")]
    if not chosen:
        raise InputError("a base whose layers have biases", network.base.name, "Use lora, or set norms to true.")
    for parameter in chosen:
        parameter.requires_grad_(True)


def parameters(network: TextEncoder) -> list[torch.nn.Parameter]:
    """The biases and the head."""
    return learning(network)


def merge(network: TextEncoder) -> None:
    """Nothing to fold in: the base's own biases were trained."""
