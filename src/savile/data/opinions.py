"""Soft labels from few explanations: what share of people would give each label, as a language model judges, see `_opinions`.

What people said of a row is one column with JSON, ``[{"label": "refund", "why": "asks for money back"}]``; rows without it are
asked about all the same. The shares are kept under the role `shares` and learnt from; rows without a label get the likeliest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import ConfigDict, Field

from savile.base import mask
from savile.base.errors import DataError, InputError, UnknownNameError
from savile.base.events import emit
from savile.base.page import Page
from savile.base.recipe import SECTION
from savile.base.records import Dataset
from savile.data import _opinions
from savile.data._draft import Draft
from savile.data._endpoint import Endpoint
from savile.data._opinions import Item
from savile.data.votes import SHARES, written

AFTER = "sources"


@dataclass(frozen=True)
class Settings:
    """Whom to ask, and what people said.

    Attributes:
        explained: column with what people said, a JSON list of label and why.
        url: endpoint that speaks OpenAI's chat completions and gives log probabilities; empty to ask `base`.
        model: name of the model there.
        key: environment variable with the API key.
        base: causal language model on this machine.
        labels: what may be said; by default the labels that people and rows gave.
        text: column with the texts; as the recipe says when left out.
        about: the question, in a sentence.
        orders: of the options, at most, in which each row is asked about.
        choices: of what people said, each with every order.
        into: column that the label is written to; rows that have one there keep it.
        seed: of the choices.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    explained: str = ""
    url: str = ""
    model: str = "default"
    key: str = ""
    base: str = "smollm2"
    labels: tuple[str, ...] = ()
    text: str | None = None
    about: str = "Which option fits the text?"
    orders: Annotated[int, Field(ge=1, le=24)] = 6
    choices: Annotated[int, Field(ge=1, le=16)] = 3
    into: str = "label"
    seed: int = 0


def apply(draft: Draft, settings: Settings) -> Draft:
    """Ask about every row of the source file.

    Raises:
        UnknownNameError: there is no such column, or somebody gave a label that is not among those named.
        InputError: fewer than two labels, or more than there are letters.
        DataError: a cell that cannot be read.
        MachineError: the endpoint does not answer, or gives no log probabilities.
    """
    import pyarrow as pa

    texts = _column(draft, settings.text or draft.options.text or "text")
    said = _said(_column(draft, settings.explained)) if settings.explained else [()] * len(texts)
    there = settings.into in draft.table.column_names
    given = _column(draft, settings.into) if there else [""] * len(texts)
    labels = _labels(settings, said, given)
    rows = np.flatnonzero(~draft.given & np.array([bool(text.strip()) for text in texts]))
    masker = mask.Masker(mask.policy(None))
    items = [Item(masker(texts[row]), tuple((label, masker(why)) for label, why in said[row])) for row in rows]
    ask = _opinions.of_endpoint(Endpoint(settings.url, settings.model, settings.key)) if settings.url else None
    ways = (settings.orders, settings.choices, settings.seed)
    found = np.zeros((len(texts), len(labels)))
    found[rows] = _opinions.shares(ask or _opinions.of_base(settings.base), items, labels, settings.about, ways)
    asked = np.isin(np.arange(len(texts)), rows)
    filled = [one or (labels[row.argmax()] if some else None) for one, row, some in zip(given, found, asked, strict=True)]
    table, cells = draft.table, pa.array(filled, pa.string())
    names = table.column_names
    table = (
        table.set_column(names.index(settings.into), settings.into, cells)
        if there
        else table.append_column(settings.into, cells)
    )
    table = table.append_column(SHARES, pa.array(written(labels, found, asked), pa.string()))
    outcome = _outcome(settings, labels, found[rows], [said[row] for row in rows])
    tell(outcome)
    options = replace(draft.options, label=settings.into)
    return replace(draft, table=table, hints={**draft.hints, "shares": SHARES}, options=options).telling("opinions", outcome)


def tell(outcome: Mapping[str, Any]) -> None:
    """Say who was asked, and how far people are expected to agree."""
    emit("note", text=verdict(outcome))


def verdict(outcome: Mapping[str, Any]) -> str:
    """The same in a sentence."""
    return (
        f"{outcome['asked_of']} says what share of people would give each of {len(outcome['labels'])} labels to "
        f"{outcome['rows']:,} rows, {outcome['explained']:,} of them with what people said; on average {outcome['agree']:.0%} "
        "would give the likeliest."
    )


def section(page: Page, data: Dataset, outcome: Mapping[str, Any]) -> None:
    """How far people are expected to agree."""
    page.heading("What people would say")
    page.text(verdict(outcome))
    page.histogram("Rows by the share that the likeliest label would get", outcome["likeliest"], "share")


def _column(draft: Draft, name: str) -> list[str]:
    if name not in draft.table.column_names:
        raise UnknownNameError("column", name, draft.table.column_names)
    return ["" if one is None else str(one).strip() for one in draft.table.column(name).to_pylist()]


def _said(cells: Sequence[str]) -> list[tuple[tuple[str, str], ...]]:
    """What people said of each row: pairs of label and why."""
    found = []
    for row, cell in enumerate(cells):
        try:
            read = json.loads(cell) if cell else []
            found.append(tuple((str(one["label"]).strip(), str(one["why"]).strip()) for one in read))
        except (ValueError, TypeError, KeyError):
            do = 'Write them as [{"label": "refund", "why": "asks for money back"}].'
            raise DataError("what people said, as a JSON list", f"{cell[:40]!r} in row {row + 1}", do) from None
    return found


def _labels(settings: Settings, said: Sequence[Sequence[tuple[str, str]]], given: Sequence[str]) -> tuple[str, ...]:
    spoken = {label for row in said for label, _ in row} | {one for one in given if one}
    labels = tuple(settings.labels) or tuple(sorted(spoken))
    for label in sorted(spoken):
        if label not in labels:
            raise UnknownNameError("label", label, list(labels))
    if not 2 <= len(labels) <= len(_opinions.LETTERS):
        do = "Name them: data.steps.opinions.labels: [refund, delivery]."
        raise InputError(f"2 to {len(_opinions.LETTERS)} labels to choose from", f"{len(labels)}", do)
    return labels


def _outcome(settings: Settings, labels: Sequence[str], found: np.ndarray, said: Sequence[Any]) -> dict[str, Any]:
    """What is kept with the data."""
    return {
        "asked_of": settings.url or settings.base,
        "labels": list(labels),
        "rows": len(found),
        "explained": sum(bool(row) for row in said),
        "agree": round(float(found.max(axis=1).mean()), 4) if len(found) else 0.0,
        "likeliest": np.round(found.max(axis=1), 3).tolist()[:5_000],
    }
