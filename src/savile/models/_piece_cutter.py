"""Cuts texts for tagging with `use-m`: Chinese, Japanese and Korean character by character, words piece by piece.

Pieces of a unigram model cross the borders of names, so characters are the tokens; the piece a character stands in, and where
in it, come along, for they know words. All three share one number: own + V * (piece + V * place).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from savile.base._tagger import WIDE
from savile.models._unigram import BEGIN, END, SPACE, Unigram

VOCABULARY = 1 << 17  # more than there are pieces
UNIT = re.compile(rf"(?P<wide>[{WIDE}]+)|[^\W\d_{WIDE}]+|\d+|[^\w\s]|_")
ALONE, FIRST, MIDDLE, LAST = range(4)
MOST_KNOWN = 200_000  # units that are remembered


class PieceCutter:
    """Texts -> ids of tokens and their places.

    Args:
        model: bytes of a SentencePiece file.
        max_length: tokens in a row, both marks included.
    """

    begin, end = [BEGIN + VOCABULARY * BEGIN], [END + VOCABULARY * END]

    def __init__(self, model: bytes, max_length: int) -> None:
        self.room = max_length - 2
        self._unigram = _unigram(model)
        self._known: dict[str, list[tuple[int, int, int]]] = {}

    def __call__(self, texts: Sequence[str]) -> list[tuple[list[int], np.ndarray]]:
        """Token ids of each text and their places, int64 (s, 2)."""
        units = [
            [(match.start(), _spelled(text, match), bool(match["wide"])) for match in UNIT.finditer(text)] for text in texts
        ]
        asked = {name for found in units for _, name, wide in found for name in ((name, *name) if wide else (name,))}
        if len(self._known) > MOST_KNOWN:
            self._known = {}
        self._learn(sorted(asked - self._known.keys()))
        return [self._row(found) for found in units]

    def _row(self, units: Sequence[tuple[int, str, bool]]) -> tuple[list[int], np.ndarray]:
        ids: list[int] = []
        places: list[tuple[int, int]] = []
        for start, name, wide in units:
            pieces = self._known[name]
            if wide:
                ids += _characters(name, pieces, [self._known[letter][0][0] for letter in name])
                places += [(start + i, start + i + 1) for i in range(len(name))]
            else:
                ids += [piece + VOCABULARY * piece for piece, _, _ in pieces]
                places += [(start + first, start + last) for _, first, last in pieces]
        return ids, np.array(places, dtype=np.int64).reshape(-1, 2)

    def _learn(self, names: Sequence[str]) -> None:
        """Cut what was not seen before."""
        self._known.update(zip(names, self._unigram.pieces(names), strict=True))


def _spelled(text: str, match: re.Match[str]) -> str:
    """A unit as the unigram model reads it: marked where a space, or nothing, stands before it; wide letters never are."""
    start = match.start()
    marked = not match["wide"] and (start == 0 or text[start - 1].isspace())
    return (SPACE if marked else "") + match.group()


def _characters(name: str, pieces: Sequence[tuple[int, int, int]], own: Sequence[int]) -> list[int]:
    """The number of each character of a run."""
    whole, places = list(own), [ALONE] * len(name)
    for piece, first, last in pieces:
        for i in range(first, last):
            whole[i] = piece
            places[i] = ALONE if last == first + 1 else FIRST if i == first else LAST if i == last - 1 else MIDDLE
    return [one + VOCABULARY * (piece + VOCABULARY * place) for one, piece, place in zip(own, whole, places, strict=True)]


@lru_cache(maxsize=4)
def _unigram(model: bytes) -> Unigram:
    return Unigram(model, 256)
