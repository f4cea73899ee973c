"""Arrow: token by token, the adapters of a library that a token's own direction asks for (Ostapenko et al., ICML 2024).

The prototype of an adapter in a layer is the first right singular vector of its update, the direction that it changes most. A
token hears the `top` adapters whose prototypes it lies along, whichever way round, in the shares of a softmax. Routing is not
trained and needs no data; only a head is fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from savile.adaptation import _experts, _library, _merging
from savile.adaptation._experts import Experts, Plan
from savile.adaptation._places import learning
from savile.base.errors import InputError

if TYPE_CHECKING:
    from savile.models._network import TextEncoder


@dataclass(frozen=True)
class Settings:
    """What is routed to.

    Attributes:
        adapters: models or releases of the method ``lora`` on the same base.
        top: adapters that a token hears.
        temperature: of the softmax; a low one hears the nearest almost alone.
        plan: names, ranks and layers, which are written here once the adapters were read.
    """

    adapters: tuple[str, ...] = ()
    top: int = 3
    temperature: float = 1.0
    plan: dict[str, Any] = field(default_factory=dict)


HEAD: Literal["cosine", "linear"] = "linear"
KEEPS = False  # what is heard has learned something
FIT: dict[str, Any] = {}
FIT_SMALL: dict[str, Any] = {}


class Routed(Experts):
    """Experts of one layer and the prototype of each, (E, in), of unit length."""

    def __init__(self, linear: Any, ranks: Sequence[int]) -> None:
        super().__init__(linear, ranks)
        self.prototypes = nn.Parameter(torch.zeros(len(ranks), linear.in_features))

    def put(self, expert: int, update: _library.Update) -> None:
        """Set one expert and its prototype."""
        super().put(expert, update)
        with torch.no_grad():
            self.prototypes[expert] = _merging.low_rank(*update, 1)[0][0]


def attach(network: TextEncoder, settings: Settings) -> None:
    """Freeze the trunk, put every adapter beside its layers, and let the head learn.

    Raises:
        InputError: less than two adapters, one that does not fit this base, or a number to hear that cannot be.
    """
    members = () if settings.plan else _library.read(settings.adapters, network.base)
    plan = Plan(**settings.plan) if settings.plan else Plan.of([one.name for one in members], [one.updates for one in members])
    if not 1 <= settings.top <= len(plan.names) or settings.temperature <= 0:
        received = f"top {settings.top} at temperature {settings.temperature:g}"
        raise InputError(f"1 to {len(plan.names)} adapters to hear, at a temperature above 0", received, "Correct it.")

    def gate(experts: Routed, x: torch.Tensor) -> torch.Tensor:
        return heard(experts, x, settings.top, settings.temperature)

    _experts.hang(network, plan, gate, Routed)
    _experts.fill(network, [one.updates for one in members])
    network.hold(
        f"{name}{_experts.END}.{own}" for name, experts in _experts.each(network) for own, _ in experts.named_parameters()
    )
    network.method_settings = {**asdict(settings), "plan": asdict(plan)}


def heard(experts: Routed, x: torch.Tensor, top: int, temperature: float) -> torch.Tensor:
    """What share of each expert each token hears, (n, s, in) -> (n, s, E)."""
    with torch.autocast(x.device.type, enabled=False):
        score = (x.float() @ experts.prototypes.T).abs()
        least = score.topk(top, dim=-1).values[..., -1:]
        return torch.softmax((score / temperature).masked_fill(score < least, -torch.inf), dim=-1)


def parameters(network: TextEncoder) -> list[torch.nn.Parameter]:
    """The head."""
    return learning(network)


def merge(network: TextEncoder) -> None:
    """Nothing to fold in: which adapters are heard depends on the token."""


def recovered(network: TextEncoder, texts: list[str]) -> torch.Tensor:
    """How much each adapter is heard by each text, the mean over layers and tokens, (n, E)."""
    from savile.models._rows import TokenRows, sorted_batches

    settings, tokens = Settings(**network.method_settings), TokenRows(network.encode(texts), network.pad_id)
    found = torch.zeros(len(texts), len(settings.plan["names"]))
    shares: list[torch.Tensor] = []

    def noting(experts: Routed) -> Any:
        def hook(_module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            shares.append(heard(experts, inputs[0], settings.top, settings.temperature))

        return hook

    hooks = [network.trunk.get_submodule(name).register_forward_pre_hook(noting(one)) for name, one in _experts.each(network)]
    with torch.inference_mode():
        for rows in sorted_batches(tokens.lengths):
            shares.clear()
            ids, mask = (torch.from_numpy(one) for one in tokens.padded(rows))
            network.pooled(ids, mask)
            real = mask.unsqueeze(-1).float()
            found[torch.from_numpy(rows)] = torch.stack([(one * real).sum(1) / real.sum(1) for one in shares]).mean(0)
    for hook in hooks:
        hook.remove()
    return found
