"""Wrong cells of a table: found, verified and repaired in rounds, from no examples or from twenty corrected rows.

Strategies look at profiles, shapes, letters, spelling, at what other columns determine and at which sources are often wrong;
corrected rows, chosen by `ask`, teach what each of them is worth and small programs that mend what they flag. Nothing is
changed here: `find` says what is wrong and what it should be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from savile.base.errors import DataError, InputError
from savile.data import _cell_loop, _cell_table
from savile.data._cell_loop import ASKED, Cleaned
from savile.data._cell_repair import Repair

if TYPE_CHECKING:
    import pyarrow as pa

SURE = 0.8  # doubt times trust from which a repair is made without anybody having corrected rows
__all__ = ["Cleaned", "Repair", "ask", "find"]


def find(table: pa.Table, corrected: Mapping[int, Sequence[str]] | None = None, least: float = 0.4, seed: int = 0) -> Cleaned:
    """Which cells are probably wrong, and what they should hold.

    Args:
        table: n rows of strings, null or empty where there is nothing.
        corrected: row number -> the right cells of that row, one for each column.
        least: trust below which no repair is proposed, 0 to 1.
        seed: of everything random.

    Returns:
        ``doubt`` (n, m), how likely each cell is wrong; and ``repairs``.

    Raises:
        InputError: a corrected row is not there, or has other columns.
        DataError: the table has no rows.
    """
    return _cell_loop.clean(_grid(table), _corrected(table, corrected), least, seed)


def ask(table: pa.Table, corrected: Mapping[int, Sequence[str]] | None = None, count: int = ASKED, seed: int = 0) -> list[int]:
    """The rows that teach most when a person corrects them, beside those corrected before.

    Args:
        table: n rows of strings.
        corrected: row number -> right cells, of rows corrected before.
        count: how many more.
        seed: of everything random.

    Raises:
        InputError: a corrected row is not there, or has other columns.
        DataError: the table has no rows.
    """
    chosen: list[int] = _cell_loop.ask(_grid(table), _corrected(table, corrected), count, seed).tolist()
    return chosen


def _grid(table: pa.Table) -> _cell_table.Grid:
    if not table.num_rows or not table.num_columns:
        raise DataError("rows to look at", "an empty table", "Give a table with rows.")
    return _cell_table.grid(table)


def _corrected(table: pa.Table, corrected: Mapping[int, Sequence[str]] | None) -> _cell_loop.Corrected:
    rows = sorted(corrected or {})
    for row in rows:
        cells = (corrected or {})[row]
        if not 0 <= row < table.num_rows or len(cells) != table.num_columns:
            received = f"row {row} with {len(cells)} cells"
            do = "Correct the rows that were asked for, and keep their columns."
            raise InputError(f"rows below {table.num_rows} with {table.num_columns} cells", received, do)
    right = tuple(tuple((corrected or {})[row]) for row in rows)
    return _cell_loop.Corrected(np.array(rows, dtype=np.int64), right)
