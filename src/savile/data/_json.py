"""Reads JSON: one object a line, or one document that holds a table in one of the shapes programs write."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from savile.base.errors import DataError
from savile.base.machine import working_memory
from savile.data import _conversations, _layout
from savile.data._reading import CELLS, Batch, File, Report, batch_of

OBJECTS = 2_000  # rows in a batch
MAX_NESTED = 30  # keys of an object inside a row that become columns
DEEPEST = 4  # levels of objects inside objects of which that is so
EXPANDS = 12  # bytes of memory for a byte of a JSON document
PARTS = ("train", "test", "valid", "val", "validation", "dev")
DO = "Write one object a row, as JSON lines: {…}."

Row = Mapping[str, Any]


def lines(file: File, report: Report) -> Iterator[Batch | None]:
    """The rows of a file with one JSON object a line; a file with one document is read as such.

    Raises:
        DataError: a line is no JSON object.
    """
    encoding = report.encoding(file)
    if _is_document(file, encoding):
        yield from _document(file, encoding)
        return
    yield from _objects(_numbered(file, encoding))


def document(file: File, report: Report) -> Iterator[Batch | None]:
    """The rows of a JSON document; a file with one object a line is read as such.

    Raises:
        DataError: it is no JSON, or holds no table.
    """
    encoding = report.encoding(file)
    yield from _document(file, encoding) if _is_document(file, encoding) else _objects(_numbered(file, encoding))


def _is_document(file: File, encoding: str) -> bool:
    """Whether the file is one value: it begins with a list, or its first line alone is no object while others follow."""
    try:
        with file.text(encoding) as text:
            first = next((line for line in text if line.strip()), "").strip()
            second = next((line for line in text if line.strip()), "").strip()
    except UnicodeDecodeError as error:
        raise _undecodable(file, error) from None
    if file.format == "json":
        return not (second.startswith("{") and first.startswith("{") and first.endswith("}"))
    return first.startswith("[") and (first == "[" or first.endswith((",", "{")) or (not second and first.startswith("[{")))


def _undecodable(file: File, error: UnicodeDecodeError) -> DataError:
    do = "Name another with --set data.read.encoding=NAME, or save the file as UTF-8."
    return DataError("a text file in one encoding", f"{file.name} with bytes that are not {error.encoding}", do)


def _numbered(file: File, encoding: str) -> Iterator[tuple[int, Row]]:
    """Each object with its line."""
    number = 0
    try:
        with file.text(encoding) as text:
            for number, content in enumerate(text, start=1):
                if not content.strip():
                    continue
                value = _parsed(content, f"line {number} of {file.name}", "one JSON object a line", "Mend or remove that line.")
                if not isinstance(value, dict):
                    received = f"a {type(value).__name__} in line {number} of {file.name}"
                    raise DataError("one JSON object a line", received, "Write each row as {…}.")
                yield number, value
    except UnicodeDecodeError as error:
        raise _undecodable(file, error) from None


def _parsed(content: str, where: str, wanted: str, do: str) -> Any:
    try:
        return json.loads(content, parse_int=str, parse_float=str, parse_constant=lambda _: None)
    except json.JSONDecodeError as error:
        raise DataError(wanted, f"{where}: {error.msg}", do) from None
    except RecursionError:
        raise DataError(wanted, f"{where}: nested too deeply", do) from None


def _document(file: File, encoding: str) -> Iterator[Batch]:
    if file.path.stat().st_size * EXPANDS > working_memory():
        received = f"{file.name}, one JSON document of {file.path.stat().st_size / 1e6:,.0f} MB"
        raise DataError("a document that fits into memory", received, "Write one object a line, as .jsonl.")
    try:
        with file.text(encoding) as text:
            content = text.read()
    except UnicodeDecodeError as error:
        raise _undecodable(file, error) from None
    try:
        value = json.loads(content, parse_int=str, parse_float=str, parse_constant=lambda _: None)
    except json.JSONDecodeError as error:
        received = f"{file.name}, line {error.lineno}: {error.msg}"
        raise DataError("a JSON document", received, "Mend that line, or write one object a line.") from None
    except RecursionError:
        raise DataError("a JSON document", f"{file.name}, which is nested too deeply", DO) from None
    yield from _shaped(value, file)


def _shaped(value: Any, file: File) -> Iterator[Batch]:
    """The table in a document: a list of rows, a list under some key, columns by name, or rows by their key."""
    if isinstance(value, dict):
        parts = [key for key in value if key.lower().rpartition("_")[2] in PARTS and isinstance(value[key], list | dict)]
        if len(parts) > 1:
            do = "Write each of them as a file of its own, and give the test rows with --test."
            raise DataError("one table", f"{file.name} with {', '.join(parts)} in it", do)
        value = _rows_of(value)
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        yield from _objects(enumerate(value, start=1))
    elif isinstance(value, list) and value and all(isinstance(row, list) for row in value):
        cells = [[_cell(cell) for cell in row] for row in value]
        layout = _layout.find(cells, file.name, file.reading.header)
        rows = cells[layout.skip :]
        odd = next((place for place, row in enumerate(rows) if len(row) != len(layout.header)), None)
        if odd is not None:
            received = f"{len(rows[odd])} in row {odd + layout.skip + 1} of {file.name}"
            raise DataError(f"{len(layout.header)} cells in every row", received, DO)
        yield batch_of(layout.header, rows, range(layout.skip + 1, len(cells) + 1))
    else:
        what = "an empty list" if value == [] else f"a {type(value).__name__} of other things than rows"
        raise DataError("a table: a list of objects", f"{file.name}, {what}", DO)


def _rows_of(value: dict[str, Any]) -> Any:
    """The rows in an object."""
    tables = [inner for inner in value.values() if isinstance(inner, list) and inner and isinstance(inner[0], dict)]
    if len(tables) == 1:
        return tables[0]
    inner = list(value.values())
    if inner and all(isinstance(column, list) for column in inner) and len({len(column) for column in inner}) == 1:
        return [dict(zip(value, row, strict=True)) for row in zip(*inner, strict=True)]
    if len(inner) == 1 and isinstance(inner[0], dict) and all(isinstance(row, dict) for row in inner[0].values()):
        return _rows_of(inner[0])
    if inner and all(isinstance(row, dict) for row in inner):
        keys = list(inner[0])
        if keys and all(key.isdigit() for key in keys) and all(list(column) == keys for column in inner):
            return [{name: column[key] for name, column in value.items()} for key in keys]
        return [{"key": key, **row} for key, row in value.items()]
    return [value] if inner and not any(isinstance(one, list | dict) for one in inner) else value


def _objects(rows: Iterable[tuple[int, Row]]) -> Iterator[Batch]:
    """Objects in batches; columns in the order they first appear, absent and null values empty."""
    numbers, objects, cells = list[int](), list[dict[str, str | None]](), 0
    for number, row in rows:
        only = next(iter(row.values())) if len(row) == 1 else None
        if isinstance(only, dict):  # a row under its key
            row = {"key": next(iter(row)), **only}
        flat = {name: _cell(value) for name, value in _flat(_conversations.turns(row))}
        numbers.append(number)
        objects.append(flat)
        cells += len(flat)
        if len(objects) >= OBJECTS or cells >= CELLS:
            yield batch_of_objects(objects, numbers)
            numbers, objects, cells = [], [], 0
    if objects:
        yield batch_of_objects(objects, numbers)


def batch_of_objects(objects: Sequence[Mapping[str, str | None]], numbers: Sequence[int]) -> Batch:
    """Rows by column name as a batch."""
    import pyarrow as pa

    header = list(dict.fromkeys(name for row in objects for name in row))
    arrays = [pa.array([_whole(row.get(name)) for row in objects], pa.string()) for name in header]
    table = pa.RecordBatch.from_arrays(arrays, names=header) if header else pa.record_batch({"": pa.nulls(0, pa.string())})
    return Batch(np.array(numbers if header else [], dtype=np.int64), table)


def _flat(row: Row) -> Iterator[tuple[str, Any]]:
    """Names and values; small objects of plain values inside a row become columns, ``text.context``, and those inside them."""
    for name, value in row.items():
        if isinstance(value, dict) and (inner := _plain(value)):
            yield from ((f"{name}.{key}", plain) for key, plain in inner.items())
        else:
            yield name, value


def _plain(value: Row, depth: int = 1) -> dict[str, Any]:
    """The plain values in an object and the objects inside it; none where it is large or deep, or holds a list."""
    found: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, list) or len(found) > MAX_NESTED or depth > DEEPEST:
            return {}
        if not isinstance(inner, dict):
            found[name] = inner
        elif not inner:
            continue  # as good as absent
        elif deeper := _plain(inner, depth + 1):
            found.update({f"{name}.{key}": plain for key, plain in deeper.items()})
        else:
            return {}
    return found if len(found) <= MAX_NESTED else {}


def _whole(cell: str | None) -> str | None:
    """The cell with half characters, which JSON escapes can smuggle in and UTF-8 cannot hold, replaced by ``?``."""
    return cell and cell.encode("utf-8", "replace").decode()


def _cell(value: Any) -> str | None:
    """A JSON value as a cell: strings and numbers as written, nested values as JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False, default=str)
