"""Wrong cells of a table: found, verified and repaired in rounds, from no examples or from twenty corrected rows.

Strategies look at profiles, shapes, letters, spelling, at what other columns determine and at which sources are often wrong;
corrected rows, chosen by `ask`, teach what each of them is worth and small programs that mend what they flag. Nothing is
changed here: `find` says what is wrong and what it should be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import ConfigDict

from savile.base.errors import DataError, InputError
from savile.base.recipe import SECTION
from savile.data import _cell_loop, _cell_table
from savile.data._cell_loop import ASKED, Cleaned
from savile.data._cell_repair import Repair
from savile.data._draft import Draft, counted, finding

if TYPE_CHECKING:
    import pyarrow as pa

AFTER = "sources"
SURE = 0.8  # doubt times trust from which a repair is made without anybody having corrected rows
LOOKED_AT = 20_000  # rows of a larger table, drawn evenly
__all__ = ["Cleaned", "Repair", "apply", "ask", "find"]


@dataclass(frozen=True)
class Settings:
    """How cells are looked at: `corrected` has the right cells of rows a person corrected, by row number from 0."""

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    corrected: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


def apply(draft: Draft, settings: Settings) -> Draft:
    """Note the columns with cells that are probably wrong; no cell changes."""
    step = max(1, -(-draft.table.num_rows // LOOKED_AT))
    rows = np.arange(0, draft.table.num_rows, step)
    found = find(draft.table.take(rows), settings.corrected if step == 1 else None)
    outcome = {}
    for place, name in enumerate(draft.table.column_names):
        wrong = rows[np.flatnonzero(found.doubt[:, place] > 0.5)]
        if not len(wrong):
            continue
        mended = sum(one.column == place for one in found.repairs)
        outcome[name] = {"doubtful": len(wrong), "repairs": mended}
        evidence = f"{counted(len(wrong), 'cell')} of {name!r} probably wrong, {draft.where(wrong)}."
        draft = draft.noting(
            finding("wrong_cell", "warning", wrong, evidence, "See what each should hold: savile govern FILE.")
        )
    return draft.telling("cells", outcome)


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
