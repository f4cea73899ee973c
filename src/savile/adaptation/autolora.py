"""AutoLoRA: which ranks a LoRA needs is learned on rows its weights do not see (Zhang et al., NAACL 2024), then it starts anew.

The update of a layer is the sum of its ranks, each weighted by a softmax over selection variables. Weights learn on one half of
the rows and selection variables on the other, a step each in turn (the first-order step of DARTS). A rank whose weight ends at
1 / r or above is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from savile.adaptation import lora
from savile.adaptation.lora import merge, parameters
from savile.base import events
from savile.base.errors import InputError

if TYPE_CHECKING:
    import torch

    from savile.models._network import TextEncoder

__all__ = ["FIT", "FIT_SMALL", "HEAD", "RENAMED", "Settings", "attach", "merge", "parameters", "search"]


@dataclass(frozen=True)
class Settings:
    """The search, and what it found.

    Attributes:
        rank: r, the highest rank of a layer.
        alpha: scale of the updates, alpha / rank.
        targets: ``all`` linear layers of the trunk, or ``attention`` only (queries and values, as in the paper).
        search_steps: pairs of steps of the search.
        rate: learning rate of the weights while ranks are searched.
        select_rate: learning rate of the selection variables.
        rows: rows a batch of the search.
        ranks: name of a linear layer -> its rank; empty until they are searched.
    """

    rank: int = 8
    alpha: int = 16
    targets: Literal["all", "attention"] = "all"
    search_steps: int = 80
    rate: float = 1e-3
    select_rate: float = 2e-2
    rows: int = 32
    ranks: Mapping[str, int] = field(default_factory=dict)


HEAD = lora.HEAD
RENAMED = {"steps": "search_steps"}
FIT: dict[str, Any] = dict(lora.FIT)
FIT_SMALL: dict[str, Any] = dict(lora.FIT_SMALL)


def attach(network: TextEncoder, settings: Settings) -> None:
    """LoRA with the ranks that were found, or with the highest everywhere."""
    lora.attach(network, lora.Settings(settings.rank, settings.alpha, targets=settings.targets, ranks=settings.ranks))


def search(
    train: tuple[Sequence[str], np.ndarray], settings: Settings, fresh: Callable[[Settings], TextEncoder], seed: int = 0
) -> Settings:
    """The settings with ranks; those that name ranks already come back as they are.

    Args:
        train: texts and targets.
        settings: the search.
        fresh: makes a network with the method attached.
        seed: of the halves and of the batches.

    Raises:
        InputError: no rows or no steps to search with.
    """
    if settings.ranks:
        return settings
    if settings.rows < 1 or settings.search_steps < 1:
        received = f"rows {settings.rows}, search_steps {settings.search_steps}"
        raise InputError("a row a batch or more, and a step of the search or more", received, "Correct them, or name ranks.")
    import torch

    from savile.models import FitSettings
    from savile.models._head import row_loss
    from savile.models._source import Source

    network = fresh(settings)
    choice = _select(network, settings.rank)
    rows = Source(network, train, FitSettings(seed=seed, keep_frozen=False))
    weights = torch.optim.Adam(parameters(network), lr=settings.rate)
    selection = torch.optim.Adam(choice.values(), lr=settings.select_rate)
    rng = np.random.default_rng(seed)
    halves = np.array_split(rng.permutation(len(rows.tokens)), 2)
    for step in range(settings.search_steps):
        for half, optimiser in zip(halves, (weights, selection), strict=True):
            batch = rng.choice(half, min(settings.rows, len(half)), replace=False)
            loss = row_loss(network.loss, rows.logits(batch), rows.targets[batch])
            network.zero_grad()
            selection.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        events.emit("progress", stage="search ranks", done=step + 1, total=settings.search_steps)
    ranks = {name: max(1, int((torch.softmax(a, 0) >= 1 / settings.rank).sum())) for name, a in choice.items()}
    events.emit("note", text=f"Ranks from {min(ranks.values())} to {max(ranks.values())}, {sum(ranks.values())} in all.")
    return replace(settings, ranks=ranks)


def _select(network: TextEncoder, rank: int) -> dict[str, torch.Tensor]:
    """Selection variables of every update, ones at the start, which leaves LoRA as it is."""
    import torch
    from peft.tuners.lora import LoraLayer

    choice: dict[str, torch.Tensor] = {}
    for name, module in network.trunk.named_modules():
        if isinstance(module, LoraLayer):
            choice[name] = torch.ones(rank, requires_grad=True)
            module.lora_A["default"].register_forward_hook(_weighing(choice[name], rank))
    return choice


def _weighing(a: torch.Tensor, rank: int) -> Any:
    def hook(_module: object, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        import torch

        weighed: torch.Tensor = output * (rank * torch.softmax(a, 0)).to(output.dtype)
        return weighed

    return hook
