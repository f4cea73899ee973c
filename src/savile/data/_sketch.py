"""What is kept of a text to find others nearly like it: minimum hashes of its grams, three to a band, and a bitmap.

A minimum hash (Broder 1997) of two texts is equal with the probability that is their Jaccard similarity. Texts meet that have
two such hashes of a band in common; where very many have, they must share a third. Grams are short in short texts, of which a
single edit touches a large part; texts near the border have keys of both kinds. The bitmap has a bit for each pair of letters:
texts k edits apart differ in at most 4 k of its 128 bits, and to compare two bitmaps takes nanoseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

BANDS = 16
GRAMS = (
    (3, 0, 35),
    (5, 32, 1 << 62),
)  # length of a gram, in texts of so many to so many characters; they overlap, see `_copies`
MIX = np.uint64(0x9E3779B97F4A7C15)
SHIFT = np.uint64(32)
PIECE = 2_000  # texts hashed at once, so that their grams stay near the processor


class Sketch(NamedTuple):
    """What is kept of n texts.

    Attributes:
        keys: of each band, two minimum hashes as one and the upper half of a third, uint64 (m, 2).
        owner: whose each is, int64 (m,).
        bits: bitmaps, uint64 (n, 2).
    """

    keys: np.ndarray
    owner: np.ndarray
    bits: np.ndarray


def sketch(texts: Sequence[str]) -> Sketch:
    """What is kept of some texts, each of at least as many characters as the longest gram has."""
    keys, owners, bits = [np.zeros((0, 2), np.uint64)], [np.zeros(0, np.int64)], [np.zeros((0, 2), np.uint64)]
    for start in range(0, len(texts), PIECE):
        some = texts[start : start + PIECE]
        lengths = np.fromiter(map(len, some), dtype=np.int64, count=len(some))
        points = np.frombuffer("".join(some).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
        begins = np.cumsum(lengths) - lengths
        place = np.arange(len(points)) - np.repeat(begins, lengths)
        left = np.repeat(lengths, lengths) - place  # characters from here to the end of the text
        bits.append(_bitmaps(points, left, begins))
        for gram, least, most in GRAMS:
            which = (lengths >= least) & (lengths <= most)
            if which.any():
                keys.append(_bands(points, np.repeat(which, lengths) & (left >= gram), gram, lengths[which]))
                owners.append(np.tile(np.flatnonzero(which) + start, BANDS))
    return Sketch(np.concatenate(keys), np.concatenate(owners), np.concatenate(bits))


def _bands(points: np.ndarray, inside: np.ndarray, gram: int, lengths: np.ndarray) -> np.ndarray:
    """The keys of texts of so many characters, band by band; grams begin where `inside` says."""
    places = np.flatnonzero(inside)
    codes = np.full(len(places), np.uint64(gram))
    for offset in range(gram):
        codes = _mixed(codes, points[places + offset])
    begins = np.cumsum(lengths - gram + 1) - (lengths - gram + 1)
    rng = np.random.default_rng(0)
    factors = rng.integers(1 << 63, size=2 * BANDS, dtype=np.uint64) | np.uint64(1)
    least = [_mixed(found, found) for found in (np.minimum.reduceat(codes * factor, begins) for factor in factors)]
    keys = [
        np.stack([_mixed(least[2 * band], least[2 * band + 1]) + np.uint64(band), least[(2 * band + 2) % len(least)]], axis=1)
        for band in range(BANDS)
    ]
    return np.concatenate(keys)


def _bitmaps(points: np.ndarray, left: np.ndarray, begins: np.ndarray) -> np.ndarray:
    pairs = np.append(_mixed(points[:-1], points[1:]), np.uint64(0))
    bit = np.left_shift(np.uint64(1), (pairs >> np.uint64(57)) & np.uint64(63))
    bit[left < 2] = 0
    upper = (pairs >> np.uint64(56)) & np.uint64(1) == 1
    words = [np.bitwise_or.reduceat(np.where(which, bit, np.uint64(0)), begins) for which in (upper, ~upper)]
    return np.stack(words, axis=1)


def _mixed(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """One hash of two, in order (a multiply-xorshift step)."""
    mixed: np.ndarray = (first * MIX) ^ (first >> SHIFT)
    mixed = (mixed ^ second) * MIX
    mixed ^= mixed >> np.uint64(29)
    return mixed
