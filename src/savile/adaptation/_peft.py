"""What the methods made by peft share: injecting into a trunk, and folding in again."""

from __future__ import annotations

from typing import Any

from savile.adaptation._places import parent


def inject(network: Any, config: Any) -> Any:
    """Freeze the trunk and put peft's layers in it; the tuner that peft made.

    The configuration is kept on the trunk, and `savile.models.encoder.save` writes it in peft's own layout.
    """
    from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING

    network.trunk.requires_grad_(False)
    tuner = PEFT_TYPE_TO_TUNER_MAPPING[config.peft_type](network.trunk, config, "default")
    network.trunk.peft_config = {"default": config}
    return tuner


def fold(network: Any) -> None:
    """Fold every adapter into its linear layer and take it off."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, layer in list(network.trunk.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            layer.merge(safe_merge=True)
            holder, child = parent(network, name)
            setattr(holder, child, layer.get_base_layer())
    del network.trunk.peft_config
