"""LoRA: low-rank updates beside frozen linear layers (Hu et al., ICLR 2022), by peft."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from torch import nn

from savile.base.errors import InputError

if TYPE_CHECKING:
    import torch

    from savile.models._network import TextEncoder


@dataclass(frozen=True)
class Settings:
    """Shape of the update W + alpha / rank * B A.

    Attributes:
        rank: r of A (r, in) and B (out, r).
        alpha: scale of the update; the field's habit is twice the rank.
        dropout: probability on the input of A.
        targets: ``all`` linear layers of the trunk, or ``attention`` only (queries and values, as in the paper).
        freeze: number of lowest layers without an update; their output is computed once.
    """

    rank: int = 8
    alpha: int = 16
    dropout: float = 0.0
    targets: Literal["all", "attention"] = "all"
    freeze: int = 0


HEAD: Literal["cosine", "linear"] = "cosine"
FIT: dict[str, Any] = {"learning_rate": 2e-3, "epochs": 3.0}
FIT_SMALL: dict[str, Any] = {"learning_rate": 1e-3, "epochs": 6.0, "batch_rows": 32, "least_steps": 96}
ATTENTION_NAMES = ("query", "value", "q_lin", "v_lin", "q_proj", "v_proj", "Wqkv")


def attach(network: TextEncoder, settings: Settings) -> None:
    """Freeze the trunk and put an update, zero at the start, beside each target.

    Raises:
        InputError: the trunk has no linear layer of the kind asked for.
    """
    from peft import LoraConfig, inject_adapter_in_model

    network.trunk.requires_grad_(False)
    names = [
        f"{network.layer_path}.{depth}.{name}"
        for depth, layer in enumerate(network.layers)
        for name, module in layer.named_modules()
        if isinstance(module, nn.Linear) and depth >= settings.freeze
        if settings.targets == "all" or name.endswith(ATTENTION_NAMES)
    ]
    if not names:
        raise InputError("linear layers to adapt", f"none for targets {settings.targets!r}", "Set targets to all.")
    config = LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, lora_dropout=settings.dropout, target_modules=names, bias="none"
    )
    inject_adapter_in_model(config, network.trunk)
    network.trunk.peft_config = {"default": config}


def parameters(network: TextEncoder) -> list[torch.nn.Parameter]:
    """A and B of every target, and the head."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def merge(network: TextEncoder) -> None:
    """Add every update to its linear layer and take the adapter off."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, layer in list(network.trunk.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            layer.merge(safe_merge=True)
            parent, _, child = name.rpartition(".")
            setattr(network.trunk.get_submodule(parent), child, layer.get_base_layer())
    del network.trunk.peft_config
