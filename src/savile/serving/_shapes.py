"""How engines cut what they are given: little padding, and few shapes.

Engines prepare kernels for each shape they meet, which costs as much as running a batch once; padding is computed like any
token. So rows of like length run together, lengths and row counts come from a short list, and a batch is cut in two where
padding would cost more than one more call.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from savile.base.contracts import Run

LENGTH_STEP = 4
CALL_TOKENS = 48  # what a call costs besides its tokens, as a number of tokens
ROWS = np.array([*range(1, 9), *range(10, 17, 2), *range(20, 33, 4), *range(40, 65, 8)])


def in_few_shapes(run: Run) -> Run:
    """The same answers, from calls with few shapes and little padding; rows beyond the padded ones may be longer or more."""

    def cut(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        lengths = mask.sum(axis=1)
        order = np.argsort(-lengths, kind="stable")
        answers = []
        for start, end in groups(lengths[order]):
            rows = _filled(order[start:end])
            longest = min(ids.shape[1], _rounded(int(lengths[rows[0]])))
            logits = run(np.ascontiguousarray(ids[rows, :longest]), np.ascontiguousarray(mask[rows, :longest]))
            answers.append(logits[: end - start])
        logits = np.empty((len(ids), answers[0].shape[1]), dtype=np.float32)
        logits[order] = np.concatenate(answers)
        return logits

    return cut


def groups(lengths: np.ndarray) -> Iterator[tuple[int, int]]:
    """Start and end of each group of rows, given their lengths, longest first."""
    start, longest = 0, _rounded(int(lengths[0]))
    for row in range(1, len(lengths)):
        shorter = _rounded(int(lengths[row]))
        if (longest - shorter) * (len(lengths) - row) > CALL_TOKENS:
            yield start, row
            start, longest = row, shorter
    yield start, len(lengths)


def _rounded(length: int) -> int:
    return -(-length // LENGTH_STEP) * LENGTH_STEP


def _filled(rows: np.ndarray) -> np.ndarray:
    """The rows, the last one repeated until their number is one of `ROWS`."""
    if len(rows) > ROWS[-1]:
        return rows
    wanted = int(ROWS[np.searchsorted(ROWS, len(rows))])
    return np.concatenate([rows, np.repeat(rows[-1:], wanted - len(rows))])
