"""Additive models: a score that is a sum of one curve a column and a few surfaces of two, so every answer explains itself.

The model is that of generalised additive models with pairwise interactions (Lou et al., KDD 2013; Nori et al. 2019 as EBM):
score = base + sum of f_j(x_j) + sum of f_jk(x_j, x_k). The curves are boosted with shallow trees that may look at one column
each, over bags of the rows that stop on the rows left out; the pairs that could tell the most of what is left are boosted after
them. A boosted sum of such trees is nothing but a table of values a bin, and that table is the model: no tree is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from savile.models import _tabular_trees as trees
from savile.models._tabular_columns import Feature
from savile.models._tabular_trees import Part, Plan

BINS, COARSE = 254, 20  # bins of a curve, and of either side of a surface
HELD = 0.15  # share of a bag's rows that say when to stop
BAGS, MANY_ROWS = 8, 10_000  # half the bags from so many rows on
SHAPE = {"max_bin": BINS + 300, "min_data_in_bin": 1, "max_cat_threshold": 64, "min_data_per_group": 20}
CURVES = {**SHAPE, "learning_rate": 0.04, "num_leaves": 4, "min_data_in_leaf": 10, "lambda_l2": 1.0}
SURFACES = {**CURVES, "num_leaves": 6, "min_data_in_leaf": 20}
CELLS = 8  # of either side when pairs are ranked
SEVERAL = ("edges", "coarse", "curves", "surfaces")  # fields with a table a feature or a pair


@dataclass(frozen=True)
class Additive:
    """The tables.

    Attributes:
        edges: for each feature, the upper bounds of its bins of amounts; empty for categories.
        coarse: for each feature, the coarse bin of each of its bins, int64 (bins,).
        curves: for each feature, float64 (bins, outputs); bin 0 is for missing values, then codes or levels, then amounts.
        pairs: features of each surface, int64 (pairs, 2).
        surfaces: for each pair, float64 (coarse bins, coarse bins, outputs).
        base: the score of the average row, float64 (outputs,).
    """

    edges: tuple[np.ndarray, ...]
    coarse: tuple[np.ndarray, ...]
    curves: tuple[np.ndarray, ...]
    pairs: np.ndarray
    surfaces: tuple[np.ndarray, ...]
    base: np.ndarray


@dataclass(frozen=True)
class Binned:
    """Rows in bins: of the curves, int64 (n, features), and of the surfaces."""

    fine: np.ndarray
    rough: np.ndarray


def fit(features: Sequence[Feature], matrix: np.ndarray, targets: np.ndarray, plan: Plan) -> Additive:
    """Boost curves, then surfaces, on several bags of the rows, and average their tables.

    Args:
        features: what the columns of `matrix` are.
        matrix: encoded rows, float64 (n, features).
        targets: label indices, int64 (n,), or numbers, float64 (n,).
        plan: what is asked.
    """
    edges = tuple(_edges(feature, column) for feature, column in zip(features, matrix.T, strict=True))
    coarse = tuple(_coarse(features[j], edges[j], matrix[:, j]) for j in range(len(features)))
    blank = tuple(np.zeros((len(each), plan.outputs)) for each in coarse)
    model = Additive(edges, coarse, blank, np.zeros((0, 2), np.int64), (), np.zeros(plan.outputs))
    rows = bins(features, model, matrix)
    names = [j for j, feature in enumerate(features) if feature.nominal]
    drawn = trees.bags(targets, BAGS if len(targets) < MANY_ROWS else BAGS // 2, HELD, plan.seed)
    found = [_curves(model, rows, targets, (plan, names), bag) for bag in drawn]
    model = _averaged(model, found)
    if plan.pairs and len(features) > 1:
        pairs = strongest(rows.rough, residuals(_score(model, rows), targets, plan.loss), plan.pairs)
        found = [_surfaces(replace(one, pairs=pairs), rows, targets, plan, bag) for one, bag in zip(found, drawn, strict=True)]
        model = _averaged(replace(model, pairs=pairs), found)
    return centred(model, rows)


def bins(features: Sequence[Feature], model: Additive, matrix: np.ndarray) -> Binned:
    """The bins of encoded rows, float64 (n, features); NaN falls into bin 0."""
    fine = np.zeros(matrix.shape, dtype=np.int64)
    for j, feature in enumerate(features):
        column = matrix[:, j]
        here = np.isfinite(column)
        if feature.kind == "category":
            fine[here, j] = column[here].astype(np.int64) + 1
            continue
        fine[here, j] = 1 + len(feature.codes) + np.searchsorted(model.edges[j], column[here], side="left")
        for place, code in enumerate(feature.codes):
            fine[column == code, j] = 1 + place
    rough = np.stack([model.coarse[j][fine[:, j]] for j in range(len(features))], axis=1) if len(features) else fine
    return Binned(fine, rough)


def scores(model: Additive, features: Sequence[Feature], matrix: np.ndarray) -> np.ndarray:
    """Raw scores of rows, float64 (n, outputs)."""
    return _score(model, bins(features, model, matrix))


def contributions(model: Additive, features: Sequence[Feature], matrix: np.ndarray) -> np.ndarray:
    """What each feature adds to each score, float64 (n, features + 1, outputs), the base last.

    Half of a surface goes to either of its columns; it has no effect of one column alone left in it (see `centred`).
    """
    return _added(model, bins(features, model, matrix))


def _added(model: Additive, rows: Binned) -> np.ndarray:
    found = np.empty((len(rows.fine), len(model.curves) + 1, len(model.base)))
    for j, curve in enumerate(model.curves):
        found[:, j] = curve[rows.fine[:, j]]
    for (j, k), surface in zip(model.pairs.tolist(), model.surfaces, strict=True):
        half = surface[rows.rough[:, j], rows.rough[:, k]] / 2
        found[:, j] += half
        found[:, k] += half
    found[:, -1] = model.base
    return found


def _score(model: Additive, rows: Binned) -> np.ndarray:
    found: np.ndarray = _added(model, rows).sum(axis=1)
    return found


def residuals(scores: np.ndarray, targets: np.ndarray, loss: str) -> np.ndarray:
    """What the scores leave to be said, (n, outputs): the negative gradient of the loss."""
    from scipy.special import expit, softmax

    if loss == "squared_error":
        return np.asarray(targets[:, None] - scores)
    if scores.shape[1] == 1:
        return np.asarray(targets[:, None] - expit(scores))
    return np.asarray(np.eye(scores.shape[1])[targets] - softmax(scores, axis=1))


def strongest(rough: np.ndarray, left: np.ndarray, most: int) -> np.ndarray:
    """The pairs of features whose cells explain most of what is left, int64 (pairs, 2).

    A pair is worth the squares its cell means take off, less what its rows and its columns alone would (as FAST ranks them).
    """
    small = np.stack([_squeezed(column) for column in rough.T], axis=1)
    count = small.shape[1]
    worth = []
    for j in range(count):
        for k in range(j + 1, count):
            cell = small[:, j] * CELLS + small[:, k]
            rows = np.bincount(cell, minlength=CELLS * CELLS)
            gains = [_gain(np.bincount(cell, weights=one, minlength=CELLS * CELLS), rows) for one in left.T]
            worth.append((sum(gains), j, k))
    worth.sort(reverse=True)
    return np.array([(j, k) for _, j, k in worth[:most]], dtype=np.int64).reshape(-1, 2)


def centred(model: Additive, rows: Binned) -> Additive:
    """The same scores, with every curve and every side of every surface of mean zero over the training rows.

    Bins no row has fallen into add nothing. Without this, an effect could hide in a curve, in a surface or in the base.
    """
    curves, surfaces, base = [curve.copy() for curve in model.curves], [], model.base.copy()
    for (j, k), surface in zip(model.pairs.tolist(), model.surfaces, strict=True):
        surface = surface.copy()
        counts = np.zeros(surface.shape[:2])
        np.add.at(counts, (rows.rough[:, j], rows.rough[:, k]), 1.0)
        for _ in range(20):  # rows and columns by turns until neither has a mean of its own (Lengerich et al. 2020)
            for axis, feature in ((1, j), (0, k)):
                weight = counts.sum(axis=axis)
                sums: np.ndarray = np.einsum("ab,abo->" + ("ao" if axis else "bo"), counts, surface)
                mean = sums / np.maximum(weight, 1)[:, None]
                surface -= mean[:, None] if axis else mean[None]
                curves[feature] += mean[model.coarse[feature]]
        surface[counts.sum(axis=1) == 0], surface[:, counts.sum(axis=0) == 0] = 0.0, 0.0
        surfaces.append(surface)
    for j, curve in enumerate(curves):
        filled = np.bincount(rows.fine[:, j], minlength=len(curve))
        level: np.ndarray = filled @ curve / filled.sum()
        curve -= level
        base += level
        curve[filled == 0] = 0.0
    return replace(model, curves=tuple(curves), surfaces=tuple(surfaces), base=base)


def _curves(model: Additive, rows: Binned, targets: np.ndarray, asked: tuple[Plan, list[int]], bag: Any) -> Additive:
    """The curves of one bag, read off the booster by asking it about one bin at a time."""
    plan, names = asked
    alone = {**CURVES, "interaction_constraints": [[j] for j in range(len(model.curves))], "categorical": names}
    learn, held = (Part(rows.fine[chosen].astype(np.float64), targets[chosen]) for chosen in bag)
    booster = trees.train(plan, alone, learn, held)
    average = np.median(rows.fine, axis=0)
    base = trees.scores(booster, average[None], plan.outputs)[0]
    curves = []
    for j, curve in enumerate(model.curves):
        asked_rows = np.repeat(average[None], len(curve), axis=0)
        asked_rows[:, j] = np.arange(len(curve))
        curves.append(trees.scores(booster, asked_rows, plan.outputs) - base)
    return replace(model, curves=tuple(curves), base=base)


def _surfaces(model: Additive, rows: Binned, targets: np.ndarray, plan: Plan, bag: Any) -> Additive:
    """The surfaces of one bag, on top of its own curves."""
    start = _score(replace(model, pairs=model.pairs[:0]), rows)
    together = {**SURFACES, "interaction_constraints": model.pairs.tolist(), "boost_from_average": False}
    learn, held = (Part(rows.rough[chosen].astype(np.float64), targets[chosen], start[chosen]) for chosen in bag)
    booster = trees.train(plan, together, learn, held)
    average = np.median(rows.rough, axis=0)
    level = trees.scores(booster, average[None], plan.outputs)[0]
    surfaces, curves = [], list(model.curves)
    for j, k in model.pairs.tolist():
        sides = [int(model.coarse[each].max()) + 1 for each in (j, k)]
        grid = np.repeat(average[None], sides[0] * sides[1], axis=0)
        grid[:, j], grid[:, k] = np.repeat(np.arange(sides[0]), sides[1]), np.tile(np.arange(sides[1]), sides[0])
        surfaces.append(trees.scores(booster, grid, plan.outputs).reshape(*sides, plan.outputs) - level)
    # a column in several pairs: its own effect is in each of their grids, and must count once
    shared = [j for j in range(len(curves)) if (model.pairs == j).sum() > 1]
    for j in shared:
        asked_rows = np.repeat(average[None], int(model.coarse[j].max()) + 1, axis=0)
        asked_rows[:, j] = np.arange(len(asked_rows))
        own = trees.scores(booster, asked_rows, plan.outputs) - level
        for place, pair in enumerate(model.pairs.tolist()):
            if j in pair:
                surfaces[place] = surfaces[place] - (own[:, None] if pair[0] == j else own[None])
        curves[j] = curves[j] + own[model.coarse[j]]
    return replace(model, curves=tuple(curves), surfaces=tuple(surfaces), base=model.base + level)


def _averaged(model: Additive, found: Sequence[Additive]) -> Additive:
    """The model whose every table is the mean of those of its bags, so that its score is the mean of theirs."""
    curves, surfaces = (_mean([getattr(one, name) for one in found]) for name in ("curves", "surfaces"))
    return replace(model, base=np.mean([one.base for one in found], axis=0), curves=curves, surfaces=surfaces)


def _mean(tables: Sequence[Sequence[np.ndarray]]) -> tuple[np.ndarray, ...]:
    return tuple(np.mean(same, axis=0) for same in zip(*tables, strict=True))


def _edges(feature: Feature, column: np.ndarray) -> np.ndarray:
    """Upper bounds between amounts: halfway between neighbours when they are few, else at even shares of the rows."""
    if feature.kind == "category":
        return np.zeros(0)
    amounts = column[np.isfinite(column) & ~np.isin(column, feature.codes)]
    different = np.unique(amounts)
    if len(different) > BINS:
        different = np.unique(np.quantile(amounts, np.linspace(0, 1, BINS + 1), method="nearest"))
    edges: np.ndarray = (different[:-1] + different[1:]) / 2
    return edges


def _coarse(feature: Feature, edges: np.ndarray, column: np.ndarray) -> np.ndarray:
    """The coarse bin of each bin: missing values, codes and levels keep theirs, amounts share `COARSE` by rows."""
    if feature.kind == "category":
        return np.minimum(np.arange(len(feature.levels) + 2), COARSE + 1)
    special = 1 + len(feature.codes)
    amounts = column[np.isfinite(column) & ~np.isin(column, feature.codes)]
    place = np.searchsorted(edges, amounts, side="left")
    below = np.cumsum(np.bincount(place, minlength=len(edges) + 1)) - 1
    share = np.floor(np.maximum(below, 0) / max(len(amounts), 1) * COARSE).astype(np.int64)
    return np.concatenate([np.arange(special), special + np.unique(share, return_inverse=True)[1]])


def _squeezed(column: np.ndarray) -> np.ndarray:
    """Coarse bins -> at most `CELLS` of about as many rows each."""
    below: np.ndarray = np.cumsum(np.bincount(column)) / len(column)
    cell = np.minimum((np.concatenate([[0.0], below[:-1]]) * CELLS).astype(np.int64), CELLS - 1)
    found: np.ndarray = cell[column]
    return found


def _gain(sums: np.ndarray, rows: np.ndarray) -> float:
    """Squares taken off by the cells' means beyond those of the two sides, less what chance would take."""
    cells, counts = sums.reshape(CELLS, CELLS), rows.reshape(CELLS, CELLS)

    def squares(total: np.ndarray, n: np.ndarray) -> float:
        return float((total**2 / (n + 1.0)).sum())

    sides = squares(cells.sum(0), counts.sum(0)) + squares(cells.sum(1), counts.sum(1))
    return squares(cells, counts) - sides


def save(model: Additive) -> dict[str, bytes]:
    """One file of tensors, named ``<field>-<number>``."""
    from safetensors.numpy import save as to_bytes

    tensors = {"pairs": model.pairs, "base": model.base}
    for name in SEVERAL:
        tensors |= {f"{name}-{number:04d}": np.ascontiguousarray(table) for number, table in enumerate(getattr(model, name))}
    return {"tables.safetensors": to_bytes(tensors)}


def load(files: Mapping[str, bytes]) -> Additive:
    """The tables of their file."""
    from safetensors.numpy import load as of_bytes

    tensors = of_bytes(files["tables.safetensors"])
    tables: dict[str, Any] = {
        name: tuple(tensors[key] for key in sorted(tensors) if key.rpartition("-")[0] == name) for name in SEVERAL
    }
    return Additive(**tables, pairs=tensors["pairs"], base=tensors["base"])
