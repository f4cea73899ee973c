"""Bottleneck adapters in each layer: two (Houlsby et al., ICML 2019), or one behind the feed-forward block (Pfeiffer 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from savile.adaptation._adapters import Adapter, Kind, behind, inner, learn_norms
from savile.adaptation._places import learning

if TYPE_CHECKING:
    import torch

    from savile.models._network import TextEncoder


@dataclass(frozen=True)
class Settings:
    """Shape of h + W_up f(W_down h).

    Attributes:
        reduction: how many times narrower than the base the bottleneck is.
        double: whether there is one behind attention, too, as in the original.
        kind: f: ``relu``, ``swish`` or ``gelu``.
        norms: whether layer norms learn, too, as in the original.
    """

    reduction: int = 16
    double: bool = False
    kind: Kind = "relu"
    norms: bool = False


HEAD: Literal["cosine", "linear"] = "cosine"
FIT: dict[str, Any] = {"learning_rate": 3e-3, "epochs": 3.0}
FIT_SMALL: dict[str, Any] = {"learning_rate": 2e-3, "epochs": 6.0, "batch_rows": 32, "least_steps": 96}


def attach(network: TextEncoder, settings: Settings) -> None:
    """Freeze the trunk and put adapters, zero at the start, before the residual sums.

    Raises:
        InputError: the base has no attention or feed-forward blocks.
    """

    def adapter(width: int) -> Adapter:
        return Adapter(width, inner(width, settings.reduction), settings.kind)

    network.trunk.requires_grad_(False)
    behind(network, "feed_out", adapter)
    if settings.double:
        behind(network, "attention_out", adapter)
    if settings.norms:
        learn_norms(network)


def parameters(network: TextEncoder) -> list[torch.nn.Parameter]:
    """The adapters and the head."""
    return learning(network)


def merge(network: TextEncoder) -> None:
    """Nothing to fold in: what bends cannot become part of a matrix, so adapters stay where they are."""
