"""Reads rows that nobody has labelled, for a model to answer: roles inferred, every column masked as the model was trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from savile.base.errors import DataError, UnknownNameError
from savile.base.events import emit
from savile.base.mask import Masker
from savile.data import _columns, _roles, sources
from savile.data._draft import Draft, Options

if TYPE_CHECKING:
    import pyarrow as pa


def read(source: Path, options: Options, policy: Mapping[str, Any]) -> tuple[pa.Table, dict[str, str]]:
    """Rows and roles; see `savile.data.unlabelled`."""
    import pyarrow as pa

    draft = sources.apply(Draft(source, replace(options, test=None), None))
    for name in (options.text, options.time, *options.drop):
        if name is not None and name not in draft.table.column_names:
            raise UnknownNameError("column", name, draft.table.column_names)
    values = {name: _columns.trimmed(draft.table.column(name)) for name in draft.table.column_names if name not in options.drop}
    columns = {name: _columns.describe(name, column) for name, column in values.items()}
    roles = _roles.reading(options, {name: column for name, column in columns.items() if column.distinct}, values)
    emit("note", text="Columns: " + ", ".join(f"{role} = {name!r}" for role, name in roles.items()))
    if not len(values[roles["text"]].drop_null()):
        raise DataError("at least one text", f"an empty column {roles['text']!r}", "Name another with --text.")
    masker = Masker(policy)
    masked = {name: [masker(value) if value else None for value in column.to_pylist()] for name, column in values.items()}
    return pa.table({name: pa.array(column, pa.string()) for name, column in masked.items()}), roles
