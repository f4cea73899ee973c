"""BM25 as vectors: what a query and a document share, each word by how rare it is (Robertson and Zaragoza 2009).

The score is a product of a query's vector, which counts words, and a document's, which weighs them; so rows of two texts are
answered as by a base that makes vectors. Words are words, or pairs of characters where there are no spaces.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from savile.base import answers
from savile.base.records import canonical

MOST_WORDS = 4_096  # the most frequent; others occur hardly ever
SATURATION, LENGTH = 1.2, 0.75  # k1 and b, as usual


@dataclass(frozen=True)
class Bm25:
    """What was counted: word -> place, the weight of each, and how long a document is on average, in words."""

    words: dict[str, int]
    idf: np.ndarray
    length: float


def fit(pairs: Sequence[str]) -> Bm25:
    """Count the words of the second texts; the first ones say only which words are worth a place."""
    sides = [answers.parted(text) for text in dict.fromkeys(pairs)]
    documents = [answers.pieces(text) for text in dict.fromkeys(second for _, second in sides)]
    often = Counter(word for words in documents for word in set(words))
    words = {word: place for place, (word, _) in enumerate(often.most_common(MOST_WORDS))}
    counts = np.array([often[word] for word in words], dtype=np.float64)
    idf = np.log1p((len(documents) - counts + 0.5) / (counts + 0.5))
    return Bm25(words, idf.astype(np.float32), float(np.mean([len(one) for one in documents])) or 1.0)


def predict(bm25: Bm25, texts: Sequence[str]) -> np.ndarray:
    """Rows of two texts -> the query's vector and the document's, float32 (n, 2 words)."""
    found = np.zeros((len(texts), 2, max(1, len(bm25.words))), dtype=np.float32)
    for row, text in enumerate(texts):
        query, document = (answers.pieces(part) for part in answers.parted(text))
        for word, times in Counter(query).items():
            if word in bm25.words:
                found[row, 0, bm25.words[word]] = times
        damping = SATURATION * (1 - LENGTH + LENGTH * len(document) / bm25.length)
        for word, times in Counter(document).items():
            if word in bm25.words:
                place = bm25.words[word]
                found[row, 1, place] = bm25.idf[place] * times * (SATURATION + 1) / (times + damping)
    return found.reshape(len(texts), -1)


def files(bm25: Bm25) -> dict[str, Path | bytes]:
    """The files of the form ``linear``."""
    from safetensors.numpy import save

    said = {"bm25": list(bm25.words), "labels": ["similarity"]}
    tensors = {"idf": bm25.idf, "length": np.array([bm25.length])}
    return {"linear.json": canonical(said).encode(), "linear.safetensors": save(tensors)}


def of_files(files: Mapping[str, Path]) -> Bm25:
    """What `files` wrote."""
    from safetensors.numpy import load_file

    said, tensors = json.loads(files["linear.json"].read_text()), load_file(files["linear.safetensors"])
    return Bm25({word: place for place, word in enumerate(said["bm25"])}, tensors["idf"], float(tensors["length"][0]))
