"""Fitting a head alone: with the whole trunk frozen, training is a convex problem on embeddings and is solved exactly."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from savile.base.contracts import Loss
from savile.models._spans import TOKEN
from savile.models._token_head import token_loss, token_mass

STRENGTHS = (3.0, 10.0, 30.0, 100.0, 300.0)  # inverse regularisation C, as scikit-learn counts it


def row_loss(
    loss: Loss, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None, smoothing: float = 0.0
) -> torch.Tensor:
    """The mean loss over rows; with any number of labels the sum over labels, so that each is a problem of its own.

    Args:
        loss: which.
        logits: (n, outputs), float32, or (n, s, outputs) of tokens.
        targets: int64 (n,) or class shares (n, outputs); 0 and 1, (n, outputs); numbers in standard units, (n,); int64 (n, s).
        weights: of each label, (outputs,).
        smoothing: share of the target spread over all labels.
    """
    if loss == TOKEN:
        return token_loss(logits, targets, weights, smoothing)
    if loss == "squared_error":
        return F.mse_loss(logits[:, 0], targets.float())
    if loss == "binary_cross_entropy":
        soft = targets.float() * (1 - smoothing) + smoothing / 2
        return F.binary_cross_entropy_with_logits(logits, soft, pos_weight=weights, reduction="sum") / len(logits)
    return F.cross_entropy(logits, targets, weight=weights, label_smoothing=smoothing)


def row_mass(loss: Loss, targets: torch.Tensor, weights: torch.Tensor | None = None) -> float:
    """What `row_loss` divides the sum over rows by: how many there are, or what those with a weight weigh."""
    if loss == TOKEN:
        return float(token_mass(targets, weights))
    if loss == "cross_entropy" and weights is not None and targets.ndim == 1:
        return float(weights[targets].sum())
    return float(len(targets))


def convex_head(
    features: torch.Tensor,
    targets: torch.Tensor,
    outputs: int,
    strength: float,
    weights: torch.Tensor | None = None,
    loss: Loss = "cross_entropy",
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logistic regression, one of them a label, or ridge regression, with an L2 penalty on the weights, by L-BFGS.

    Args:
        features: (n, d), float32.
        targets: see `row_loss`.
        outputs: number of outputs.
        strength: inverse regularisation C of scikit-learn's `LogisticRegression`.
        weights: weight of each label, (outputs,).
        loss: what is minimised.

    Returns:
        Weight (outputs, d) and bias (outputs,).
    """
    weight, bias = torch.zeros(outputs, features.shape[1]), torch.zeros(outputs)
    _minimise(partial(row_loss, loss, targets=targets, weights=weights), features, weight, bias, strength)
    return weight, bias


def best_strength(
    features: torch.Tensor, targets: torch.Tensor, outputs: int, seed: int, loss: Loss = "cross_entropy", rows: int = 4000
) -> float:
    """The penalty with the lowest three-fold loss, on at most `rows` rows.

    In a fold every penalty is begun where the stronger one before it ended, which takes a third of the steps.
    """
    chosen = np.random.default_rng(seed).permutation(len(features))[:rows]
    losses = dict.fromkeys(STRENGTHS, 0.0)
    for fold in np.array_split(chosen, 3):
        train = torch.from_numpy(np.setdiff1d(chosen, fold))
        inside, wanted = features[train], targets[train]
        weight, bias = torch.zeros(outputs, features.shape[1]), torch.zeros(outputs)
        for strength in STRENGTHS:
            _minimise(partial(row_loss, loss, targets=wanted), inside, weight, bias, strength)
            held = row_loss(loss, F.linear(features[fold], weight, bias), targets[fold])
            losses[strength] += held.item() * len(fold)
    return min(STRENGTHS, key=lambda strength: losses[strength])


def _minimise(
    loss: Callable[[torch.Tensor], torch.Tensor],
    features: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    strength: float,
) -> None:
    """Move weight (outputs, d) and bias (outputs,) to the least penalised loss of the logits, from wherever they are."""
    moved = [weight.requires_grad_(), bias.requires_grad_()]
    optimiser = torch.optim.LBFGS(
        moved, max_iter=150, history_size=10, tolerance_grad=1e-5, tolerance_change=1e-8, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        total = loss(F.linear(features, weight, bias)) + weight.square().sum() / (2 * strength * len(features))
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    for one in moved:
        one.requires_grad_(False).grad = None
