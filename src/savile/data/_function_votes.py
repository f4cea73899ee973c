"""What labelling functions say of rows: words or a pattern in the text, a column, a model of Savile, or a language model."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import ConfigDict

from savile.base import mask
from savile.base.errors import InputError, UnknownNameError
from savile.base.recipe import SECTION
from savile.data import _endpoint
from savile.data.dedup import normal

if TYPE_CHECKING:
    import pyarrow as pa

SURE = 0.7  # probability from which a model speaks


@dataclass(frozen=True)
class Function:
    """One labelling function; exactly one of words, pattern, column, model and url says what it looks at.

    Attributes:
        label: what it says; left out where the column, model or endpoint says it.
        words: it speaks of texts with one of these words or phrases, in any case and width.
        pattern: regular expression; it speaks of texts that match, in lower case.
        column: that says a label itself, or, with `equals`, the column that it looks at.
        equals: the value of that column it speaks of.
        model: reference of a Savile model, which speaks where it is at least `sure`.
        sure: that probability.
        url: endpoint that speaks OpenAI's chat completions, asked about every different text, masked.
        of: name of the model there.
        key: environment variable with its key.
        name: as it is shown.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    label: str = ""
    words: tuple[str, ...] = ()
    pattern: str = ""
    column: str = ""
    equals: str | None = None
    model: str = ""
    sure: float = SURE
    url: str = ""
    of: str = "default"
    key: str = ""
    name: str = ""


def names(functions: Sequence[Function]) -> list[str]:
    """A name of each, none twice."""
    found: list[str] = []
    for one in functions:
        plain = one.name or (one.words[0] if one.words else one.pattern or one.column or one.model or one.url)[:40]
        found.append(plain if plain not in found else f"{plain} ({len(found) + 1})")
    return found


def cast(
    table: pa.Table, texts: Sequence[str], functions: Sequence[Function], labels: Sequence[str], given: Sequence[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Votes, int64 (n, m), -1 where a function abstains, and the labels they are numbers of.

    Args:
        table: of n rows.
        texts: of each row.
        functions: m of them.
        labels: what may be said; by default what functions and rows say.
        given: label of each row, empty where there is none.

    Raises:
        InputError: a function does not say what it looks at or what it says.
        UnknownNameError: there is no such column, or it says a label that is not among those allowed.
    """
    allowed = tuple(labels) or tuple(sorted({one for one in given if one} | {one.label for one in functions if one.label}))
    said = [_said(one, table, texts, allowed) for one in functions]
    known = tuple(labels) or tuple(sorted({*allowed, *(label for column in said for label in column if label)}))
    strange = next((label for column in said for label in column if label and label not in known), None)
    if strange is not None:
        raise UnknownNameError("label", strange, known)
    if len(known) < 2:
        raise InputError("functions that say two labels or more", f"{len(known)}", "Add functions for another label.")
    number = {name: place for place, name in enumerate(known)} | {"": -1}
    return np.array([[number[label] for label in column] for column in said], dtype=np.int64).T.copy(), known


def _said(one: Function, table: pa.Table, texts: Sequence[str], labels: Sequence[str]) -> list[str]:
    """The label that a function gives each row, empty where it abstains."""
    looks = [bool(one.words), bool(one.pattern), bool(one.column), bool(one.model), bool(one.url)]
    speaks = bool(one.label) == bool(one.words or one.pattern or one.equals is not None)
    if sum(looks) != 1 or not speaks:
        do = "Write {label: refund, words: [money back]}, {label: …, pattern: …}, {column: …}, {model: model@…} or {url: …}."
        raise InputError("a labelling function", f"{one.name or one.label or 'one without a name'!r}", do)
    if one.column:
        return _of_column(one, table)
    if one.model:
        return _of_model(one, table, texts)
    if one.url:
        return _of_endpoint(one, texts, labels)
    hit = _matcher(one)
    return [one.label if hit(text) else "" for text in texts]


def _matcher(one: Function) -> Callable[[str], bool]:
    if one.words:
        words = [normal(word) for word in one.words]
        return lambda text: any(word in normal(text) for word in words)
    try:
        found = re.compile(one.pattern)
    except re.error as error:
        raise InputError("a regular expression", f"{one.pattern!r}: {error}", "Mend the pattern of the function.") from None
    return lambda text: found.search(text.lower()) is not None


def _of_column(one: Function, table: pa.Table) -> list[str]:
    if one.column not in table.column_names:
        raise UnknownNameError("column", one.column, table.column_names)
    cells = ["" if cell is None else str(cell).strip() for cell in table.column(one.column).to_pylist()]
    return cells if one.equals is None else [one.label if cell == one.equals else "" for cell in cells]


def _of_model(one: Function, table: pa.Table, texts: Sequence[str]) -> list[str]:
    """What a stored model answers where it is sure, on its first form that reads texts."""
    from savile.base.store import Store
    from savile.models._predict import Predictor

    predictor = Predictor(model := Store.open().load(one.model), next(iter(model.forms)))
    found = predictor(table if predictor.reads == "table" else list(texts))
    sure = found.confidence >= one.sure
    return [model.labels[choice] if some else "" for choice, some in zip(found.choice, sure, strict=True)]


def _of_endpoint(one: Function, texts: Sequence[str], labels: Sequence[str]) -> list[str]:
    """What a language model answers, each different text asked about once."""
    if len(labels) < 2:
        raise InputError("labels to choose from", f"{len(labels)}", "Name them: data.steps.functions.labels: [refund, login].")
    masker = mask.Masker(mask.policy(None))
    first: dict[str, str] = {}
    for text in texts:
        if text.strip():
            first.setdefault(normal(text), masker(text))
    prompts = [_endpoint.question(text, labels) for text in first.values()]
    said = _endpoint.Endpoint(one.url, one.of, one.key).ask(prompts)
    chosen = [_endpoint.chosen(_endpoint.said(answer), labels) for answer in said]
    answer = {text: labels[best] if best >= 0 else "" for text, best in zip(first, chosen, strict=True)}
    return [answer.get(normal(text), "") for text in texts]
