"""Low-rank updates of several adapters beside each linear layer, heard by a gate: what `arrow` and `domains` share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from savile.adaptation._library import Update
from savile.adaptation._places import parent
from savile.base.errors import InputError

if TYPE_CHECKING:
    from savile.models._network import TextEncoder

END = "_experts"  # what the module beside a linear layer is called, behind the layer's own name


@dataclass(frozen=True)
class Plan:
    """What has to be hung onto a fresh base before stored weights are filled in.

    Attributes:
        names: of each expert.
        ranks: of their updates.
        layers: names in the trunk of the linear layers that have an update.
    """

    names: tuple[str, ...] = ()
    ranks: tuple[int, ...] = ()
    layers: tuple[str, ...] = ()

    @classmethod
    def of(cls, names: Sequence[str], several: Sequence[Mapping[str, Update]]) -> Plan:
        """That of some adapters."""
        ranks = tuple(max(len(a) for a, _ in one.values()) for one in several)
        return cls(tuple(names), ranks, tuple(sorted({layer for one in several for layer in one})))


class Experts(nn.Module):
    """x -> sum over e of g_e B_e A_e x.

    Attributes:
        a: of each expert, (rank, in).
        b: of each expert, (out, rank).
        which: the expert of each rank, int64 (ranks,).
    """

    which: torch.Tensor

    def __init__(self, linear: Any, ranks: Sequence[int]) -> None:
        super().__init__()
        self.a = nn.ParameterList(nn.Parameter(torch.zeros(rank, linear.in_features)) for rank in ranks)
        self.b = nn.ParameterList(nn.Parameter(torch.zeros(linear.out_features, rank)) for rank in ranks)
        self.count()

    def count(self) -> None:
        """Note whose each rank is."""
        whose = [torch.full((len(a),), number) for number, a in enumerate(self.a)]
        self.register_buffer("which", torch.cat(whose), persistent=False)

    def forward(self, x: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
        """Inputs (n, s, in) and gate (n, s, E) or (n, 1, E) -> (n, s, out); one product for all experts."""
        inner = F.linear(x, torch.cat(list(self.a)))
        return F.linear(inner * gate[..., self.which], torch.cat(list(self.b), dim=1))

    def put(self, expert: int, update: Update) -> None:
        """Set one expert, whose rank may be lower."""
        a, b = update
        with torch.no_grad():
            self.a[expert].zero_()[: len(a)] = a
            self.b[expert].zero_()[:, : len(a)] = b


Gate = Callable[[Any, torch.Tensor], torch.Tensor | None]  # the experts of a layer and its input -> how much each is heard


def hang(network: TextEncoder, plan: Plan, gate: Gate, make: Callable[[Any, Sequence[int]], Experts] = Experts) -> None:
    """Freeze the trunk and put experts, zero for now, beside each layer of a plan; where the gate is None none is heard.

    Raises:
        InputError: the base has no layer of that name.
    """
    network.trunk.requires_grad_(False)
    for name in plan.layers:
        try:
            linear: Any = network.trunk.get_submodule(name)
        except AttributeError:
            raise InputError(f"a base with a layer {name}", network.base.name, "Name adapters of this base.") from None
        experts = make(linear, plan.ranks)
        holder, child = parent(network, name)
        holder.add_module(f"{child}{END}", experts)
        linear.register_forward_hook(_adding(experts, gate))


def _adding(experts: Experts, gate: Gate) -> Any:
    def hook(_module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        heard = gate(experts, inputs[0])
        return output if heard is None else output + experts(inputs[0], heard)

    return hook


def fill(network: TextEncoder, several: Sequence[Mapping[str, Update]]) -> None:
    """Put the updates of some adapters in their places, the first as expert 0."""
    for name, experts in each(network):
        for number, updates in enumerate(several):
            if name in updates:
                experts.put(number, updates[name])


def each(network: TextEncoder) -> Iterator[tuple[str, Any]]:
    """Name of each layer that has experts, and those."""
    for name, module in network.trunk.named_modules():
        if isinstance(module, Experts):
            yield name.removesuffix(END), module


def digests(network: TextEncoder, names: Sequence[str]) -> dict[str, str]:
    """SHA-256 of the weights of each expert."""
    found = {name: hashlib.sha256() for name in names}
    for _, experts in each(network):
        for number, name in enumerate(names):
            for side in (experts.a[number], experts.b[number]):
                found[name].update(side.detach().contiguous().numpy().tobytes())
    return {name: one.hexdigest() for name, one in found.items()}
