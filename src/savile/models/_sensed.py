"""Cells with pictures and recordings as their encoder reads them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from savile.base import catalogue, media
from savile.base.errors import InputError


def sensed(name: str, encoder: str, cells: Sequence[str | None]) -> np.ndarray:
    """The pictures or recordings of a column, float32 (n, …); zeros where a cell is empty.

    Raises:
        InputError: a cell holds something else; it names row and column.
    """
    plugin, known, found = catalogue.get("encoders", encoder), dict[str, np.ndarray](), []
    for row, cell in enumerate(cells):
        if cell and cell not in known:
            try:
                known[cell] = plugin.read(media.unpacked(cell, plugin.KIND))
            except InputError as error:
                raise InputError(f"{error.wanted} in row {row + 1} of {name!r}", error.received, error.do) from None
        found.append(known[cell] if cell else np.zeros(plugin.SHAPE, dtype=np.float32))
    return np.stack(found)
