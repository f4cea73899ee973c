"""Gathers batches into a table that fits into memory: all rows, or an even sample of them when there are too many.

Every row draws a number; when what is kept grows too large, the bar is halved and rows above it go. What stays is a sample in
which every row had the same chance, in the order of the files, however the rows came in batches. From then on all rows are kept
on disk, too, for the steps that look at each of them once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from savile.base.machine import working_memory
from savile.data._spill import Rows

if TYPE_CHECKING:
    import pyarrow as pa

    from savile.data._draft import Reading
    from savile.data._reading import Batch

NEEDS = 20  # bytes of memory that the hungriest step takes for a byte of the table
PROGRAM = 200 << 20  # bytes of memory that Python and the packages take
LEAST = 1 << 18  # bytes of a table that is worth working on
LARGEST = 1 << 30  # bytes of a table; Arrow counts the characters of a column in 32 bits


def room(reading: Reading) -> int:
    """Bytes that data may take of the memory allowed, or of what this machine has if that is less."""
    return max(min(working_memory(), int(reading.gigabytes * 1e9)) - PROGRAM, 0)


@dataclass
class _Piece:
    file: int
    lines: np.ndarray
    draws: np.ndarray
    places: np.ndarray
    table: pa.RecordBatch


@dataclass(frozen=True)
class Gathered:
    """Rows that were kept.

    Attributes:
        table: all of them.
        lines: line of each in its file, int64 (n,).
        files: number of the file of each, int32 (n,).
        read: how many rows there were.
        columns: number of a file -> the columns it has.
        whole: all rows there were, on disk, when not all were kept.
        places: which of all rows each is, int64 (n,).
    """

    table: pa.Table
    lines: np.ndarray
    files: np.ndarray
    read: int
    columns: dict[int, tuple[str, ...]]
    whole: Rows | None
    places: np.ndarray


class Gather:
    """Takes batches of one file after the other.

    Args:
        seed: of the draw.
        reading: what the caller settles about reading.
    """

    def __init__(self, seed: int, reading: Reading) -> None:
        self.limit = max(LEAST, min(room(reading) // NEEDS, LARGEST))
        self._rng = np.random.default_rng(seed)
        self._pieces: list[_Piece] = []
        self._bar, self._size, self._read = 1.0, 0, 0
        self._counts: dict[int, int] = {}
        self._whole: Rows | None = None
        self._columns: dict[int, dict[str, None]] = {}

    def add(self, batch: Batch, file: int) -> None:
        """Take a batch."""
        draws = self._rng.random(len(batch.lines), dtype=np.float32)
        self._columns.setdefault(file, {}).update(dict.fromkeys(batch.table.schema.names))
        places = np.arange(len(batch.lines)) + self._read
        self._read += len(batch.lines)
        self._counts[file] = self._counts.get(file, 0) + len(batch.lines)
        if self._whole is not None:
            self._whole.add(batch.table, file)
        self._put(_Piece(file, batch.lines, draws, places, batch.table))
        while self._size > self.limit and self._bar > 1e-9:
            if self._whole is None:
                self._whole = Rows()
                for piece in self._pieces:
                    self._whole.add(piece.table, piece.file)
            self._bar /= 2
            pieces, self._pieces, self._size = self._pieces, [], 0
            for place, piece in enumerate(pieces):
                pieces[place] = None  # type: ignore[call-overload]
                self._put(piece)

    def back(self, file: int) -> None:
        """Forget a file: it is read again in another way."""
        self._read -= self._counts.pop(file, 0)
        if self._whole is not None:
            self._whole.back(file)
        self._pieces = [piece for piece in self._pieces if piece.file != file]
        self._size = sum(piece.table.nbytes for piece in self._pieces)
        self._columns.pop(file, None)

    def _put(self, piece: _Piece) -> None:
        import pyarrow as pa

        if self._bar < 1.0:
            kept = piece.draws < self._bar
            table = piece.table.filter(pa.array(kept))
            piece = _Piece(piece.file, piece.lines[kept], piece.draws[kept], piece.places[kept], table)
        self._pieces.append(piece)
        self._size += piece.table.nbytes

    def done(self) -> Gathered:
        """Everything that was kept."""
        import pyarrow as pa

        tables = [pa.Table.from_batches([piece.table]) for piece in self._pieces]
        table = pa.concat_tables(tables, promote_options="default").combine_chunks() if tables else pa.table({})
        files = np.concatenate([np.full(len(p.lines), p.file, dtype=np.int32) for p in self._pieces] or [np.empty(0, np.int32)])
        lines = np.concatenate([piece.lines for piece in self._pieces] or [np.empty(0, dtype=np.int64)])
        columns = {file: tuple(names) for file, names in self._columns.items()}
        places = np.concatenate([piece.places for piece in self._pieces] or [np.empty(0, dtype=np.int64)])
        return Gathered(table, lines, files, self._read, columns, self._whole, places)
