"""How likely each label is wrong, from scores that models gave to rows they had not seen, and how many are wrong at all.

A given label is either the true one, or, with a chance `rate`, another: q(j | x) = (1 - rate) p(j | x) + rate sum over k of
p(k | x) C(k, j). p is the softmax of a weighted sum of the models' scores; weights too small or too great cost likelihood. C
says where wrong labels go: in proportion to how often the models mistake k for j, to the power of `closeness`; at 0 to every
other label alike. Weights, rate and closeness are those under which the given labels are most likely. The chance that one
label is wrong follows by Bayes' rule, and the cut of the greatest expected F1 needs no threshold (Lipton, Elkan, Naryanaswamy
2014). Where all this explains the labels no better than their shares do, the scores tell nothing, and no label is doubted.

Class-conditional noise: Natarajan et al. 2013; counting it from out-of-sample probabilities: Northcutt, Jiang, Chuang 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

STARTS = ((0.1, 0.0), (0.1, 1.0), (0.02, 0.3))  # (rate, closeness) the search begins at
SAMPLE = 3_000  # rows that tell which start is best
FIRST, LAST = 160, 140  # trials of a start, and of the best one on all rows
LEAST = 1e-4  # added to how often labels are mistaken for each other
FREE, CLOSEST = 0.1, 5.0  # below the first a closeness is 0; greater ones than the second would say no more
MOST = 0.5  # of labels may be wrong; with more, right and wrong could change places
BETTER = 2.0  # standard errors by which the scores explain the labels better than their shares, or tell nothing
ANY = 0.5  # labels expected to be wrong, below which there is none to look for


@dataclass(frozen=True)
class Noise:
    """What explains the given labels best.

    Attributes:
        weights: of each model's scores.
        rate: share of labels that are wrong.
        closeness: 0 where wrong labels are any; greater the more they are those that are hard to tell apart.
        confusion: (L, L), where a wrong label of each class goes.
        tells: whether the scores say anything of the labels; where not, the rate is 0.
    """

    weights: tuple[float, ...]
    rate: float
    closeness: float
    confusion: np.ndarray
    tells: bool = True


@dataclass(frozen=True)
class Judged:
    """Of each row: the chance that its label is wrong (n,), and of each label that it is the true one, (n, L)."""

    wrong: np.ndarray
    true: np.ndarray


def fit(scores: Sequence[np.ndarray], given: np.ndarray) -> Noise:
    """The noise under which given labels are most likely.

    Args:
        scores: of each model, (n, L).
        given: label number of each row, int64 (n,).
    """
    from scipy.optimize import minimize

    spread = [max(float(np.std(one)), 1e-9) for one in scores]
    unit = [one / scale for one, scale in zip(scores, spread, strict=True)]
    few = np.random.default_rng(0).permutation(len(given))[:SAMPLE]
    sampled = [one[few] for one in unit]

    def search(start: np.ndarray, some: Sequence[np.ndarray], labels: np.ndarray, trials: int) -> tuple[float, np.ndarray]:
        found = minimize(
            lambda point: _loss(some, labels, _noise(point, some, labels)),
            start,
            method="Nelder-Mead",
            options={"maxfev": trials, "xatol": 1e-3, "fatol": 1e-6, "initial_simplex": _simplex(start)},
        )
        return float(found.fun), found.x

    begin = np.log(3.0 / len(scores))
    starts = [np.array([begin] * len(scores) + [np.log(rate / (MOST - rate)), close]) for rate, close in STARTS]
    tried = [search(start, sampled, given[few], FIRST) for start in starts]
    _, point = search(min(tried, key=lambda one: one[0])[1], unit, given, LAST)
    found = _noise(point, unit, given)
    weights = tuple(weight / scale for weight, scale in zip(found.weights, spread, strict=True))
    tells = _tells(unit, given, found)
    return Noise(weights, found.rate if tells else 0.0, found.closeness, found.confusion, tells)


def judge(noise: Noise, scores: Sequence[np.ndarray], given: np.ndarray) -> Judged:
    """The chance that each given label is wrong, and what it should be.

    Args:
        noise: as fitted.
        scores: of each model, (n, L).
        given: label number of each row, int64 (n,).
    """
    chance = probabilities(noise.weights, scores)
    rows = np.arange(len(given))
    true = noise.rate * chance * noise.confusion[:, given].T
    true[rows, given] = (1.0 - noise.rate) * chance[rows, given]
    true /= np.maximum(true.sum(axis=1, keepdims=True), 1e-300)
    return Judged(1.0 - true[rows, given], true)


def flagged(wrong: np.ndarray) -> np.ndarray:
    """The rows to look at, the most suspicious first: as many as give the greatest expected F1, int64 (m,).

    Args:
        wrong: chance that each label is wrong, (n,).
    """
    order = np.argsort(-wrong, kind="stable")
    if wrong.sum() < ANY:
        return order[:0]
    caught = np.cumsum(wrong[order])
    expected = 2.0 * caught / (np.arange(1, len(wrong) + 1) + caught[-1])
    chosen: np.ndarray = order[: min(int(expected.argmax()) + 1, int((wrong > 0).sum()))]
    return chosen


def probabilities(weights: Sequence[float], scores: Sequence[np.ndarray]) -> np.ndarray:
    """Softmax of the weighted sum of scores, float64 (n, L)."""
    total = np.zeros(scores[0].shape)
    for weight, one in zip(weights, scores, strict=True):
        total += weight * one
    total -= total.max(axis=1, keepdims=True)
    chance: np.ndarray = np.exp(total)
    chance /= chance.sum(axis=1, keepdims=True)
    return chance


def _noise(point: np.ndarray, scores: Sequence[np.ndarray], given: np.ndarray) -> Noise:
    """What a point of the search stands for: logarithms of weights, log odds of the rate, closeness."""
    weights = tuple(np.exp(np.clip(point[:-2], -6.0, 6.0)).tolist())
    rate = float(MOST / (1.0 + np.exp(-point[-2])))
    closeness = min(max(float(point[-1]) - FREE, 0.0), CLOSEST)
    return Noise(weights, rate, closeness, _confusion(probabilities(weights, scores), given, closeness))


def _confusion(chance: np.ndarray, given: np.ndarray, closeness: float) -> np.ndarray:
    """Where wrong labels go, (L, L): rows sum to 1, nothing on the diagonal."""
    classes = chance.shape[1]
    counts = np.bincount(given, minlength=classes)
    order = np.argsort(given, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])[counts > 0]
    mistaken = np.full((classes, classes), 1.0 / classes)
    mistaken[counts > 0] = np.add.reduceat(chance[order], starts, axis=0) / counts[counts > 0, None]
    goes: np.ndarray = (mistaken + LEAST) ** closeness
    np.fill_diagonal(goes, 0.0)
    goes /= np.maximum(goes.sum(axis=1, keepdims=True), 1e-300)
    return goes


def _loss(scores: Sequence[np.ndarray], given: np.ndarray, noise: Noise) -> float:
    """Mean negative log likelihood of the given labels."""
    return float(-_likely(scores, given, noise).mean())


def _likely(scores: Sequence[np.ndarray], given: np.ndarray, noise: Noise) -> np.ndarray:
    """Log likelihood of each given label, (n,)."""
    chance = probabilities(noise.weights, scores)
    right = chance[np.arange(len(given)), given]
    other = np.einsum("nk,nk->n", chance, noise.confusion[:, given].T)
    return np.asarray(np.log((1.0 - noise.rate) * right + noise.rate * other + 1e-12))


def _tells(scores: Sequence[np.ndarray], given: np.ndarray, noise: Noise) -> bool:
    """Whether scores explain the labels better than the labels' own shares do.

    Of texts that have nothing to do with their labels, rare labels among usual ones can only be explained by scores that are
    taken seriously and a great share of wrong labels: right ones would be called wrong.
    """
    shares = np.log(np.bincount(given) / len(given))[given]
    gain = _likely(scores, given, noise) - shares
    return bool(gain.mean() > BETTER * gain.std() / np.sqrt(len(gain)))


def _simplex(start: np.ndarray) -> np.ndarray:
    """Corners of the first simplex: a step of a half in each direction."""
    corners: np.ndarray = np.vstack([start, start + 0.5 * np.eye(len(start))])
    return corners
