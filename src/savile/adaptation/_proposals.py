"""What a search tries next: the settings with which one draw of what their score may be widens the front the most.

Thompson sampling for several goals (Bradford et al., Journal of Global Optimization 2018). The score is a Gaussian process
over the method, its rate, its rank and whether a trial is cheap. Costs are not drawn: no learning rate changes them, so that
one trial of a method tells what all of its rates take.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.adaptation import _front

if TYPE_CHECKING:
    from sklearn.gaussian_process import GaussianProcessRegressor

FREE = ("rate",)  # settings on which no cost depends
CHEAP_NOISE = 1.0  # variance of a cheap trial's score beside another trial's, in that of all scores: it has been seen from afar
WORST = -0.1  # the reference point, in the range of each goal: what is a little worse than all that counts still


def spread(pool: Sequence[Mapping[str, Any]], most: int, rng: np.random.Generator) -> list[int]:
    """Places of the pool to begin with, `most` at the most: each method once in a random order, then each once more."""
    left: dict[str, list[int]] = {}
    for place in rng.permutation(len(pool)).tolist():
        left.setdefault(pool[place]["method"], []).append(place)
    turns = range(max(map(len, left.values()), default=0))
    return [places[turn] for turn in turns for places in left.values() if turn < len(places)][:most]


def widest(
    pool: Sequence[Mapping[str, Any]],
    tried: Sequence[Mapping[str, Any]],
    cheap: np.ndarray,
    good: np.ndarray,
    rng: np.random.Generator,
) -> int:
    """The place of the pool that a draw expects to widen the front the most.

    Args:
        pool: settings to choose from, not tried in full yet.
        tried: settings of the trials so far, at least one.
        cheap: (trials,) whether each of them is a cheap one.
        good: (trials, goals), of which more is better; the score first.
        rng: of the draw.
    """
    less = np.append(cheap, np.zeros(len(pool), dtype=bool))
    points, costs = (_points([*tried, *pool], less, without) for without in ((), FREE))
    seen = len(tried)
    score = _process(points[:seen], good[:, 0], noise=0.3, more=np.where(cheap, CHEAP_NOISE, 0.0))
    drawn = [score.sample_y(points[seen:], random_state=int(rng.integers(2**31)))[:, 0]]
    drawn += [_process(costs[:seen], column, noise=1e-3).predict(costs[seen:]) for column in good[:, 1:].T]
    expected, known = np.column_stack(drawn), good[~cheap]
    low, high = (edge(np.vstack([known, expected]), axis=0) for edge in (np.min, np.max))
    width = np.where(high > low, high - low, 1.0)
    known, expected = (known - low) / width, (expected - low) / width
    reference = np.full(good.shape[1], WORST)
    return int(np.argmax([_front.hypervolume(np.vstack([known, one]), reference) for one in expected]))


def _points(settings: Sequence[Mapping[str, Any]], cheap: np.ndarray, without: Sequence[str]) -> np.ndarray:
    """Settings as points (n, features): a place for each name, numbers in powers of four, what is lacking in between."""
    columns = [cheap.astype(float)]
    for key in sorted({key for one in settings for key in one} - set(without)):
        values = [one.get(key) for one in settings]
        if any(isinstance(value, str) for value in values):
            names = sorted({str(value) for value in values if value is not None})
            columns += [np.array([float(value == name) for value in values]) for name in names]
        else:
            powers = np.array([math.nan if value is None else math.log(value, 4) for value in values])
            columns.append(np.nan_to_num(powers - np.nanmean(powers)))
    return np.column_stack(columns)


def _process(points: np.ndarray, values: np.ndarray, noise: float, more: np.ndarray | float = 0.0) -> GaussianProcessRegressor:
    """A Gaussian process of values (n,) at points (n, features); noise, and what some have more of it, is variance."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    kernel = ConstantKernel(1.0, (0.05, 20.0)) * Matern(np.ones(points.shape[1]), (0.3, 30.0), nu=2.5)
    kernel += WhiteKernel(noise, (noise / 30, noise * 7))
    process = GaussianProcessRegressor(kernel, alpha=more + np.full(len(values), 1e-10), normalize_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound: a setting that changes nothing
        return process.fit(points, values)
