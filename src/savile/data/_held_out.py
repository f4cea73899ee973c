"""Scores of rows by models that did not see them: of words and, with a base, of embeddings; in tables, of columns.

Rows are divided into folds that keep near copies together, and each fold is scored by models of the others. Rows that are only
to be scored, such as those of the test part, get the mean of all folds' models. What texts look like is learnt from all of them
once; labels only ever reach models that do not score their rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.base.events import emit
from savile.data import _features

if TYPE_CHECKING:
    import pyarrow as pa

Predict = Callable[[Any], np.ndarray]
Learn = Callable[[Any, np.ndarray], Predict]  # rows of a view and their labels -> rows of the view to scores
MIN_ROWS = 2  # an n-gram in fewer texts says nothing about another text
STRENGTH = 30.0  # inverse penalty of a head where there are too few rows to choose one
ENOUGH = 60


@dataclass(frozen=True)
class View:
    """One way to look at rows.

    Attributes:
        name: what is looked at.
        rows: the rows in that form.
        learn: what learns from them.
        take: some of the rows, by number.
    """

    name: str
    rows: Any
    learn: Learn
    take: Callable[[Any, np.ndarray], Any] = lambda rows, some: rows[some]


def of_texts(texts: Sequence[str], labels: np.ndarray, classes: int, base: str) -> list[View]:
    """Views of texts.

    Args:
        texts: of every row that is learnt from or scored.
        labels: label number of each, -1 where it may not be learnt from.
        classes: number of labels.
        base: whose embeddings are looked at beside words; empty for none.
    """
    views = [View("words", _words(texts), lambda rows, given: _machine(rows, given, classes))]
    if base:
        embedded = _features.of_texts(texts, base)
        strength = _strength(embedded[labels >= 0], labels[labels >= 0], classes)
        views.append(View(base, embedded, lambda rows, given: _head(rows, given, classes, strength)))
    return views


def of_table(table: pa.Table, classes: int, seed: int) -> list[View]:
    """The view of feature columns, by the family ``tabular``."""
    import pyarrow as pa

    from savile.base.contracts import Rows
    from savile.models import tabular

    def learn(rows: pa.Table, given: np.ndarray) -> Predict:
        names = tuple(str(number) for number in range(classes))
        model = tabular.fit(Rows(rows, given, names, seed=seed))
        return lambda asked: np.asarray(tabular.predict(model, asked), dtype=np.float64)

    return [View("columns", table, learn, lambda rows, some: rows.take(pa.array(some)))]


def scores(views: Sequence[View], labels: np.ndarray, fold: np.ndarray, kept: np.ndarray, classes: int) -> list[np.ndarray]:
    """Scores of every row by models of other folds, float64 (n, classes) a view.

    Args:
        views: of n rows.
        labels: label number of each.
        fold: number of each row's fold; -1 for rows that are scored alone.
        kept: whether a row may be learnt from, bool (n,).
        classes: number of labels.
    """
    folds, found = int(fold.max()) + 1, [np.zeros((len(labels), classes)) for _ in views]
    apart = np.flatnonzero(fold < 0)
    for number in range(folds):
        emit("progress", stage="check labels: fold", done=number, total=folds)
        inside, outside = np.flatnonzero((fold >= 0) & (fold != number) & kept), np.flatnonzero(fold == number)
        for view, score in zip(views, found, strict=True):
            predict = view.learn(view.take(view.rows, inside), labels[inside])
            score[outside] = predict(view.take(view.rows, outside))
            if len(apart):
                score[apart] += predict(view.take(view.rows, apart)) / folds
    return found


def base_for(asked: str, texts: Sequence[str]) -> str:
    """The base to embed with; empty for words alone, which is what ``auto`` comes to where torch or the base is missing."""
    from savile.models._tabular_text import base_for as found

    return "" if asked == "words" else found(asked, texts)


def _words(texts: Sequence[str]) -> Any:
    """TF-IDF of n-grams as the family ``linear`` has it, (n, n-grams)."""
    from scipy.sparse import hstack

    from savile.models import linear

    blocks = linear._blocks(texts, linear.Settings(min_rows=MIN_ROWS if len(texts) > ENOUGH else 1))
    return hstack([linear._vectoriser(block).fit_transform(texts) for block in blocks], format="csr")


def _machine(rows: Any, given: np.ndarray, classes: int) -> Predict:
    """Support vector machines, one against the rest; labels that no row has score lowest."""
    from savile.models import linear

    weight, bias = np.zeros((classes, rows.shape[1]), dtype=np.float32), np.zeros(classes, dtype=np.float32)
    linear._one_label(rows, given, 1.0, weight, bias)
    return lambda asked: np.asarray(asked @ weight.T + bias, dtype=np.float64)


def _head(rows: np.ndarray, given: np.ndarray, classes: int, strength: float) -> Predict:
    """Logistic regression."""
    import torch

    from savile.models._head import convex_head

    weight, bias = convex_head(torch.from_numpy(rows), torch.from_numpy(given), classes, strength)
    return lambda asked: np.asarray(asked @ weight.numpy().T + bias.numpy(), dtype=np.float64)


def _strength(rows: np.ndarray, given: np.ndarray, classes: int) -> float:
    """The penalty of the head, chosen with the labels as they are."""
    import torch

    from savile.models._head import best_strength

    if len(rows) < ENOUGH:
        return STRENGTH
    return best_strength(torch.from_numpy(rows), torch.from_numpy(given), classes, seed=0, rows=2_000)
