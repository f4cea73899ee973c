"""Which rows a person should label next, of many that nobody has labelled: active learning on rows as unit vectors.

Rows are divided into as many groups of alike rows as have a label or are asked for (k-means), and the row in the middle of a
group stands for it (Hacohen, Dekel, Weinshall, ICML 2022). `diverse` takes the largest groups without a label. `gain` takes
those where a label is expected to mend most answers: the sum of the chances that a small model of the rows labelled so far
answers their rows wrong (information density: Settles, Craven, EMNLP 2008); without any label it is the same. `uncertain` looks
at rows alone: the least difference between the two likeliest labels (Scheffer, Decomain, Wrobel 2001). `even` draws at random.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

STRENGTH = 30.0  # inverse penalty of the small model
ROUNDS = 20  # of k-means


@dataclass(frozen=True)
class Picked:
    """What a person is asked.

    Attributes:
        rows: their numbers, those that pay most first, int64 (m,).
        pays: how much each pays, the first 1, (m,).
        proposed: number of the label the small model would give, -1 where there is no model, int64 (m,).
    """

    rows: np.ndarray
    pays: np.ndarray
    proposed: np.ndarray


def pick(features: np.ndarray, labels: np.ndarray, count: int, by: str = "gain", seed: int = 0) -> Picked:
    """The rows to ask about.

    Args:
        features: of n rows, unit vectors, float32 (n, d).
        labels: number of each row's label, -1 where it has none, int64 (n,).
        count: rows to pick; fewer come when fewer have no label.
        by: `gain`, `uncertain`, `diverse` or `even`.
        seed: of everything random.
    """
    chance = _chance(features, labels)
    count = min(count, int((labels < 0).sum()))
    if not count:
        nothing = np.empty(0, dtype=np.int64)
        return Picked(nothing, np.empty(0), nothing)
    rows, pays = WAYS[by](features, labels, chance, (count, np.random.default_rng(seed)))
    proposed = np.full(len(rows), -1) if chance is None else chance[rows].argmax(axis=1)
    return Picked(rows, pays / max(float(pays.max()), 1e-12), proposed)


def _chance(features: np.ndarray, labels: np.ndarray) -> np.ndarray | None:
    """The chance of each label by logistic regression on the labelled rows, (n, L); None below two labels."""
    from sklearn.linear_model import LogisticRegression

    known = np.flatnonzero(labels >= 0)
    if len(np.unique(labels[known])) < 2:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # few rows of each of many labels are what is to be expected here
        machine = LogisticRegression(C=STRENGTH, max_iter=200).fit(features[known], labels[known])
    chance = np.zeros((len(features), int(labels.max()) + 1))
    chance[:, machine.classes_] = machine.predict_proba(features)
    return chance


Drawn = tuple[int, np.random.Generator]  # how many, and what to draw them with
Found = tuple[np.ndarray, np.ndarray]  # rows and how much each pays


def _even(features: np.ndarray, labels: np.ndarray, chance: np.ndarray | None, drawn: Drawn) -> Found:
    count, rng = drawn
    return rng.choice(np.flatnonzero(labels < 0), count, replace=False), np.ones(count)


def _uncertain(features: np.ndarray, labels: np.ndarray, chance: np.ndarray | None, drawn: Drawn) -> Found:
    """The smallest margins; without a model nothing is more uncertain than anything else."""
    if chance is None:
        return _even(features, labels, chance, drawn)
    best = np.sort(chance, axis=1)[:, -2:]
    doubt = np.where(labels < 0, 1.0 - (best[:, 1] - best[:, 0]), -1.0)
    rows = np.argsort(-doubt, kind="stable")[: drawn[0]]
    return rows, doubt[rows]


def _diverse(features: np.ndarray, labels: np.ndarray, chance: np.ndarray | None, drawn: Drawn) -> Found:
    """The middle of each of the largest groups that have no label."""
    return _middles(features, labels, np.ones(len(features)), drawn)


def _gain(features: np.ndarray, labels: np.ndarray, chance: np.ndarray | None, drawn: Drawn) -> Found:
    """The middle of each of the groups without a label in which the model expects to answer most rows wrong."""
    return _middles(features, labels, np.ones(len(features)) if chance is None else 1.0 - chance.max(axis=1), drawn)


def _middles(features: np.ndarray, labels: np.ndarray, weight: np.ndarray, drawn: Drawn) -> Found:
    """Of the heaviest clusters without a labelled row, the row nearest to the middle."""
    from sklearn.cluster import KMeans

    count, rng = drawn
    clusters = min(len(features), count + len(np.unique(features[labels >= 0], axis=0)))
    found = KMeans(clusters, n_init=1, max_iter=ROUNDS, random_state=int(rng.integers(2**31))).fit(features)
    size = np.bincount(found.labels_, weight, clusters)
    size[found.labels_[labels >= 0]] = 0.0
    like = np.where(labels < 0, np.einsum("nd,nd->n", features, found.cluster_centers_[found.labels_]), -np.inf)
    order = np.lexsort((-like, found.labels_))
    first = order[np.unique(found.labels_[order], return_index=True)[1]]
    first = first[(labels[first] < 0) & (size[found.labels_[first]] > 0)]
    rows = first[np.argsort(-size[found.labels_[first]], kind="stable")][:count]
    rest = rng.permutation(np.setdiff1d(np.flatnonzero(labels < 0), rows))[: count - len(rows)]
    pays = np.concatenate([size[found.labels_[rows]], weight[rest]])
    return np.concatenate([rows, rest]), pays


WAYS: dict[str, Callable[..., Found]] = {"gain": _gain, "uncertain": _uncertain, "diverse": _diverse, "even": _even}
