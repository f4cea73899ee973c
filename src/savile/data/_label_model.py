"""The label of each row from the votes of labelling functions that may abstain, and the chance that it is right.

Functions that copy each other, or that all miss the same rows, confirm themselves where they are weighed by how they agree.
So nothing is weighed here: the majority of the votes is a first, noisy label, small models learn from it, and each row is
answered by models of the other folds, which know its text and not its votes. What many rows say of its words outvotes the few
functions that happened to fire on it. Rows with a tie, or without any vote, get an answer as well. Rows with a known label
are learnt from as they are; where there are enough of them they decide first: unless models without them are right on more of
them than the majority is, the majority it is, and the models only decide between labels with as many votes.

Denoising weak labels by a held-out end model: Ratner et al., VLDB 2018 (section 5); smoothing votes by what rows are like:
Chen et al., UAI 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from savile.data import _held_out, _noise, _votes
from savile.data._held_out import View

FOLDS = 5
GUARD = 20  # rows with a known label and votes from which they decide
FEW = 50  # rows with a clear vote below which there is nothing to learn from but votes
PRIOR = 10.0  # votes that every function is taken to have cast before, as right as all are on average


@dataclass(frozen=True)
class Labelled:
    """What came out.

    Attributes:
        chance: of each label, (n, L).
        precision: share of each function's votes that are right, as far as the labels tell, (m,).
        method: ``model`` or ``majority``.
        guard: rows with a known label and votes, and how often the model and the majority were right on them.
    """

    chance: np.ndarray
    precision: np.ndarray
    method: str
    guard: tuple[int, float, float] = (0, 0.0, 0.0)


def fit(votes: np.ndarray, views: Sequence[View], classes: int, known: np.ndarray, seed: int = 0) -> Labelled:
    """Put the votes of functions together.

    Args:
        votes: label number that each function gives each row, -1 where it abstains, int64 (n, m).
        views: of the rows, see `_held_out`.
        classes: number of labels L.
        known: label number of rows somebody labelled, -1 for the others, int64 (n,).
        seed: of the folds.
    """
    plain = _votes.majority(_votes.counts(votes, classes))
    plain[known >= 0] = np.eye(classes)[known[known >= 0]]
    clear = plain.max(axis=1) == 1.0
    if clear.sum() < FEW or len(np.unique(plain[clear].argmax(axis=1))) < 2:
        return Labelled(plain, precision(votes, plain), "majority")
    voted, guard = _votes.majority(_votes.counts(votes, classes)), (0, 0.0, 0.0)
    judged_on = np.flatnonzero((votes >= 0).any(axis=1) & (known >= 0))
    if len(judged_on) >= GUARD and ((voted.max(axis=1) == 1.0).sum() >= FEW):
        chance = _held(voted, views, seed)
        right, usual = (float((one[judged_on].argmax(axis=1) == known[judged_on]).mean()) for one in (chance, voted * chance))
        guard = (len(judged_on), right, usual)
        if right <= usual:
            chance = plain * _held(plain, views, seed)  # of labels with as many votes the likelier one
            chance /= chance.sum(axis=1, keepdims=True)
            return Labelled(chance, precision(votes, chance), "majority", guard)
    chance = _held(plain, views, seed)
    chance[known >= 0] = plain[known >= 0]
    return Labelled(chance, precision(votes, chance), "model", guard)


def _held(plain: np.ndarray, views: Sequence[View], seed: int) -> np.ndarray:
    """The chance of each label by models that learnt from the clear labels of other folds, (n, L)."""
    clear, label = plain.max(axis=1) == 1.0, plain.argmax(axis=1)
    fold = np.random.default_rng(seed).permutation(len(plain)) % FOLDS
    scores = _held_out.scores(views, label, fold, clear, plain.shape[1])
    noise = _noise.fit([one[clear] for one in scores], label[clear])
    return _noise.probabilities(noise.weights, scores)


def precision(votes: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """How often each function's votes are right, drawn towards the mean of all, (m,)."""
    cast = votes >= 0
    right = np.take_along_axis(chance, np.maximum(votes, 0), axis=1) * cast
    mean = float(right.sum() / max(1, cast.sum()))
    return np.asarray((right.sum(axis=0) + PRIOR * mean) / (cast.sum(axis=0) + PRIOR))
