"""Full fine-tuning of the upper layers and the head; the embeddings and the lowest layers stay as they are unless asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

    from savile.models._network import TextEncoder


@dataclass(frozen=True)
class Settings:
    """What stays frozen.

    Attributes:
        freeze: number of lowest layers that stay frozen; -1 is a third of them. Their output is computed once, so a frozen
            layer costs nothing after the first pass.
        freeze_embeddings: whether the token embeddings stay frozen, which saves most of the optimiser's memory.
    """

    freeze: int = -1
    freeze_embeddings: bool = True


HEAD: Literal["cosine", "linear"] = "cosine"
MEAN = True  # models of several folds end in one basin, where the mean of their weights is better than any (`models._soup`)
FIT: dict[str, Any] = {"learning_rate": 4e-4, "epochs": 3.0}
FIT_SMALL: dict[str, Any] = {"learning_rate": 3e-4, "epochs": 4.0, "batch_rows": 32, "least_steps": 96}


def attach(network: TextEncoder, settings: Settings) -> None:
    """Freeze what `settings` says; the pooler of BERT-like trunks is not used and never learns."""
    network.trunk.requires_grad_(not settings.freeze_embeddings)
    freeze = len(network.layers) // 3 if settings.freeze < 0 else settings.freeze
    for depth, layer in enumerate(network.layers):
        layer.requires_grad_(depth >= freeze)
    table: Any = getattr(network.trunk, "embeddings", None)
    if hasattr(table, "corrected"):  # an eight-bit table cannot learn; a correction of it can
        table.corrected = not settings.freeze_embeddings
    pooler = getattr(network.trunk, "pooler", None)
    if pooler is not None:
        pooler.requires_grad_(False)


def parameters(network: TextEncoder) -> list[torch.nn.Parameter]:
    """The upper layers and the head."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def merge(network: TextEncoder) -> None:
    """Nothing to fold in: the base's own weights were trained."""
