"""Room on disk for what grows with the rows: files without a name, which are gone when the process is, however it ends.

They lie in ``$SAVILE_HOME/scratch`` where there is a home, else where the system keeps temporary files (``TMPDIR``), and stay
in memory while they are small. Only the process that wrote them can open them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.base._durable import machine_errors

if TYPE_CHECKING:
    import pyarrow as pa

SMALL = 4 << 20  # bytes of a file that stay in memory
PARTS = 256  # of `Runs`: a quarter of a percent of the records is in memory at once, or a `LOT` if that is more
LOT = 1 << 19


def folder() -> Path:
    """Where the files lie."""
    scratch = Path(os.environ.get("SAVILE_HOME") or ".savile") / "scratch"
    return scratch if os.access(scratch, os.W_OK) else Path(tempfile.gettempdir())


class Bytes:
    """Bytes that are only ever added to; `size` is how many there are."""

    def __init__(self) -> None:
        self._folder = folder()  # once: to look for it takes as long as a short read
        with machine_errors(self._folder):
            self._file: Any = tempfile.SpooledTemporaryFile(SMALL, dir=str(self._folder))  # noqa: SIM115 -- closed when let go
        self.size = 0

    def add(self, piece: bytes) -> int:
        """Put some bytes behind those that are there; where they begin."""
        start = self.size
        with machine_errors(self._folder):
            self._file.seek(start)
            self._file.write(piece)
        self.size += len(piece)
        return start

    def read(self, start: int, end: int) -> bytes:
        """The bytes from one place to another."""
        with machine_errors(self._folder):
            self._file.seek(start)
            found: bytes = self._file.read(end - start)
            if len(found) != end - start:
                raise OSError(f"{end - start} bytes were put aside, {len(found)} came back")
        return found


def array(count: int, dtype: Any, fill: int = 0) -> np.ndarray:
    """An array that may be written to, in a file when it is large."""
    size = count * np.dtype(dtype).itemsize
    if size <= SMALL:
        return np.full(count, fill, dtype=dtype)
    place = folder()
    with machine_errors(place), tempfile.TemporaryFile(dir=place) as file:
        # Room is taken now: a page of a mapped file that finds the disk full ends the process without a word.
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            for start in range(0, size, SMALL):
                file.write(bytes(min(SMALL, size - start)))
            file.flush()
        made: np.ndarray = np.memmap(file, dtype=dtype, mode="r+", shape=(count,))  # type: ignore[call-overload]
    if fill:
        made[:] = fill
    return made


class Column:
    """An array that is only ever added to."""

    def __init__(self, dtype: Any) -> None:
        self._bytes, self._dtype = Bytes(), np.dtype(dtype)

    def add(self, piece: np.ndarray) -> None:
        """Put values behind those that are there."""
        self._bytes.add(piece.astype(self._dtype, copy=False).tobytes())

    def done(self) -> np.ndarray:
        """All values, as `array` gives them."""
        made = array(self._bytes.size // self._dtype.itemsize, self._dtype)
        raw = made.view(np.uint8)
        for start in range(0, self._bytes.size, SMALL):
            end = min(start + SMALL, self._bytes.size)
            raw[start:end] = np.frombuffer(self._bytes.read(start, end), dtype=np.uint8)
        return made


class Runs:
    """Records of two numbers each, kept apart by the first one's highest bits so that equal ones meet when read back.

    Every `add` writes one run, cut by part; `lots` gathers parts from all of them.
    """

    def __init__(self) -> None:
        self._bytes = Bytes()
        self._runs: list[tuple[int, np.ndarray]] = []

    def add(self, records: np.ndarray) -> None:
        """Write records, uint64 (n, 2)."""
        which = (records[:, 0] >> np.uint64(64 - PARTS.bit_length() + 1)).astype(np.uint8)
        order = np.argsort(which, kind="stable")
        start = self._bytes.add(records[order].astype(np.uint64, copy=False).tobytes())
        bounds = np.concatenate([[0], np.cumsum(np.bincount(which, minlength=PARTS))])
        self._runs.append((start, bounds))

    def lots(self) -> Iterator[np.ndarray]:
        """All records, uint64 (n, 2) at a time; those with one first number are in one lot, in the order of writing."""
        sizes = np.zeros(PARTS, dtype=np.int64)
        for _, bounds in self._runs:
            sizes += np.diff(bounds)
        first = 0
        for part in range(PARTS):
            if part + 1 == PARTS or sizes[first : part + 2].sum() > LOT:
                yield self._between(first, part + 1)
                first = part + 1

    def _between(self, first: int, last: int) -> np.ndarray:
        width = 2 * 8
        pieces = [
            self._bytes.read(start + int(bounds[first]) * width, start + int(bounds[last]) * width)
            for start, bounds in self._runs
        ]
        return np.frombuffer(b"".join(pieces), dtype=np.uint64).reshape(-1, 2)


class Strings:
    """Strings by number, in the order in which they were added."""

    def __init__(self) -> None:
        self._bytes = Bytes()
        self._ends: list[np.ndarray] = []
        self._bounds: np.ndarray | None = None
        self.count = 0

    def add(self, texts: pa.Array) -> np.ndarray:
        """Put strings behind those that are there; how many characters each has, int64 (n,)."""
        import pyarrow.compute as pc

        lengths = pc.binary_length(texts).to_numpy()
        start = self._bytes.add("".join(texts.to_pylist()).encode())
        self._ends.append(np.cumsum(lengths) + start)
        self.count += len(texts)
        found: np.ndarray = pc.utf8_length(texts).to_numpy()
        return found

    def close(self) -> None:
        """Nothing more is added: where strings begin goes into a file, too."""
        bounds, place = array(self.count + 1, np.int64), 1
        for ends in self._ends:
            bounds[place : place + len(ends)] = ends
            place += len(ends)
        self._ends, self._bounds = [], bounds

    def take(self, numbers: np.ndarray) -> list[str]:
        """The strings of some numbers, which rise; neighbours are read together."""
        assert self._bounds is not None
        if not len(numbers):
            return []
        starts, ends = self._bounds[numbers], self._bounds[numbers + 1]
        breaks = np.flatnonzero(starts[1:] - ends[:-1] > (1 << 12)) + 1
        found = list[str]()
        for first, last in zip([0, *breaks.tolist()], [*breaks.tolist(), len(numbers)], strict=True):
            origin = int(starts[first])
            block = self._bytes.read(origin, int(ends[last - 1]))
            cuts = zip((starts[first:last] - origin).tolist(), (ends[first:last] - origin).tolist(), strict=True)
            found += [block[a:b].decode() for a, b in cuts]
        return found


class Rows:
    """The rows of files as read, batch by batch; `columns` are the names that any of them has."""

    def __init__(self) -> None:
        self.columns: set[str] = set()
        self._bytes = Bytes()
        self._batches: list[tuple[int, int, int]] = []

    def add(self, batch: pa.RecordBatch, file: int) -> None:
        """Put the rows of a batch behind those that are there; `file` is the number of their file."""
        import pyarrow as pa

        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        self.columns.update(batch.schema.names)
        start = self._bytes.add(sink.getvalue().to_pybytes())
        self._batches.append((file, start, self._bytes.size))

    def back(self, file: int) -> None:
        """Forget the rows of a file."""
        self._batches = [one for one in self._batches if one[0] != file]

    def __iter__(self) -> Iterator[pa.Table]:
        import pyarrow as pa

        for _, start, end in self._batches:
            yield pa.ipc.open_stream(self._bytes.read(start, end)).read_all()
