"""Attention that sees more than its text: positions in front whose weight starts at zero and is learned.

With a gate g for each head, the weight of a position in front is |g| exp(score), its value sign(g) v. At g = 1 this is
prefix-tuning as published (one softmax over prefix and text); at g = 0, where it starts, the base answers as it did. That start
is the one of Zhang et al. (LLaMA-Adapter, ICLR 2024), who gate a softmax of its own instead.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from savile.adaptation._places import found
from savile.base.errors import InputError

if TYPE_CHECKING:
    from savile.models._network import TextEncoder

NAME = "savile_front"


def positions(length: int) -> int:
    """How many stand in front.

    Raises:
        InputError: none.
    """
    if length < 1:
        raise InputError("a length of 1 or more in front", str(length), "Correct the setting length.")
    return length


class Front(nn.Module):
    """What stands in front of the keys and values of one attention block.

    Args:
        heads: of queries.
        length: p, positions in front.
        keys: (p, kv heads, head size), or None where the first p positions of the sequence itself stand in front.
        values: likewise.
    """

    def __init__(self, heads: int, length: int, keys: torch.Tensor | None, values: torch.Tensor | None) -> None:
        super().__init__()
        self.length = length
        self.mute = False  # whether nobody hears it, as when the base alone is asked
        self.gate = nn.Parameter(torch.zeros(heads))
        self.keys = None if keys is None else nn.Parameter(keys.clone())
        self.values = None if values is None else nn.Parameter(values.clone())

    def given(self, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values, each (rows, kv heads, p, head size)."""
        assert self.keys is not None
        assert self.values is not None
        pair = (self.keys, self.values)
        keys, values = (one.transpose(0, 1).unsqueeze(0).expand(rows, -1, -1, -1) for one in pair)
        return keys, values


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as transformers calls it, with `scaling` and `dropout`: (n, heads, s, size) each -> (n, s, heads, size)."""
    front: Front = module.front
    dropout: float = more.get("dropout", 0.0)
    if front.keys is None:
        front_key, key = key[:, :, : front.length], key[:, :, front.length :]
        front_value, value = value[:, :, : front.length], value[:, :, front.length :]
    else:
        front_key, front_value = (one.to(key.dtype) for one in front.given(len(key)))
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value, front_key, front_value = (
            one.repeat_interleave(groups, dim=1) for one in (key, value, front_key, front_value)
        )
    scale = more.get("scaling") or query.shape[-1] ** -0.5
    own = (query @ key.transpose(2, 3)).float() * scale
    own = own + _additive(attention_mask, own, front.length if front.keys is None else 0)
    before = (query @ front_key.transpose(2, 3)).float() * scale
    totals = torch.logsumexp(own, dim=-1, keepdim=True), torch.logsumexp(before, dim=-1, keepdim=True)
    most = torch.maximum(*totals).detach()
    heard, more_heard = (torch.exp(total - most) for total in totals)
    gate = front.gate.float().view(1, -1, 1, 1) * (not front.mute)
    shared = heard + gate.abs() * more_heard
    # at a gate of 0 the first share is 1 exactly, and what the text hears of itself is what the base's softmax gives
    weights = [
        (F.softmax(own, dim=-1) * (heard / shared)).to(value.dtype),
        (F.softmax(before, dim=-1) * (gate * more_heard / shared)).to(value.dtype),
    ]
    mixed = (
        F.dropout(weights[0], dropout, module.training) @ value + F.dropout(weights[1], dropout, module.training) @ front_value
    )
    return mixed.transpose(1, 2).contiguous(), None


def _additive(mask: torch.Tensor | None, scores: torch.Tensor, front: int) -> Any:
    """A mask of any kind -> numbers to add to scores; rows of positions in front see every text position."""
    if mask is None:
        return 0.0
    if mask.dtype == torch.bool:
        mask = torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, torch.finfo(torch.float32).min)
    if front and mask.shape[2] > 1:  # a row for each position of the text: those in front see as the first one does
        mask = torch.cat([mask[:, :, :1].expand(-1, -1, front, -1), mask], dim=2)
    return mask.float()


def hang(network: TextEncoder, fronts: list[Front]) -> None:
    """Let each layer's attention see what is in front of it; the rest of the base is left as it is.

    Raises:
        InputError: an attention block that does not let its arithmetic be chosen.
    """
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(NAME, attend)
    for block, front in zip(blocks(network), fronts, strict=True):
        block.front = front
        block.config = copy.copy(block.config)  # the trunk's own says how masks are made, and is switched by length
        block.config._attn_implementation = NAME


def blocks(network: TextEncoder) -> list[Any]:
    """The attention block of each layer, from the lowest.

    Raises:
        InputError: the base has no attention, or one of an unknown make.
    """
    held = [network.trunk.get_submodule(name.rpartition(".")[0]) for name, _ in found(network, "key")]
    if not all(hasattr(block, "config") for block in held):
        do = "Use bottleneck or lora on this base."
        raise InputError("attention whose arithmetic can be chosen", f"{type(held[0]).__name__} of {network.base.name}", do)
    return held


def sizes(network: TextEncoder) -> tuple[int, int, int]:
    """Heads of queries, heads of keys, size of a head."""
    config: Any = network.trunk.config
    heads: int = getattr(config, "num_attention_heads", 0) or config.n_heads
    return (
        heads,
        getattr(config, "num_key_value_heads", None) or heads,
        getattr(config, "head_dim", None) or network.width // heads,
    )
