"""PEQA: linear layers are quantised once and frozen, and only the scales learn (Kim et al., NeurIPS 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import nn

from savile.adaptation._places import learning, linears, parent
from savile.base.errors import InputError

if TYPE_CHECKING:
    from savile.models._network import TextEncoder


@dataclass(frozen=True)
class Settings:
    """How weights are quantised.

    Attributes:
        bits: of a weight, 2 to 8.
        group: weights of a row that share a scale; 0 is the whole row.
    """

    bits: int = 4
    group: int = 32


HEAD: Literal["cosine", "linear"] = "cosine"
KEEPS = False  # quantising changes answers; training the scales makes up for it
FIT: dict[str, Any] = {"learning_rate": 5e-4, "epochs": 4.0}
FIT_SMALL: dict[str, Any] = {"learning_rate": 5e-4, "epochs": 8.0, "batch_rows": 32, "least_steps": 128}
SHRINKS = torch.linspace(1.0, 0.6, 17)  # of a group's range, the one with the least squared error is taken


class QuantisedLinear(nn.Module):
    """y = ((q - z) * s) x + b with frozen integers q and z, and a scale s that learns.

    Integers lie packed, as many to a byte as go in; `scale` holds the ratio to the first scale, ones at the start, so that one
    learning rate suits every group.
    """

    packed: torch.Tensor
    zero: torch.Tensor
    first: torch.Tensor

    def __init__(self, linear: nn.Linear, bits: int, group: int) -> None:
        super().__init__()
        self.shape, self.bits = linear.weight.shape, bits
        self.group = group or linear.in_features
        codes, zero, first = quantised(linear.weight.detach(), bits, self.group)
        self.register_buffer("packed", pack(codes, bits), persistent=False)
        self.register_buffer("zero", zero, persistent=False)
        self.register_buffer("first", first, persistent=False)
        self.scale = nn.Parameter(torch.ones_like(first))
        self.bias = linear.bias

    def weight(self) -> torch.Tensor:
        """The weight (out, in) that is multiplied with."""
        rows, columns = self.shape
        codes = unpack(self.packed, self.bits)[: rows * columns].view(rows, -1, self.group)
        whole = (codes.float() - self.zero.float().unsqueeze(-1)) * (self.first * self.scale).unsqueeze(-1)
        return whole.view(rows, columns)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(…, in) -> (…, out)."""
        return F.linear(x, self.weight(), self.bias)

    def stored_bytes(self) -> int:
        """Bytes of the integers, their zero points (as many bits as a weight) and the scales, 16 bits each."""
        return self.packed.numel() + -(-self.zero.numel() * self.bits // 8) + 2 * self.first.numel()


def quantised(weight: torch.Tensor, bits: int, group: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Weight (out, in) -> codes uint8 (out, in), zero points uint8 and scales float32 (out, in / group), of least error."""
    rows = weight.reshape(len(weight), -1, group).float()
    top = float(2**bits - 1)
    best = torch.full(rows.shape[:2], torch.inf)
    codes, zeros, scales = (torch.zeros_like(rows), torch.zeros(rows.shape[:2]), torch.ones(rows.shape[:2]))
    for shrink in SHRINKS.tolist():
        low, high = rows.amin(-1).clamp(max=0) * shrink, rows.amax(-1).clamp(min=0) * shrink
        scale = ((high - low) / top).clamp(min=1e-8)
        zero = torch.round(-low / scale)
        code = (torch.round(rows / scale.unsqueeze(-1)) + zero.unsqueeze(-1)).clamp(0, top)
        error = ((code - zero.unsqueeze(-1)) * scale.unsqueeze(-1) - rows).square().sum(-1)
        better = error < best
        best = torch.where(better, error, best)
        codes = torch.where(better.unsqueeze(-1), code, codes)
        zeros, scales = torch.where(better, zero, zeros), torch.where(better, scale, scales)
    return codes.to(torch.uint8).view(weight.shape), zeros.to(torch.uint8), scales


def pack(codes: torch.Tensor, bits: int) -> torch.Tensor:
    """Codes, uint8 -> bytes that hold 8 // bits of them each."""
    several = 8 // bits
    flat = F.pad(codes.flatten(), (0, -codes.numel() % several)).view(-1, several)
    packed = torch.zeros(len(flat), dtype=torch.uint8)
    for place in range(several):
        packed |= flat[:, place] << (bits * place)
    return packed


def unpack(packed: torch.Tensor, bits: int) -> torch.Tensor:
    """What `pack` packed, with what fills the last byte."""
    parts = [(packed >> (bits * place)) & (2**bits - 1) for place in range(8 // bits)]
    return torch.stack(parts, dim=-1).flatten()


def attach(network: TextEncoder, settings: Settings) -> None:
    """Freeze the trunk and quantise every linear layer of its layers.

    Raises:
        InputError: bits or groups that cannot be, or a base without linear layers.
    """
    network.trunk.requires_grad_(False)
    if not 2 <= settings.bits <= 8:
        raise InputError("2 to 8 bits", str(settings.bits), "Correct the setting bits.")
    for name, linear in list(linears(network)):
        if settings.group < 0 or (settings.group and linear.in_features % settings.group):
            do = "Set group to a divisor of it, or to 0 for whole rows."
            raise InputError(f"groups that divide the {linear.in_features} inputs of {name}", str(settings.group), do)
        holder, child = parent(network, name)
        setattr(holder, child, QuantisedLinear(linear, settings.bits, settings.group))


def parameters(network: TextEncoder) -> list[torch.nn.Parameter]:
    """The scales and the head."""
    return learning(network)


def merge(network: TextEncoder) -> None:
    """Write the quantised weights out as ordinary linear layers."""
    for name, module in list(network.trunk.named_modules()):
        if isinstance(module, QuantisedLinear):
            weight = module.weight().detach()
            linear = nn.Linear(weight.shape[1], weight.shape[0], bias=module.bias is not None)
            linear.weight, linear.bias = nn.Parameter(weight, requires_grad=False), module.bias
            holder, child = parent(network, name)
            setattr(holder, child, linear)
