"""The rows of one person in stored data, and the same data without them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from savile.base import mask
from savile.base.errors import InputError
from savile.base.records import Dataset

if TYPE_CHECKING:
    import pyarrow as pa

SHORTEST = 4  # characters of an identifier that is looked for anywhere in a text


def rows_of(data: Dataset, subject: str) -> np.ndarray:
    """Row numbers that belong to a person, int64.

    Args:
        data: what is searched.
        subject: ``column=value``, where the cell must be equal, or an identifier, which is looked for as a whole word in every
            column of strings: as it is, and as the pseudonym that masking put in its place.

    Raises:
        InputError: an identifier too short to be told from other words.
    """
    column, equals, value = subject.partition("=")
    names = data.table.column_names
    if equals and column.strip() in names:
        return _equal(data, column.strip(), value.strip())
    if len(subject.strip()) < SHORTEST:
        do = "Name a column: customer_id=C-1042."
        raise InputError(f"an identifier of {SHORTEST} characters or more", f"{len(subject.strip())}", do)
    hit = np.zeros(data.table.num_rows, dtype=bool)
    for form in _forms(data, subject.strip()):
        for name in names:
            hit |= _holds(data.table.column(name), form)
    return np.flatnonzero(hit)


def without(data: Dataset, rows: np.ndarray) -> Dataset:
    """The same data without some rows, as a record of its own whose parent is the old one."""
    keep = np.ones(data.table.num_rows, dtype=bool)
    keep[rows] = False
    place = np.cumsum(keep) - 1
    parts = {name: place[part[keep[part]]].astype(np.int64) for name, part in data.parts.items()}
    findings = tuple(
        replace(one, rows=tuple(int(place[row]) for row in one.rows if row < len(keep) and keep[row])) for one in data.findings
    )
    return replace(
        data,
        table=data.table.take(np.flatnonzero(keep)),
        parts=parts,
        findings=findings,
        units=None if data.units is None else data.units[keep],
        settings={**data.settings, "erased_rows": len(rows)},
        parents=(data.ref,),
        files={},
        ref="",
    )


def _equal(data: Dataset, column: str, value: str) -> np.ndarray:
    """Rows whose cell is the value, or the pseudonym of it."""
    forms = _forms(data, value)
    return np.flatnonzero([str(cell) in forms for cell in data.table.column(column).to_pylist()])


def _forms(data: Dataset, value: str) -> set[str]:
    masked = mask.Masker(data.mask)(value) if data.mask else value
    return {value, masked}


def _holds(values: pa.ChunkedArray, form: str) -> np.ndarray:
    """Whether each cell holds the form as a whole word, bool (n,)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = values if pa.types.is_string(values.type) else pc.cast(values, pa.string())
    literal = "".join(rf"\x{{{ord(letter):x}}}" for letter in form)
    found = pc.match_substring_regex(text, rf"(^|[^\pL\pN]){literal}([^\pL\pN]|$)", ignore_case=True)
    return np.asarray(pc.fill_null(found, False).to_numpy(zero_copy_only=False), dtype=bool)
