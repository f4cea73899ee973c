"""Rows to learn from that nobody labelled or wrote: measured on held-out rows first, marked as made, never in another part.

A step that makes rows proposes them split by split: what it makes for a split never saw the rows that judge it. Rows are kept
when the models with them are right more often, on rows that somebody labelled, than the models without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from savile.base import people, stats
from savile.data import _noise
from savile.data._draft import Draft
from savile.data._held_out import View

MADE = "made by"  # the column, under the role `made`, that says which step made a row; empty for rows that were given
FOLDS = 5


@dataclass(frozen=True)
class Split:
    """Rows to learn from and rows to judge by, int64."""

    learnt: np.ndarray
    judged: np.ndarray


@dataclass(frozen=True)
class Effect:
    """What made rows change, in right answers to rows the models did not see.

    Attributes:
        rows: how many were judged.
        before: share answered right without them.
        after: share with them.
        low, high: 95 % interval of the difference.
    """

    rows: int
    before: float
    after: float
    low: float
    high: float

    @property
    def helps(self) -> bool:
        """Whether more was answered right."""
        return self.after > self.before

    def told(self) -> str:
        """The difference in points, in words."""
        gain = 100 * (self.after - self.before)
        return (
            f"{100 * self.before:.1f} % right without, {100 * self.after:.1f} % with ({gain:+.1f} points, 95 % interval "
            f"{100 * self.low:+.1f} to {100 * self.high:+.1f}, {self.rows:,} rows)"
        )


def splits(draft: Draft, seed: int) -> list[Split]:
    """How made rows are judged: by the rows set apart, or, where there are none, by folds that keep near copies together."""
    train = draft.parts["train"]
    apart = np.concatenate([draft.parts["valid"], draft.parts["calib"]])
    if len(apart):
        return [Split(train, apart)]
    unit = np.unique(draft.units[train], return_inverse=True)[1]
    fold = np.random.default_rng(seed).permutation(int(unit.max()) + 1)[unit] % FOLDS
    return [Split(train[fold != one], train[fold == one]) for one in range(FOLDS) if (fold == one).any()]


def scores(views: Sequence[View], rows: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> list[np.ndarray]:
    """Scores of the asked rows by models of `rows` with `labels`, (a, L) a view."""
    found = []
    for view in views:
        predict = view.learn(view.take(view.rows, rows), labels)
        found.append(predict(view.take(view.rows, asked)))
    return found


def chance(weights: Sequence[float], found: Sequence[np.ndarray]) -> np.ndarray:
    """Calibrated chances of scores, (a, L)."""
    return _noise.probabilities(weights, found)


def effect(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> Effect:
    """The effect, from which rows were answered right in each split."""
    one, other = np.concatenate(before), np.concatenate(after)
    gain = stats.mean(other.astype(float) - one.astype(float))
    return Effect(len(one), float(one.mean()), float(other.mean()), gain.low, gain.high)


def marked(draft: Draft, rows: np.ndarray, step: str) -> Draft:
    """The draft with the mark of a step on rows of it, which join the part that is learnt from."""
    import pyarrow as pa

    names = draft.table.column_names
    said: list[str | None] = draft.table.column(MADE).to_pylist() if MADE in names else [None] * draft.table.num_rows
    for row in rows.tolist():
        said[row] = step
    cells = pa.array(said, pa.string())
    table = draft.table.set_column(names.index(MADE), MADE, cells) if MADE in names else draft.table.append_column(MADE, cells)
    kept = draft.kept.copy()
    kept[rows] = True
    train = np.sort(np.concatenate([draft.parts["train"], rows]))
    return replace(draft, table=table, kept=kept, roles={**draft.roles, "made": MADE}, parts={**draft.parts, "train": train})


def appended(draft: Draft, sources: np.ndarray, texts: Sequence[str], step: str) -> Draft:
    """The draft with copies of some rows under other texts, which stay together with the rows they come from."""
    import pyarrow as pa

    first, name = draft.table.num_rows, draft.roles["text"]
    more = draft.table.take(pa.array(sources))
    more = more.set_column(
        more.column_names.index(name), more.schema.field(name), pa.array(list(texts), more.schema.field(name).type)
    )
    arrays: dict[str, Any] = {
        one: np.concatenate([getattr(draft, one), getattr(draft, one)[sources]])
        for one in ("lines", "file_of", "kept", "units")
    }
    given = np.concatenate([draft.given, np.zeros(len(sources), dtype=bool)])
    known_by = people.stacked(draft.known_by, tuple(one.take(sources) for one in draft.known_by), (first, len(sources))) or ()
    draft = replace(draft, table=pa.concat_tables([draft.table, more]), given=given, known_by=known_by, **arrays)
    return marked(draft, np.arange(first, first + len(sources)), step)
