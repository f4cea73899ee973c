"""Adapters that belong to a base: folded into its layers when it is loaded, so that whatever is learned stands on them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import load_file

from savile.base.errors import InputError
from savile.models._bases import ADAPTER, ADAPTER_WEIGHTS, Base

FACTOR = re.compile(r"(?:base_model\.model\.)?(?P<layer>.+)\.lora_(?P<side>[AB])(?:\.default)?\.weight")
PLAIN = (None, True, False, "gaussian")
VARIANTS = ("use_dora", "modules_to_save", "rank_pattern", "alpha_pattern", "layer_replication")


def stack(trunk: Any, base: Base) -> None:
    """Add to the layers of a trunk what the adapter of its base adds, and before it the adapters that one stands on.

    Args:
        trunk: of transformers, in float32.
        base: nothing is done where it has no adapter.

    Raises:
        InputError: an adapter that is no plain LoRA of linear layers of this trunk.
    """
    if base.adapter is None or base.on is None:
        return
    stack(trunk, base.on)
    said, tensors = json.loads((base.adapter / ADAPTER).read_text()), load_file(base.adapter / ADAPTER_WEIGHTS)
    linear = {name: module for name, module in trunk.named_modules() if isinstance(module, torch.nn.Linear)}
    added = factors(tensors)
    unknown = [name for name in VARIANTS if said.get(name)] + ([] if said["peft_type"] == "LORA" else [said["peft_type"]])
    unknown += ["init_lora_weights"] if said.get("init_lora_weights") not in PLAIN else []  # others change the base, too
    unknown += [name for name in tensors if not FACTOR.fullmatch(name)] + [name for name in added if name not in linear]
    if unknown:
        do = "Adapt with plain lora, or name the folder of a whole base."
        raise InputError(f"a plain LoRA adapter for {base.on.name}", f"{base.adapter} with {unknown[0]}", do)
    scale = said["lora_alpha"] / (said["r"] ** 0.5 if said.get("use_rslora") else said["r"])
    with torch.no_grad():
        for layer, one in added.items():
            linear[layer].weight += scale * (one["B"] @ one["A"])


def factors(tensors: Mapping[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """Tensors by their names in a file -> layer -> its A (r, in) and B (out, r), float32, without their scale."""
    found: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        match = FACTOR.fullmatch(name)
        if match:
            found.setdefault(match["layer"], {})[match["side"]] = tensor.float()
    return found
