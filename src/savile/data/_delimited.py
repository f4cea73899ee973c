"""Reads csv and tsv in batches: the delimiter is found, and quotes are read in the way that makes the rows fit."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from savile.base.errors import DataError, InputError
from savile.data import _layout
from savile.data._draft import counted
from savile.data._reading import CELLS, Batch, File, Report, batch_of

DELIMITERS = ",;\t|"
NONE = "\x1f"
SNIFFED = 400_000  # characters
MAX_CELL = 64 << 20  # characters; a larger cell is an unclosed quote, not a value
MAX_RAGGED = 0.01  # share of rows that may have another number of cells than the header
QUOTED = 0.2  # share of cells in quotes from which quotes are no plain characters
SWALLOWED = 3  # whole rows inside a quoted cell from which a stray quote is suspected


@dataclass(frozen=True)
class Dialect:
    """How cells are cut: `quotes` is ``pairs``, ``escaped`` (a backslash before a quote) or ``plain`` (no quoting)."""

    delimiter: str
    quotes: str = "pairs"

    def reader(self, lines: Iterable[str]) -> Any:
        csv.field_size_limit(MAX_CELL)
        how: dict[str, Any] = {"plain": {"quoting": csv.QUOTE_NONE}, "escaped": {"escapechar": "\\", "doublequote": False}}
        return csv.reader(lines, delimiter=self.delimiter, strict=self.quotes != "plain", **how.get(self.quotes, {}))


@dataclass(frozen=True)
class Form:
    """How a file is written: the codec of its characters, how cells are cut, and the columns in their order."""

    encoding: str
    dialect: Dialect
    header: tuple[str, ...]


class _Swallowed(Exception):  # noqa: N818 -- never leaves this file
    """A quoted cell seems to hold whole rows."""


def read(file: File, report: Report) -> Iterator[Batch | None]:
    """The rows of a csv or tsv file; None takes back the batches before it, for the file is read again in another way.

    Raises:
        DataError: it is damaged, in no known encoding, or cannot be cut into rows of one length.
    """
    encoding = report.encoding(file)
    try:
        with file.text(encoding) as lines:
            sample = lines.read(SNIFFED)
    except UnicodeDecodeError as error:
        raise _undecodable(file.name, 1, error) from None
    marked, sample = _mark(sample)
    wished = {"tab": "\t", "\\t": "\t"}.get(str(file.reading.delimiter), file.reading.delimiter)
    delimiter = wished or marked or ("\t" if file.format == "tsv" else _sniff(sample))
    if len(delimiter) != 1:
        raise InputError("a delimiter of one character", f"data.read.delimiter {delimiter!r}", "Name one, such as ';' or tab.")
    dialects = [Dialect(delimiter)]
    if '\\"' in sample:
        dialects.append(Dialect(delimiter, "escaped"))
    return _first_that_fits(file, report, encoding, [*dialects, Dialect(delimiter, "plain")])


def _first_that_fits(file: File, report: Report, encoding: str, dialects: list[Dialect]) -> Iterator[Batch | None]:
    """Batches of the first dialect that reads the file to its end. Another way to read quotes has to fit everywhere."""
    first: DataError | None = None
    said, swallowed = len(report.findings), False
    for dialect in dialects:
        tolerated = MAX_RAGGED if dialect.quotes == "pairs" or file.format == "tsv" else 0.0
        try:
            yield from _rows(file, report, encoding, dialect, tolerated)
        except _Swallowed:
            swallowed = swallowed or dialect.quotes == "pairs"
        except DataError as error:
            first = first or error
            if not _may_be_quoted_otherwise(error, file):
                raise
        else:
            if dialect.quotes != "pairs":
                what = "backslashes before quotes" if dialect.quotes == "escaped" else "quotes that are plain characters"
                report.note("quotes", f"{file.name} is read with {what}: only so do its rows fit.")
            return
        report.back(said)
        yield None
    if first is not None and not swallowed:
        raise first
    yield from _rows(file, report, encoding, Dialect(dialects[0].delimiter, "pairs, however long"), MAX_RAGGED)


def _may_be_quoted_otherwise(error: DataError, file: File) -> bool:
    """An open quote at the end of a csv is a cut file or a mistake to mend; in a tsv, quotes are often plain characters."""
    return file.format == "tsv" or "expected after" in error.received or "cells in every row" in error.wanted


def _rows(file: File, report: Report, encoding: str, dialect: Dialect, tolerated: float) -> Iterator[Batch]:
    with file.text(encoding) as lines:
        numbered = numbered_rows(dialect, lines, file.name)
        ahead = list(itertools.islice(numbered, _layout.LOOKED_AT))
        if not ahead:
            return
        if dialect.quotes == "plain" and _are_quoted([row for _, row in ahead]):
            raise _Swallowed
        layout = _layout.find([row for _, row in ahead], file.name, file.reading.header)
        if layout.said:
            report.note("layout", f"{file.name}: {layout.said}.")
        if dialect.delimiter != ("\t" if file.format == "tsv" else ",") and len(layout.header) > 1:
            told = "tabs" if dialect.delimiter == "\t" else repr(dialect.delimiter)
            report.note("delimiter", f"{file.name}: cells are divided by {told}.")
        report.form = Form(encoding, dialect, layout.header)
        yield from _batches(itertools.chain(ahead[layout.skip :], numbered), layout.header, file, report, tolerated)


def numbered_rows(dialect: Dialect, lines: Iterator[str], name: str) -> Iterator[tuple[int, list[str]]]:
    """Each row with the line it starts on; rows without a cell are left out, and so is a first line ``sep=;``."""
    line = 1
    try:
        first = next(lines, "")
        skipped = int(_mark(first)[0] is not None)
        reader = dialect.reader(lines if skipped else itertools.chain([first], lines))
        line += skipped
        for row in reader:
            end = reader.line_num + 1 + skipped
            if dialect.quotes == "pairs" and end - line > SWALLOWED and _holds_rows(row, dialect.delimiter):
                raise _Swallowed
            if row:
                yield line, row
            line = end
    except csv.Error as error:
        raise DataError(
            "quotes that pair up",
            f"the row that starts in line {line} of {name} ({error})",
            'Close the quote, and write a quote inside a quoted cell twice: "".',
        ) from None
    except UnicodeDecodeError as error:
        raise _undecodable(name, line, error) from None


def _undecodable(name: str, line: int, error: UnicodeDecodeError) -> DataError:
    return DataError(
        "a text file in one encoding",
        f"{name} with bytes that are not {error.encoding} soon after line {line}",
        "Name another with --set data.read.encoding=NAME, or save the file as UTF-8.",
    )


def _are_quoted(rows: list[list[str]]) -> bool:
    """Whether cells that were cut without regard to quotes stand in quotes: then these are no plain characters."""
    cells = [cell for row in rows for cell in row if cell]
    return sum(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in cells) > QUOTED * len(cells)


def _holds_rows(row: Sequence[str], delimiter: str) -> bool:
    """Whether a cell swallowed rows: most lines inside it have as many delimiters as the row has, or hold a tab."""
    for cell in row:
        inner = cell.split("\n")[1:-1]
        if len(inner) >= SWALLOWED - 1:
            like = sum(line.count(delimiter) == len(row) - 1 > 0 or (delimiter == "\t" and "\t" in line) for line in inner)
            if like > 0.9 * len(inner):
                return True
        if delimiter == "\t" and "\t" in cell and "\n" in cell:
            return True
    return False


def _batches(
    rows: Iterator[tuple[int, list[str]]], header: Sequence[str], file: File, report: Report, tolerated: float
) -> Iterator[Batch]:
    """Rows of the header's width, in batches; others are left out and told of, as long as they are few."""
    width, cells, lines, fitting = len(header), list[list[str]](), list[int](), 0
    ragged: list[tuple[int, int]] = []
    for line, row in rows:
        if len(row) != width:
            if not any(row):
                continue
            if len(row) > width and not any(row[width:]):
                row = row[:width]
            else:
                ragged.append((line, len(row)))
                if len(ragged) > max(fitting, 10_000) * tolerated + 1 and len(ragged) > 20:
                    break
                continue
        elif width > 1 and not any(row):
            continue
        cells.append(row)
        lines.append(line)
        fitting += 1
        if len(cells) * width >= CELLS:
            yield batch_of(header, cells, lines)
            cells, lines = [], []
    if len(ragged) > tolerated * (fitting + len(ragged)):
        raise DataError(
            f"{width} cells in every row, as in the header",
            f"{ragged[0][1]} in line {ragged[0][0]} of {file.name}"
            + (f", and {len(ragged) - 1} more" if len(ragged) > 1 else ""),
            'Put "quotes" around cells that hold the delimiter or a line break.',
        )
    if ragged:
        where = ", ".join(str(line) for line, _ in ragged[:5]) + (" …" if len(ragged) > 5 else "")
        said = f"{counted(len(ragged), 'row')} of {file.name} not as long as the header, line {where}, left out."
        report.note("ragged", said, len(ragged), "warning", "Put quotes around cells that hold the delimiter or a line break.")
    if cells or fitting == 0:
        yield batch_of(header, cells, lines)


def _mark(sample: str) -> tuple[str | None, str]:
    """The delimiter that a spreadsheet program's first line ``sep=;`` names."""
    first, _, rest = sample.partition("\n")
    if first.lower().startswith("sep=") and len(first.strip()) == 5:
        return first.strip()[4], rest
    return None, sample


def _sniff(sample: str) -> str:
    """The delimiter that cuts the first rows into the most columns of the same number; if none does, one that never occurs."""

    def consistency(delimiter: str) -> tuple[bool, float, int]:
        # Not strict: a wrong delimiter may see stray quotes, and is only to be outvoted.
        reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
        try:
            widths = [len(row) for row, _ in zip(reader, range(_layout.LOOKED_AT), strict=False) if row]
        except csv.Error:
            return (False, 0.0, 0)
        width = widths[0] if widths else 0
        if width > 1:
            return (True, max(widths.count(width), widths.count(width + 1)) / len(widths), width)
        # One cell in the first line: a title above the table, or text that has the delimiter now and then.
        usual = max(set(widths), key=widths.count, default=0)
        fits = usual > 1 and widths.count(usual) >= max(len(widths) - _layout.MAX_TITLES, len(widths) / 2)
        return (False, widths.count(usual) / len(widths), usual) if fits else (False, 0.0, 0)

    csv.field_size_limit(MAX_CELL)
    best = max(DELIMITERS, key=consistency)
    return best if any(consistency(best)[:2]) or best not in sample else NONE
