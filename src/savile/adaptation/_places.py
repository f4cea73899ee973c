"""Where methods put what they add: the linear layers of a transformer layer by what they do, whatever the base calls them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from torch import nn

from savile.base.errors import InputError

Place = Literal["query", "key", "value", "attention_out", "feed_in", "feed_out"]
# ends of module names in BERT and its kin, DistilBERT, MPNet, ModernBERT and Llama-like bases, the longest first
NAMES: dict[Place, tuple[str, ...]] = {
    "query": ("query", "q_lin", "q_proj", "attn.q", "attn.Wqkv"),
    "key": ("key", "k_lin", "k_proj", "attn.k", "attn.Wqkv"),
    "value": ("value", "v_lin", "v_proj", "attn.v", "attn.Wqkv"),
    "attention_out": ("attention.output.dense", "out_lin", "o_proj", "attn.o", "attn.Wo"),
    "feed_in": ("intermediate.dense", "ffn.lin1", "mlp.up_proj", "mlp.Wi"),
    "feed_out": ("output.dense", "ffn.lin2", "mlp.down_proj", "mlp.Wo"),
}


def linears(network: Any, freeze: int = 0) -> Iterator[tuple[str, nn.Linear]]:
    """Name in the trunk and module of every linear layer above the `freeze` lowest layers."""
    for depth, layer in enumerate(network.layers):
        for name, module in layer.named_modules():
            if isinstance(module, nn.Linear) and depth >= freeze:
                yield f"{network.layer_path}.{depth}.{name}", module


def found(network: Any, place: Place) -> list[tuple[str, nn.Linear]]:
    """Name and module of the linear layer at a place, one for each layer from the lowest.

    Raises:
        InputError: the base has no such place, as bases without attention have none.
    """
    taken = NAMES["attention_out"] if place == "feed_out" else ()
    every = [(name, module) for name, module in linears(network) if name.endswith(NAMES[place]) and not name.endswith(taken)]
    if len(every) != len(network.layers):
        what = place.replace("_", " ")
        base = type(network.trunk).__name__ if hasattr(network.trunk, "config") else "one without attention"
        do = "Use lora, bitfit, full or head on this base, or a BERT-like base such as minilm."
        raise InputError(f"a base with a {what} projection in each layer", f"{network.base.name}, {base}", do)
    return every


def learning(network: Any) -> list[nn.Parameter]:
    """What requires a gradient."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def parent(network: Any, name: str) -> tuple[nn.Module, str]:
    """The module of the trunk that holds a module, and what it calls it."""
    holder, _, child = name.rpartition(".")
    return network.trunk.get_submodule(holder), child
