"""Fitting a head alone: with the whole trunk frozen, training is a convex problem on embeddings and is solved exactly."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

STRENGTHS = (3.0, 10.0, 30.0, 100.0, 300.0)  # inverse regularisation C, as scikit-learn counts it


def logistic_regression(
    features: torch.Tensor, targets: torch.Tensor, outputs: int, strength: float, weights: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Multinomial logistic regression with an L2 penalty on the weights, by L-BFGS.

    Args:
        features: (n, d), float32.
        targets: class of each row, int64 (n,), or class shares, float32 (n, outputs).
        outputs: number of classes.
        strength: inverse regularisation C of scikit-learn's `LogisticRegression`.
        weights: weight of each class, (outputs,).

    Returns:
        Weight (outputs, d) and bias (outputs,).
    """
    weight = torch.zeros(outputs, features.shape[1], requires_grad=True)
    bias = torch.zeros(outputs, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weight, bias], max_iter=150, history_size=10, tolerance_grad=1e-5, tolerance_change=1e-8, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = F.cross_entropy(F.linear(features, weight, bias), targets, weight=weights)
        loss = loss + weight.square().sum() / (2 * strength * len(features))
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()


def best_strength(features: torch.Tensor, targets: torch.Tensor, outputs: int, seed: int, rows: int = 4000) -> float:
    """The penalty with the lowest three-fold log loss, on at most `rows` rows."""
    chosen = np.random.default_rng(seed).permutation(len(features))[:rows]
    losses = dict.fromkeys(STRENGTHS, 0.0)
    for fold in np.array_split(chosen, 3):
        train = torch.from_numpy(np.setdiff1d(chosen, fold))
        for strength in STRENGTHS:
            weight, bias = logistic_regression(features[train], targets[train], outputs, strength)
            losses[strength] += F.cross_entropy(F.linear(features[fold], weight, bias), targets[fold], reduction="sum").item()
    return min(STRENGTHS, key=lambda strength: losses[strength])
