"""What texts say of one another, and how often they were seen together: features of a query and a candidate.

A query is a list of things, one a line, the newest last (what someone bought, what was asked before), or a single text. Four
kinds of evidence: words shared with its lines, lines that stood beside the candidate in other queries, how often the candidate
was right, and the words shared with the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from savile.base import answers

LINES, DECAY, WINDOW = 20, 0.8, 5  # newest lines that are read, weight of each older one, how far apart lines are together
SMALL = 5.0  # added to counts, so that what was seen once says little
NAMES = ("words", "most alike", "together", "often together", "how often", "words of all")
CHUNK = 50_000


@dataclass
class Pairs:
    """Rows as numbers: which line of which row, how new it is, and each row's candidate.

    Attributes:
        texts: every different line and candidate.
        row, line, age: of each line of a query that is read, (m,).
        item: of each row, (n,).
        whole: of each row, number of its query as one text, (n,).
    """

    texts: list[str]
    row: np.ndarray
    line: np.ndarray
    age: np.ndarray
    item: np.ndarray
    whole: np.ndarray


def read(rows: Sequence[str]) -> Pairs:
    """Rows of two texts each -> numbers."""
    number: dict[str, int] = {}
    row, line, age, item, whole = [], [], [], [], []
    for place, text in enumerate(rows):
        query, candidate = answers.parted(text)
        parts = [part.strip() for part in query.split("\n") if part.strip()][-LINES:] or [""]
        item.append(number.setdefault(candidate, len(number)))
        whole.append(number.setdefault(" ".join(parts), len(number)))
        for back, part in enumerate(reversed(parts)):
            row.append(place)
            line.append(number.setdefault(part, len(number)))
            age.append(back)
    arrays = (np.array(one, dtype=np.int64) for one in (row, line, age, item, whole))
    return Pairs(list(number), *arrays)


@dataclass
class Seen:
    """What was counted in training.

    Attributes:
        names: text -> number of its row in `together`.
        often: how often each was right, or stood in a query, float32 (k,).
        together: how often two stood together, sparse float32 (k, k).
        words: word or pair of characters -> number, with `idf` float32.
    """

    names: Mapping[str, int]
    often: np.ndarray
    together: Any
    words: Mapping[str, int]
    idf: np.ndarray


def count(pairs: Pairs, right: np.ndarray) -> Seen:
    """Count what stands together in queries and with right candidates.

    Args:
        pairs: rows to learn from.
        right: whether each row's candidate is right, bool (n,).
    """
    from scipy.sparse import coo_matrix

    size = len(pairs.texts)
    one, other, weight = _neighbours(pairs)
    good = right[pairs.row]
    one = np.concatenate([one, pairs.line[good]])
    other = np.concatenate([other, pairs.item[pairs.row[good]]])
    weight = np.concatenate([weight, 1.0 / (1 + pairs.age[good])])
    together = coo_matrix((np.tile(weight, 2), (np.concatenate([one, other]), np.concatenate([other, one]))), (size, size))
    often = np.bincount(pairs.item[right], minlength=size) + np.bincount(*_once(pairs), minlength=size)
    vectoriser = _vectoriser().fit(pairs.texts)
    words = {str(word): int(place) for word, place in vectoriser.vocabulary_.items()}
    names = {text: place for place, text in enumerate(pairs.texts)}
    return Seen(names, often.astype(np.float32), together.tocsr().astype(np.float32), words, vectoriser.idf_.astype(np.float32))


def _once(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Lines, each query counted once however many candidates it has, and their weights."""
    _, first = np.unique(pairs.whole, return_index=True)
    kept = np.isin(pairs.row, first)
    return pairs.line[kept], np.ones(int(kept.sum()))


def _neighbours(pairs: Pairs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lines of one query at most `WINDOW` apart, and one over how far apart they are; each query once."""
    _, first = np.unique(pairs.whole, return_index=True)
    kept = np.isin(pairs.row, first)
    row, line = pairs.row[kept], pairs.line[kept]
    found = []
    for apart in range(1, WINDOW + 1):
        same = row[apart:] == row[:-apart]
        found.append((line[:-apart][same], line[apart:][same], np.full(int(same.sum()), 1.0 / apart)))
    one, other, weight = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return one, other, weight


def features(pairs: Pairs, seen: Seen, right: np.ndarray | None = None) -> np.ndarray:
    """Rows -> evidence, float64 (n, 6).

    Args:
        pairs: the rows.
        seen: what was counted.
        right: of rows that were counted, whether their candidates are right, so that what they added is taken off again.
    """
    known = np.array([seen.names.get(text, -1) for text in pairs.texts])
    often = np.where(known >= 0, seen.often[known], 0.0)
    item = pairs.item[pairs.row]
    decay = DECAY**pairs.age
    counts = np.zeros(len(pairs.row))
    both = np.flatnonzero((known[pairs.line] >= 0) & (known[item] >= 0))
    for start in range(0, len(both), CHUNK):
        part = both[start : start + CHUNK]
        counts[part] = np.asarray(seen.together[known[pairs.line[part]], known[item[part]]]).ravel()
    own = np.zeros(len(pairs.item)) if right is None else right.astype(np.float64)
    counts = np.maximum(0.0, counts - own[pairs.row] / (1 + pairs.age))
    times = np.maximum(0.0, often[pairs.item] - own)
    alike = _alike(pairs.texts, pairs.line, item, seen)
    size = len(pairs.item)
    expected = np.sqrt((often[pairs.line] + SMALL) * (times[pairs.row] + SMALL))
    most = np.zeros(size)
    np.maximum.at(most, pairs.row, alike)
    columns = [
        np.bincount(pairs.row, alike * decay, size),
        most,
        np.bincount(pairs.row, counts / expected * decay, size),
        np.log1p(np.bincount(pairs.row, counts, size)),
        np.log1p(times),
        _alike(pairs.texts, pairs.whole, pairs.item, seen),
    ]
    return np.column_stack(columns)


def _alike(texts: Sequence[str], one: np.ndarray, other: np.ndarray, seen: Seen) -> np.ndarray:
    """Cosine of the TF-IDF vectors of two texts, many times."""
    vectoriser = _vectoriser(seen.words)
    vectoriser.idf_ = seen.idf
    matrix = vectoriser.transform(texts)
    found = np.zeros(len(one))
    for start in range(0, len(one), CHUNK):
        part = slice(start, start + CHUNK)
        found[part] = np.asarray(matrix[one[part]].multiply(matrix[other[part]]).sum(axis=1)).ravel()
    return found


def _vectoriser(words: Mapping[str, int] | None = None) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(analyzer=pieces, vocabulary=words, dtype=np.float32)


def pieces(text: str) -> list[str]:
    """Words; of text without spaces between them, single characters and pairs, too."""
    import re

    words = re.findall(r"[^\W_]+", text.casefold())
    long = [word for word in words if ord(word[0]) > 0x2E7F]
    return [*words, *(word[i : i + n] for word in long for n in (1, 2) for i in range(len(word) - n + 1))]
