"""Merge: the LoRA adapters of several models on one base made one, in the space of weights, and a new head on it.

Nothing of the trunk is trained. What comes out is a model as `lora` leaves it, whatever it was made of: it loads in peft alone,
learns on, and can be merged again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from savile.adaptation import _library, _merging, lora
from savile.adaptation._merging import How
from savile.adaptation._places import learning, linears

if TYPE_CHECKING:
    import torch

    from savile.models._network import TextEncoder

__all__ = ["FIT", "FIT_SMALL", "HEAD", "KEEPS", "Settings", "attach", "merge", "parameters"]


@dataclass(frozen=True)
class Settings:
    """What is merged, and how.

    Attributes:
        adapters: models or releases of the method ``lora`` on the same base.
        how: ``linear``, ``ties``, ``dare``, ``dare_ties`` or ``magnitude``, see `savile.adaptation._merging.merged`.
        weights: of each adapter; empty gives them the same.
        density: share of the entries of each update that is kept by all but ``linear``.
        rank: of the result, by singular values; 0 takes the highest of the adapters'.
        dare_seed: of what ``dare`` drops.
    """

    adapters: tuple[str, ...] = ()
    how: How = "linear"
    weights: tuple[float, ...] = ()
    density: float = _merging.DENSITY
    rank: int = 0
    dare_seed: int = 0


HEAD: Literal["cosine", "linear"] = "linear"
KEEPS = False  # what is merged has learned something
FIT: dict[str, Any] = {}
FIT_SMALL: dict[str, Any] = {}


def attach(network: TextEncoder, settings: Settings) -> None:
    """Freeze the trunk, put the merged update beside each layer that any adapter has one for, and let the head learn.

    Raises:
        InputError: less than two adapters, or one that does not fit this base.
    """
    import torch

    members = _library.read(settings.adapters, network.base)
    each, how = [member.updates for member in members], settings.how
    updates = _merging.merged(each, how, settings.weights, settings.density, settings.rank, settings.dare_seed)
    rank = len(next(iter(updates.values()))[0])
    without = {name: 0 for name, _ in linears(network) if name not in updates}
    made = lora.Settings(rank, rank, ranks=without)
    lora.attach(network, made)
    with torch.no_grad():
        for name, (a, b) in updates.items():
            layer: Any = network.trunk.get_submodule(name)
            layer.lora_A["default"].weight.copy_(a)
            layer.lora_B["default"].weight.copy_(b)
    network.hold(name for name, p in network.trunk.named_parameters() if p.requires_grad)
    network.method, network.method_settings = "lora", asdict(made)


def parameters(network: TextEncoder) -> list[torch.nn.Parameter]:
    """The head."""
    return learning(network)


def merge(network: TextEncoder) -> None:
    """Add the update to each layer and take the adapter off."""
    lora.merge(network)
