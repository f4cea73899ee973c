"""What a whole source of rows is worth to a learner that may use any coalition of sources: Shapley and Banzhaf values.

The learner is ridge regression on the labels' indicator columns, whose normal equations add up over rows, so that a coalition
costs one small linear system. A coalition is worth the share of questions it answers right; without any source that is a guess.

Banzhaf values (Wang and Jia, AISTATS 2023) average what a source adds over all coalitions alike; all are estimated from the
same uniform sample ("maximum sample reuse"). Shapley values (Ghorbani and Zou, ICML 2019: truncated Monte Carlo) average over
orders of joining, and a walk through an order stops where all that is left to gain is below a tolerance. Up to `EXACT` sources
nothing is sampled. Both are weighted sums over coalitions, so they come as one matrix of weights times one matrix of right
answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import comb

import numpy as np

EXACT = 10  # 1,024 coalitions
RIDGE = 0.1  # added to the normal equations of rows of unit length

Utility = Callable[[int], np.ndarray]


@dataclass
class Worth:
    """Coalitions, as bit masks over sources, and what each answers right; every coalition is learnt from once.

    Attributes:
        utility: coalition -> right answers in [0, 1], float64 (questions,).
        known: coalition -> its place in `answers`.
        answers: right answers of each.
    """

    utility: Utility
    known: dict[int, int] = field(default_factory=dict)
    answers: list[np.ndarray] = field(default_factory=list)

    def place(self, coalition: int) -> int:
        """Where a coalition stands."""
        if coalition not in self.known:
            self.known[coalition] = len(self.answers)
            self.answers.append(self.utility(coalition))
        return self.known[coalition]

    def mean(self, coalition: int) -> float:
        """The share of questions a coalition answers right."""
        return float(self.answers[self.place(coalition)].mean())


def banzhaf(utility: Utility, sources: int, samples: int, seed: int) -> np.ndarray:
    """Banzhaf values of sources for each question, float64 (sources, questions)."""
    worth = Worth(utility)
    if sources <= EXACT:
        chosen = np.arange(1 << sources)
    else:
        rng = np.random.default_rng(seed)
        chosen = np.array([_mask(rng.random(sources) < 0.5) for _ in range(samples)], dtype=object)
    places = np.array([worth.place(int(coalition)) for coalition in chosen])
    answers = np.stack(worth.answers)
    weights = np.zeros((sources, len(answers)))
    for source in range(sources):
        inside = np.array([bool(int(coalition) >> source & 1) for coalition in chosen])
        np.add.at(weights[source], places[inside], 1.0 / max(inside.sum(), 1))
        np.add.at(weights[source], places[~inside], -1.0 / max((~inside).sum(), 1))
    return np.asarray(weights @ answers)


def shapley(utility: Utility, sources: int, orders: int, seed: int, tolerance: float = 0.0) -> np.ndarray:
    """Shapley values of sources for each question, float64 (sources, questions); `orders` are drawn beyond `EXACT` sources."""
    worth = Worth(utility)
    terms: list[tuple[int, int, float]] = []  # source, place of a coalition, weight
    if sources <= EXACT:
        for coalition in range(1 << sources):
            size = coalition.bit_count()
            for source in range(sources):
                if not coalition >> source & 1:
                    weight = 1.0 / (sources * comb(sources - 1, size))
                    terms.append((source, worth.place(coalition | 1 << source), weight))
                    terms.append((source, worth.place(coalition), -weight))
    else:
        rng = np.random.default_rng(seed)
        everything = worth.mean((1 << sources) - 1)
        for _ in range(orders):
            coalition = 0
            for source in rng.permutation(sources).tolist():
                if coalition and abs(everything - worth.mean(coalition)) < tolerance:
                    break
                terms.append((source, worth.place(coalition), -1.0 / orders))
                coalition |= 1 << source
                terms.append((source, worth.place(coalition), 1.0 / orders))
    weights = np.zeros((sources, len(worth.answers)))
    for source, place, weight in terms:
        weights[source, place] += weight
    return np.asarray(weights @ np.stack(worth.answers))


class Ridge:
    """Coalitions of sources as learners; a row that several sources brought is there when any of them is.

    Args:
        features: rows (n, d).
        labels: label numbers (n,).
        owners: for each row the sources that brought it.
        questions: features (q, d) and label numbers (q,).
        classes: number of labels.
    """

    def __init__(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        owners: Sequence[frozenset[int]],
        questions: tuple[np.ndarray, np.ndarray],
        classes: int,
    ) -> None:
        self.questions, self.gold, self.classes = _with_constant(questions[0]), questions[1], classes
        inputs = _with_constant(features)
        self.parts: list[tuple[int, np.ndarray, np.ndarray]] = []  # who brought it, and its normal equations
        for group in sorted({tuple(sorted(each)) for each in owners}):
            rows = np.array([i for i, each in enumerate(owners) if tuple(sorted(each)) == group])
            target = np.eye(classes)[labels[rows]]
            self.parts.append((sum(1 << one for one in group), inputs[rows].T @ inputs[rows], inputs[rows].T @ target))

    def __call__(self, coalition: int) -> np.ndarray:
        """What a coalition answers right, float64 (questions,)."""
        chosen = [(square, cross) for group, square, cross in self.parts if group & coalition]
        if not chosen:
            return np.full(len(self.gold), 1.0 / self.classes)
        weights = solve(np.sum([square for square, _ in chosen], axis=0), np.sum([cross for _, cross in chosen], axis=0))
        return np.asarray((self.questions @ weights).argmax(axis=1) == self.gold, dtype=np.float64)


def solve(square: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """Weights of ridge regression from X'X (d, d) and X'Y (d, c)."""
    return np.asarray(np.linalg.solve(square + RIDGE * np.eye(len(square)), cross))


def right(rows: tuple[np.ndarray, np.ndarray], questions: tuple[np.ndarray, np.ndarray], classes: int) -> np.ndarray:
    """Which questions ridge regression on some rows answers right, (questions,); both are features and label numbers."""
    inputs, target = _with_constant(rows[0]), np.eye(classes)[rows[1]]
    weights = solve(inputs.T @ inputs, inputs.T @ target)
    return np.asarray((_with_constant(questions[0]) @ weights).argmax(axis=1) == questions[1], dtype=np.float64)


def _with_constant(features: np.ndarray) -> np.ndarray:
    return np.concatenate([features.astype(np.float64), np.ones((len(features), 1))], axis=1)


def _mask(chosen: np.ndarray) -> int:
    return sum(1 << int(source) for source in np.flatnonzero(chosen))
