"""What labels are about becomes rows to learn from, so that a label nobody has given yet can be answered.

``data.steps.describe: {file: ontology.yaml}``. Each described label adds its sentences, and those of what it is a kind of
beside its own name, to the training rows; the file is described in `_ontology`. A label that no row has is a label all the
same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from pydantic import ConfigDict

from savile.base import catalogue, people
from savile.base.errors import InputError
from savile.base.events import emit
from savile.base.recipe import SECTION
from savile.data import _made, _ontology
from savile.data._draft import Draft, counted
from savile.data._ontology import Concept

AFTER = "splits"


@dataclass(frozen=True)
class Settings:
    """The ontology and which of its labels are described.

    Attributes:
        labels: label -> other names, what it is a kind of, what it is about.
        into: labels to answer with; empty keeps every label.
        every: whether labels with rows of their own are described, too.
        times: how often each sentence is a row.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    labels: Mapping[str, Concept]
    into: tuple[str, ...] = ()
    every: bool = True
    times: int = 1


def apply(draft: Draft, settings: Settings) -> Draft:
    """Append the rows.

    Raises:
        InputError: the task does not ask for one label of a text, or the ontology cannot be used.
    """
    import pyarrow as pa

    if not draft.one_label or "text" not in draft.roles or getattr(catalogue.get("tasks", draft.task), "PAIRS", False):
        received = f"the task {draft.task}"
        raise InputError("a task of one label a text, for data.steps.describe", received, "Leave the step out.")
    ontology, known = _ontology.checked(settings.labels, settings.into), set(draft.values("label"))
    labels = ontology.into or tuple(ontology.labels)
    chosen = [label for label in labels if settings.every or label not in known]
    rows = [(text, label) for label in chosen for text in ontology.describe(label)] * max(1, settings.times)
    unseen = [label for label in chosen if label not in known]
    emit("note", text=f"{counted(len(rows), 'description')} to learn from, {len(unseen)} of labels that no row has.")
    outcome = {"rows": len(rows), "unseen": unseen}
    if not rows:
        return draft.telling("describe", outcome)
    size, columns = len(draft.table), dict[str, pa.Array]()
    for name in draft.table.column_names:
        cells = {draft.roles["text"]: [text for text, _ in rows], draft.roles["label"]: [label for _, label in rows]}
        columns[name] = pa.array(cells.get(name, [None] * len(rows)), draft.table.schema.field(name).type)
    more = replace(
        draft,
        table=pa.concat_tables([draft.table, pa.table(columns, schema=draft.table.schema)]),
        lines=np.concatenate([draft.lines, np.zeros(len(rows), dtype=draft.lines.dtype)]),
        file_of=np.concatenate([draft.file_of, np.zeros(len(rows), dtype=draft.file_of.dtype)]),
        given=np.concatenate([draft.given, np.zeros(len(rows), dtype=bool)]),
        kept=np.concatenate([draft.kept, np.ones(len(rows), dtype=bool)]),
        units=np.concatenate([draft.units, draft.units.max(initial=-1) + 1 + np.arange(len(rows))]),
        known_by=people.stacked(draft.known_by, (), (size, len(rows))) or (),
    )
    return _made.marked(more, np.arange(size, size + len(rows)), "describe").telling("describe", outcome)
