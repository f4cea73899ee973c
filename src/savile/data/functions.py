"""Labels rows from labelling functions: words, patterns, columns, models and a language model, each of which may abstain.

Every function says one label of a row or nothing. `_label_model` puts what they say together: the label of each row and, under
the role `shares`, the chance of every label, which models that read texts learn from. Rows with a label keep it. A table says
how often each function speaks, meets others and contradicts them; rows that none speaks of are left out unless asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict

from savile.base.errors import DataError, InputError, UnknownNameError
from savile.base.events import emit
from savile.base.page import Page
from savile.base.recipe import SECTION
from savile.base.records import Dataset
from savile.data import _function_votes, _held_out, _label_model, _votes
from savile.data._draft import Draft, counted, finding
from savile.data._function_votes import Function
from savile.data.votes import SHARES, written

AFTER = "sources"
BROAD = 0.5  # share of all rows that a function speaks of, from which it is told of as broad
ANY_LABEL = "any"  # of a function that may say each of them
HEAD = ("Function", "Label", "Speaks of", "With others", "Contradicted", "Right, as expected")
WRONG = 0.5  # precision below which it is told of as wrong


@dataclass(frozen=True)
class Settings:
    """What speaks of rows, and what becomes of that.

    Attributes:
        functions: two or more, each with a `label` and `words` or a `pattern`, or with a `column`, a `model` or a `url`.
        labels: what may be said; by default the labels that functions and rows have.
        text: column with the texts; as the recipe says when left out.
        into: column that the label is written to; rows that have one there keep it.
        method: ``auto`` asks models that did not see a row, see `_label_model`; ``majority`` counts votes alone.
        uncovered: rows of which no function speaks: ``drop`` leaves them out, ``model`` takes what the models say.
        soft: whether the chance of every label is kept and learnt from.
        base: base whose embeddings those models read beside words; ``words`` for none.
        seed: of everything random.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    functions: tuple[Function, ...]
    labels: tuple[str, ...] = ()
    text: str | None = None
    into: str = "label"
    method: Literal["auto", "majority"] = "auto"
    uncovered: Literal["drop", "model"] = "drop"
    soft: bool = True
    base: str = "words"
    seed: int = 0


def apply(draft: Draft, settings: Settings) -> Draft:
    """Let the functions speak, and write labels.

    Raises:
        InputError: fewer than two functions, or one that says neither what it looks for nor what it says.
        UnknownNameError: there is no such column, label or model.
        DataError: no function speaks of any row.
    """
    texts, given = _columns(draft, settings)
    open_rows = np.flatnonzero(~draft.given)
    votes, labels = _function_votes.cast(draft.table, texts, settings.functions, settings.labels, given)
    votes[draft.given] = -1
    number = {name: place for place, name in enumerate(labels)}
    known = np.array([number.get(one, -1) for one in given])
    if not (votes >= 0).any():
        do = "Look at the words and patterns of data.steps.functions."
        raise DataError("functions that speak of some rows", f"{len(settings.functions)} that speak of none", do)
    found = _put_together([texts[row] for row in open_rows], votes[open_rows], labels, known[open_rows], settings)
    chance = np.zeros((len(texts), len(labels)))
    chance[open_rows] = found.chance
    answered = chance.max(axis=1) > chance.sum(axis=1) / len(labels) + 1e-9
    covered = (votes >= 0).any(axis=1) | ((settings.uncovered == "model") & answered)
    covered &= np.array([bool(text.strip()) for text in texts])
    outcome = _outcome(votes[open_rows], labels, settings, found, known[open_rows])
    tell(outcome)
    filled = [
        one or (labels[row.argmax()] if some and not test else None)
        for one, row, some, test in zip(given, chance, covered, draft.given, strict=True)
    ]
    draft = _noted(draft, outcome, votes)
    return _kept(_filled(draft, settings, filled, chance, labels, np.array([bool(one) for one in given]))).telling(
        "functions", outcome
    )


def tell(outcome: Mapping[str, Any]) -> None:
    """Say how many rows have a label by which way, and what each function is worth."""
    emit("note", text=verdict(outcome))
    emit("table", title="Labelling functions", head=list(HEAD), rows=_lines(outcome))


def _lines(outcome: Mapping[str, Any]) -> list[list[str]]:
    """A line of the table for each function."""
    shares = ("speaks", "meets", "conflicts")
    return [
        [one["name"], one["label"], *(f"{one[share]:.1%}" for share in shares), f"{one['right']:.0%}"]
        for one in outcome["functions"]
    ]


def verdict(outcome: Mapping[str, Any]) -> str:
    """The same in a sentence."""
    rows, model, usual = outcome["guard"]["rows"], outcome["guard"]["model"], outcome["guard"]["majority"]
    on = "rows with a known label" if outcome["guard"]["by"] == "labels" else "votes left out"
    judged = f"; on {rows:,} {on} models are right in {model:.1%}, the majority in {usual:.1%}" if rows else ""
    how = "models that did not see the row" if outcome["method"] == "model" else "the majority of the votes"
    return (
        f"{len(outcome['functions'])} functions speak of {outcome['covered']:.1%} of {outcome['rows']:,} rows and contradict "
        f"each other on {outcome['conflicts']:.1%}; labels by {how}{judged}."
    )


def section(page: Page, data: Dataset, outcome: Mapping[str, Any]) -> None:
    """The functions and how they meet."""
    page.heading("Labelling functions")
    page.text(verdict(outcome))
    page.table(HEAD, _lines(outcome))
    if outcome["pairs"]:
        page.text("Functions that contradict each other most:")
        page.table(["One", "Other", "Rows"], [[one["one"], one["other"], f"{one['rows']:,}"] for one in outcome["pairs"]])


def _columns(draft: Draft, settings: Settings) -> tuple[list[str], list[str]]:
    """Texts, and labels that are there, empty where there is none."""
    name, names = settings.text or draft.options.text or "text", draft.table.column_names
    if len(settings.functions) < 2:
        do = "Add one under data.steps.functions.functions."
        raise InputError("two labelling functions or more", f"{len(settings.functions)}", do)
    if name not in names:
        raise UnknownNameError("column", name, names)
    texts = ["" if one is None else str(one) for one in draft.table.column(name).to_pylist()]
    if settings.into not in names:
        return texts, [""] * len(texts)
    return texts, ["" if one is None else str(one).strip() for one in draft.table.column(settings.into).to_pylist()]


def _put_together(
    texts: Sequence[str], votes: np.ndarray, labels: Sequence[str], known: np.ndarray, settings: Settings
) -> _label_model.Labelled:
    if settings.method == "majority":
        chance = _votes.majority(_votes.counts(votes, len(labels)))
        return _label_model.Labelled(chance, _label_model.precision(votes, chance), "majority")
    base = _held_out.base_for(settings.base, texts)
    views = _held_out.of_texts(texts, known, len(labels), base)
    return _label_model.fit(votes, views, len(labels), known, settings.seed)


def _outcome(
    votes: np.ndarray, labels: Sequence[str], settings: Settings, found: _label_model.Labelled, known: np.ndarray
) -> dict[str, Any]:
    """What is kept with the data: each function's coverage, overlaps and conflicts (as Snorkel counts them)."""
    cast = votes >= 0
    several = cast.sum(axis=1) > 1
    lowest, highest = np.where(cast, votes, len(labels)).min(axis=1), votes.max(axis=1)
    disputed = several & (lowest != highest)
    names = _function_votes.names(settings.functions)
    pairs: list[dict[str, Any]] = [
        {"one": names[i], "other": names[j], "rows": int((cast[:, i] & cast[:, j] & (votes[:, i] != votes[:, j])).sum())}
        for i in range(len(names))
        for j in range(i)
    ]
    return {
        "labels": list(labels),
        "rows": len(votes),
        "known": int((known >= 0).sum()),
        "covered": round(float(cast.any(axis=1).mean()), 4),
        "conflicts": round(float(disputed.mean()), 4),
        "method": found.method,
        "guard": asdict(found.guard),
        "functions": [
            {
                "name": name,
                "label": one.label or ANY_LABEL,
                "speaks": round(float(cast[:, place].mean()), 4),
                "meets": round(float((cast[:, place] & several).mean()), 4),
                "conflicts": round(float((cast[:, place] & disputed).mean()), 4),
                "right": round(float(found.precision[place]), 4),
            }
            for place, (name, one) in enumerate(zip(names, settings.functions, strict=True))
        ],
        "pairs": sorted((one for one in pairs if one["rows"]), key=lambda one: -one["rows"])[:10],
    }


def _noted(draft: Draft, outcome: Mapping[str, Any], votes: np.ndarray) -> Draft:
    """Functions that are broad or rather wrong, and those that never speak."""
    for place, one in enumerate(outcome["functions"]):
        rows = np.flatnonzero(votes[:, place] >= 0)
        if one["speaks"] >= BROAD and one["label"] != ANY_LABEL:  # a column or a model may well tell every row apart
            said = f"The function {one['name']!r} speaks of {one['speaks']:.0%} of the rows: it says little."
        elif len(rows) and one["right"] < WRONG:
            said = f"The function {one['name']!r} is expected to be right in {one['right']:.0%} of what it says."
        elif not len(rows):
            said = f"The function {one['name']!r} speaks of no row."
        else:
            continue
        draft = draft.noting(finding("labelling_function", "note", rows, said, "Look at it, narrow it, or leave it out."))
    return draft


def _filled(
    draft: Draft,
    settings: Settings,
    filled: Sequence[str | None],
    chance: np.ndarray,
    labels: Sequence[str],
    sure: np.ndarray,
) -> Draft:
    """The draft with the label column and, beside it, the shares."""
    import pyarrow as pa

    table, names = draft.table, draft.table.column_names
    cells = pa.array(filled, pa.string())
    there = settings.into in names
    table = (
        table.set_column(names.index(settings.into), settings.into, cells)
        if there
        else table.append_column(settings.into, cells)
    )
    hints = dict(draft.hints)
    if settings.soft:
        told = np.array([one is not None for one in filled]) & ~sure & ~draft.given
        table = table.append_column(SHARES, pa.array(written(labels, chance, told), pa.string()))
        hints["shares"] = SHARES
    return replace(draft, table=table, hints=hints, options=replace(draft.options, label=settings.into))


def _kept(draft: Draft) -> Draft:
    """The draft without the rows that nothing labelled."""
    import pyarrow.compute as pc

    has = pc.is_valid(draft.table.column(draft.options.label)).to_numpy(zero_copy_only=False)
    keep = np.flatnonzero(has | draft.given)
    left = len(has) - len(keep)
    if left:
        emit("note", text=f"{counted(left, 'row')} that no function speaks of left out.")
    arrays = {
        name: getattr(draft, name)[keep] for name in ("lines", "file_of", "given", "kept", "units") if len(getattr(draft, name))
    }
    return replace(draft, table=draft.table.take(keep), **arrays)
