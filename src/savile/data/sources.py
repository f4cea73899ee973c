"""Reads csv, tsv and jsonl files, plain or gzipped, in UTF-8; every cell arrives as a string.

Types come later (`profile`), so a leading zero is not lost before somebody looked at it. Each row keeps the number of the line
it starts on, which is how findings point back into the file.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.base.errors import DataError, nearest
from savile.base.records import digest
from savile.data._draft import Draft

if TYPE_CHECKING:
    import pyarrow as pa

DELIMITERS = ",;\t|"
SNIFFED_ROWS = 200
MAX_CELL = 64 << 20  # characters; a larger cell is an unclosed quote, not a value
SIGNATURES = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PAR1": "a Parquet file",
    b"SQLite": "an SQLite database",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "a gzip file under another name",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
}

Rows = Iterator[tuple[int, list[str | None]]]


@dataclass(frozen=True)
class Source:
    """One file as read: string columns, the line each row starts on (int64), file name and SHA-256 of its bytes."""

    table: pa.Table
    lines: np.ndarray
    name: str
    sha256: str


def apply(draft: Draft) -> Draft:
    """Read the file, and the given test file behind it."""
    import pyarrow as pa

    sources = [read(draft.source)]
    if draft.options.test is not None:
        sources.append(read(Path(draft.options.test)))
    sizes = [source.table.num_rows for source in sources]
    origin = {role: {"name": s.name, "sha256": s.sha256} for role, s in zip(("source", "test"), sources, strict=False)}
    return replace(
        draft,
        table=pa.concat_tables([source.table for source in sources], promote_options="default").combine_chunks(),
        lines=np.concatenate([source.lines for source in sources]),
        given=np.repeat([False, True], [sizes[0], sum(sizes[1:])]),
        origin=origin,
        kept=np.ones(sum(sizes), dtype=bool),
        units=np.arange(sum(sizes)),
    )


def read(path: str | Path) -> Source:
    """Read one file.

    Raises:
        DataError: when there is no such file, or it is empty, damaged, ragged, not UTF-8 or of another kind.
    """
    import pyarrow as pa

    path = Path(path)
    raw = fetch(path)
    text = _decode(_unzipped(raw, path), path.name)
    header, rows = FORMATS[_suffix(path)](text, path.name)
    columns: list[list[str | None]] = [[] for _ in header]
    lines = []
    for line, row in rows:
        lines.append(line)
        for column, cell in zip(columns, row, strict=True):
            column.append(cell)
    if not lines or not header:
        raise DataError(
            "rows of data", f"{path.name} with {'a header only' if header else 'nothing in it'}", "Give a file with rows."
        )
    table = pa.table([pa.array(_whole(column), pa.string()) for column in columns], names=header)
    return Source(table, np.array(lines, dtype=np.int64), path.name, digest(raw))


def stem(path: str | Path) -> str:
    """The file's name without ``.gz`` and without its format: a human name for the data."""
    name = Path(path).name
    return name[: -len(f".{_suffix(Path(path))}")]


def _suffix(path: Path) -> str:
    """``csv``, ``tsv.gz`` …; lower case."""
    name = path.name.lower()
    for suffix in FORMATS:
        if name.endswith(f".{suffix}"):
            return suffix
    raise DataError(
        "a file that ends in .csv, .tsv or .jsonl, or one of those and .gz",
        path.name,
        "Convert it, for example with 'Save as CSV UTF-8', or rename it when it is one of those.",
    )


def fetch(path: str | Path) -> bytes:
    """The bytes of a file of a known format.

    Raises:
        DataError: when it is not there, not a file or not readable.
    """
    path = Path(path)
    if path.is_dir():
        names = sorted(item.name for item in path.iterdir() if item.is_file())
        raise DataError("a file", f"the folder {path}", f"Name one of its files: {', '.join(names[:5]) or 'it has none'}.")
    if not path.exists():
        siblings = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        guess = nearest(path.name, siblings)
        folder = "that folder does not exist" if not path.parent.is_dir() else "no file there has a name like it"
        do = f"Did you mean {str(path.with_name(guess))!r}?" if guess else f"Check the path; {folder}."
        raise DataError("a data file", f"no file at {path}", do)
    _suffix(path)
    try:
        return path.read_bytes()
    except PermissionError:
        raise DataError("a readable file", f"no permission to read {path.name}", "Change its permissions.") from None


def _unzipped(raw: bytes, path: Path) -> bytes:
    if not _suffix(path).endswith(".gz") or not raw:
        return raw
    try:
        return gzip.decompress(raw)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        what = "cut short" if isinstance(error, EOFError) else "damaged or not gzip at all"
        raise DataError("a whole gzip file", f"{path.name}, which is {what}", "Copy or download it again.") from None


def _decode(raw: bytes, name: str) -> str:
    """UTF-8 bytes, with or without a byte order mark, as text."""
    if not raw.strip():
        raise DataError("rows of data", f"{name}, which is empty", "Give a file with a header line and rows.")
    for signature, what in SIGNATURES.items():
        if raw.startswith(signature):
            raise DataError("a text file in UTF-8", f"{name}, which is {what}", "Save or export it as CSV in UTF-8.")
    if b"\0" in raw:
        line = raw.count(b"\n", 0, raw.index(b"\0")) + 1
        raise DataError(
            "a text file in UTF-8", f"{name} with binary content in line {line}", "Export the data as CSV in UTF-8."
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            "a text file in UTF-8",
            f"{name} with byte {error.start} (line {line}) in another encoding",
            f"Convert it first, for example: iconv -f GB18030 -t UTF-8 {name} > utf8.csv (or -f WINDOWS-1252).",
        ) from None


def _csv(text: str, name: str) -> tuple[list[str], Rows]:
    return _delimited(text, name, _sniff(text))


def _tsv(text: str, name: str) -> tuple[list[str], Rows]:
    """Tab-separated; where quotes do not pair up they are plain characters, as many tools write them."""
    try:
        header, found = _delimited(text, name, "\t")
        rows = list(found)
    except DataError:
        return _delimited(text, name, "\t", csv.QUOTE_NONE)
    # a cell that holds tabs and line ends swallowed whole rows: one stray quote was taken for another's partner
    if any("\t" in cell and "\n" in cell for _, row in rows for cell in row if cell):
        return _delimited(text, name, "\t", csv.QUOTE_NONE)
    return header, iter(rows)


def _sniff(text: str) -> str:
    """The delimiter that cuts the first rows into the most columns of the same number."""

    def consistency(delimiter: str) -> tuple[float, int]:
        # Not strict: a wrong delimiter may see stray quotes, and is only to be outvoted.
        reader = csv.reader(io.StringIO(text[: SNIFFED_ROWS * 2_000], newline=""), delimiter=delimiter)
        widths = [len(row) for row, _ in zip(reader, range(SNIFFED_ROWS), strict=False) if row]
        width = widths[0] if widths else 0
        same = sum(other == width for other in widths) / max(len(widths), 1)
        return (same if width > 1 else 0.0, width)

    return max(DELIMITERS, key=consistency)


def _delimited(text: str, name: str, delimiter: str, quoting: Any = csv.QUOTE_MINIMAL) -> tuple[list[str], Rows]:
    """Header and rows of a delimited text."""
    csv.field_size_limit(MAX_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True)

    def records() -> Rows:
        line = reader.line_num + 1
        try:
            for row in reader:
                if len(row) == len(header):
                    yield line, list(row)
                elif row:
                    raise DataError(
                        f"{len(header)} cells in every row, as in the header",
                        f"{len(row)} in line {line} of {name}",
                        'Put "quotes" around cells that hold the delimiter or a line break.',
                    )
                line = reader.line_num + 1
        except csv.Error as error:
            raise _misquoted(name, line, error) from None

    try:
        header = _header(next((row for row in reader if row), []), name)
    except csv.Error as error:
        raise _misquoted(name, 1, error) from None
    return header, records()


def _misquoted(name: str, line: int, error: csv.Error) -> DataError:
    return DataError(
        "quotes that pair up",
        f"the row that starts in line {line} of {name} ({error})",
        'Close the quote, and write a quote inside a quoted cell twice: "".',
    )


def _header(cells: list[str], name: str) -> list[str]:
    """Column names, trimmed; a nameless one, such as an index written by a data frame, is named by its place."""
    header = [cell.strip() or f"column {place}" for place, cell in enumerate(cells, start=1)]
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        raise DataError(
            "column names that differ", f"{', '.join(twice)} more than once in {name}", "Rename or remove one of them."
        )
    return header


def _jsonl(text: str, name: str) -> tuple[list[str], Rows]:
    """One JSON object a line; columns in the order they first appear, absent and null values empty."""
    header: dict[str, None] = {}
    objects: list[tuple[int, dict[str, Any]]] = []
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            value = json.loads(content, parse_int=str, parse_float=str, parse_constant=lambda _: None)
        except (json.JSONDecodeError, RecursionError) as error:
            what = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
            raise DataError("one JSON object a line", f"line {line} of {name}: {what}", "Mend or remove that line.") from None
        if not isinstance(value, dict):
            raise DataError(
                "one JSON object a line", f"a {type(value).__name__} in line {line} of {name}", "Write each row as {…}."
            )
        header.update(dict.fromkeys(value))
        objects.append((line, value))
    return list(header), ((line, [_cell(value.get(column)) for column in header]) for line, value in objects)


def _whole(column: list[str | None]) -> list[str | None]:
    """The column with half characters, which JSON escapes can smuggle in and UTF-8 cannot hold, replaced by ``?``."""
    return [cell and cell.encode("utf-8", "replace").decode() for cell in column]


def _cell(value: Any) -> str | None:
    """A JSON value as a cell: strings and numbers as written, nested values as JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False)


FORMATS: dict[str, Callable[[str, str], tuple[list[str], Rows]]] = {
    "csv": _csv,
    "csv.gz": _csv,
    "tsv": _tsv,
    "tsv.gz": _tsv,
    "jsonl": _jsonl,
    "jsonl.gz": _jsonl,
}
