"""Several annotators' votes become one label a row and, beside it, the share of people who would give each label.

Votes come as a column for each annotator, as one column with a list or with counts (``{"refund": 7, "login": 3}``), or as a
row for each vote, with columns that name the item and the annotator. The label is the majority's, the weighted majority's, or
that of Dawid and Skene; the shares, under the role `shares`, are what models that read texts learn from. Votes that look like
mistakes are told apart from honest disagreement and listed; none is removed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict

from savile.base.errors import DataError, InputError, UnknownNameError
from savile.base.events import emit
from savile.base.page import Bar, Page
from savile.base.recipe import SECTION
from savile.base.records import Dataset
from savile.data import _votes
from savile.data._draft import Draft, counted, finding

AFTER = "sources"
SHARES = "label shares"
ENOUGH = 10  # votes of an annotator from which a confusion matrix can be told
MISTAKE = 0.5  # chance from which a vote is listed
LISTED = 500
MOST_LABELS = 200


@dataclass(frozen=True)
class Settings:
    """Where the votes are and what becomes of them.

    Attributes:
        columns: one for each annotator; or a single one with a list or counts in each cell.
        item: column that names what was voted on, where each vote has a row of its own; then `columns` is the one with votes.
        annotator: column that names who voted, in that case.
        method: how the label is found; ``auto`` takes Dawid and Skene where at least three annotators are known by name.
        into: column that the label is written to.
        soft: whether shares are kept and learnt from.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    columns: tuple[str, ...]
    item: str | None = None
    annotator: str | None = None
    method: Literal["auto", "majority", "weighted", "dawid_skene"] = "auto"
    into: str = "label"
    soft: bool = True


@dataclass(frozen=True)
class Votes:
    """Votes of n rows.

    Attributes:
        labels: names of the labels.
        annotators: names, or empty where nobody knows who voted.
        cast: label number of each, -1 without a vote, int64 (n, annotators); None where only counts are known.
        counted: votes for each label, (n, L).
    """

    labels: tuple[str, ...]
    annotators: tuple[str, ...]
    cast: np.ndarray | None
    counted: np.ndarray


def apply(draft: Draft, settings: Settings) -> Draft:
    """Put the votes together.

    Raises:
        UnknownNameError: there is no such column.
        InputError: the settings do not say where the votes are, or the column for the label is taken.
        DataError: a cell that cannot be read, or no votes at all.
    """
    import pyarrow as pa

    _check(draft, settings)
    draft, votes = _gathered(draft, settings)
    method = _method(settings.method, votes)
    chance = _chance(votes, method)
    voted = votes.counted.sum(axis=1) > 0
    label = [votes.labels[best] if some else None for best, some in zip(chance.argmax(axis=1), voted, strict=True)]
    table = draft.table.drop_columns([name for name in settings.columns if name in draft.table.column_names])
    table = table.append_column(settings.into, pa.array(label, pa.string()))
    hints = dict(draft.hints)
    if settings.soft:
        table = table.append_column(SHARES, pa.array(written(votes.labels, _votes.shares(votes.counted), voted), pa.string()))
        hints["shares"] = SHARES
    draft = replace(draft, table=table, hints=hints, options=replace(draft.options, label=settings.into))
    outcome, mistaken = _outcome(votes, method, chance)
    tell(outcome)
    if len(mistaken):
        what = f"{counted(outcome['mistakes'], 'vote')} that look like mistakes rather than honest disagreement"
        evidence = f"{what}, {draft.where(mistaken)}."
        draft = draft.noting(finding("vote_mistake", "note", mistaken, evidence, "Ask the annotator again."))
    return draft.telling("votes", outcome)


def tell(outcome: Mapping[str, Any]) -> None:
    """Say who voted, how far they agree, and by what the label was found."""
    emit("note", text=verdict(outcome))


def verdict(outcome: Mapping[str, Any]) -> str:
    """The same in a sentence."""
    who = f"{len(outcome['annotators'])} annotators" if outcome["annotators"] else "annotators without names"
    agree = "" if outcome["alpha"] is None else f", Krippendorff's alpha {outcome['alpha']:.2f}"
    return (
        f"{outcome['votes']:,} votes on {outcome['rows']:,} rows by {who}{agree}; "
        f"labels by {outcome['method'].replace('_', ' ')}, {outcome['disputed']:,} rows disputed, "
        f"{outcome['mistakes']:,} votes look like mistakes."
    )


def section(page: Page, data: Dataset, outcome: Mapping[str, Any]) -> None:
    """Agreement, annotators, votes to ask about again."""
    page.heading("Who said what")
    page.text(verdict(outcome))
    if outcome["annotators"]:
        page.bars("How often each is expected to be right", [Bar(one["name"], one["right"]) for one in outcome["annotators"]])
        head = ["Annotator", "Votes", "Right", "Mistakes"]
        page.table(head, [[one["name"], one["votes"], one["right"], one["mistakes"]] for one in outcome["annotators"]])
    if outcome["listed"]:
        head = ["Row", "Annotator", "Vote", "Chance of a mistake"]
        rows = [[one["row"] + 1, one["annotator"], one["vote"], one["chance"]] for one in outcome["listed"]]
        page.table(head, rows, caption="Votes that look like mistakes", folded=True)


def _check(draft: Draft, settings: Settings) -> None:
    names = draft.table.column_names
    for name in (*settings.columns, *filter(None, (settings.item, settings.annotator))):
        if name not in names:
            raise UnknownNameError("column", name, names)
    if not settings.columns or ((settings.item or settings.annotator) and len(settings.columns) != 1):
        wanted = "columns with the votes; a single one where each vote has a row of its own"
        raise InputError(wanted, f"{len(settings.columns)} columns", "Name them: data.steps.votes.columns: [anna, ben].")
    if settings.annotator and not settings.item:
        raise InputError("the column that names what was voted on", "none", "Name it: data.steps.votes.item.")
    if settings.into in names and settings.into not in settings.columns:
        do = "Name another with data.steps.votes.into."
        raise InputError("a new column for the label", f"{settings.into!r}, which is there already", do)


def _gathered(draft: Draft, settings: Settings) -> tuple[Draft, Votes]:
    """The draft with one row an item, and the votes on each."""
    if settings.item:
        return _by_rows(draft, settings)
    cells = [[_clean(value) for value in draft.table.column(name).to_pylist()] for name in settings.columns]
    if len(cells) > 1:
        labels = _named({value for column in cells for value in column if value})
        number = {name: i for i, name in enumerate(labels)}
        cast = np.array([[number.get(value, -1) for value in column] for column in cells], dtype=np.int64).T
        return draft, Votes(labels, settings.columns, cast, _votes.counts(cast, len(labels)))
    read = [_cell(value, row) for row, value in enumerate(cells[0])]
    labels = _named({name for one in read for name in one})
    number = {name: i for i, name in enumerate(labels)}
    found = np.zeros((len(read), len(labels)))
    for row, one in enumerate(read):
        for name, times in one.items():
            found[row, number[name]] = times
    return draft, Votes(labels, (), None, found)


def _by_rows(draft: Draft, settings: Settings) -> tuple[Draft, Votes]:
    """One row for each item: the first one with it; the others are its votes."""
    import pyarrow as pa

    assert settings.item is not None
    items = draft.table.column(settings.item).to_pylist()
    _, first, place = np.unique(np.array([str(one) for one in items]), return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.argsort(order)[place]
    value = [_clean(one) for one in draft.table.column(settings.columns[0]).to_pylist()]
    labels = _named({one for one in value if one})
    who = (
        ["" if one is None else str(one) for one in draft.table.column(settings.annotator).to_pylist()]
        if settings.annotator
        else []
    )
    annotators, number = tuple(sorted(set(who))), {name: i for i, name in enumerate(labels)}
    counts, cast = np.zeros((len(first), len(labels))), np.full((len(first), len(annotators)), -1)
    for row, one in enumerate(value):
        if one:
            counts[place[row], number[one]] += 1
            if who:
                cast[place[row], annotators.index(who[row])] = number[one]
    keep = np.sort(first)
    arrays = {
        name: getattr(draft, name)[keep] for name in ("lines", "file_of", "given", "kept", "units") if len(getattr(draft, name))
    }
    drop = [name for name in (settings.annotator,) if name]
    table = draft.table.take(pa.array(keep)).drop_columns(drop)
    return replace(draft, table=table, **arrays), Votes(labels, annotators, cast if who else None, counts)


def _clean(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _cell(value: str, row: int) -> dict[str, float]:
    """The votes in one cell: JSON counts, a JSON list, or names divided by ``|``, ``;`` or ``,``."""
    if value[:1] in "{[" and value:
        try:
            read = json.loads(value)
            pairs = read.items() if isinstance(read, dict) else [(name, 1.0) for name in read]
            found: dict[str, float] = {}
            for name, times in pairs:
                found[str(name)] = found.get(str(name), 0.0) + float(times)
        except (ValueError, TypeError, AttributeError):
            found = {"": -1.0}
        if any(times < 0 or not np.isfinite(times) for times in found.values()):
            do = 'Write them as {"refund": 7, "login": 3}, as a list, or with | between them.'
            raise DataError("votes in a cell", f"{value[:40]!r} in row {row + 1}", do)
        return {name: times for name, times in found.items() if times}
    divider = next((one for one in "|;," if one in value), "|")
    names = [name.strip() for name in value.split(divider) if name.strip()]
    return {name: float(names.count(name)) for name in names}


def _named(labels: set[str]) -> tuple[str, ...]:
    if not 2 <= len(labels) <= MOST_LABELS:
        received = f"{len(labels):,} different"
        raise DataError(f"2 to {MOST_LABELS} different labels among the votes", received, "Name the columns that hold votes.")
    return tuple(sorted(labels))


def _method(asked: str, votes: Votes) -> str:
    known = votes.cast is not None
    if asked in ("weighted", "dawid_skene") and not known:
        do = "Give a column for each annotator, or name the column with their names (data.steps.votes.annotator)."
        raise InputError(f"annotators known by name for {asked}", "votes without names", do)
    if asked != "auto":
        return asked
    busy = 0 if votes.cast is None else int(((votes.cast >= 0).sum(axis=0) >= ENOUGH).sum())
    return "dawid_skene" if busy >= 3 else "majority"


def _chance(votes: Votes, method: str) -> np.ndarray:
    """The chance of each label, (n, L); of equal ones, that which everybody would rather give."""
    if method == "majority":
        return _votes.majority(votes.counted) + 1e-3 * _votes.shares(votes.counted)
    assert votes.cast is not None
    if method == "weighted":
        return _votes.weighted(votes.cast, len(votes.labels))
    return _votes.dawid_skene(votes.cast, len(votes.labels))[0]


def written(labels: Sequence[str], shares: np.ndarray, some: np.ndarray) -> list[str | None]:
    """Shares of each row, (n, L), as the role `shares` holds them: JSON, None where `some`, bool (n,), says so."""
    texts: list[str | None] = []
    for row, known in zip(shares, some, strict=True):
        named = {name: round(float(share), 4) for name, share in zip(labels, row, strict=True)}
        texts.append(json.dumps(named, ensure_ascii=False) if known else None)
    return texts


def _outcome(votes: Votes, method: str, chance: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """What is kept with the data, and rows with votes that look like mistakes, the likeliest first."""
    alpha, kappa = _votes.krippendorff(votes.counted), _votes.fleiss(votes.counted)
    outcome: dict[str, Any] = {
        "method": method,
        "labels": list(votes.labels),
        "rows": int((votes.counted.sum(axis=1) > 0).sum()),
        "votes": int(votes.counted.sum()),
        "disputed": int(((votes.counted > 0).sum(axis=1) > 1).sum()),
        "alpha": None if np.isnan(alpha) else round(alpha, 4),
        "kappa": None if np.isnan(kappa) else round(kappa, 4),
        "annotators": [],
        "mistakes": 0,
        "listed": [],
    }
    if votes.cast is None:
        doubt = np.where(votes.counted > 0, _votes.doubts(votes.counted), 0.0)
        rows, which = np.nonzero(doubt > MISTAKE)
        return outcome | _mistakes(votes, doubt[rows, which], rows, which, None), _ordered(rows, doubt[rows, which])
    slip, cast = _votes.slips(votes.cast, len(votes.labels)), votes.cast
    right = np.take_along_axis(chance, np.maximum(cast, 0), axis=1)
    outcome["annotators"] = [
        {
            "name": name,
            "votes": int((cast[:, one] >= 0).sum()),
            "right": round(float(right[cast[:, one] >= 0, one].mean()), 4) if (cast[:, one] >= 0).any() else 0.0,
            "mistakes": int((slip[:, one] > MISTAKE).sum()),
        }
        for one, name in enumerate(votes.annotators)
    ]
    rows, who = np.nonzero(slip > MISTAKE)
    return outcome | _mistakes(votes, slip[rows, who], rows, cast[rows, who], who), _ordered(rows, slip[rows, who])


def _mistakes(votes: Votes, chance: np.ndarray, rows: np.ndarray, label: np.ndarray, who: np.ndarray | None) -> dict[str, Any]:
    """Votes that look like mistakes, the likeliest first."""
    order = np.argsort(-chance, kind="stable")[:LISTED]
    listed = [
        {
            "row": int(rows[i]),
            "annotator": None if who is None else votes.annotators[who[i]],
            "vote": votes.labels[label[i]],
            "chance": round(float(chance[i]), 4),
        }
        for i in order
    ]
    return {"mistakes": len(rows), "listed": listed}


def _ordered(rows: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Each row once, that with the likeliest mistake first."""
    order = np.argsort(-chance, kind="stable")
    return np.array(list(dict.fromkeys(rows[order].tolist())), dtype=np.int64)
