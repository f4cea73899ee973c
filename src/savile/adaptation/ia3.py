"""IA3: keys, values and the inside of feed-forward blocks are scaled, a factor a unit (Liu et al., NeurIPS 2022), by peft."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from savile.adaptation import _peft
from savile.adaptation._places import found, learning

if TYPE_CHECKING:
    import torch

    from savile.models._network import TextEncoder


@dataclass(frozen=True)
class Settings:
    """Nothing to set: three vectors a layer, ones at the start."""


HEAD: Literal["cosine", "linear"] = "cosine"
FIT: dict[str, Any] = {"learning_rate": 1e-2, "epochs": 4.0}
FIT_SMALL: dict[str, Any] = {"learning_rate": 6e-3, "epochs": 8.0, "batch_rows": 32, "least_steps": 128}


def attach(network: TextEncoder, settings: Settings) -> None:
    """Freeze the trunk and scale by ones.

    Raises:
        InputError: the base has no keys, values or feed-forward blocks.
    """
    from peft import IA3Config

    inside = [name for name, _ in found(network, "feed_out")]
    outside = [name for name, _ in (*found(network, "key"), *found(network, "value"))]
    names = list(dict.fromkeys([*outside, *inside]))  # one projection may serve keys and values
    _peft.inject(network, IA3Config(target_modules=names, feedforward_modules=inside))


def parameters(network: TextEncoder) -> list[torch.nn.Parameter]:
    """The factors and the head."""
    return learning(network)


def merge(network: TextEncoder) -> None:
    """Multiply the factors into the weights."""
    _peft.fold(network)
