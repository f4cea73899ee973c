"""What an audit looks for in every row of a file of which a sample is in memory."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from savile.base import mask
from savile.data._draft import Whole
from savile.data._over import over

if TYPE_CHECKING:
    import pyarrow as pa


def personal(whole: Whole, where: str) -> dict[tuple[str, str], int]:
    """(column, kind) -> cells that hold personal data of that kind."""
    counts = Counter[tuple[str, str]]()
    for row in over(_personal, whole.rows, where):
        for column, kind, count in zip(*(row.column(name)[0].as_py() for name in row.column_names), strict=True):
            counts[column, kind] += count
    return dict(counts)


def _personal(table: pa.Table) -> pa.Table:
    """Column, kind and number of cells with personal data, as lists in one row."""
    import pyarrow as pa

    find, counts = mask.Masker({}).find, Counter[tuple[str, str]]()
    for name in table.column_names:
        for value in table.column(name).to_pylist():
            if value and (spans := find(value)):
                counts.update((name, kind) for kind in {span.kind for span in spans})
    lists = {"column": [name for name, _ in counts], "kind": [kind for _, kind in counts], "count": list(counts.values())}
    kinds = {"column": pa.string(), "kind": pa.string(), "count": pa.int64()}
    return pa.table({name: pa.array([found], pa.list_(kinds[name])) for name, found in lists.items()})
