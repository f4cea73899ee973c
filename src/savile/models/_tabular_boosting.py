"""Gradient boosting of a table: LightGBM on several bags of the rows, each stopped by the rows it left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from savile.models import _tabular_trees as trees
from savile.models._tabular_columns import Feature
from savile.models._tabular_trees import Part, Plan

HELD, BAGS = 0.2, 4
USUAL = {"learning_rate": 0.03, "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 1.0, "cat_l2": 10.0}
SHAPES = (  # from hardly any interaction to many; the rows left out choose
    {"num_leaves": 4, "min_data_in_leaf": 20, "feature_fraction": 0.6},
    {"num_leaves": 8, "min_data_in_leaf": 20, "feature_fraction": 0.6},
    {"num_leaves": 24, "min_data_in_leaf": 30, "feature_fraction": 0.5, "lambda_l2": 5.0},
)
CHOOSING = 5_000  # rows from which one bag is enough to choose the shape by
MANY, QUICKER = 4, 0.1  # labels from which a round, a tree each, is so dear that one bag chooses and fewer rounds learn


@dataclass(frozen=True)
class Boosting:
    """The boosters of the bags; a score is the mean of theirs."""

    boosters: tuple[Any, ...]


def fit(features: Sequence[Feature], matrix: np.ndarray, targets: np.ndarray, plan: Plan) -> Boosting:
    """Choose how many leaves a tree has by the rows left out, and boost every bag with it.

    Args:
        features: what the columns of `matrix` are.
        matrix: encoded rows, float64 (n, features), NaN where a value is missing.
        targets: label indices, int64 (n,), or numbers, float64 (n,).
        plan: what is asked.
    """
    names = [j for j, feature in enumerate(features) if feature.nominal]
    drawn = trees.bags(targets, BAGS, HELD, plan.seed)
    parts = [(Part(matrix[learn], targets[learn]), Part(matrix[held], targets[held])) for learn, held in drawn]
    many = plan.outputs >= MANY
    judges = parts[:1] if many or len(targets) >= CHOOSING else parts
    usual = {**USUAL, "learning_rate": QUICKER} if many else USUAL
    settings = [{**usual, **shape, "categorical": names} for shape in SHAPES]
    tried = [[trees.train(plan, one, *part) for part in judges] for one in settings]
    losses = [float(np.mean([_loss(booster) for booster in boosters])) for boosters in tried]
    best = int(np.argmin(losses))
    return Boosting((*tried[best], *(trees.train(plan, settings[best], *part) for part in parts[len(judges) :])))


def scores(model: Boosting, features: Sequence[Feature], matrix: np.ndarray) -> np.ndarray:
    """Raw scores of rows, float64 (n, outputs)."""
    outputs = model.boosters[0].num_model_per_iteration()
    return np.asarray(np.mean([trees.scores(booster, matrix, outputs) for booster in model.boosters], axis=0))


def contributions(model: Boosting, features: Sequence[Feature], matrix: np.ndarray) -> np.ndarray:
    """What each feature adds to each score, float64 (n, features + 1, outputs), the base last."""
    outputs = model.boosters[0].num_model_per_iteration()
    return np.asarray(np.mean([trees.contributions(booster, matrix, outputs) for booster in model.boosters], axis=0))


def save(model: Boosting) -> dict[str, bytes]:
    """One text a bag."""
    return {f"trees-{number}.txt": trees.text(booster) for number, booster in enumerate(model.boosters)}


def load(files: Mapping[str, bytes]) -> Boosting:
    """The boosters of their texts.

    Raises:
        CorruptError: one is no booster.
    """
    return Boosting(tuple(trees.of_text(files[name]) for name in sorted(files) if name.startswith("trees-")))


def _loss(booster: Any) -> float:
    """The lowest loss on the rows left out."""
    (scores,) = booster.best_score.values()
    return float(next(iter(scores.values())))
