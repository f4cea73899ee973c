"""The label of each row from the votes of labelling functions that may abstain, and the chance that it is right.

Functions are weighed by what models that did not see a row say of it, not by how they agree with each other: functions that
copy each other, or that all miss the same rows, would confirm themselves. The votes' label of each row is learnt from by small
models, out of fold (see `_held_out`); what they say of the other folds' rows gives each function its precision, and rows whose
votes weigh equally much their rate of errors (see `_noise`). The chance of a label is then Bayes' rule on both, as in learning
from crowds with a classifier (Raykar et al., JMLR 2010), with the classifier held out. Rows with a known label are learnt from
as they are, and where there are enough of them they decide: unless the model is at least as right on them as the majority of
votes, the majority it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from savile.data import _held_out, _noise, _votes
from savile.data._held_out import View

ROUNDS = 2
FOLDS = 5
PRIOR = 10.0  # votes that every function is taken to have cast before, as right as all are on average
STEPS = 30  # of the rates of errors
MARGINS = (0.5, 1.5)  # votes by which the first label leads, in weights of an average function, that divide rows into kinds
GUARD = 20  # rows with a known label and votes from which they decide
FEW = 50  # covered rows below which there is nothing to learn from but votes


@dataclass(frozen=True)
class Labelled:
    """What came out.

    Attributes:
        chance: of each label, (n, L); rows without votes have what the models say, or all labels alike.
        precision: share of each function's votes that are right, (m,).
        method: ``model`` or ``majority``.
        guard: rows with a known label and votes, and how often the model and the majority were right on them.
    """

    chance: np.ndarray
    precision: np.ndarray
    method: str
    guard: tuple[int, float, float]


def fit(votes: np.ndarray, views: Sequence[View], classes: int, known: np.ndarray, seed: int = 0) -> Labelled:
    """Put the votes of functions together.

    Args:
        votes: label number that each function gives each row, -1 where it abstains, int64 (n, m).
        views: of the rows, see `_held_out`.
        classes: number of labels L.
        known: label number of rows somebody labelled, -1 for the others, int64 (n,).
        seed: of the folds and of ties.
    """
    rng = np.random.default_rng(seed)
    plain = _votes.majority(_votes.counts(votes, classes))
    covered = (votes >= 0).any(axis=1)
    if covered.sum() < FEW or len(np.unique(plain[covered].argmax(axis=1))) < 2:
        return Labelled(plain, _precision(votes, plain), "majority", (0, 0.0, 0.0))
    judged_on = np.flatnonzero(covered & (known >= 0))
    apart = np.full(len(known), -1)  # the guard's rows are not learnt from while it decides
    enough = len(judged_on) >= GUARD
    chance = _chance(votes, views, classes, apart if enough else known, rng)
    guard = (0, 0.0, 0.0)
    if enough:
        right = chance[judged_on].argmax(axis=1) == known[judged_on]
        usual = plain[judged_on, known[judged_on]]
        guard = (len(judged_on), float(right.mean()), float(usual.mean()))
        if guard[1] < guard[2]:
            return Labelled(plain, _precision(votes, plain), "majority", guard)
        chance = _chance(votes, views, classes, known, rng)
    return Labelled(chance, _precision(votes, chance), "model", guard)


def _chance(votes: np.ndarray, views: Sequence[View], classes: int, known: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The chance of each label, (n, L)."""
    n, cast, sure = len(votes), votes >= 0, known >= 0
    covered, weight = cast.any(axis=1), np.ones(votes.shape[1])
    fold = rng.permutation(n) % FOLDS
    fold[~covered & ~sure] = -1
    for _ in range(ROUNDS):
        total = np.zeros((n, classes))
        for one, heavy in enumerate(weight):
            total[cast[:, one], votes[cast[:, one], one]] += heavy
        order = np.sort(total, axis=1)
        lead = (order[:, -1] - order[:, -2]) / weight.mean()
        label = (total + 1e-6 * rng.random(total.shape)).argmax(axis=1)
        clear = covered & (lead > 0)
        label = np.where(sure, known, label)
        scores = _held_out.scores(views, label, fold, clear | sure, classes)
        noise = _noise.fit([one[clear] for one in scores], label[clear])
        chance = _noise.probabilities(noise.weights, scores)
        kind = np.searchsorted(MARGINS, lead)
        chance[clear] = _posterior(chance[clear], label[clear], kind[clear], noise)
        chance[sure] = np.eye(classes)[known[sure]]
        right = _precision(votes, chance)
        weight = np.log(np.clip(right * max(classes - 1, 1) / np.maximum(1.0 - right, 1e-3), 1.05, 1e3))
    return chance


def _posterior(chance: np.ndarray, label: np.ndarray, kind: np.ndarray, noise: _noise.Noise) -> np.ndarray:
    """The chance of each label once the votes' label is seen, which is wrong at a rate of its own in each kind of row."""
    rows, rate = np.arange(len(label)), np.full(len(MARGINS) + 1, max(noise.rate, 1e-3))
    goes = noise.confusion[:, label].T
    found = chance
    for _ in range(STEPS):
        now = rate[kind][:, None]
        found = now * chance * goes
        found[rows, label] = (1.0 - now[:, 0]) * chance[rows, label]
        found /= np.maximum(found.sum(axis=1, keepdims=True), 1e-300)
        wrong = 1.0 - found[rows, label]
        count = np.bincount(kind, minlength=len(rate))
        before, rate = rate, (np.bincount(kind, wrong, len(rate)) + PRIOR * noise.rate) / (count + PRIOR)
        if np.abs(before - rate).max() < 1e-4:
            break
    return found


def _precision(votes: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """How often each function's votes are right, drawn towards the mean of all, (m,)."""
    cast = votes >= 0
    right = np.take_along_axis(chance, np.maximum(votes, 0), axis=1) * cast
    mean = float(right.sum() / max(1, cast.sum()))
    return np.asarray((right.sum(axis=0) + PRIOR * mean) / (cast.sum(axis=0) + PRIOR))
