"""Prefix-tuning: learned keys and values in front of every layer's own (Li and Liang, ACL 2021), mute at the start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from savile.adaptation._places import found, learning
from savile.adaptation._prefix import Front, hang, positions, sizes

if TYPE_CHECKING:
    import torch

    from savile.models._network import TextEncoder


@dataclass(frozen=True)
class Settings:
    """The prefix.

    Attributes:
        length: positions in front of each layer's keys and values.
        gate: weight of the prefix at the start: 0 leaves the base as it is, 1 is as published.
    """

    length: int = 30
    gate: float = 0.0


HEAD: Literal["cosine", "linear"] = "cosine"
FIT: dict[str, Any] = {"learning_rate": 2e-2, "epochs": 4.0}
FIT_SMALL: dict[str, Any] = {"learning_rate": 2e-2, "epochs": 8.0, "batch_rows": 32, "least_steps": 128}


def attach(network: TextEncoder, settings: Settings) -> None:
    """Freeze the trunk and give each layer keys and values such as its own projections make of noise.

    Raises:
        InputError: the base has no attention, or one whose arithmetic cannot be chosen; or nothing is put in front.
    """
    import torch

    network.trunk.requires_grad_(False)
    pairs = list(zip(found(network, "key"), found(network, "value"), strict=True))
    heads, kept, size = sizes(network)
    fronts = []
    for (_, key), (_, value) in pairs:
        noise = torch.randn(positions(settings.length), key.in_features)
        pair = [_heads(linear, noise, kept, size) for linear in (key, value)]
        front = Front(heads, settings.length, *pair)
        torch.nn.init.constant_(front.gate, settings.gate)
        fronts.append(front)
    hang(network, fronts)


def _heads(linear: torch.nn.Linear, noise: torch.Tensor, heads: int, size: int) -> torch.Tensor:
    """What a projection makes of noise (p, d), as (p, heads, size); of a joint projection, its last part."""
    import torch

    with torch.no_grad():
        made: torch.Tensor = linear(noise)
    return made[:, -heads * size :].reshape(len(noise), heads, size)


def parameters(network: TextEncoder) -> list[torch.nn.Parameter]:
    """Keys, values and gates in front, and the head."""
    return learning(network)


def merge(network: TextEncoder) -> None:
    """Nothing to fold in: the prefix stays in front."""
