"""Prefix-propagation: learned positions in front that pass through every layer with the text (Li et al., ACL 2023).

Half the weights of prefix-tuning: one vector a position and layer instead of a key and a value. Here the positions start mute,
see `_prefix`, so that the base answers as it did before the first step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from savile.adaptation._places import found, learning
from savile.adaptation._prefix import Front, hang, positions, sizes
from savile.base.errors import InputError

if TYPE_CHECKING:
    import torch

    from savile.models._network import TextEncoder


@dataclass(frozen=True)
class Settings:
    """The prefix.

    Attributes:
        length: positions in front.
        gate: weight of the positions at the start: 0 leaves the base as it is, 1 is as published.
    """

    length: int = 30
    gate: float = 0.0


HEAD: Literal["cosine", "linear"] = "cosine"
FIT: dict[str, Any] = {"learning_rate": 2e-2, "epochs": 4.0}
FIT_SMALL: dict[str, Any] = {"learning_rate": 2e-2, "epochs": 8.0, "batch_rows": 32, "least_steps": 128}


def attach(network: TextEncoder, settings: Settings) -> None:
    """Freeze the trunk, put positions in front before the lowest layer, add to them in each, take them off after the last.

    Raises:
        InputError: the base has no attention of a known make, or turns its keys by position.
    """
    import torch

    config: Any = getattr(network.trunk, "config", None)
    if getattr(config, "rope_parameters", None) or getattr(config, "rope_theta", None):
        do = "Use prefix on this base."
        raise InputError("a base that adds positions to its embeddings", f"{network.base.name}, which turns keys", do)
    network.trunk.requires_grad_(False)
    found(network, "key")
    fronts = [Front(sizes(network)[0], positions(settings.length), None, None) for _ in network.layers]
    hang(network, fronts)
    for depth, (layer, front) in enumerate(zip(network.layers, fronts, strict=True)):
        torch.nn.init.constant_(front.gate, settings.gate)
        scale = 1.0 if depth == 0 else 0.02
        layer.front_rows = torch.nn.Parameter(torch.randn(settings.length, network.width) * scale)
        layer.register_forward_pre_hook(_entering(depth == 0), with_kwargs=True)
    network.layers[-1].register_forward_hook(_leaving(settings.length))


def _entering(lowest: bool) -> Any:
    def hook(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        import torch

        hidden = args[0] if args else kwargs["hidden_states"]
        rows = layer.front_rows.to(hidden.dtype).unsqueeze(0)
        if lowest:
            hidden = torch.cat([rows.expand(len(hidden), -1, -1), hidden], dim=1)
        else:
            length = rows.shape[1]
            hidden = torch.cat([hidden[:, :length] + rows, hidden[:, length:]], dim=1)
        return ((hidden, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": hidden})

    return hook


def _leaving(length: int) -> Any:
    def hook(_layer: Any, _inputs: object, output: Any) -> Any:
        return (output[0][:, length:], *output[1:]) if isinstance(output, tuple) else output[:, length:]

    return hook


def parameters(network: TextEncoder) -> list[torch.nn.Parameter]:
    """The positions in front, their gates, and the head."""
    return learning(network)


def merge(network: TextEncoder) -> None:
    """Nothing to fold in: the positions stay in front."""
