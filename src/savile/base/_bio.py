"""From probabilities of tokens to spans, in the scheme BIO: 0 is outside, 1 + 2 l begins label l, 2 + 2 l goes on with it."""

from __future__ import annotations

import numpy as np

from savile.base.outputs import Span, Tokens, spanned

EDGE = 1e-12


def decoded(probabilities: Tokens) -> np.ndarray:
    """Probabilities of tokens -> the most probable spans of each text, object (n,): Viterbi over the paths that BIO allows.

    A span is as probable as its least sure token.
    """
    path = paths(probabilities)
    rows: list[list[Span]] = [[] for _ in range(len(probabilities))]
    if not len(path):
        return spanned(rows)
    sure = probabilities.flat[np.arange(len(path)), path]
    begins = (path % 2 == 1) & (path > 0)
    inside = (path % 2 == 0) & (path > 0)
    starts = np.flatnonzero(begins)
    follows = np.flatnonzero(~inside)  # a span ends before the next token that does not go on with it
    stops = np.append(follows, len(path))[np.searchsorted(follows, starts, side="right")]
    text = probabilities.text
    ends = np.minimum(stops, probabilities.bounds[1:][text[starts]])
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        first, last = probabilities.places[start, 0], probabilities.places[end - 1, 1]
        rows[int(text[start])].append(Span(int(first), int(last), int(path[start] - 1) // 2, float(sure[start:end].min())))
    return spanned(rows)


def paths(probabilities: Tokens) -> np.ndarray:
    """The output of each token, int64 (t,), on the best path of its text; texts of like length go together."""
    found = np.zeros(len(probabilities.flat), dtype=np.int64)
    lengths = np.diff(probabilities.bounds)
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    for start in range(0, len(order), 256):
        rows = order[start : start + 256]
        sizes = lengths[rows]
        columns = np.arange(sizes.max())
        index = probabilities.bounds[rows][:, None] + np.minimum(columns, sizes[:, None] - 1)
        best = _viterbi(np.log(np.maximum(probabilities.flat[index], EDGE)), sizes)
        real = columns < sizes[:, None]
        found[index[real]] = best[real]
    return found


def _viterbi(scores: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Log probabilities (n, s, outputs) and lengths (n,) -> best outputs (n, s); inside follows its own label."""
    n, length, outputs = scores.shape
    rows = np.arange(n)
    back = np.zeros((n, length, outputs), dtype=np.int64)
    total = scores[:, 0].copy()
    total[:, 2::2] = -np.inf  # nothing begins inside
    ends = np.zeros((n, length), dtype=np.int64)
    begins, inside = np.arange(1, outputs, 2), np.arange(2, outputs, 2)
    for place in range(length):
        if place:
            best = total.argmax(axis=1)
            step = np.repeat(total[rows, best][:, None], outputs, axis=1)
            back[:, place] = best[:, None]
            stays = total[:, inside] >= total[:, begins]
            back[:, place, inside] = np.where(stays, inside, begins)
            step[:, inside] = np.maximum(total[:, inside], total[:, begins])
            total = step + scores[:, place]
        ends[:, place] = total.argmax(axis=1)
    path = np.zeros((n, length), dtype=np.int64)
    current = ends[rows, sizes - 1]
    for place in range(length - 1, -1, -1):
        current = np.where(place == sizes - 1, ends[:, place], current)
        path[:, place] = current
        current = np.where(place < sizes, back[rows, place, current], current)
    return path
