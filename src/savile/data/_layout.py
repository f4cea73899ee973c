"""Where a table begins: titles above the header, headers of two lines, and files without any header.

Only clear cases are mended, and what was mended is said. A first row is data, and no header, when it has a number over numbers,
or a value that its column repeats, and no cell speaks for a header.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from savile.base.errors import DataError
from savile.data._roles import LABEL_NAMES, TEXT_NAMES

LOOKED_AT = 200  # rows
MAX_TITLES = 10
GROUPED = 0.75  # a line of group names over the header fills less than this share of the columns
NUMBER = re.compile(r"^[+-]?[\d.,]*\d%?$")

Cells = Sequence[str | None]


@dataclass(frozen=True)
class Layout:
    """Where header and rows are.

    Attributes:
        header: column names, all different.
        skip: rows before the first one with data.
        said: what is unusual, in words; empty for a header in the first row.
        numbered: whether rows have one cell more than the header, in front: the row names that R writes.
    """

    header: tuple[str, ...]
    skip: int
    said: str = ""
    numbered: bool = False


def find(rows: Sequence[Cells], name: str, header: bool | None = None) -> Layout:
    """The layout of a table whose first rows are given.

    Args:
        rows: cells as read, rows without any cell left out.
        name: what messages call the file.
        header: whether there is a header; None to find out.

    Raises:
        DataError: two columns have one name.
    """
    widths = Counter(len(row) for row in rows[:LOOKED_AT])
    usual = max(widths, key=lambda width: (widths[width], width))
    titles = _titles(rows, usual)
    if titles >= len(rows):
        titles = 0
    first = rows[titles]
    said = f"{titles} line{'s' * (titles > 1)} above the table left out" if titles else ""
    body = rows[titles + 1 : titles + LOOKED_AT]
    if header is False or (header is None and _is_data(first, body)):
        names = tuple(f"column {place}" for place in range(1, max(len(first), usual) + 1))
        return Layout(names, titles, "; ".join(filter(None, (said, "no header: columns are named by their place"))))
    numbered = len(first) >= 2 and usual == len(first) + 1 and all(cell for cell in first)
    cells: Cells = [*(["row"] if numbered else []), *first]
    if titles and (group := rows[titles - 1]) and _repeats(cells):
        cells = _grouped(group, cells)
    return Layout(names_of(cells, name), titles + 1, said, numbered)


def names_of(cells: Cells, name: str) -> tuple[str, ...]:
    """Column names, trimmed; a nameless one, such as an index written by a data frame, is named by its place."""
    header = [(cell or "").strip() or f"column {place}" for place, cell in enumerate(cells, start=1)]
    twice = _repeats(header)
    if twice:
        raise DataError(
            "column names that differ", f"{', '.join(twice)} more than once in {name}", "Rename or remove one of them."
        )
    return tuple(header)


def _repeats(header: Cells) -> list[str]:
    counts = Counter(cell.strip() for cell in header if cell and cell.strip())
    return sorted(column for column, count in counts.items() if count > 1)


def _titles(rows: Sequence[Cells], usual: int) -> int:
    """How many rows stand above the header: with one cell, or a few group names, where the table has more columns."""
    if usual < 2:
        return 0
    count = 0
    for row in rows[:MAX_TITLES]:
        filled = sum(bool(cell and cell.strip()) for cell in row)
        alone = filled <= 1 and (usual > 2 or len(row) != usual or _has_usual_names(rows, count + 1))
        group = 1 < filled < GROUPED * usual and usual >= 4 and len(row) >= filled and not row[-1] and _full(rows, count + 1)
        if not alone and not group:
            break
        count += 1
    return count if count < min(len(rows) - 1, MAX_TITLES) and _full(rows, count) else 0


def _has_usual_names(rows: Sequence[Cells], place: int) -> bool:
    """Whether a row holds a name that labels or texts usually have: of two columns, only that tells a title from a header."""
    names = {*LABEL_NAMES, *TEXT_NAMES}
    return place < len(rows) and any((cell or "").strip().casefold() in names for cell in rows[place])


def _full(rows: Sequence[Cells], place: int) -> bool:
    """Whether a row can be a header: most of its cells are words."""
    if place >= len(rows):
        return False
    cells = [cell for cell in rows[place] if cell and cell.strip()]
    words = [cell for cell in cells if not NUMBER.match(cell.strip())]
    return len(cells) >= 2 and len(words) >= GROUPED * len(rows[place])


def _grouped(group: Cells, cells: Cells) -> list[str]:
    """A header of two lines: each name behind the name of its group, which stands over the first of its columns only."""
    over, joined = "", []
    for place, cell in enumerate(cells):
        above = (group[place] or "").strip() if place < len(group) else ""
        over = above or over
        joined.append(f"{over} {(cell or '').strip()}".strip())
    return joined


def _is_data(first: Cells, body: Sequence[Cells]) -> bool:
    """Whether the first row is a row like the others."""
    if len(body) < 3 or _counts_up(first):
        return False
    votes = [_vote((cell or "").strip(), [row[place] for row in body if place < len(row)]) for place, cell in enumerate(first)]
    return any(vote > 0 for vote in votes) and not any(vote < 0 for vote in votes)


def _vote(cell: str, below: Sequence[str | None]) -> int:
    """1 when a cell looks like those below it, -1 when it looks like their name, 0 when it may be either."""
    values = [value.strip() for value in below if value and value.strip()]
    if not cell or not values:
        return 0
    if cell.casefold() in LABEL_NAMES or cell.casefold() in TEXT_NAMES:
        return -1
    numbers = sum(bool(NUMBER.match(value)) for value in values) / len(values)
    if numbers > 0.9:
        return 1 if NUMBER.match(cell) else -1
    counts = Counter(values)
    if cell in counts and len(counts) <= len(values) / 3:
        return 1
    words = sum(len(value.split()) for value in values) / len(values)
    if words >= 4 and len(cell.split()) <= 2:
        return -1
    return -1 if len(counts) <= len(values) / 3 and cell not in counts else 0


def _counts_up(first: Cells) -> bool:
    """Whether the cells are 0, 1, 2 … or years in a row: names that a program gave to columns."""
    numbers = [int(cell) for cell in (cell.strip() for cell in first if cell) if cell.isdigit() and len(cell) < 6]
    return len(numbers) >= 2 and all(later - former == 1 for former, later in pairwise(numbers))
