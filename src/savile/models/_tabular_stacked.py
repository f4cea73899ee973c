"""The kinds of model of a table together: a mean of their scores, weighted as rows that none of them has seen say.

Stacked regression (Wolpert 1992) with weights that are not negative and sum to one (Breiman 1996). The kinds err apart: trees
follow steps and columns that matter together, a regression goes straight on where rows are few. No weight, not kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from savile.base.records import canonical
from savile.models import _tabular_additive as additive
from savile.models import _tabular_boosting as boosting
from savile.models import _tabular_logistic as logistic
from savile.models import _tabular_trees as trees
from savile.models._tabular_columns import Feature
from savile.models._tabular_trees import Plan

MEMBERS: Mapping[str, Any] = {"logistic": logistic, "additive": additive, "boosting": boosting}
STEPS = 20  # weights are twentieths: finer ones would follow the noise of the rows held out
HELD, TIMES, ONCE = 0.2, 3, 10_000  # share of rows held out, how often, and rows from which on once is enough
FEWEST = 10  # rows of a label, or of numbers, below which nothing is held out and all kinds count alike


@dataclass(frozen=True)
class Stacked:
    """The kinds that have a weight, and what they have learned from all rows."""

    weights: Mapping[str, float]
    members: Mapping[str, Any]


def fit(features: Sequence[Feature], matrix: np.ndarray, targets: np.ndarray, plan: Plan) -> Stacked:
    """Weigh the kinds by rows held out, and learn those with a weight from all rows.

    Args:
        features: what the columns of `matrix` are.
        matrix: encoded rows, float64 (n, features), NaN where a value is missing.
        targets: label indices, int64 (n,), or numbers, float64 (n,).
        plan: what is asked.
    """
    fewest = int(np.bincount(targets)[np.unique(targets)].min()) if targets.dtype.kind == "i" else len(targets)
    weights = np.full(len(MEMBERS), 1 / len(MEMBERS))
    if fewest >= FEWEST:
        told = list[np.ndarray]()
        drawn = trees.bags(targets, 1 if len(targets) >= ONCE else TIMES, HELD, plan.seed)
        for learn, held in drawn:
            fitted = [(kind, kind.fit(features, matrix[learn], targets[learn], plan)) for kind in MEMBERS.values()]
            told.append(np.stack([kind.scores(model, features, matrix[held]) for kind, model in fitted]))
        weights = _best(np.concatenate(told, axis=1), np.concatenate([targets[held] for _, held in drawn]), plan)
    chosen = {name: float(weight) for name, weight in zip(MEMBERS, weights, strict=True) if weight > 0}
    return Stacked(chosen, {name: MEMBERS[name].fit(features, matrix, targets, plan) for name in chosen})


def scores(model: Stacked, features: Sequence[Feature], matrix: np.ndarray) -> np.ndarray:
    """Raw scores of rows, float64 (n, outputs)."""
    return np.asarray(sum(weight * kind.scores(part, features, matrix) for weight, kind, part in _each(model)))


def contributions(model: Stacked, features: Sequence[Feature], matrix: np.ndarray) -> np.ndarray:
    """What each feature adds to each score, float64 (n, features + 1, outputs), the base last: the members' own, weighted."""
    return np.asarray(sum(weight * kind.contributions(part, features, matrix) for weight, kind, part in _each(model)))


def save(model: Stacked) -> dict[str, bytes]:
    """The weights and the files of each kind, named ``<kind>-<file>``."""
    files = {"weights.json": canonical(dict(model.weights)).encode()}
    for name, part in model.members.items():
        files |= {f"{name}-{file}": content for file, content in MEMBERS[name].save(part).items()}
    return files


def load(files: Mapping[str, bytes]) -> Stacked:
    """The kinds of their files."""
    weights = json.loads(files["weights.json"])
    own = {
        name: {file.removeprefix(f"{name}-"): content for file, content in files.items() if file.startswith(f"{name}-")}
        for name in weights
    }
    return Stacked(weights, {name: MEMBERS[name].load(own[name]) for name in weights})


def _each(model: Stacked) -> Iterator[tuple[float, Any, Any]]:
    return ((weight, MEMBERS[name], model.members[name]) for name, weight in model.weights.items())


def _best(told: np.ndarray, targets: np.ndarray, plan: Plan) -> np.ndarray:
    """The weights of the least loss; scores of each kind (kinds, n, outputs), targets (n,) -> float64 (kinds,)."""
    steps = np.arange(STEPS + 1)
    tried = [np.array([a, b, STEPS - a - b]) / STEPS for a in steps for b in steps[: STEPS + 1 - a]]
    losses = [_loss(np.tensordot(weights, told, axes=1), targets, plan) for weights in tried]
    return tried[int(np.argmin(losses))]


def _loss(scores: np.ndarray, targets: np.ndarray, plan: Plan) -> float:
    """The mean loss of raw scores, (n, outputs)."""
    if plan.loss == "squared_error":
        apart = np.abs(scores[:, 0] - targets)
        return float((apart if plan.absolute else apart**2).mean())
    if plan.outputs == 1:
        return float(np.logaddexp(0.0, np.where(targets == 1, -scores[:, 0], scores[:, 0])).mean())
    from scipy.special import log_softmax

    return float(-log_softmax(scores, axis=1)[np.arange(len(targets)), targets].mean())
