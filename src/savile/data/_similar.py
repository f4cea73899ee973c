"""An exact similarity join: which texts share at least 85 % of their character 5-grams, and which differ in at most a tenth.

Prefix filtering (Chaudhuri, Ganti, Kaushik 2006; Bayardo, Ma, Srikant 2007): when the grams of each text are ordered from
rare to frequent, two texts with Jaccard similarity t share one of their first n - ceil(t n) + 1 grams. An edit touches at most
5 grams, so two texts at most k edits apart share one of their first 5 k + 1 (Gravano and others 2001). So only texts that meet
in such a rare gram, and whose sizes allow it, are compared; every comparison is exact, and nothing above the line is missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

GRAM = 5
ALIKE = (17, 20)  # Jaccard similarity as a fraction, so that no rounding decides
KEPT = (9, 10)  # share of the longer text that edits leave alone
CHUNK = 1 << 18  # pairs compared at once
BUCKETS, FULL = 32, 10_000  # of characters; texts whose counts are too far apart need more edits than are allowed
MIX = np.uint64(0x9E3779B97F4A7C15)

Close = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Families(NamedTuple):
    """Texts that are similar, directly or through others, have the same number.

    Attributes:
        alike: by the grams they share, int64 (n,).
        near: by the grams they share or the few edits between them, int64 (n,); no text of one `alike` family is apart here.
    """

    alike: np.ndarray
    near: np.ndarray


@dataclass(frozen=True)
class _Measure:
    """A way of being similar.

    Attributes:
        sizes: what the texts' sizes are to it, int64 (n,).
        prefix: how many of the rarest grams of each text decide whom it meets, int64 (n,).
        least: share of the larger size, as a fraction, that the smaller must reach.
        close: whether each of some pairs of texts is similar.
    """

    sizes: np.ndarray
    prefix: np.ndarray
    least: tuple[int, int]
    close: Close


def families(texts: list[str]) -> Families:
    """Who is similar to whom among some texts, each of them there once."""
    documents, grams = _grams(texts)
    alike = _joined(np.arange(len(texts)), documents, grams, _jaccard(documents, grams, len(texts)))
    return Families(alike, _joined(alike, documents, grams, _edits(texts)))


def compare(texts: list[str], first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of pairs of texts, which share enough grams, and which are few enough edits apart, bool (n,) each."""
    documents, grams = _grams(texts)
    return _jaccard(documents, grams, len(texts)).close(first, second), _edits(texts).close(first, second)


def _joined(family: np.ndarray, documents: np.ndarray, grams: np.ndarray, measure: _Measure) -> np.ndarray:
    """The families, int64 (n,), after those with similar members were made one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count, family = len(family), family.copy()  # whose pairs are drawn while it changes
    for first, second in _meetings(documents, grams, measure, family):
        apart = family[first] != family[second]
        pairs = _distinct(np.minimum(first, second)[apart] * count + np.maximum(first, second)[apart])
        pairs = pairs[measure.close(pairs // count, pairs % count)]
        if len(pairs):
            joined = (family[pairs // count], family[pairs % count])
            graph = coo_array((np.ones(len(pairs)), joined), shape=(count, count))
            family[:] = connected_components(graph, directed=False)[1][family]
    return family


def _jaccard(documents: np.ndarray, grams: np.ndarray, count: int) -> _Measure:
    """By the share of grams that two texts have in common."""
    from scipy.sparse import csr_array

    sizes = np.bincount(documents, minlength=count)
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    sets = csr_array((np.ones(len(grams), dtype=np.int32), grams, bounds), shape=(count, int(grams.max(initial=0)) + 1))

    def close(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        if not len(first):
            return np.zeros(0, dtype=bool)
        shared = np.asarray(sets[first].multiply(sets[second]).sum(axis=1)).ravel()
        reached: np.ndarray = shared * ALIKE[1] >= (sizes[first] + sizes[second] - shared) * ALIKE[0]
        return reached

    return _Measure(sizes, sizes - _at_least(sizes, ALIKE) + 1, ALIKE, close)


def _edits(texts: list[str]) -> _Measure:
    """By how many characters must be put in, left out or replaced to make one text the other (Levenshtein)."""
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cpdist

    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    part, whole = KEPT
    most = lengths * (whole - part) // part  # edits away from the longest text that is near enough
    most_apart = (whole - part) / whole
    bags = _bags(texts, lengths)

    def close(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        allowed = np.maximum(lengths[first], lengths[second]) * (whole - part) // whole
        apart = np.abs(bags[first] - bags[second]).sum(axis=1, dtype=np.int64)
        reached: np.ndarray = apart <= 2 * allowed  # an edit moves two counts by one
        one, other = ([texts[i] for i in some[reached].tolist()] for some in (first, second))
        share = cpdist(one, other, scorer=Levenshtein.normalized_distance, score_cutoff=most_apart, dtype=np.float64)
        reached[reached] = share <= most_apart
        return reached

    return _Measure(lengths, np.where(most > 0, GRAM * most + 1, 0), KEPT, close)


def _bags(texts: list[str], lengths: np.ndarray) -> np.ndarray:
    """How many characters of each text fall into each of a few buckets, int16 (n, `BUCKETS`), no more than `FULL`."""
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    bucket = ((points * MIX) >> np.uint64(40)).astype(np.int64) % BUCKETS
    counts = np.bincount(np.repeat(np.arange(len(texts)), lengths) * BUCKETS + bucket, minlength=len(texts) * BUCKETS)
    return np.minimum(counts, FULL).astype(np.int16).reshape(len(texts), BUCKETS)


def _meetings(
    documents: np.ndarray, grams: np.ndarray, measure: _Measure, family: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of documents that share a gram of their prefixes and are close enough in size, smaller one first.

    First every document with its next in each gram's list, then with the one after, and so on: large families are joined by the
    first steps, and a list whose documents are all of one family by now is left, or rows from one template would meet pair by
    pair.
    """
    sizes, counts = measure.sizes, np.bincount(documents, minlength=len(measure.sizes))
    place = np.arange(len(documents)) - np.repeat(np.cumsum(counts) - counts, counts)
    prefix = place < measure.prefix[documents]
    document, gram = documents[prefix], grams[prefix]
    order = np.lexsort((sizes[document], gram))
    document, gram = document[order], gram[order]
    at, step = np.arange(len(document)), 0
    starts = np.flatnonzero(np.diff(gram, prepend=-1))
    lengths = np.diff(starts, append=len(gram))
    while len(at):
        step += 1
        if step & (step - 1) == 0:  # at every doubling: looking costs as much as a whole step
            now = family[document]
            several = np.minimum.reduceat(now, starts) != np.maximum.reduceat(now, starts)
            at = at[np.repeat(several, lengths)[at]]
        at = at[at + step < len(document)]
        # In a list ordered by size, what fails at this step fails at every later one.
        fits = (gram[at] == gram[at + step]) & (sizes[document[at]] >= _at_least(sizes[document[at + step]], measure.least))
        at = at[fits]
        for start in range(0, len(at), CHUNK):
            some = at[start : start + CHUNK]
            yield document[some], document[some + step]


def _at_least(sizes: np.ndarray, share: tuple[int, int]) -> np.ndarray:
    """A share of sizes, rounded up, in whole numbers."""
    part, whole = share
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
