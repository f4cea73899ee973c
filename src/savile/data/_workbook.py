"""Reads Excel workbooks (.xlsx) row by row: which sheet, where its table begins, and cells as the strings a csv would hold."""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Iterator
from datetime import datetime, time
from typing import Any

from savile.base.errors import DataError, UnknownNameError
from savile.data import _layout
from savile.data._reading import CELLS, Batch, File, Report, batch_of

ERRORS = frozenset(("#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!"))
SMALL = 0.1  # a sheet with this share of another's rows is no rival to it
OLD = b"\xd0\xcf\x11\xe0"

Rows = Iterator[tuple[int, list[str | None]]]


def read(file: File, report: Report) -> Iterator[Batch | None]:
    """The rows of a sheet of a workbook.

    Raises:
        DataError: it is damaged, has a password, or several sheets could be meant.
        UnknownNameError: no sheet has the name asked for.
    """
    book = _opened(file)
    try:
        yield from _batches(_sheet(book, file, report), file, report)
    except (KeyError, ValueError, TypeError, zipfile.BadZipFile, SyntaxError) as error:  # what a damaged part of it leads to
        raise _damaged(file) from error
    finally:
        book.close()


def _opened(file: File) -> Any:
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    with file.path.open("rb") as raw:
        start = raw.read(len(OLD))
    if not start:
        raise DataError("rows of data", f"{file.name}, which is empty", "Give a workbook with rows.")
    if start == OLD:
        received = f"{file.name}, which has a password or is an old .xls under another name"
        raise DataError("a workbook that can be opened", received, "Save it as .xlsx without a password.")
    try:
        return load_workbook(file.path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, TypeError, SyntaxError, EOFError):
        raise _damaged(file) from None


def _damaged(file: File) -> DataError:
    return DataError("a whole Excel workbook", f"{file.name}, which is damaged or none at all", "Save it again as .xlsx.")


def _sheet(book: Any, file: File, report: Report) -> Any:
    """The sheet asked for, the only one with rows, or the one that is far larger than all others."""
    sheets = {sheet.title: sheet for sheet in book.worksheets}
    wished = file.reading.sheet
    if wished is not None:
        if wished not in sheets:
            raise UnknownNameError("sheet", wished, sheets)
        return sheets[wished]
    sizes = {name: _size(sheet) for name, sheet in sheets.items() if sheet.sheet_state == "visible"}
    filled = {name: size for name, size in sizes.items() if size}
    if not filled:
        raise DataError("rows of data", f"{file.name} without any in a visible sheet", "Give a workbook with rows.")
    largest = max(filled, key=lambda name: filled[name])
    rivals = [name for name, size in filled.items() if size > SMALL * filled[largest]]
    if len(rivals) > 1:
        do = f"Name one: --set data.read.sheet={rivals[0]!r}; to use several, save each as a file in one folder."
        raise DataError("one sheet", f"{file.name} with {', '.join(rivals)}", do)
    if len(sizes) > 1:
        report.note("sheet", f"{file.name}: the sheet {largest!r} is read, of {len(sizes)}.")
    return sheets[largest]


def _size(sheet: Any) -> int:
    """Rows with something in them."""
    return sum(any(cell is not None for cell in row) for row in sheet.iter_rows(values_only=True))


def _batches(sheet: Any, file: File, report: Report) -> Iterator[Batch]:
    rows = _rows(sheet)
    ahead = list(itertools.islice(rows, _layout.LOOKED_AT))
    if not ahead:
        raise DataError("rows of data", f"{file.name} with an empty sheet {sheet.title!r}", "Name another sheet.")
    # Formats reach far beyond the cells with something in them; what no row fills is no column.
    width = max(_extent(row) for _, row in ahead)
    layout = _layout.find([_fitted(row, width) for _, row in ahead], file.name, file.reading.header)
    if layout.said:
        report.note("layout", f"{file.name}: {layout.said}.")
    cells, numbers = list[list[str | None]](), list[int]()
    wide, given = 0, False
    for number, row in itertools.chain(ahead[layout.skip :], rows):
        wide += _extent(row) > width
        cells.append(_fitted(row, width))
        numbers.append(number)
        if len(cells) * width >= CELLS:
            yield batch_of(layout.header, cells, numbers)
            cells, numbers, given = [], [], True
    if wide:
        what = f"{wide} row{'s' * (wide > 1)} of {file.name} with cells beyond the last column, which are left out."
        report.note("ragged", what, wide, "warning", "Give the columns a name in the header.")
    if cells or not given:
        yield batch_of(layout.header, cells, numbers)


def _rows(sheet: Any) -> Rows:
    """Rows with something in them, and their numbers."""
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        cells = [_cell(value) for value in row]
        if any(cells):
            yield number, cells


def _extent(row: list[str | None]) -> int:
    return max((place + 1 for place, cell in enumerate(row) if cell), default=0)


def _fitted(row: list[str | None], width: int) -> list[str | None]:
    return [*row[:width], *[None] * (width - len(row))]


def _cell(value: Any) -> str | None:
    """A cell as a string: numbers as written, days without a clock, errors as nothing."""
    if value is None or (isinstance(value, str) and value.strip() in ERRORS):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return str(value.date()) if value.time() == time() else value.isoformat(" ", "seconds")
    return str(value)
