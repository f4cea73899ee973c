"""Rows without a label get one from a model of the rows with one, where it is sure, and are learnt from: self-training.

The chances are calibrated on rows the models did not see; of each label as many rows are taken as its share of the labelled
ones allows (class balance: Zou et al., ECCV 2018), so that an easy label does not drown the others. After every round the
models with the new rows are judged by rows that somebody labelled; rounds end, and the last one's rows are given back, as soon
as no more of those are answered right (Yarowsky 1995, with that stopping rule). Made rows are only ever learnt from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import ConfigDict, Field

from savile.base.errors import InputError
from savile.base.events import emit
from savile.base.page import Page
from savile.base.recipe import SECTION
from savile.base.records import Dataset
from savile.data import _held_out, _made, _noise, _similar
from savile.data._draft import Draft, counted, finding
from savile.data._held_out import View
from savile.data._made import Effect, Split
from savile.data.dedup import normal

AFTER = "splits"
UNLABELLED = True  # rows without a label may be as many as they like
GROWTH = 1.0  # rows a round may add for each labelled row


@dataclass(frozen=True)
class Settings:
    """How sure, and how often.

    Attributes:
        sure: calibrated chance of its label from which a row is taken.
        rounds: at most.
        base: base whose embeddings are looked at beside words; ``words`` for none.
        seed: of everything random.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    sure: Annotated[float, Field(gt=0.5, lt=1)] = 0.9
    rounds: Annotated[int, Field(ge=1, le=10)] = 5
    base: str = "auto"
    seed: int = 0


@dataclass(frozen=True)
class Pool:
    """What takes part: views of all rows, their label numbers (-1 where there is none), the rows without, and the classes."""

    views: Sequence[View]
    labels: np.ndarray
    open: np.ndarray
    classes: int


def apply(draft: Draft, settings: Settings) -> Draft:
    """Label what the models are sure of, as long as that helps.

    Raises:
        InputError: the task is not one of single labels, there is no text, or every row has a label.
    """
    import pyarrow as pa

    pool, rows, names = _pool(draft, settings)
    if not len(pool.open):
        return draft.telling("self_train", _outcome(0, 0, None))
    place = np.full(draft.table.num_rows, -1)
    place[rows] = np.arange(len(rows))
    some = [Split(place[one.learnt], place[one.judged]) for one in _made.splits(draft, settings.seed)]
    weights, before = _weights(pool, some)
    taught = [_Taught(pool, split, weights, settings.sure) for split in some]
    found, told = 0, None
    for number in range(settings.rounds):
        emit("progress", stage="self-training: round", done=number, total=settings.rounds)
        now = _made.effect(before, [one.round() for one in taught])
        if now.after <= (told.after if told else now.before):
            told = told or now
            break
        for one in taught:
            one.keep()
        found, told = number + 1, now
    whole = _Taught(pool, Split(place[draft.parts["train"]], place[:0]), weights, settings.sure)
    for _ in range(found):
        whole.round()
        whole.keep()
    made, given = rows[whole.rows], whole.given
    outcome = _outcome(len(pool.open), len(made), told, found)
    tell(outcome)
    if not len(made):
        return draft.telling("self_train", outcome)
    column = draft.table.column(draft.roles["label"])
    values = column.to_pylist()
    as_is = {str(value): value for value in values if value is not None}
    for row, label in zip(made, given, strict=True):
        values[row] = as_is[names[label]]
    where = draft.table.column_names.index(draft.roles["label"])
    table = draft.table.set_column(where, draft.roles["label"], pa.array(values, column.type))
    evidence = f"{counted(len(made), 'row')} without a label got one by self-training and are learnt from, {draft.where(made)}."
    draft = _made.marked(replace(draft, table=table), made, "self_train")
    return draft.noting(finding("self_trained", "note", made, evidence)).telling("self_train", outcome)


def tell(outcome: Mapping[str, Any]) -> None:
    """Say how many rows were labelled, and what it changed."""
    emit("note", text=verdict(outcome))


def verdict(outcome: Mapping[str, Any]) -> str:
    """The same in a sentence."""
    if not outcome["open"]:
        return "Self-training: every different text has a label, so nothing was to be done."
    rounds = outcome["rounds"]
    kept = f"{outcome['made']:,} of {outcome['open']:,} rows without a label got one in {rounds} round{'s' * (rounds != 1)}"
    return (
        f"Self-training: {kept if rounds else 'nothing was added, for it did not help'}; {outcome['effect'] or 'not measured'}."
    )


def section(page: Page, data: Dataset, outcome: Mapping[str, Any]) -> None:
    """What self-training came to."""
    page.heading("Rows labelled by self-training")
    page.text(verdict(outcome))
    page.text("These rows are learnt from and never judged by.", tone="note")


class _Taught:
    """The made rows of one split, as they grow."""

    def __init__(self, pool: Pool, split: Split, weights: Sequence[float], sure: float) -> None:
        self.pool, self.split, self.weights, self.sure = pool, split, weights, sure
        self.rows, self.given = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        self.next = (self.rows, self.given)

    def round(self) -> np.ndarray:
        """Propose rows for the next round; whether each judged row is answered right with them, bool (j,)."""
        said = self._chance(self.rows, self.given, self.pool.open)
        self.next = _confident(said, self.pool, self.split, self.sure)
        if not len(self.split.judged):
            return np.empty(0, dtype=bool)
        chance = self._chance(*self.next, self.split.judged)
        right: np.ndarray = chance.argmax(axis=1) == self.pool.labels[self.split.judged]
        return right

    def keep(self) -> None:
        """Go on from what was proposed."""
        self.rows, self.given = self.next

    def _chance(self, made: np.ndarray, given: np.ndarray, asked: np.ndarray) -> np.ndarray:
        learnt = np.concatenate([self.split.learnt, made])
        labels = np.concatenate([self.pool.labels[self.split.learnt], given])
        return _made.chance(self.weights, _made.scores(self.pool.views, learnt, labels, asked))


def _confident(chance: np.ndarray, pool: Pool, split: Split, sure: float) -> tuple[np.ndarray, np.ndarray]:
    """Open rows whose label is sure, of each label at most its share, and those labels."""
    best, how = chance.argmax(axis=1), chance.max(axis=1)
    share = np.bincount(pool.labels[split.learnt], minlength=pool.classes)
    rows = []
    for label, most in enumerate(np.ceil(GROWTH * share).astype(int)):
        fit = np.flatnonzero((best == label) & (how >= sure))
        rows.append(fit[np.argsort(-how[fit], kind="stable")][:most])
    chosen = np.concatenate(rows)
    return pool.open[chosen], best[chosen]


def _weights(pool: Pool, some: Sequence[Split]) -> tuple[tuple[float, ...], list[np.ndarray]]:
    """Weights of the views that make chances of scores, and what is answered right without made rows, a split."""
    found = [_made.scores(pool.views, one.learnt, pool.labels[one.learnt], one.judged) for one in some]
    due = [pool.labels[one.judged] for one in some]
    together = [np.concatenate([one[view] for one in found]) for view in range(len(pool.views))]
    weights = _noise.fit(together, np.concatenate(due)).weights
    return weights, [_made.chance(weights, one).argmax(axis=1) == right for one, right in zip(found, due, strict=True)]


def _pool(draft: Draft, settings: Settings) -> tuple[Pool, np.ndarray, list[str]]:
    """What takes part, the row number of each in the draft, and the names of the labels."""
    if not draft.one_label or "text" not in draft.roles:
        raise InputError("rows with a text and one label each", f"the task {draft.task}", "Leave data.steps.self_train out.")
    texts, labels = [normal(text) for text in draft.values("text")], draft.values("label")
    given = np.concatenate([draft.parts[name] for name in ("train", "valid", "calib")])
    bare = np.array([row for row in np.flatnonzero(~draft.given) if texts[row] and not labels[row]], dtype=np.int64)
    used = np.concatenate([given, draft.parts["test"], bare])  # what nearly repeats a row with a label teaches nothing new
    family = _similar.families([texts[row] for row in used]).alike
    old, new = np.split(family, [len(used) - len(bare)])
    first = np.sort(np.unique(new, return_index=True)[1])
    fresh = first[~np.isin(new[first], old)]
    rows = np.concatenate([given, bare[fresh]])
    names = sorted({labels[row] for row in given})
    number = {name: i for i, name in enumerate(names)}
    target = np.array([number.get(labels[row], -1) for row in rows])
    asked = [texts[row] for row in rows]
    views = _held_out.of_texts(asked, target, len(names), _held_out.base_for(settings.base, asked)) if len(fresh) else []
    return Pool(views, target, np.flatnonzero(target < 0), len(names)), rows, names


def _outcome(open_rows: int, made: int, effect: Effect | None, rounds: int = 0) -> dict[str, Any]:
    """What is kept with the data."""
    told = effect.told() if effect is not None else ""
    gain = round(effect.after - effect.before, 4) if effect is not None else 0.0
    return {"open": open_rows, "made": made, "rounds": rounds, "effect": told, "gain": gain}
