"""Small networks beside or behind a block, and how they are hung onto a base."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from savile.adaptation._places import found, parent
from savile.base.errors import InputError

if TYPE_CHECKING:
    from savile.models._network import TextEncoder

Kind = Literal["relu", "swish", "gelu"]
KINDS = {"relu": nn.ReLU, "swish": nn.SiLU, "gelu": nn.GELU}


def inner(width: int, reduction: int) -> int:
    """Size of a bottleneck so many times narrower than the base; 0, which `Adapter` refuses, where there is none such."""
    return width // reduction if reduction > 0 else 0


class Adapter(nn.Module):
    """scale * W_up f(W_down x): zero at the start, because W_up is.

    Args:
        width: d.
        inner: size of the bottleneck.
        kind: f.
        scale: factor on the output.
    """

    def __init__(self, width: int, inner: int, kind: Kind, scale: float = 1.0) -> None:
        super().__init__()
        if inner < 1 or kind not in KINDS:
            raise InputError(f"a bottleneck of at least 1 and one of {', '.join(KINDS)}", f"{inner} and {kind}", "Correct it.")
        self.down, self.up, self.scale = nn.Linear(width, inner), nn.Linear(inner, width), scale
        self.bend = KINDS[kind]()
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(…, d) -> (…, d)."""
        added: torch.Tensor = self.up(self.bend(self.down(x))) * self.scale
        return added


def behind(network: TextEncoder, place: Any, adapter: Any) -> None:
    """Add ``adapter()`` of its own output to the linear layer at a place, in every layer, before the residual is added."""
    for name, linear in found(network, place):
        holder, child = parent(network, name)
        added = adapter(linear.out_features)
        holder.add_module(f"{child}_adapter", added)
        linear.register_forward_hook(_adding(added))


def _adding(added: nn.Module) -> Any:
    def hook(_module: nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        summed: torch.Tensor = output + added(output)
        return summed

    return hook


def beside(network: TextEncoder, adapter: Any) -> None:
    """Add ``adapter()`` of a feed-forward block's input to its output, in every layer."""
    for (_, first), (name, last) in zip(found(network, "feed_in"), found(network, "feed_out"), strict=True):
        holder, child = parent(network, name)
        added = adapter(first.in_features)
        holder.add_module(f"{child}_adapter", added)
        seen: list[torch.Tensor] = []
        first.register_forward_pre_hook(_keeping(seen))
        last.register_forward_hook(_adding_kept(added, seen))


def _keeping(seen: list[torch.Tensor]) -> Any:
    def hook(_module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        seen[:] = inputs[:1]

    return hook


def _adding_kept(added: nn.Module, seen: list[torch.Tensor]) -> Any:
    def hook(_module: nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        summed: torch.Tensor = output + added(seen.pop())
        return summed

    return hook


def learn_norms(network: TextEncoder) -> None:
    """Let the layer norms learn, too."""
    for layer in network.layers:
        for module in layer.modules():
            if "Norm" in type(module).__name__:
                module.requires_grad_(True)
