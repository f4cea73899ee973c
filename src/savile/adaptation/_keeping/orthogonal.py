"""Orthogonal: LoRA learns each stage in directions no earlier stage has used (O-LoRA, Wang et al., EMNLP 2023).

Every stage adds rows to A and columns to B of one adapter. Those of earlier stages stand still. After every step the new rows
of A are put at right angles to the old ones, where the paper only asks for it by a penalty, and to the directions that earlier
texts take through the base (gradient projection memory, Saha et al., ICLR 2021): without that an update moves the earlier
answers however far it is from earlier updates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from savile.adaptation._keeping._past import Past, Still, Taught, batches
from savile.base.errors import InputError


@dataclass(frozen=True)
class Settings:
    """What a stage adds.

    Attributes:
        rank: directions a stage may use; 0 takes the rank the model has.
        memory: rows of earlier stages whose texts show which directions are taken; their labels are not used.
        energy: share of what those texts have in each layer that lies in the directions taken.
    """

    rank: int = 0
    memory: int = 200
    energy: float = 0.95


def begin(network: Any, past: Past, new: Taught, settings: Settings) -> Taught:
    """The new rows; the adapter of the network is widened.

    Raises:
        InputError: the model was not made by LoRA with one rank and nothing beside it.
    """
    made = network.method_settings
    if network.method != "lora" or made.get("ranks") or made.get("dora") or made.get("start", "zero") != "zero":
        received = f"one made by {network.method}" + (" in a variant" if network.method == "lora" else "")
        raise InputError("a model made by plain lora with one rank", received, "Use keep: replay, or adapt by lora first.")
    rank = settings.rank or made["rank"]
    total = made["rank"] + rank
    alpha = made["alpha"] * total / made["rank"]
    if made.get("rslora") or alpha != int(alpha):
        raise InputError("alpha / rank that stays the same", f"alpha {alpha:g} at rank {total}", "Set keep.rank to a multiple.")
    network.keeper = _Grown(network, rank, past, settings.energy)
    network.method_settings = {**made, "rank": total, "alpha": int(alpha)}
    config = network.trunk.peft_config["default"]
    config.r, config.lora_alpha = total, int(alpha)
    return new


class _Grown:
    """An adapter with a block that stands still and one that learns at right angles to it."""

    def __init__(self, network: Any, rank: int, past: Past, energy: float) -> None:
        import torch

        dice = torch.Generator().manual_seed(past.seed)
        taken = _taken(network, list(past.memory[0]), energy)
        self.blocks = [_Block(layer, taken[layer], rank, dice) for layer in _layers(network)]
        self.head = Still(network, past.known)

    def after_step(self, network: Any, step: int, total: int) -> None:
        """Undo what the step did to earlier blocks and to the rows of labels known before."""
        import torch

        with torch.no_grad():
            for block in self.blocks:
                block.restore()
            self.head.restore()


class _Block:
    """A and B of one linear layer, (r + new, in) and (out, r + new)."""

    def __init__(self, layer: Any, taken: Any, rank: int, dice: Any) -> None:
        import torch
        from torch import nn

        first, last = layer.lora_A["default"], layer.lora_B["default"]
        self.old, total = len(first.weight), len(first.weight) + rank
        self.before = first.weight.detach().clone(), last.weight.detach().clone()
        self.span = torch.linalg.qr(torch.cat([taken, self.before[0].T], 1))[0]  # (in, taken + r), orthonormal
        fresh = torch.randn(rank, first.in_features, generator=dice) / first.in_features**0.5
        self.a, self.b = nn.Linear(first.in_features, total, bias=False), nn.Linear(total, last.out_features, bias=False)
        with torch.no_grad():
            self.a.weight[self.old :], self.b.weight[:, self.old :] = fresh, 0.0
            self.restore()
        layer.lora_A["default"], layer.lora_B["default"] = self.a, self.b
        layer.r["default"] = total  # alpha / r stays what it was

    def restore(self) -> None:
        """The old block as it was, and the new one at right angles to it."""
        self.a.weight[: self.old], self.b.weight[:, : self.old] = self.before
        fresh = self.a.weight[self.old :]
        self.a.weight[self.old :] = fresh - fresh @ self.span @ self.span.T


def _taken(network: Any, texts: list[str], energy: float) -> dict[Any, Any]:
    """Layer -> the fewest directions that hold a share of what some texts have in it, (in, k), orthonormal."""
    import torch

    squares: dict[Any, Any] = {}

    def seen(layer: Any, inputs: tuple[Any, ...]) -> None:
        flat = inputs[0].detach().flatten(0, -2)
        squares[layer] = squares.get(layer, 0) + flat.T @ flat

    hooks = [layer.register_forward_pre_hook(seen) for layer in _layers(network)]
    with torch.no_grad():
        for one in batches(network, texts, 32):
            network(*one)
    for hook in hooks:
        hook.remove()
    found = {}
    for layer in _layers(network):
        values, vectors = torch.linalg.eigh(squares[layer]) if texts else (torch.zeros(1), torch.zeros(layer.in_features, 1))
        held = values.flip(0).clamp(min=0).cumsum(0)
        count = int((held < energy * held[-1]).sum()) + 1 if texts else 0
        found[layer] = vectors.flip(1)[:, :count]
    return found


def _layers(network: Any) -> Iterator[Any]:
    from peft.tuners.lora import LoraLayer

    return (module for module in network.trunk.modules() if isinstance(module, LoraLayer))
