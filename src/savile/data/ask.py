"""Labels rows nobody has labelled from few answers of a language model: rules, then a small model, and the rest is asked.

Rows with a label stay as they are, equal texts are asked about once, and a rule (words that stand for a label) answers before
anybody is asked. A small model learns from the answers and takes over what it is sure of (see `_cascade`); the endpoint is
asked about the rest, with texts masked, until asking about every row would hardly be better. Rows that stay unsure are left
without a label for people when `people` says how many.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import ConfigDict, Field

from savile.base import mask
from savile.base.errors import InputError, UnknownNameError
from savile.base.events import emit
from savile.base.page import Bar, Page
from savile.base.recipe import SECTION
from savile.base.records import Dataset
from savile.data import _cascade, _endpoint, _held_out
from savile.data._draft import Draft
from savile.data._endpoint import Endpoint
from savile.data.dedup import normal

AFTER = "sources"
WAYS = ("given", "rule", "small model", "endpoint", "nobody")
MIN_ROWS = 50
LEFT = "left.json"  # the rows for people, kept beside the data they were left out of


@dataclass(frozen=True)
class Settings:
    """Whom to ask, what, and how exactly.

    Attributes:
        url: of an endpoint that speaks OpenAI's chat completions, without ``/chat/completions``.
        model: name of the model there.
        key: environment variable with the API key; none is needed on this machine.
        text: column with the texts; as the recipe says when left out.
        labels: what may be answered; by default the labels that rows have already.
        about: the question, in a sentence.
        rules: label -> words or phrases; a text with those of one label only has it.
        tolerance: share of right labels that may be lost against asking about every row.
        most: share of the different texts that may be asked about; 1 for as many as it takes.
        people: rows that are left for people to label, those nobody is sure of.
        base: base model whose embeddings the small model reads beside words; ``words`` for none.
        seed: of everything random.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    url: str
    model: str = "default"
    key: str = ""
    text: str | None = None
    labels: tuple[str, ...] = ()
    about: str = ""
    rules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.01
    most: Annotated[float, Field(gt=0, le=1)] = 0.4
    people: Annotated[int, Field(ge=0)] = 0
    base: str = "auto"
    seed: int = 0


def apply(draft: Draft, settings: Settings) -> Draft:
    """Fill in the labels that are missing.

    Raises:
        InputError: no text column, no labels to choose from, or an endpoint that refuses.
        MachineError: the endpoint does not answer.
    """
    import pyarrow as pa

    Endpoint(settings.url, settings.model, settings.key).check()
    column = draft.options.label or "label"
    texts, given = _columns(draft, settings, column)
    labels = tuple(settings.labels) or tuple(sorted({one for one in given if one}))
    _check_labels(labels, settings)
    number = {name: i for i, name in enumerate(labels)}
    answer = np.array([number.get(one, -1) for one in given])
    kept = np.array([bool(one) for one in given])
    way = np.where(kept, 0, len(WAYS) - 1)
    open_rows = np.flatnonzero(~kept & np.array([bool(one.strip()) for one in texts]) & ~draft.given)
    answer, way = _by_rules([texts[row] for row in open_rows], open_rows, (labels, settings.rules), (answer, way))
    open_rows = open_rows[way[open_rows] == len(WAYS) - 1]
    chance, rate, asked = np.ones(len(texts)), 0.0, 0
    if len(open_rows):
        chance, rate, asked = _labelled(texts, open_rows, labels, settings, (answer, way))
    left, proposed = _for_people(chance, open_rows, way, settings.people), answer.copy()
    way[left], answer[left] = len(WAYS) - 1, -1
    left = open_rows[way[open_rows] == len(WAYS) - 1]
    asked_of_people = _left(draft, texts, left, [labels[best] if best >= 0 else "" for best in proposed[left]], chance[left])
    filled = [one if one else (labels[best] if best >= 0 else None) for one, best in zip(given, answer, strict=True)]
    names, cells = draft.table.column_names, pa.array(filled, pa.string())
    there = column in names
    table = draft.table.set_column(names.index(column), column, cells) if there else draft.table.append_column(column, cells)
    outcome = _outcome((labels, answer), way, (asked, rate, settings.url), chance, len(open_rows))
    tell(outcome)
    kept_rows = draft.kept & (np.array([one is not None for one in filled]) | draft.given)
    draft = replace(draft, table=table, kept=kept_rows, options=replace(draft.options, label=column))
    return _without(draft, ~kept_rows).telling("ask", outcome, **{LEFT: asked_of_people})


def tell(outcome: Mapping[str, Any]) -> None:
    """Say who labelled how many rows."""
    emit("note", text=verdict(outcome))


def verdict(outcome: Mapping[str, Any]) -> str:
    """The same in a sentence."""
    ways = ", ".join(f"{rows:,} by {way}" for way, rows in outcome["ways"].items() if rows and way not in ("given", "nobody"))
    return (
        f"Labels for {sum(outcome['ways'].values()) - outcome['ways']['given']:,} rows: {ways or 'none'}; {outcome['asked']:,} "
        f"questions instead of {outcome['open']:,} ({outcome['saved']:.0%} saved), about {outcome['wrong_answers']:.0%} of the "
        f"answers wrong, {outcome['right']:.0%} of the labels expected right; {outcome['ways']['nobody']:,} left for people."
    )


def section(page: Page, data: Dataset, outcome: Mapping[str, Any]) -> None:
    """Who labelled what."""
    page.heading("Who labelled the rows")
    page.text(verdict(outcome))
    page.bars("Rows labelled by", [Bar(way, rows) for way, rows in outcome["ways"].items()])
    page.text(f"Texts were masked before they were sent to {outcome['url']}.", tone="note")


def _columns(draft: Draft, settings: Settings, column: str) -> tuple[list[str], list[str]]:
    """Texts and labels as they are, empty where there is none."""
    name = settings.text or draft.options.text or "text"
    names = draft.table.column_names
    if name not in names:
        raise UnknownNameError("column", name, names)
    texts = ["" if one is None else str(one) for one in draft.table.column(name).to_pylist()]
    if column not in names:
        return texts, [""] * len(texts)
    return texts, ["" if one is None else str(one).strip() for one in draft.table.column(column).to_pylist()]


def _check_labels(labels: Sequence[str], settings: Settings) -> None:
    if len(labels) < 2:
        do = "Name them: data.steps.ask.labels: [refund, delivery]."
        raise InputError("two labels or more to choose from", f"{len(labels)}", do)
    for name in settings.rules:
        if name not in labels:
            raise UnknownNameError("label", name, list(labels))


def _by_rules(
    texts: Sequence[str],
    rows: np.ndarray,
    rules: tuple[Sequence[str], Mapping[str, Sequence[str]]],
    found: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Labels of rows whose text has the words of one label only."""
    labels, words = rules
    answer, way = found
    for row, text in zip(rows, texts, strict=True):
        plain = normal(text)
        hit = [label for label, some in words.items() if any(normal(one) in plain for one in some)]
        if len(hit) == 1:
            answer[row], way[row] = labels.index(hit[0]), WAYS.index("rule")
    return answer, way


def _labelled(
    texts: Sequence[str],
    rows: np.ndarray,
    labels: tuple[str, ...],
    settings: Settings,
    found: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, float, int]:
    """Put labels into the open rows; the chance that each is right (n,), the share of wrong answers, how many were asked."""
    answer, way = found
    masker = mask.Masker(mask.policy(None))
    distinct, place = np.unique([normal(texts[row]) for row in rows], return_inverse=True)
    first = np.array([rows[np.flatnonzero(place == i)[0]] for i in range(len(distinct))])
    sent = [masker(texts[row]) for row in first]
    endpoint = Endpoint(settings.url, settings.model, settings.key)

    def ask(some: np.ndarray) -> np.ndarray:
        prompts = [_endpoint.question(sent[i], labels, settings.about) for i in some]
        return np.array([_endpoint.chosen(_endpoint.said(one), labels) for one in endpoint.ask(prompts)], dtype=np.int64)

    if len(distinct) < MIN_ROWS:  # too few for a small model to learn from
        said = ask(np.arange(len(distinct)))
        got = _cascade.Labelled(said, (said >= 0).astype(float), np.ones(len(said), dtype=bool), said, 0.0)
    else:
        base = _held_out.base_for(settings.base, sent)
        views = _held_out.of_texts(sent, np.full(len(sent), -1), len(labels), base)
        got = _cascade.run(views, len(labels), ask, (settings.tolerance, round(settings.most * len(distinct))), settings.seed)
    answer[rows] = got.label[place]
    way[rows] = np.where(got.asked[place], WAYS.index("endpoint"), WAYS.index("small model"))
    way[rows[answer[rows] < 0]] = len(WAYS) - 1
    chance = np.ones(len(texts))
    chance[rows] = got.chance[place]
    return chance, got.rate, int(got.asked.sum())


def _for_people(chance: np.ndarray, rows: np.ndarray, way: np.ndarray, people: int) -> np.ndarray:
    """The rows nobody is sure of, the least sure first."""
    return rows[np.argsort(chance[rows], kind="stable")[:people]]


def _left(draft: Draft, texts: Sequence[str], rows: np.ndarray, proposed: Sequence[str], chance: np.ndarray) -> bytes:
    """The rows left for people as JSON, masked as in the data: text, label proposed if any, chance that it is wrong."""
    pii = "names" if draft.options.pii == "names" else "mask"
    masker = mask.Masker(mask.policy(draft.keys, pii), draft.keys)
    said = [
        {"text": masker(texts[row]), "proposed": label, "score": round(1.0 - float(right), 4) if label else 1.0}
        for row, label, right in zip(rows, proposed, chance, strict=True)
    ]
    return json.dumps(said, ensure_ascii=False).encode()


def _outcome(
    found: tuple[Sequence[str], np.ndarray], way: np.ndarray, about: tuple[int, float, str], chance: np.ndarray, open_rows: int
) -> dict[str, Any]:
    """What is kept with the data."""
    labels, answer = found
    asked, rate, url = about
    some = (way > 0) & (answer >= 0)
    return {
        "labels": list(labels),
        "ways": {name: int((way == i).sum()) for i, name in enumerate(WAYS)},
        "open": open_rows,
        "asked": asked,
        "saved": round(1.0 - asked / open_rows, 4) if open_rows else 0.0,
        "wrong_answers": round(rate, 4),
        "right": round(float(chance[some].mean()), 4) if some.any() else 1.0,
        "url": url,
    }


def _without(draft: Draft, rows: np.ndarray) -> Draft:
    """The draft without the rows that nobody labelled."""
    keep = np.flatnonzero(~rows)
    arrays = {name: getattr(draft, name)[keep] for name in ("lines", "file_of", "given", "kept", "units")}
    return replace(draft, table=draft.table.take(keep), **arrays)
