"""Reads Parquet in batches; every value becomes the string a csv would hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.base.errors import DataError
from savile.data import _conversations
from savile.data._json import _cell, _flat, batch_of_objects
from savile.data._reading import CELLS, Batch, File, Report

if TYPE_CHECKING:
    import pyarrow as pa


def read(file: File, report: Report) -> Iterator[Batch | None]:
    """The rows of a Parquet file.

    Raises:
        DataError: it is damaged, cut short or none at all.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not file.path.stat().st_size:
        raise DataError("rows of data", f"{file.name}, which is empty", "Give a file with rows.")
    first = 1
    try:
        with pq.ParquetFile(file.path) as opened:
            names = opened.schema_arrow.names
            binary = [field.name for field in opened.schema_arrow if _is_binary(field.type)]
            kept = [name for name in names if name not in binary]
            if binary:
                report.note("binary", f"Columns of {file.name} with bytes, not text, are left out: {', '.join(binary)}.")
            for batch in opened.iter_batches(max(1, CELLS // max(len(names), 1)), columns=kept):
                yield _as_strings(batch, first)
                first += batch.num_rows
            if first == 1:
                yield _as_strings(pa.RecordBatch.from_pylist([], opened.schema_arrow), first)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        received = f"{file.name}, which is damaged, cut short or no Parquet at all"
        raise DataError("a whole Parquet file", received, "Copy or write it again.") from None


def _is_binary(kind: pa.DataType) -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_binary(kind) or kinds.is_large_binary(kind) or kinds.is_fixed_size_binary(kind))


def _as_strings(batch: pa.RecordBatch, first: int) -> Batch:
    """A batch with every column as strings; lists and objects inside rows as JSON has them."""
    import pyarrow as pa
    import pyarrow.types as kinds

    numbers = np.arange(first, first + batch.num_rows, dtype=np.int64)
    if any(kinds.is_nested(column.type) for column in batch.columns):
        rows = [{name: _plain(value) for name, value in row.items()} for row in batch.to_pylist()]
        objects = [{name: _cell(value) for name, value in _flat(_conversations.turns(row))} for row in rows]
        return batch_of_objects(objects, numbers.tolist())
    arrays = [_strings(column) for column in batch.columns]
    return Batch(numbers, pa.RecordBatch.from_arrays(arrays, names=batch.schema.names))


def _strings(column: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as kinds

    if kinds.is_dictionary(column.type):
        column = column.dictionary_decode()
    if kinds.is_null(column.type):
        return pa.nulls(len(column), pa.string())
    if kinds.is_timestamp(column.type) or kinds.is_floating(column.type) or kinds.is_decimal(column.type):
        return pa.array([_text(value) for value in column.to_pylist()], pa.string())
    return pc.cast(column, pa.string())


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | bool | list | dict) else _text(value)


def _text(value: Any) -> str | None:
    """Whole fractions without ``.0``, times without a midnight that says nothing; not-a-number is no value."""
    if value is None or value != value:
        return None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value).removesuffix(" 00:00:00")
