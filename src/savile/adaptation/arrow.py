"""Arrow: token by token, the adapters of a library that a token's own direction asks for (Ostapenko et al., ICML 2024).

The paper's prototype of an adapter in a layer is the first right singular vector of its update B A, the direction that it
changes most; that is ``singular``. After few steps A is mostly its random start, which adapters of one seed have in common:
such prototypes are nearly the same. ``learned`` takes what training added to A instead. Its rows are sums of what the layer was
shown, so they span where the task's tokens lie. All of them count, as all do in SpectR (Fleshman and Van Durme 2025), in the
space where the tokens of the texts at hand, whosever they are, are round: what all tokens share says nothing of a task.

A token hears the `top` adapters along whose prototypes it lies, whichever way round, in the shares of a softmax. Routing is not
trained, knows no labels and no tasks of texts; only a head is fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import InitVar, asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from savile.adaptation import _experts, _library, _merging
from savile.adaptation._experts import Experts, Plan
from savile.adaptation._places import learning
from savile.base.contracts import Rows
from savile.base.errors import InputError

if TYPE_CHECKING:
    from savile.models._network import TextEncoder

Prototypes = Literal["learned", "singular"]


@dataclass(frozen=True)
class Settings:
    """What is routed to.

    Attributes:
        adapters: models or releases of the method ``lora`` on the same base.
        top: adapters that a token hears.
        router_temperature: of the softmax; a low one hears the nearest almost alone.
        prototypes: ``learned``, or ``singular`` as in the paper.
        plan: names, ranks and layers, which are written here once the adapters were read.
    """

    adapters: tuple[str, ...] = ()
    top: int = 3
    router_temperature: float = 1.0
    prototypes: Prototypes = "learned"
    plan: dict[str, Any] = field(default_factory=dict)
    temperature: InitVar[float | None] = None  # what `router_temperature` was called when prototypes had another shape

    def __post_init__(self, temperature: float | None) -> None:
        if temperature is not None:
            do = "Put its adapters together again: savile combine --how arrow."
            raise InputError("arrow as this version stores it", "a model of an earlier version", do)


HEAD: Literal["cosine", "linear"] = "linear"
KEEPS = False  # what is heard has learned something
FIT: dict[str, Any] = {}
FIT_SMALL: dict[str, Any] = {}
SEEN = 1000  # texts that say what tokens have in common
SHRINK = 0.05  # of their covariance towards a round one


class Routed(Experts):
    """Experts of one layer and where the tokens of each lie.

    Attributes:
        prototypes: directions of each expert, (E, rank, in), zero where it has fewer.
        offsets: what the mean token has along them, (E, rank).
    """

    def __init__(self, linear: Any, ranks: Sequence[int]) -> None:
        super().__init__(linear, ranks)
        self.prototypes = nn.Parameter(torch.zeros(len(ranks), max(ranks), linear.in_features))
        self.offsets = nn.Parameter(torch.zeros(len(ranks), max(ranks)))

    def put(self, expert: int, update: _library.Update) -> None:
        """Set one expert and its prototype, the paper's."""
        super().put(expert, update)
        with torch.no_grad():
            self.prototypes[expert, :1] = _merging.low_rank(*update, 1)[0]

    def learn(self, several: Sequence[torch.Tensor | None], mean: torch.Tensor, covariance: torch.Tensor) -> None:
        """Prototypes from what training added to A.

        Args:
            several: that of each expert, (r, in), or None.
            mean: of the tokens at hand, (in,).
            covariance: of them, (in, in).
        """
        values, vectors = torch.linalg.eigh(_shrunk(covariance))
        root = values.clamp(min=1e-12).sqrt()
        with torch.no_grad():
            self.prototypes.zero_()
            for expert, added in enumerate(several):
                if added is not None:
                    along = _along(added @ (vectors * root))  # as many as the layer reads, where the rank is higher
                    self.prototypes[expert, : len(along)] = along / root @ vectors.T
            self.offsets.copy_(self.prototypes @ mean)

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """How far each token lies along the prototypes of each expert, (n, s, in) -> (n, s, E)."""
        along = F.linear(x, self.prototypes.flatten(0, 1), -self.offsets.flatten())
        lengths: torch.Tensor = along.view(*x.shape[:-1], *self.offsets.shape).norm(dim=-1)
        return lengths


def _shrunk(covariance: torch.Tensor) -> torch.Tensor:
    return (1 - SHRINK) * covariance + SHRINK * covariance.diagonal().mean() * torch.eye(len(covariance))


def _along(rows: torch.Tensor) -> torch.Tensor:
    """Directions of unit length that span some rows (r, in), of which each has its share 1 / r of a squared length."""
    _, values, right = torch.linalg.svd(rows, full_matrices=False)
    there = values > 1e-4 * values[0]
    spanning: torch.Tensor = right * (there / there.sum().clamp(min=1).sqrt()).unsqueeze(1)
    return spanning


def attach(network: TextEncoder, settings: Settings) -> None:
    """Freeze the trunk, put every adapter beside its layers, and let the head learn.

    Raises:
        InputError: less than two adapters, one that does not fit this base, or a number to hear that cannot be.
    """
    members = () if settings.plan else _library.read(settings.adapters, network.base)
    plan = Plan(**settings.plan) if settings.plan else Plan.of([one.name for one in members], [one.updates for one in members])
    if settings.prototypes not in get_args(Prototypes):
        raise InputError(f"prototypes among {', '.join(get_args(Prototypes))}", str(settings.prototypes), "Name one of these.")
    if not 1 <= settings.top <= len(plan.names) or settings.router_temperature <= 0:
        received = f"top {settings.top} at temperature {settings.router_temperature:g}"
        raise InputError(f"1 to {len(plan.names)} adapters to hear, at a temperature above 0", received, "Correct it.")

    def gate(experts: Routed, x: torch.Tensor) -> torch.Tensor:
        return heard(experts, x, settings.top, settings.router_temperature)

    _experts.hang(network, plan, gate, Routed)
    _experts.fill(network, [one.updates for one in members])
    network.hold(
        f"{name}{_experts.END}.{own}" for name, experts in _experts.each(network) for own, _ in experts.named_parameters()
    )
    network.method_settings = {**asdict(settings), "plan": asdict(plan)}


def begin(network: TextEncoder, rows: Rows) -> None:
    """Learn where the tokens of each adapter lie, from the adapters and from what all texts at hand have in common."""
    settings = network.method_settings
    if settings["prototypes"] == "singular":
        return
    learned = [_library.learned(one, network.base) for one in _library.read(settings["adapters"], network.base)]
    texts = list(rows.inputs)
    drawn = np.random.default_rng(rows.seed).permutation(len(texts))[:SEEN]
    for name, mean, covariance in _moments(network, [texts[row] for row in drawn]):
        experts: Any = network.trunk.get_submodule(name + _experts.END)
        experts.learn([one.get(name) for one in learned], mean, covariance)


def _moments(network: TextEncoder, texts: list[str]) -> list[tuple[str, torch.Tensor, torch.Tensor]]:
    """Name of each layer that has experts, mean (in,) and covariance (in, in) of the tokens it reads."""
    sums: dict[Routed, list[Any]] = {experts: [0, 0.0, 0.0] for _, experts in _experts.each(network)}

    def note(experts: Routed, x: torch.Tensor, real: torch.Tensor, _rows: torch.Tensor) -> None:
        tokens, held = x[real], sums[experts]
        sums[experts] = [held[0] + len(tokens), held[1] + tokens.sum(0).double(), held[2] + (tokens.T @ tokens).double()]

    _watch(network, texts, note)
    found = []
    for name, experts in _experts.each(network):
        count, total, squares = sums[experts]
        mean = total / count
        found.append((name, mean.float(), (squares / count - torch.outer(mean, mean)).float()))
    return found


def heard(experts: Routed, x: torch.Tensor, top: int, temperature: float) -> torch.Tensor:
    """What share of each expert each token hears, (n, s, in) -> (n, s, E)."""
    with torch.autocast(x.device.type, enabled=False):
        score = experts.scores(x.float())
        least = score.topk(top, dim=-1).values[..., -1:]
        return torch.softmax((score / temperature).masked_fill(score < least, -torch.inf), dim=-1)


def parameters(network: TextEncoder) -> list[torch.nn.Parameter]:
    """The head."""
    return learning(network)


def merge(network: TextEncoder) -> None:
    """Nothing to fold in: which adapters are heard depends on the token."""


def recovered(network: TextEncoder, texts: list[str]) -> torch.Tensor:
    """How much each adapter is heard by each text, the mean over layers and tokens, (n, E)."""
    settings = Settings(**network.method_settings)
    found = torch.zeros(len(texts), len(settings.plan["names"]))

    def note(experts: Routed, x: torch.Tensor, real: torch.Tensor, rows: torch.Tensor) -> None:
        share = heard(experts, x, settings.top, settings.router_temperature) * real.unsqueeze(-1)
        found[rows] += share.sum(1) / real.sum(1, keepdim=True)

    _watch(network, texts, note)
    return found / len(settings.plan["layers"])


def _watch(
    network: TextEncoder, texts: list[str], note: Callable[[Any, torch.Tensor, torch.Tensor, torch.Tensor], None]
) -> None:
    """Read texts; `note` is shown the experts of each layer, what it reads (n, s, in), the mask (n, s) and which texts (n,)."""
    from savile.models._rows import TokenRows, sorted_batches

    tokens, at = TokenRows(network.encode(texts), network.pad_id), list[torch.Tensor]()

    def noting(experts: Routed) -> Any:
        def hook(_module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            if inputs[0].shape[:2] == at[0].shape:  # what a decoder reads before every text is none of them
                note(experts, inputs[0].float(), *at)

        return hook

    hooks = [network.trunk.get_submodule(name).register_forward_pre_hook(noting(one)) for name, one in _experts.each(network)]
    try:
        with torch.inference_mode():
            for rows in sorted_batches(tokens.lengths):
                ids, mask = (torch.from_numpy(one) for one in tokens.padded(rows))
                at[:] = mask.bool(), torch.from_numpy(rows)
                network.pooled(ids, mask)
    finally:
        for hook in hooks:
            hook.remove()
