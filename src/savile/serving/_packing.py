"""How engines read what they are given: several texts in one row, so that nothing is computed for padding.

An engine prepares itself anew for every shape it meets, and padding costs as much as text. So texts are packed into rows of a
few fixed lengths; a graph that reads packed rows lets no text see another one (`texts` says whose a token is), counts its
positions from its own start, and gathers its tokens by `pool`. Graphs that only read padded rows get padded rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from savile.base.contracts import Run

PACKED = ("ids", "positions", "texts", "pool")
PADDED = ("ids", "mask")
LENGTHS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
USUAL = 64  # the length of rows, unless a text is longer or everything fits into less
SHORTER = tuple(range(32, USUAL, 4))  # tried where texts of one length would leave much of the usual row empty
WASTE = 1.06
COUNTS = np.array([*range(1, 17), *range(18, 33, 2), *range(36, 65, 4)])  # of rows, and of texts

Call = Callable[[Sequence[np.ndarray]], np.ndarray]


def reader(names: Sequence[str], call: Call) -> Run:
    """A run over padded rows, from a graph's input names and what runs it.

    Raises:
        ValueError: the graph reads something else.
    """
    if tuple(names) == PADDED:
        return lambda ids, mask: call(_trimmed(ids, mask))
    if tuple(names) != PACKED:
        raise ValueError(f"inputs {', '.join(names)}, not {', '.join(PACKED)} or {', '.join(PADDED)}")

    def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        lengths = mask.sum(axis=1)
        found: np.ndarray | None = None
        for length, texts in by_row_length(lengths):
            logits = call(packed(ids[texts], lengths[texts], fitting(lengths[texts], length)))[: len(texts)]
            if found is None:
                found = np.empty((len(ids), logits.shape[1]), dtype=np.float32)
            found[texts] = logits
        assert found is not None
        return found

    return run


def by_row_length(lengths: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Which texts go together, and how long their rows are; attention over long rows is paid for by every token in them."""
    usual = USUAL if lengths.sum() > USUAL else next(length for length in LENGTHS if length >= lengths.sum())
    needed = np.array(LENGTHS)[np.searchsorted(LENGTHS, lengths)].clip(min=usual)
    for length in np.unique(needed):
        yield int(length), np.flatnonzero(needed == length)


def fitting(lengths: np.ndarray, row: int) -> int:
    """The length of rows that holds texts with the least padding; the usual one as long as it holds them well."""
    if row != USUAL or _size(lengths, row) <= WASTE * lengths.sum():
        return row
    longest = int(lengths.max())
    return min((row, *(shorter for shorter in SHORTER if shorter >= longest)), key=lambda one: _size(lengths, one))


def _size(lengths: np.ndarray, row: int) -> int:
    return row * _rounded(_places(lengths, row)[1])


def packed(ids: np.ndarray, lengths: np.ndarray, row: int) -> list[np.ndarray]:
    """Pack n texts into rows of a length.

    Args:
        ids: token ids, int64 (n, s), padded.
        lengths: tokens of each text, (n,), none longer than a row.
        row: length of the rows, l.

    Returns:
        ids, positions and texts, int64 (r, l), texts -1 on padding; pool, float32 (m, r * l), m >= n, whose row i is the
        share of each token in text i.
    """
    n = len(lengths)
    starts, rows = _places(lengths, row)
    rows = _rounded(rows)
    whose = np.repeat(np.arange(n), lengths)
    within = np.arange(len(whose)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    place = starts[whose] + within
    flat, positions, texts = np.zeros(rows * row, np.int64), np.zeros(rows * row, np.int64), np.full(rows * row, -1)
    flat[place], positions[place], texts[place] = ids[whose, within], within, whose
    pool = np.zeros((_rounded(n), rows * row), np.float32)
    pool[whose, place] = 1.0 / lengths[whose]
    return [flat.reshape(rows, row), positions.reshape(rows, row), texts.reshape(rows, row), pool]


def _places(lengths: np.ndarray, row: int) -> tuple[np.ndarray, int]:
    """Where each text starts, counted over all rows, and how many rows that takes: the longest first, then what still fits."""
    starts = np.zeros(len(lengths), dtype=np.int64)
    free: list[int] = []
    for text in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[text])
        holds = next((number for number, room in enumerate(free) if room >= length), len(free))
        if holds == len(free):
            free.append(row)
        starts[text] = holds * row + row - free[holds]
        free[holds] -= length
    return starts, len(free)


def _rounded(count: int) -> int:
    return count if count > COUNTS[-1] else int(COUNTS[np.searchsorted(COUNTS, count)])


def _trimmed(ids: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
    longest = int(mask.sum(axis=1).max())
    return [np.ascontiguousarray(ids[:, :longest]), np.ascontiguousarray(mask[:, :longest])]
