"""The floor of a table: logistic or ridge regression on one-hot categories and standardised amounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from savile.models._tabular_columns import Feature
from savile.models._tabular_trees import Plan

STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # inverse penalty, as scikit-learn counts it
FOLDS = 5
MOST_ROWS = 20_000  # on which the penalty is chosen


@dataclass(frozen=True)
class Logistic:
    """Weights.

    Attributes:
        centres, scales: of each feature's amounts, (features,).
        mean: of each column of the design over the training rows, (columns,).
        weight: (outputs, columns).
        bias: score of the average row, (outputs,).
    """

    centres: np.ndarray
    scales: np.ndarray
    mean: np.ndarray
    weight: np.ndarray
    bias: np.ndarray


def fit(features: Sequence[Feature], matrix: np.ndarray, targets: np.ndarray, plan: Plan) -> Logistic:
    """Fit with the penalty that cross-validation chooses.

    Args:
        features: what the columns of `matrix` are.
        matrix: encoded rows, float64 (n, features), NaN where a value is missing.
        targets: label indices, int64 (n,), or numbers, float64 (n,).
        plan: what is asked.
    """
    centres, scales = _units(features, matrix)
    blank = Logistic(centres, scales, np.zeros(0), np.zeros((0, 0)), np.zeros(0))
    x = np.concatenate(_blocks(features, matrix, blank), axis=1)
    mean = x.mean(axis=0)
    machine = _machine(x - mean, targets, plan)
    coefficients, intercepts = np.atleast_2d(machine.coef_), np.atleast_1d(machine.intercept_)
    weight, bias = np.zeros((plan.outputs, x.shape[1])), np.full(plan.outputs, float(intercepts.min()) - 1.0)
    learned = machine.classes_ if plan.outputs > 1 else slice(None)  # a label without rows stays unlikely
    weight[learned], bias[learned] = coefficients, intercepts
    return Logistic(centres, scales, mean, weight, bias)


def contributions(model: Logistic, features: Sequence[Feature], matrix: np.ndarray) -> np.ndarray:
    """What each feature adds to each score beyond the average row, float64 (n, features + 1, outputs), the base last."""
    found = np.empty((len(matrix), len(features) + 1, len(model.bias)))
    start = 0
    for j, block in enumerate(_blocks(features, matrix, model)):
        end = start + block.shape[1]
        found[:, j] = (block - model.mean[start:end]) @ model.weight[:, start:end].T
        start = end
    found[:, -1] = model.bias
    return found


def scores(model: Logistic, features: Sequence[Feature], matrix: np.ndarray) -> np.ndarray:
    """Raw scores of rows, float64 (n, outputs)."""
    x = np.concatenate(_blocks(features, matrix, model), axis=1)
    return np.asarray((x - model.mean) @ model.weight.T + model.bias)


def save(model: Logistic) -> dict[str, bytes]:
    """One file of tensors."""
    from safetensors.numpy import save as to_bytes

    return {"weights.safetensors": to_bytes({name: np.ascontiguousarray(value) for name, value in vars(model).items()})}


def load(files: Mapping[str, bytes]) -> Logistic:
    """The weights of their file."""
    from safetensors.numpy import load as of_bytes

    return Logistic(**of_bytes(files["weights.safetensors"]))


def _machine(x: np.ndarray, targets: np.ndarray, plan: Plan) -> Any:
    """The fitted regression."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold

    chosen = np.random.default_rng(plan.seed).permutation(len(x))[:MOST_ROWS]
    if plan.loss == "squared_error":
        ridges = {"alpha": [1.0 / strength for strength in STRENGTHS]}
        folds: Any = KFold(min(FOLDS, len(chosen)), shuffle=True, random_state=plan.seed)
        search = GridSearchCV(Ridge(), ridges, cv=folds, scoring="neg_mean_squared_error").fit(x[chosen], targets[chosen])
        return Ridge(**search.best_params_).fit(x, targets)
    fewest = int(np.bincount(targets[chosen])[np.unique(targets[chosen])].min())
    strength = 1.0
    if fewest >= 2:
        folds = StratifiedKFold(min(FOLDS, fewest), shuffle=True, random_state=plan.seed)
        machine = LogisticRegression(max_iter=500)
        search = GridSearchCV(machine, {"C": list(STRENGTHS)}, cv=folds, scoring="neg_log_loss", error_score="raise")
        strength = search.fit(x[chosen], targets[chosen]).best_params_["C"]
    return LogisticRegression(C=strength, max_iter=2_000).fit(x, targets)


def _units(features: Sequence[Feature], matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median and deviation of each feature's amounts; 0 and 1 for categories."""
    centres, scales = np.zeros(len(features)), np.ones(len(features))
    for j, feature in enumerate(features):
        column = matrix[:, j]
        amounts = column[np.isfinite(column) & ~np.isin(column, feature.codes)]
        if feature.kind != "category" and len(amounts):
            centres[j], scales[j] = np.median(amounts), amounts.std() or 1.0
    return centres, scales


def _blocks(features: Sequence[Feature], matrix: np.ndarray, model: Logistic) -> list[np.ndarray]:
    """The design, a block (n, columns) a feature: its levels one by one, or the amount, whether it is missing, and codes."""
    found = []
    for j, feature in enumerate(features):
        column = matrix[:, j]
        if feature.kind == "category":
            found.append((column[:, None] == np.arange(len(feature.levels) + 1)).astype(np.float64))
            continue
        special = np.stack([~np.isfinite(column), *(column == code for code in feature.codes)], axis=1)
        amount = np.where(special.any(axis=1), 0.0, (column - model.centres[j]) / model.scales[j])
        found.append(np.column_stack([np.clip(amount, -10, 10), special]))
    return found
