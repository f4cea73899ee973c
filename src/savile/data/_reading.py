"""What readers of all formats share: a file and how to open it, batches of rows, and a report of what was unusual."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

from savile.base.errors import InputError
from savile.base.events import emit
from savile.base.records import Finding
from savile.data import _encoding, _files
from savile.data._draft import Reading

if TYPE_CHECKING:
    import pyarrow as pa

    from savile.data._delimited import Form

CELLS = 200_000  # in a batch
SHOWN_LINES = 5


class Batch(NamedTuple):
    """Rows as read.

    Attributes:
        lines: line or row number of each in its file, int64 (n,).
        table: n rows, every column a string.
    """

    lines: np.ndarray
    table: pa.RecordBatch


@dataclass(frozen=True)
class File:
    """One file to read: its path, what messages call it, its format, and what the caller settled about reading."""

    path: Path
    name: str
    format: str
    reading: Reading

    @contextmanager
    def text(self, encoding: str) -> Iterator[IO[str]]:
        """The decoded characters, line ends as they are."""
        with _files.unpacked(self.path) as raw:
            lines = io.TextIOWrapper(raw, encoding, newline="")  # type: ignore[type-var]
            try:
                yield lines
            finally:
                lines.detach()


class Report:
    """What is worth telling about the files read; everything is told when all are.

    Attributes:
        findings: what was unusual.
        form: how the last delimited file is written.
    """

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.form: Form | None = None

    def note(self, rule: str, said: str, count: int = 1, severity: str = "note", repair: str = "") -> None:
        """Add a finding."""
        self.findings.append(Finding(rule, severity, count, said, repair=repair))

    def back(self, length: int) -> None:
        """Forget all but the first findings: a file is read again in another way."""
        del self.findings[length:]

    def tell(self) -> None:
        """Say it."""
        for found in self.findings:
            emit("warning" if found.severity != "note" else "note", text=found.evidence)

    def encoding(self, file: File) -> str:
        """The codec of a text file; told when it is not plain UTF-8.

        Raises:
            InputError: the caller named one that does not exist.
            DataError: it cannot be told.
        """
        wished = file.reading.encoding
        if wished is not None:
            try:
                return codecs.lookup(wished).name
            except LookupError:
                do = "Name one, such as utf-8, gb18030, big5, cp1252 or utf-16."
                raise InputError("a known encoding", f"data.read.encoding {wished!r}", do) from None
        with _files.unpacked(file.path) as raw:
            found = _encoding.decide(raw, file.name)
        if found.why:
            wrong = "If letters look wrong, name another with --set data.read.encoding=NAME."
            self.note("encoding", f"{file.name} is read as {found.why}.", repair=wrong)
        if found.garbled:
            where = ", ".join(map(str, found.garbled[:SHOWN_LINES])) + (" …" if len(found.garbled) > SHOWN_LINES else "")
            lines = f"line{'s' * (len(found.garbled) > 1)} {where}"
            said = (
                f"Letters of {file.name} were garbled before it came here ({lines}): UTF-8 read in another encoding, or lost."
            )
            self.note("garbled", said, len(found.garbled), "warning", "Export the data again, as UTF-8.")
        return found.codec


def batch_of(header: Sequence[str], rows: Sequence[Sequence[str | None]], lines: Sequence[int]) -> Batch:
    """Rows of cells as a batch."""
    import pyarrow as pa

    columns = list(zip(*rows, strict=True)) if rows else [() for _ in header]
    arrays = [pa.array(column, pa.string()) for column in columns]
    return Batch(np.array(lines, dtype=np.int64), pa.RecordBatch.from_arrays(arrays, names=list(header)))
