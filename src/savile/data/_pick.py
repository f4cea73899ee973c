"""Which rows a person should label next, of many that nobody has labelled: active learning on rows as unit vectors.

Four ways. `gain`: the rows that mend most others. Every row is as likely to be answered wrong as a small model of the rows
labelled so far thinks, a label mends the rows around it in proportion to how like they are, and what is mended counts once: a
submodular sum that picking one by one gets within 1 - 1/e of (Nemhauser, Wolsey, Fisher 1978; information density: Settles,
Craven 2008). Without any label it picks the rows that stand for most others. `uncertain`: the least difference between the two
likeliest labels (Scheffer, Decomain, Wrobel 2001). `diverse`: the row in the middle of each of as many clusters as are asked
for (Hacohen, Dekel, Weinshall 2022). `even`: drawn at random, to compare with.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

NEIGHBOURS = 60  # most similar rows that a label may mend
NEAR = 20  # the similarity of that neighbour is where a row begins to stand for another
STRENGTH = 30.0  # inverse penalty of the small model
CHUNK = 2_000


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
    """Of the largest clusters without a labelled row, the row nearest to the middle."""
    from sklearn.cluster import KMeans

    count, rng = drawn
    clusters = min(len(features), count + len(np.unique(features[labels >= 0], axis=0)))
    found = KMeans(clusters, n_init=1, max_iter=20, random_state=int(rng.integers(2**31))).fit(features)
    size = np.bincount(found.labels_, minlength=clusters).astype(float)
    size[found.labels_[labels >= 0]] = 0.0
    like = np.where(labels < 0, np.einsum("nd,nd->n", features, found.cluster_centers_[found.labels_]), -np.inf)
    order = np.lexsort((-like, found.labels_))
    first = order[np.unique(found.labels_[order], return_index=True)[1]]
    first = first[labels[first] < 0]
    rows = first[np.argsort(-size[found.labels_[first]], kind="stable")][:count]
    rest = rng.permutation(np.setdiff1d(np.flatnonzero(labels < 0), rows))[: count - len(rows)]
    return np.concatenate([rows, rest]), np.concatenate([np.maximum(size[found.labels_[rows]], 1.0), np.ones(len(rest))])


def _gain(features: np.ndarray, labels: np.ndarray, chance: np.ndarray | None, drawn: Drawn) -> Found:
    """One by one the row whose label is expected to mend most, as nothing is mended twice."""
    likeness = _likeness(features)
    wrong = np.ones(len(features)) if chance is None else 1.0 - chance.max(axis=1)
    wrong[labels >= 0] = 0.0
    gain = likeness @ wrong
    gain[labels >= 0] = -np.inf
    rows, pays = [], []
    for _ in range(drawn[0]):
        best = int(gain.argmax())
        rows.append(best)
        pays.append(max(float(gain[best]), 0.0))
        near = likeness.indices[likeness.indptr[best] : likeness.indptr[best + 1]]
        mended = likeness.data[likeness.indptr[best] : likeness.indptr[best + 1]] * wrong[near]
        wrong[near] -= mended
        for row, less in zip(near, mended, strict=True):
            around = slice(likeness.indptr[row], likeness.indptr[row + 1])
            gain[likeness.indices[around]] -= likeness.data[around] * less
        gain[best] = -np.inf
    return np.array(rows), np.array(pays)


def _likeness(features: np.ndarray) -> csr_matrix:
    """How far each row stands for another, 0 to 1 and the same both ways, sparse (n, n); every row for itself."""
    from scipy.sparse import coo_matrix

    n = len(features)
    width = min(NEIGHBOURS, n)
    near, like = np.empty((n, width), dtype=np.int64), np.empty((n, width), dtype=np.float32)
    for start in range(0, n, CHUNK):
        block = features[start : start + CHUNK] @ features.T
        top = np.argpartition(-block, width - 1, axis=1)[:, :width]
        near[start : start + CHUNK], like[start : start + CHUNK] = top, np.take_along_axis(block, top, axis=1)
    begins = float(np.median(np.sort(like, axis=1)[:, -min(NEAR, width)]))
    shared = np.clip((like - begins) / max(1.0 - begins, 1e-6), 0.0, 1.0)
    one_way = coo_matrix((shared.ravel(), (np.repeat(np.arange(n), width), near.ravel())), shape=(n, n)).tocsr()
    both: csr_matrix = one_way.maximum(one_way.T).tocsr()
    both.setdiag(1.0)
    both.eliminate_zeros()
    return both


WAYS: dict[str, Callable[..., Found]] = {"gain": _gain, "uncertain": _uncertain, "diverse": _diverse, "even": _even}
