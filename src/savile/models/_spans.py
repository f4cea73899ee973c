"""Between spans of a text and labels of its tokens: BIO targets, decoding that keeps to the scheme, windows over long texts.

A family that tags has a cutter: texts -> token ids with their places in the text, in characters, and what stands before and
behind a row of them. Texts longer than a network reads are cut into windows that overlap; each token is answered by the window
that sees most on both sides of it, so nothing is left out however long a text is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from savile.base._bio import decoded as decoded
from savile.base.outputs import Span, Tokens

TOKEN = "token_cross_entropy"
TOKENS: Mapping[str, Any] = {"epochs": 8.0}  # the head of tokens has no start: after three passes it has learned half
OVERLAP = 32  # tokens that two windows share
IGNORED = -100  # target of a token that nothing is learned from


class Cutter(Protocol):
    """How a text becomes tokens that are tagged."""

    begin: list[int]
    end: list[int]
    room: int  # tokens in a row, beside the marks at both ends

    def __call__(self, texts: Sequence[str]) -> list[tuple[list[int], np.ndarray]]:
        """Token ids of each text and their places, int64 (s, 2)."""


@dataclass(frozen=True)
class Window:
    """A row for a network: some tokens of a text between its marks.

    Attributes:
        text: number of the text.
        ids: token ids with the marks at both ends.
        first: number of its first token in the text.
        kept: which of its tokens it answers for, from and to, counted in the window without marks.
        places: of its tokens, int64 (s, 2).
    """

    text: int
    ids: list[int]
    first: int
    kept: tuple[int, int]
    places: np.ndarray


def windows(cutter: Cutter, cut: Sequence[tuple[list[int], np.ndarray]]) -> Iterator[Window]:
    """The rows of texts that are cut into tokens; a text without tokens has none."""
    for number, (ids, places) in enumerate(cut):
        step = max(1, cutter.room - OVERLAP)
        firsts = [0] if len(ids) <= cutter.room else [*range(0, len(ids) - cutter.room, step), len(ids) - cutter.room]
        for place, first in enumerate(firsts if ids else []):
            last = min(first + cutter.room, len(ids))
            start = 0 if place == 0 else (firsts[place - 1] + cutter.room + first) // 2
            stop = len(ids) if place == len(firsts) - 1 else (last + firsts[place + 1]) // 2
            row = [*cutter.begin, *ids[first:last], *cutter.end]
            yield Window(number, row, first, (start - first, stop - first), places[first:last])


def answered(
    texts: Sequence[str], cutter: Cutter, run: Callable[[Sequence[list[int]]], Sequence[np.ndarray]], outputs: int
) -> Tokens:
    """Texts -> logits of their tokens.

    Args:
        texts: what is tagged.
        cutter: of the network.
        run: rows of ids -> logits (s, outputs) of each, marks included.
        outputs: how many a token has.
    """
    cut = cutter(texts)
    rows = list(windows(cutter, cut))
    found = [np.zeros((len(ids), outputs), dtype=np.float32) for ids, _ in cut]
    lead = len(cutter.begin)
    for row, logits in zip(rows, run([row.ids for row in rows]), strict=True):
        start, stop = row.kept
        found[row.text][row.first + start : row.first + stop] = logits[lead + start : lead + stop]
    return Tokens.of([(numbers, places) for numbers, (_, places) in zip(found, cut, strict=True)], outputs)


def token_targets(places: np.ndarray, spans: Sequence[Span]) -> np.ndarray:
    """Places of a text's tokens (s, 2) and its spans -> the BIO output of each token, int64 (s,).

    A token belongs to a span that covers more than half of it.
    """
    found = np.zeros(len(places), dtype=np.int64)
    starts, ends = places[:, 0], places[:, 1]
    for span in spans:
        shared = np.minimum(ends, span.end) - np.maximum(starts, span.start)
        inside = np.flatnonzero(2 * shared > ends - starts)
        if len(inside):
            found[inside] = 2 + 2 * span.label
            found[inside[0]] -= 1
    return found


def outside_doubt(probabilities: Tokens, spans: np.ndarray) -> np.ndarray:
    """Of each text, how sure its least sure token outside all spans is to be rightly outside, float64 (n,); 1 without any."""
    sure: np.ndarray = np.ones(len(spans))
    covered = np.zeros(len(probabilities.flat), dtype=bool)
    for row, found in enumerate(spans):
        start, end = probabilities.bounds[row], probabilities.bounds[row + 1]
        places = probabilities.places[start:end]
        for span in found:
            covered[start:end] |= (places[:, 0] < span.end) & (places[:, 1] > span.start)
    np.minimum.at(sure, probabilities.text[~covered], probabilities.flat[~covered, 0])
    return sure


def padded_run(run: Callable[[np.ndarray, np.ndarray], np.ndarray], batches: Any, pad: Any) -> Any:
    """A run over rows of ids, from one over padded ids and mask (n, s) -> (n, s, outputs)."""

    def rows_run(rows: Sequence[list[int]]) -> list[np.ndarray]:
        found: list[np.ndarray] = [np.zeros((0, 0), dtype=np.float32)] * len(rows)
        for batch in batches(np.array([len(row) for row in rows])) if rows else []:
            logits = run(*pad([rows[row] for row in batch]))
            for place, row in enumerate(batch):
                found[row] = logits[place, : len(rows[row])]
        return found

    return rows_run
