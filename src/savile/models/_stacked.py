"""Adapters that belong to a base: folded into its layers when it is loaded, so that whatever is learned stands on them."""

from __future__ import annotations

import json
import re
from typing import Any

from savile.base.errors import InputError
from savile.models._bases import ADAPTER, ADAPTER_WEIGHTS, Base

FACTOR = re.compile(r"base_model\.model\.(?P<layer>.+)\.lora_(?P<side>[AB])\.weight")
VARIANTS = ("use_dora", "modules_to_save", "rank_pattern", "alpha_pattern", "layer_replication")


def stack(trunk: Any, base: Base) -> None:
    """Add to the layers of a trunk what the adapter of its base adds, and before it the adapters that one stands on.

    Args:
        trunk: of transformers, in float32.
        base: nothing is done where it has no adapter.

    Raises:
        InputError: an adapter that is no plain LoRA of linear layers of this trunk.
    """
    import torch
    from safetensors.torch import load_file

    if base.adapter is None or base.on is None:
        return
    stack(trunk, base.on)
    said = json.loads((base.adapter / ADAPTER).read_text())
    factors: dict[str, dict[str, torch.Tensor]] = {}
    unknown = [name for name in VARIANTS if said.get(name)] + ([] if said["peft_type"] == "LORA" else [said["peft_type"]])
    linear = {name: module for name, module in trunk.named_modules() if isinstance(module, torch.nn.Linear)}
    for name, tensor in load_file(base.adapter / ADAPTER_WEIGHTS).items():
        match = FACTOR.fullmatch(name)
        if match is None or match["layer"] not in linear:
            unknown.append(name)
        else:
            factors.setdefault(match["layer"], {})[match["side"]] = tensor.float()
    if unknown:
        do = "Adapt with plain lora, or name the folder of a whole base."
        raise InputError(f"a plain LoRA adapter for {base.on.name}", f"{base.adapter} with {unknown[0]}", do)
    scale = said["lora_alpha"] / (said["r"] ** 0.5 if said.get("use_rslora") else said["r"])
    with torch.no_grad():
        for layer, one in factors.items():
            linear[layer].weight += scale * (one["B"] @ one["A"])
