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
            column of strings: as it is, and as the pseudonym that masking put in its place. Columns that are not stored are
            searched by the digests that their cells left.

    Raises:
        InputError: an identifier too short to be told from other words.
        MachineError: the key of pseudonyms or digests is not in this store.
    """
    column, equals, value = subject.partition("=")
    if equals and column.strip() in columns_of(data):
        return np.flatnonzero(_equal(data, column.strip(), value.strip()))
    if len(subject.strip()) < SHORTEST:
        do = "Name a column: customer_id=C-1042."
        raise InputError(f"an identifier of {SHORTEST} characters or more", f"{len(subject.strip())}", do)
    hit = np.zeros(data.table.num_rows, dtype=bool)
    for form in _forms(data, subject.strip()):
        for name in data.table.column_names:
            hit |= _holds(data.table.column(name), form)
        for one in data.known_by or ():
            hit |= one.holds(form)
    return np.flatnonzero(hit)


def columns_of(data: Dataset) -> set[str]:
    """The columns that a person can be looked for in: those that are stored, and those that left digests."""
    return {*data.table.column_names, *(one.column for one in data.known_by or ())}


def unsearched(data: Dataset) -> tuple[str, ...]:
    """Columns that were left out before digests were taken: nobody can be found by what stood there."""
    if data.known_by is not None:
        return tuple(one.column for one in data.known_by if one.untold)
    said, stored = data.settings, data.table.column_names
    seen = [one["name"] for one in said.get("columns", ()) if one["role"] != "empty"]
    return tuple(name for name in (*seen, *said.get("options", {}).get("drop", ())) if name not in stored)


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
        known_by=None if data.known_by is None else tuple(one.take(keep) for one in data.known_by),
        settings={**data.settings, "erased_rows": len(rows)},
        parents=(data.ref,),
        files={},
        ref="",
    )


def _equal(data: Dataset, column: str, value: str) -> np.ndarray:
    """Whether each row's cell is the value, or the pseudonym of it, bool (n,)."""
    forms, hit = _forms(data, value), np.zeros(data.table.num_rows, dtype=bool)
    if column in data.table.column_names:
        hit |= np.array([str(cell) in forms for cell in data.table.column(column).to_pylist()], dtype=bool)
    for one in data.known_by or ():
        if one.column == column:
            hit |= np.any([one.holds(form) for form in forms], axis=0)
    return hit


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
