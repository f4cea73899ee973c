"""Against over-fitting: agreement of two dropout passes, disturbed embeddings, and averaged weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
import torch.nn.functional as F

from savile.base.errors import InputError
from savile.models._settings import FitSettings

Disturb = Callable[[torch.Tensor], torch.Tensor]
SWA_FROM = 0.75  # share of the steps after which weights are averaged


def check(settings: FitSettings) -> None:
    """Refuse what would do nothing.

    Raises:
        InputError: agreement is asked for without dropout, or a disturbance without a size.
    """
    if settings.rdrop and not settings.dropout:
        raise InputError("dropout above 0 with rdrop", f"rdrop {settings.rdrop:g}, dropout 0", "Set dropout to 0.1.")
    if settings.adversarial != "none" and settings.epsilon <= 0:
        raise InputError("epsilon above 0", f"{settings.epsilon:g}", "Leave out epsilon, or set it to 0.1.")


def agreement(one: torch.Tensor, other: torch.Tensor, loss: str) -> torch.Tensor:
    """How far two answers to the same rows are apart (R-Drop, Liang et al., NeurIPS 2021), a mean over rows.

    Args:
        one, other: logits (n, outputs).
        loss: of labels, the mean of both Kullback-Leibler divergences; of numbers, the squared difference.
    """
    if loss == "squared_error":
        return (one - other).square().mean()
    if loss == "binary_cross_entropy":
        one, other = (torch.stack([F.logsigmoid(x), F.logsigmoid(-x)], dim=-1) for x in (one, other))
    else:
        one, other = F.log_softmax(one, dim=-1), F.log_softmax(other, dim=-1)
    apart = (one.exp() - other.exp()) * (one - other)
    return apart.sum() / (2 * len(one))


def backward(loss_of: Callable[[Disturb | None], torch.Tensor], settings: FitSettings) -> float:
    """Add the gradients of a step; the loss.

    Args:
        loss_of: the loss with the embeddings of the rows passed through a function, or as they are.
        settings: ``fgm`` adds the gradients at embeddings moved by epsilon along the gradient (Miyato et al., ICLR 2017);
            ``freelb`` takes the mean over several such steps from a random start (Zhu et al., ICLR 2020).
    """
    if settings.adversarial == "none":
        loss = loss_of(None)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())
    moves = _Moves(settings.epsilon, settings.adversarial == "freelb")
    rounds = settings.ascents if settings.adversarial == "freelb" else 2
    total = 0.0
    for round_ in range(rounds):
        loss = loss_of(moves)
        share = 1 / rounds if settings.adversarial == "freelb" else 1.0
        (loss * share).backward()  # type: ignore[no-untyped-call]
        total = float(loss.detach()) if round_ == 0 else total
        moves.climb()
    return total


class _Moves:
    """Moves embeddings; where to is learned from their gradient."""

    def __init__(self, epsilon: float, random: bool) -> None:
        self.epsilon, self.random = epsilon, random
        self.leaves: list[torch.Tensor] = []
        self.calls = 0

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Embeddings (n, s, d) -> moved ones; the calls of one pass come in the same order each time."""
        if self.calls == len(self.leaves):
            start = torch.zeros_like(hidden)
            if self.random:
                start.uniform_(-1, 1).mul_(self.epsilon / hidden[0].numel() ** 0.5)
            self.leaves.append(start.detach().requires_grad_())
        leaf = self.leaves[self.calls]
        self.calls += 1
        return hidden + leaf

    def climb(self) -> None:
        """Move further along the gradient, each row by at most epsilon in all, and begin the next pass."""
        self.calls = 0
        for place, leaf in enumerate(self.leaves):
            assert leaf.grad is not None
            step = leaf.grad / leaf.grad.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1)
            moved = leaf.detach() + self.epsilon * step
            length = moved.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1)
            self.leaves[place] = (moved * (self.epsilon / length).clamp(max=1.0)).requires_grad_()


class Average:
    """Averaged weights beside those that are trained: exponential, or the mean of the last quarter (SWA, Izmailov et al. 2018).

    Args:
        named: what is trained.
        settings: ``ema`` with `decay`, or ``swa``.
    """

    def __init__(self, named: Mapping[str, torch.nn.Parameter], settings: FitSettings) -> None:
        self.named, self.settings = named, settings
        self.kept = {name: p.detach().clone() for name, p in named.items()}

    @torch.no_grad()
    def update(self, step: int, total: int) -> None:
        """Take in the weights after a step, counted from 1."""
        begun = step - round(SWA_FROM * total)
        new = 1 - min(self.settings.decay, step / (step + 9)) if self.settings.average == "ema" else 1 / max(1, begun)
        for name, p in self.named.items():
            self.kept[name].lerp_(p, new)

    @contextmanager
    def worn(self) -> Iterator[None]:
        """The averaged weights in the place of the trained ones."""
        own = {name: p.detach().clone() for name, p in self.named.items()}
        self.wear(self.kept)
        yield
        self.wear(own)

    @torch.no_grad()
    def wear(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Put weights in their places."""
        for name, p in self.named.items():
            p.copy_(weights[name])
