"""A delimited file with some cells or rows changed, and every other byte of it as it was.

Rows are cut as they were when the file was read; bytes are taken over, not written again, so that encoding, mark, line ends,
quotes, titles, blank lines and rows that fit nowhere stay. A changed cell keeps its quotes, or gets some where it needs them.
"""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from savile.data import _files
from savile.data._delimited import Dialect, Form, numbered_rows
from savile.data._draft import Reading
from savile.data._reading import File

MARKS = {
    "utf-8-sig": {codecs.BOM_UTF8: "utf-8"},
    "utf-16": {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"},
    "utf-32": {codecs.BOM_UTF32_LE: "utf-32-le", codecs.BOM_UTF32_BE: "utf-32-be"},
}
CHUNK = 1 << 20
Changed = Mapping[str, str] | None  # column -> what its cell holds from now on; None for a row that goes


def writable(form: Form, value: str) -> bool:
    """Whether a cell may hold a value in a file of that form."""
    try:
        value.encode(form.encoding)
    except UnicodeEncodeError:
        return False
    return form.dialect.quotes != "plain" or not set(value) & {form.dialect.delimiter, "\r", "\n"}


def mended(path: Path, form: Form, changes: Mapping[int, Changed]) -> Iterator[bytes]:
    """The bytes of the changed file, unpacked.

    Args:
        path: the file.
        form: how it is written.
        changes: line on which a row starts -> what changes in it; every value is `writable`.
    """
    file, seen = File(path, path.name, _files.format_of(path), Reading()), list[str]()
    with _files.unpacked(path) as opened, file.text(form.encoding) as lines:
        raw, first = _Raw(opened, form.encoding), 1
        yield raw.mark
        for line, row in numbered_rows(form.dialect, _remembered(lines, seen), path.name):
            before, own = "".join(seen[: line - first]), "".join(seen[line - first :])
            first += len(seen)
            seen.clear()
            yield raw.take(before)
            held = raw.take(own)
            changed = changes.get(line, {})
            if changed:
                cells = {form.header.index(column): value for column, value in changed.items()}
                yield _edited(own, row, cells, form.dialect).encode(raw.codec)
            elif changed is not None:
                yield held
        yield from raw.rest()


def _remembered(lines: Iterator[str], seen: list[str]) -> Iterator[str]:
    for line in lines:
        seen.append(line)
        yield line


def _edited(text: str, row: list[str], cells: Mapping[int, str], dialect: Dialect) -> str:
    """The text of a row with some cells replaced, given by their place."""
    places = _places(text, dialect)
    assert len(places) == len(row), "rows are cut here as they were read"
    parts, end = [], 0
    for place in sorted(cells):
        start, stop = places[place]
        quoted = text[start : start + 1] == '"' or (len(row) == 1 and not cells[place])
        parts += [text[end:start], _written(cells[place], quoted, dialect)]
        end = stop
    return "".join([*parts, text[end:]])


def _places(text: str, dialect: Dialect) -> list[tuple[int, int]]:
    """Where each cell of a row begins and ends in its text, quotes and all."""
    plain = rf"[^{re.escape(dialect.delimiter)}\r\n]*"
    cell = {
        "plain": plain,
        "escaped": rf'"[^"\\]*(?:\\.[^"\\]*)*"|(?:\\.|[^{re.escape(dialect.delimiter)}\r\n\\])*',
    }.get(dialect.quotes, rf'"[^"]*(?:""[^"]*)*"|{plain}')
    pattern, places, at = re.compile(cell, re.DOTALL), list[tuple[int, int]](), 0
    while found := pattern.match(text, at):
        places.append(found.span())
        at = found.end() + 1
        if text[found.end() : at] != dialect.delimiter:
            break
    return places


def _written(value: str, quoted: bool, dialect: Dialect) -> str:
    """A cell as it stands in the file."""
    escaped = dialect.quotes == "escaped"
    special = {dialect.delimiter, '"', "\r", "\n"} | ({"\\"} if escaped else set())
    if dialect.quotes == "plain" or not (quoted or set(value) & special):
        return value
    inner = value.replace("\\", "\\\\").replace('"', '\\"') if escaped else value.replace('"', '""')
    return f'"{inner}"'


class _Raw:
    """The bytes of a file, taken as many at a time as some text of it is.

    Attributes:
        mark: the byte order mark, empty when there is none.
        codec: of the bytes behind it.
    """

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        self._file, self._ahead, self._at = file, b"", 0
        self.mark, self.codec = b"", encoding
        for mark, codec in MARKS.get(encoding, {}).items():
            if self._peek(len(mark)) == mark:
                self.mark, self.codec = self._read(len(mark)), codec
        if encoding in MARKS and not self.mark:
            ending = "-le" if sys.byteorder == "little" else "-be"
            self.codec = "utf-8" if encoding == "utf-8-sig" else encoding + ending

    def take(self, text: str) -> bytes:
        """The bytes that the next characters were read from."""
        with suppress(UnicodeEncodeError):
            usual = text.encode(self.codec)
            if self._peek(len(usual)) == usual:
                return self._read(len(usual))
        # Some encodings spell a character in several ways.
        decoder, found, read = codecs.getincrementaldecoder(self.codec)(), b"", 0
        while read < len(text) and (one := self._read(1)):
            found += one
            read += len(decoder.decode(one))
        return found

    def rest(self) -> Iterator[bytes]:
        """What nobody took."""
        while piece := self._read(CHUNK):
            yield piece

    def _peek(self, count: int) -> bytes:
        while len(self._ahead) - self._at < count and (more := self._file.read(max(CHUNK, count))):
            self._ahead, self._at = self._ahead[self._at :] + more, 0
        return self._ahead[self._at : self._at + count]

    def _read(self, count: int) -> bytes:
        found = self._peek(count)
        self._at += len(found)
        return found
