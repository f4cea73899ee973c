"""Several updates of one linear layer made one: sums, TIES and DARE on whole updates, and the best factors of some rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import torch

from savile.adaptation._library import Update
from savile.base.errors import InputError

How = Literal["linear", "ties", "dare", "dare_ties", "magnitude"]
MEANS = ("ties", "dare_ties")  # these take a mean themselves, so that each adapter has the weight 1 unless it is said
DENSITY = 0.5


def merged(
    several: Sequence[Mapping[str, Update]], how: How, weights: Sequence[float], density: float, rank: int, seed: int = 0
) -> dict[str, Update]:
    """The updates of several adapters as those of one.

    Args:
        several: of each adapter, name of a linear layer -> A (r, in) and B (out, r).
        how: ``linear`` is the weighted sum; ``magnitude`` first drops the smallest entries of each update; ``ties`` then keeps,
            entry by entry, what has the sign most of the mass has, and takes its mean (Yadav et al., NeurIPS 2023); ``dare``
            drops entries by chance and scales the others up (Yu et al., ICML 2024), ``dare_ties`` before it elects signs.
        weights: of each adapter; empty is 1 / n each, of the two that take a mean 1 each.
        density: share of the entries that is kept, of no meaning for ``linear``.
        rank: of the result; 0 takes the highest there is. It is the best update of that rank, by singular values.
        seed: of what ``dare`` drops.

    Returns:
        Name of a layer -> A (rank, in), with orthonormal rows, and B (out, rank).

    Raises:
        InputError: a number of weights that is not that of adapters, no such way, or a density that is no share.
    """
    if how not in get_args(How):
        raise InputError(f"how among {', '.join(get_args(How))}", str(how), "Name one of these.")
    if weights and len(weights) != len(several):
        raise InputError(f"{len(several)} weights, one an adapter", str(len(weights)), "Give as many, or none.")
    if not 0 < density <= 1 or rank < 0:
        raise InputError("a density above 0 up to 1, and a rank", f"{density} and {rank}", "Correct it.")
    each = list(weights) or [1.0 if how in MEANS else 1.0 / len(several)] * len(several)
    rank = rank or max(len(a) for one in several for a, _ in one.values())
    dice = torch.Generator().manual_seed(seed)
    return {
        name: _layer(name, several, how, (each, density, dice), rank) for name in sorted({n for one in several for n in one})
    }


def _layer(name: str, several: Sequence[Mapping[str, Update]], how: How, said: Any, rank: int) -> Update:
    there = [(one[name], weight) for one, weight in zip(several, said[0], strict=True) if name in one]
    updates, weights = [update for update, _ in there], torch.tensor([weight for _, weight in there])
    if how == "linear":
        return low_rank(
            torch.cat([a for a, _ in updates]), torch.cat([w * b for (_, b), w in zip(updates, weights, strict=True)], 1), rank
        )
    whole = combined(torch.stack([b @ a for a, b in updates]), how, weights, *said[1:])
    left, values, right = torch.linalg.svd(whole, full_matrices=False)
    return right[:rank].clone(), left[:, :rank] * values[:rank]


def combined(updates: torch.Tensor, how: How, weights: torch.Tensor, density: float, dice: torch.Generator) -> torch.Tensor:
    """Whole updates (n, out, in) -> one (out, in)."""
    if density < 1 and how.startswith("dare"):
        drawn = [torch.bernoulli(torch.full_like(one, density), generator=dice) for one in updates]
        updates = updates * torch.stack(drawn) / density
    elif density < 1:
        updates = torch.stack([_largest(one, density) for one in updates])
    weighed = updates * weights.view(-1, 1, 1)
    if how not in MEANS:
        return weighed.sum(0)
    elected = torch.where(updates.sum(0) >= 0, 1.0, -1.0)  # the sign with the greater mass
    agree = (updates.sign() == elected).float()
    return (weighed * agree).sum(0) / agree.sum(0).clamp(min=1.0)


def _largest(update: torch.Tensor, density: float) -> torch.Tensor:
    kept = torch.zeros(update.numel())
    kept[update.abs().flatten().topk(int(density * update.numel())).indices] = 1.0
    return update * kept.view_as(update)


def low_rank(a: torch.Tensor, b: torch.Tensor, rank: int) -> Update:
    """The best factors of a rank for B A, from A (r, in) and B (out, r) alone: the update is never written out."""
    across, inner = torch.linalg.qr(a.T)  # (in, q), (q, r)
    along, outer = torch.linalg.qr(b)  # (out, p), (p, r)
    left, values, right = torch.linalg.svd(outer @ inner.T, full_matrices=False)
    kept = min(rank, len(values))
    first, last = torch.zeros(rank, a.shape[1]), torch.zeros(len(b), rank)
    first[:kept] = right[:kept] @ across.T
    last[:, :kept] = along @ left[:, :kept] * values[:kept]
    return first, last
