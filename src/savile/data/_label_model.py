"""The label of each row from the votes of labelling functions that may abstain, and the chance that it is right.

Functions that copy each other, or that all miss the same rows, confirm themselves where they are weighed by how they agree.
So nothing is weighed here: the majority of the votes is a first, noisy label, small models learn from it, and each row is
answered by models of the other folds, which know its text and not its votes. What many rows say of its words outvotes the few
functions that happened to fire on it; rows without any vote get an answer as well. Rows with a known label are learnt from as
they are.

Whether the models answer where the votes are clear is judged by what neither has seen: by rows with a known label where there
are enough of them, else by the votes of functions that are left out, a few at a time, from the majority and from what the
models learn. Unless the models are right more often, the majority it is there. A tie is decided by those models together with
others that do not read the words the functions look at, for in a tie these say both.

Denoising weak labels by a held-out end model: Ratner et al., VLDB 2018 (section 5); smoothing votes by what rows are like:
Chen et al., UAI 2022; two views of a row that know nothing of each other: Blum and Mitchell, COLT 1998.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from savile.data import _held_out, _noise, _votes
from savile.data._held_out import View

FOLDS = 5
GUARD = 20  # rows with a known label, or votes left out, from which they decide
FEW = 50  # rows with a clear vote below which there is nothing to learn from but votes
PRIOR = 10.0  # votes that every function is taken to have cast before, as right as all are on average
GROUPS = 3  # functions are left out in so many groups, or in two
MOST = 0.5  # share of all rows
TOLD, DRAWN = 0.75, 3.0  # share of a word's rows that a function speaks of, from which it looks at it; rows it is drawn by


@dataclass(frozen=True)
class Guard:
    """What decided between models and majority: known labels or votes left out, how many, and how often each was right."""

    by: str = "labels"
    rows: int = 0
    model: float = 0.0
    majority: float = 0.0


@dataclass(frozen=True)
class Labelled:
    """What came out.

    Attributes:
        chance: of each label, (n, L).
        precision: share of each function's votes that are right, as far as the labels tell, (m,).
        method: ``model`` or ``majority``, where the votes are clear.
        guard: what decided that.
    """

    chance: np.ndarray
    precision: np.ndarray
    method: str
    guard: Guard = Guard()


def fit(votes: np.ndarray, views: Sequence[View], classes: int, known: np.ndarray, seed: int = 0) -> Labelled:
    """Put the votes of functions together.

    Args:
        votes: label number that each function gives each row, -1 where it abstains, int64 (n, m).
        views: of the rows, see `_held_out`.
        classes: number of labels L.
        known: label number of rows somebody labelled, -1 for the others, int64 (n,).
        seed: of the folds.
    """
    voted = _votes.majority(_votes.counts(votes, classes))
    plain = voted.copy()
    plain[known >= 0] = np.eye(classes)[known[known >= 0]]
    if not _learnable(plain):
        return Labelled(plain, precision(votes, plain), "majority")
    guard = _by_labels(votes, voted, views, known, seed) or _by_votes(votes, views, classes, seed)
    models = _held(plain, views, seed)
    clear = (plain.max(axis=1) == 1.0) & ((known >= 0) | (guard.model <= guard.majority))
    chance = np.where(clear[:, None], plain, models)
    tied = np.flatnonzero((voted.max(axis=1) < 1.0) & (votes >= 0).any(axis=1) & (known < 0))
    others = [quiet for view in views if (quiet := _quiet(view, votes)) is not None]
    if len(tied):
        chance[tied] = voted[tied] * models[tied] * (_held(plain, others, seed)[tied] if others else 1.0)
        chance[tied] /= chance[tied].sum(axis=1, keepdims=True)
    return Labelled(chance, precision(votes, chance), "model" if guard.model > guard.majority else "majority", guard)


def _learnable(plain: np.ndarray) -> bool:
    """Whether enough rows have a clear label, and not all the same."""
    clear = plain.max(axis=1) == 1.0
    return int(clear.sum()) >= FEW and len(np.unique(plain[clear].argmax(axis=1))) > 1


def _by_labels(votes: np.ndarray, voted: np.ndarray, views: Sequence[View], known: np.ndarray, seed: int) -> Guard | None:
    """How often models that learnt from votes alone, and the majority, are right on rows with a known label; None if few."""
    rows = np.flatnonzero((votes >= 0).any(axis=1) & (known >= 0))
    if len(rows) < GUARD or not _learnable(voted):
        return None
    models = _held(voted, views, seed)
    model, majority = (float((one[rows].argmax(axis=1) == known[rows]).mean()) for one in (models, voted * models))
    return Guard("labels", len(rows), model, majority)


def _by_votes(votes: np.ndarray, views: Sequence[View], classes: int, seed: int) -> Guard:
    """How often models, and the majority where it is clear, say what functions say that neither of them has heard.

    From few such votes nothing is told, and the majority stands.
    """
    total = Guard("votes")
    for group in _groups(votes, classes, seed):
        others = votes.copy()
        others[:, group] = -1
        voted = _votes.majority(_votes.counts(others, classes))
        if not _learnable(voted):
            continue
        answer = _held(voted, views, seed).argmax(axis=1)
        rows, which = np.nonzero((votes[:, group] >= 0) & (voted.max(axis=1) == 1.0)[:, None])
        said = votes[rows, group[which]]
        model, majority = (answer[rows] == said).sum(), (voted[rows].argmax(axis=1) == said).sum()
        total = replace(
            total, rows=total.rows + len(rows), model=total.model + float(model), majority=total.majority + float(majority)
        )
    if total.rows < GUARD:
        return Guard("votes")
    return replace(total, model=total.model / total.rows, majority=total.majority / total.rows)


def _groups(votes: np.ndarray, classes: int, seed: int) -> list[np.ndarray]:
    """Numbers of functions that are left out together: those that mostly say one label are dealt out evenly."""
    mostly = np.array([np.bincount(one[one >= 0], minlength=classes).argmax() for one in votes.T])
    few = int(np.bincount(mostly, minlength=classes)[np.unique(mostly)].min())
    count, group = min(max(few, 2), GROUPS), np.zeros(votes.shape[1], dtype=np.int64)
    for label in np.unique(mostly):
        which = np.random.default_rng((seed, int(label))).permutation(np.flatnonzero(mostly == label))
        group[which] = np.arange(len(which)) % count
    return [np.flatnonzero(group == number) for number in range(count) if (group == number).any()]


def _quiet(view: View, votes: np.ndarray) -> View | None:
    """A view of words without those that a function looks at; None of another view, and where no word is left.

    A function looks at what stands nearly only in rows that it speaks of; one that speaks of most rows looks at no word.
    """
    if view.name != "words":
        return None
    there, spoken = view.rows.copy(), (votes >= 0).astype(np.float64)
    spoken = spoken[:, spoken.mean(axis=0) < MOST]
    there.data = np.ones_like(there.data)
    count = np.asarray(there.sum(axis=0)).ravel()[:, None]
    share = (there.T @ spoken + DRAWN * spoken.mean(axis=0)) / (count + DRAWN)
    left = np.flatnonzero((share < TOLD).all(axis=1))
    return replace(view, rows=view.rows[:, left]) if len(left) else None


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
