"""One function over many tables, one after the other here or side by side on Ray Data; what comes back is in the same order.

Tables go to Ray in windows, so that neither this process nor Ray's store holds more than a few of them. Without a running
cluster (``RAY_ADDRESS``) one is started on this machine (`ray_cluster`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from savile.base import ray_cluster
from savile.base.machine import available_threads

if TYPE_CHECKING:
    import pyarrow as pa

WINDOW = 32  # tables that are with Ray at once
PLACE = "\0place"  # column that brings results back into order

Look = Callable[["pa.Table"], "pa.Table"]


def over(look: Look, tables: Iterable[pa.Table], where: str) -> Iterator[pa.Table]:
    """What `look` makes of each table: one row.

    Args:
        look: a function of a table that needs nothing but it, and gives one row.
        tables: tables, each made when it is needed.
        where: ``local`` or ``ray``.

    Raises:
        MissingExtraError: Ray is asked for and not installed.
    """
    if where != "ray":
        yield from map(look, tables)
        return
    with ray_cluster.connected(available_threads()):
        from ray import data

        context = data.DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        left = iter(tables)
        while window := list(islice(left, WINDOW)):
            found = data.from_arrow([table.append_column(PLACE, [[i] * len(table)]) for i, table in enumerate(window)])
            rows = found.map_batches(_placed, fn_args=(look,), batch_size=None, batch_format="pyarrow", zero_copy_batch=True)
            done = {row.column(PLACE)[0].as_py(): row for row in rows.iter_batches(batch_size=1, batch_format="pyarrow")}
            yield from (done[i].drop_columns([PLACE]) if len(table) else look(table) for i, table in enumerate(window))


def _placed(table: pa.Table, look: Look) -> pa.Table:
    import pyarrow as pa

    if not len(table):  # a block that Ray looks at to learn the columns
        return look(table).append_column(PLACE, pa.array([-1], pa.int64()))
    return look(table.drop_columns([PLACE])).append_column(PLACE, table.column(PLACE).slice(0, 1))
