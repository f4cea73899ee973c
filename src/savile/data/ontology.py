"""Labels of several sets become one: each is answered with the label that the ontology puts above it.

``data.steps.ontology: {file: ontology.yaml}``. What two domains call by different names is learned together where it means the
same; the file is described in `_ontology`. With `origin`, a column, names are told apart as ``value:name`` first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict

from savile.base.errors import DataError, InputError
from savile.base.events import emit
from savile.base.recipe import SECTION
from savile.data import _ontology
from savile.data._draft import Draft, counted
from savile.data._ontology import Concept

AFTER = "sources"
SHOWN = 5
LABELS = ("label", "category", "intent", "class", "sentiment", "target", "y")


@dataclass(frozen=True)
class Settings:
    """The ontology and what it is applied to.

    Attributes:
        labels: label -> other names, what it is a kind of, what it is about.
        into: labels to answer with; empty keeps every label.
        column: column of labels; the one that the recipe names, or the usual one, unless it is given.
        origin: column that says where a row is from, where one name means two things.
        unknown: labels the ontology does not have are an ``error``, or their rows are left out (``drop``) or ``keep`` their
            label.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    labels: Mapping[str, Concept]
    into: tuple[str, ...] = ()
    column: str | None = None
    origin: str | None = None
    unknown: Literal["error", "drop", "keep"] = "error"


def apply(draft: Draft, settings: Settings) -> Draft:
    """Map the labels.

    Raises:
        InputError: there is no such column, or the ontology cannot be used.
        DataError: labels that the ontology does not have.
    """
    import numpy as np
    import pyarrow as pa

    ontology, names = _ontology.checked(settings.labels, settings.into), draft.table.column_names
    column = settings.column or draft.options.label or next((name for name in names if name.casefold() in LABELS), None)
    for name in (column, settings.origin):
        if name not in names and (name is not None or column is None):
            do = "Name it in data.steps.ontology.column."
            raise InputError(f"a column among {', '.join(names[:12])}", repr(name) if name else "none with a usual name", do)
    assert column is not None
    cells = ["" if value is None else str(value) for value in draft.table.column(column).to_pylist()]
    origins = draft.table.column(settings.origin).to_pylist() if settings.origin else [None] * len(cells)
    asked = [cell if origin is None else f"{origin}:{cell}" for origin, cell in zip(origins, cells, strict=True)]
    mapped = {name: ontology.answer(name) for name in dict.fromkeys(asked)}
    strangers = Counter(name for name, cell in zip(asked, cells, strict=True) if cell and mapped[name] is None)
    if strangers and settings.unknown == "error":
        shown = ", ".join(name for name, _ in strangers.most_common(SHOWN))
        do = "Describe them in the ontology, or say unknown: drop or keep."
        raise DataError("labels that the ontology puts under one to answer with", f"{len(strangers)} others: {shown}", do)
    kept = settings.unknown == "keep"
    answers = [mapped[name] or (cell if kept else None) for name, cell in zip(asked, cells, strict=True)]
    rows = np.flatnonzero([answer is not None or not cell for answer, cell in zip(answers, cells, strict=True)])
    emit("note", text=f"{counted(len(set(filter(None, cells))), 'label')} answered with {len(set(filter(None, answers)))}.")
    place = names.index(column)
    table = draft.table.set_column(place, column, pa.array(answers, pa.string()))
    outcome: dict[str, Any] = {
        "labels": {name: label for name, label in mapped.items() if label},
        "left_out": len(cells) - len(rows),
    }
    draft = replace(draft, table=table, options=replace(draft.options, label=column)).telling("ontology", outcome)
    return draft if len(rows) == len(cells) else taken(draft, rows)


def taken(draft: Draft, rows: Any) -> Draft:
    """The draft with some of its rows."""
    table = draft.table.take(rows)
    return replace(draft, table=table, **{name: getattr(draft, name)[rows] for name in ("lines", "file_of", "given", "kept")})
