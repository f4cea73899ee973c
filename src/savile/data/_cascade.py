"""Labels for many rows from few answers of somebody dear: a small model answers what it is sure of, and only the rest is asked.

As in SEED (Chen et al. 2023), the dear one labels a first sample; a small model learns from its answers, says which rows it
is least sure of, and those are asked next. Answers may be wrong, too: the same model of wrong labels that finds them in data
(see `_noise`) says how often, mends the answers that surely are, and tells how right everything would be if no more were
asked. It stops as soon as that is within the tolerance of asking about every row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from savile.base.errors import InputError
from savile.base.events import emit
from savile.data import _held_out, _noise
from savile.data._held_out import View

FIRST, EACH = 0.08, 0.06  # shares of the rows asked first, and each time after that
LEAST = 100  # rows asked first at least, where there are that many
A_CLASS = 6  # rows asked first for each label
FOLDS = 5
UNSURE = 0.7  # share of each batch that are rows the model is least sure of; the others are drawn evenly
CAUTION = 0.5  # of answers that look wrong so many are taken to be: the hardest rows are asked, and some are right after all
Ask = Callable[[np.ndarray], np.ndarray]  # row numbers -> label numbers, -1 where there is no answer


@dataclass(frozen=True)
class Labelled:
    """What came out of n rows.

    Attributes:
        label: number of the label of each, int64 (n,).
        chance: that it is right, (n,).
        asked: whether the dear one was asked, bool (n,).
        answer: what it said, -1 where it was not asked or did not say.
        rate: share of its answers that are taken to be wrong.
    """

    label: np.ndarray
    chance: np.ndarray
    asked: np.ndarray
    answer: np.ndarray
    rate: float


def run(views: Sequence[View], classes: int, ask: Ask, settings: tuple[float, int], seed: int = 0) -> Labelled:
    """Label every row.

    Args:
        views: of n rows, see `_held_out`.
        classes: number of labels.
        ask: the dear one.
        settings: by how much the share of right labels may fall short of asking about every row, and how many may be asked.
        seed: of the draws.
    """
    tolerance, most = settings
    rng, n = np.random.default_rng(seed), _count(views[0])
    answer, asked = np.full(n, -1), np.zeros(n, dtype=bool)
    batch = rng.permutation(n)[: min(n, most, max(LEAST, round(FIRST * n), A_CLASS * classes))]
    while True:
        answer[batch] = ask(batch)
        asked[batch] = True
        label, chance, rate = _learn(views, answer, classes, rng)
        reached = float(chance.mean()) >= 1.0 - CAUTION * rate - tolerance
        emit("progress", stage="label: asked", done=int(asked.sum()), total=n)
        room = min(most - int(asked.sum()), n - int(asked.sum()), max(LEAST // 2, round(EACH * n)))
        if reached or room <= 0:
            return Labelled(label, chance, asked, answer, rate)
        batch = _next(chance, asked, room, rng)


def _next(chance: np.ndarray, asked: np.ndarray, room: int, rng: np.random.Generator) -> np.ndarray:
    """Rows to ask about: most of them those the model is least sure of, the rest drawn evenly."""
    left = np.flatnonzero(~asked)
    unsure = left[np.argsort(chance[left], kind="stable")[: round(UNSURE * room)]]
    other = rng.permutation(np.setdiff1d(left, unsure))[: room - len(unsure)]
    return np.concatenate([unsure, other])


def _learn(
    views: Sequence[View], answer: np.ndarray, classes: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, float]:
    """The label of each row, the chance that it is right, and how often answers are wrong."""
    known = np.flatnonzero(answer >= 0)
    if len(np.unique(answer[known])) < 2:
        do = "Look at what the endpoint answers, and say more in data.steps.ask.about."
        raise InputError("answers that name at least two of the labels", f"{len(known)} answers with one", do)
    fold = np.full(len(answer), -1)
    fold[known] = _spread(answer[known], rng)
    given = np.maximum(answer, 0)
    scores = _held_out.scores(views, given, fold, answer >= 0, classes)
    noise = _noise.fit([one[known] for one in scores], given[known])
    judged = _noise.judge(noise, scores, given)
    chance = _noise.probabilities(noise.weights, scores)
    chance[known] = judged.true[known]
    return chance.argmax(axis=1), chance.max(axis=1), noise.rate


def _spread(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A fold for each row, every label in as many of them as can be."""
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    fold = np.empty(len(labels), dtype=np.int64)
    fold[order] = np.arange(len(labels)) % min(FOLDS, max(2, len(labels)))
    return fold


def _count(view: View) -> int:
    rows = view.rows
    return int(rows.shape[0]) if hasattr(rows, "shape") else len(rows)
