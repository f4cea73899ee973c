"""An exact similarity join: which texts share at least 85 % of their character 5-grams.

Prefix filtering (Chaudhuri, Ganti, Kaushik 2006; Bayardo, Ma, Srikant 2007): when the grams of each text are ordered from
rare to frequent, two texts with Jaccard similarity t share one of their first n - ceil(t n) + 1 grams. So only texts that meet
in such a rare gram, and whose sizes allow it, are compared; every comparison is exact, and nothing above t is missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

GRAM = 5
TWENTIETHS = (17, 20)  # 0.85 as a fraction, so that no rounding decides
CHUNK = 1 << 18  # pairs compared at once
MIX = np.uint64(0x9E3779B97F4A7C15)


def families(texts: list[str]) -> np.ndarray:
    """Texts that are similar, directly or through others, get the same number: int64 (n,)."""
    from scipy.sparse import coo_array, csr_array
    from scipy.sparse.csgraph import connected_components

    documents, grams = _grams(texts)
    sizes = np.bincount(documents, minlength=len(texts))
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    sets = csr_array((np.ones(len(grams), dtype=np.int32), grams, bounds), shape=(len(texts), int(grams.max(initial=0)) + 1))
    family = np.arange(len(texts))
    for first, second in _meetings(documents, grams, sizes):
        apart = family[first] != family[second]
        pairs = _distinct(first[apart] * len(texts) + second[apart])
        pairs = pairs[_close(pairs // len(texts), pairs % len(texts), sets, sizes)]
        if len(pairs):
            joined = (family[pairs // len(texts)], family[pairs % len(texts)])
            graph = coo_array((np.ones(len(pairs)), joined), shape=(len(texts), len(texts)))
            family = connected_components(graph, directed=False)[1].astype(np.int64)[family]
    return family


def _meetings(documents: np.ndarray, grams: np.ndarray, sizes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of documents that share a gram of their prefixes and are close enough in size, smaller one first.

    First every document with its next in each gram's list, then with the one after, and so on: large families are joined by the
    first steps, and the caller need not compare what is joined already.
    """
    place = np.arange(len(documents)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    prefix = place < (sizes - _at_least(sizes) + 1)[documents]
    document, gram = documents[prefix], grams[prefix]
    order = np.lexsort((sizes[document], gram))
    document, gram = document[order], gram[order]
    at, step = np.arange(len(document)), 0
    while len(at):
        step += 1
        at = at[at + step < len(document)]
        # In a list ordered by size, what fails at this step fails at every later one.
        fits = (gram[at] == gram[at + step]) & (sizes[document[at]] >= _at_least(sizes[document[at + step]]))
        at = at[fits]
        for start in range(0, len(at), CHUNK):
            some = at[start : start + CHUNK]
            yield document[some], document[some + step]


def _close(first: np.ndarray, second: np.ndarray, sets: Any, sizes: np.ndarray) -> np.ndarray:
    """Whether each pair of documents reaches the threshold, bool."""
    if not len(first):
        return np.zeros(0, dtype=bool)
    shared = np.asarray(sets[first].multiply(sets[second]).sum(axis=1)).ravel()
    close: np.ndarray = shared * TWENTIETHS[1] >= (sizes[first] + sizes[second] - shared) * TWENTIETHS[0]
    return close


def _at_least(sizes: np.ndarray) -> np.ndarray:
    """Threshold times size, rounded up, in whole numbers."""
    part, whole = TWENTIETHS
    return -(-sizes * part // whole)


def _grams(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The set of grams of each text, as numbers that rise with how common a gram is.

    Returns:
        document and gram number of every (document, gram) pair, int64 each, ordered by document and then gram. A text
        shorter than a gram is one gram itself.
    """
    padded = [text.ljust(GRAM, "\0") for text in texts]
    points = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    lengths = np.array([len(text) for text in padded], dtype=np.int64)
    code = np.zeros(max(len(points) - GRAM + 1, 0), dtype=np.uint64)
    for offset in range(GRAM):
        code = (code ^ points[offset : offset + len(code)]) * MIX
        code ^= code >> np.uint64(29)
    documents = np.repeat(np.arange(len(texts)), lengths - GRAM + 1)
    starts = np.arange(len(documents)) + np.repeat(np.arange(len(texts)) * (GRAM - 1), lengths - GRAM + 1)
    _, gram, counts = np.unique(code[starts], return_inverse=True, return_counts=True)
    rank = np.empty(len(counts), dtype=np.int64)
    rank[np.argsort(counts, kind="stable")] = np.arange(len(counts))
    pairs = _distinct(documents * len(counts) + rank[gram])
    return pairs // max(len(counts), 1), pairs % max(len(counts), 1)


def _distinct(values: np.ndarray) -> np.ndarray:
    """The different values in order; faster than `np.unique`, which hashes, when most of them differ."""
    values = np.sort(values)
    first = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return values[first]
