"""A table as the cell steps see it: every column a list of different strings and a number for each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

MISSING = frozenset(
    (
        "",
        "-",
        "--",
        "?",
        "n/a",
        "na",
        "nan",
        "null",
        "none",
        "nil",
        "empty",
        "unknown",
        "not available",
        "missing",
        "n.a.",
        "#n/a",
    )
)


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: its name.
        values: the different strings, (d,).
        codes: which of them each row holds, int64 (n,).
    """

    name: str
    values: tuple[str, ...]
    codes: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """How many rows hold each value, int64 (d,)."""
        return np.bincount(self.codes, minlength=len(self.values))

    @property
    def missing(self) -> np.ndarray:
        """Which values stand for none, bool (d,)."""
        return np.array([value.strip().casefold() in MISSING for value in self.values], dtype=bool)

    def with_cells(self, rows: np.ndarray, cells: Sequence[str]) -> Column:
        """The column with other strings in some rows."""
        place = {value: code for code, value in enumerate(self.values)}
        codes, values = self.codes.copy(), list(self.values)
        for row, cell in zip(rows.tolist(), cells, strict=True):
            if cell not in place:
                place[cell] = len(values)
                values.append(cell)
            codes[row] = place[cell]
        return Column(self.name, tuple(values), codes)


@dataclass(frozen=True)
class Grid:
    """A table of strings: its columns, all of n rows."""

    columns: tuple[Column, ...]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns[0].codes) if self.columns else 0

    def cell(self, row: int, column: int) -> str:
        """One string."""
        return self.columns[column].values[int(self.columns[column].codes[row])]


def grid(table: pa.Table) -> Grid:
    """A table of strings, null where empty, as a grid; a null is an empty string."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = []
    for name in table.column_names:
        values = pc.fill_null(table.column(name).cast(pa.string()), "")
        coded = values.combine_chunks().dictionary_encode()
        columns.append(Column(name, tuple(coded.dictionary.to_pylist()), coded.indices.to_numpy().astype(np.int64)))
    return Grid(tuple(columns))
