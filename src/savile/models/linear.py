"""TF-IDF of words and characters with a linear model: the baseline every report shows, and often a fine answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from savile.base import catalogue
from savile.base._tagger import Tagger as LinearTags
from savile.base.answers import compared
from savile.base.contracts import Reads, Rows
from savile.base.errors import CorruptError
from savile.base.records import Model, canonical
from savile.models import _bm25, _linear_tags
from savile.models._bm25 import Bm25
from savile.models._reasons import Contributions
from savile.models._spans import TOKEN
from savile.models._vectors import VECTOR

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

LEAST_SHARE = 0.02  # of a label, from which a row is learnt from as one of it
RIDGES, FOLDED_ROWS = (0.3, 1.0, 3.0, 10.0, 30.0), 4_000

trains: Literal["loop", "own"] = "own"
reads: Reads = "text"
FORM = "linear"
SOFT = True
PAIRS = True  # by how many words two texts share
WORD = re.compile(r"(?u)\b\w+\b")  # one-letter words count


@dataclass(frozen=True)
class Settings:
    """How texts become features and how strong the penalty is.

    Attributes:
        analyser: ``words`` (word 1-2-grams and character 2-5-grams), ``characters`` (1-3-grams, for text without spaces), or
            ``auto``, which looks for Chinese, Japanese or Korean letters.
        strength: inverse penalty C of the linear support vector machine, or of the ridge regression of a number.
        min_rows: n-grams in fewer rows are left out.
    """

    analyser: Literal["auto", "words", "characters"] = "auto"
    strength: float = 1.0
    min_rows: int = 1


@dataclass(frozen=True)
class Linear:
    """A fitted model: n-gram blocks, their inverse document frequencies, and one weight row a label."""

    blocks: tuple[dict[str, Any], ...]
    vocabularies: tuple[dict[str, int], ...]
    idf: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    labels: tuple[str, ...]


def fit(data: Rows, task: str = "classify", settings: Settings | None = None) -> Linear | LinearTags | Bm25:
    """Fit on TF-IDF features: support vector machines, one against the rest a label, or ridge regression of a number.

    Spans are found by what tokens and their neighbours are, see `_linear_tags`; texts that belong together by BM25, see
    `_bm25`.
    """
    head = catalogue.get("tasks", task).head(len(data.labels))
    if head.loss == TOKEN:
        return _linear_tags.fit(data, head.outputs)
    if head.loss == VECTOR:
        return _bm25.fit(list(data.inputs))
    texts, settings = [compared(text) for text in data.inputs], settings or Settings()
    blocks = _blocks(texts, settings)
    vectorisers = [_vectoriser(block).fit(texts) for block in blocks]
    vocabularies = tuple({term: int(i) for term, i in v.vocabulary_.items()} for v in vectorisers)
    idf = np.concatenate([v.idf_ for v in vectorisers])
    linear = Linear(blocks, vocabularies, idf, np.zeros((0, 0)), np.zeros(0), tuple(data.labels))
    weight = np.zeros((len(data.labels), len(idf)), dtype=np.float32)
    bias = np.zeros(len(data.labels), dtype=np.float32)
    FITS[head.loss](_features(linear, texts), data.targets, settings.strength, weight, bias)
    return Linear(blocks, vocabularies, idf, weight, bias, tuple(data.labels))


def save(linear: Linear | LinearTags | Bm25) -> dict[str, Path | bytes]:
    """The files of the form ``linear``."""
    if isinstance(linear, Bm25):
        return _bm25.files(linear)
    if isinstance(linear, LinearTags):
        return _linear_tags.files(linear)
    from safetensors.numpy import save as to_bytes

    spec = {"blocks": list(linear.blocks), "labels": list(linear.labels)}
    return {
        "linear.json": canonical(spec).encode(),
        "vocabularies.json": canonical([sorted(v, key=v.__getitem__) for v in linear.vocabularies]).encode(),
        "linear.safetensors": to_bytes({"idf": linear.idf, "weight": linear.weight, "bias": linear.bias}),
    }


def load(model: Model, form: str = FORM) -> Linear | LinearTags | Bm25:
    """The fitted model of a saved one.

    Raises:
        CorruptError: its files do not fit together.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    files: Mapping[str, Path] = {name: Path(str(path)) for name, path in model.forms[form].items()}
    try:
        spec = json.loads(files["linear.json"].read_text())
        if "tags" in spec:
            return _linear_tags.of_files(files)
        if "bm25" in spec:
            return _bm25.of_files(files)
        terms = json.loads(files["vocabularies.json"].read_text())
        tensors = load_file(files["linear.safetensors"])
    except (SafetensorError, ValueError, KeyError) as error:
        raise CorruptError("the files of a linear model", str(error).partition("\n")[0], "Adapt again.") from error
    if sum(map(len, terms)) != len(tensors["idf"]) or tensors["weight"].shape != (len(spec["labels"]), len(tensors["idf"])):
        raise CorruptError("one weight an n-gram and label", f"shape {tensors['weight'].shape}", "Adapt again.")
    vocabularies = tuple({term: i for i, term in enumerate(block)} for block in terms)
    return Linear(tuple(spec["blocks"]), vocabularies, **tensors, labels=tuple(spec["labels"]))


def predict(linear: Linear | LinearTags | Bm25, texts: Sequence[str]) -> Any:
    """Texts -> one margin a label, float32 (n, outputs), or log-odds of their tokens, or vectors of both their parts."""
    if isinstance(linear, Bm25):
        return _bm25.predict(linear, texts)
    if isinstance(linear, LinearTags):
        return _linear_tags.predict(linear, texts)
    features = _features(linear, texts).astype(np.float32)
    return np.asarray(features @ linear.weight.T + linear.bias, dtype=np.float32)


def contributions(linear: Linear, texts: Sequence[str]) -> Contributions:
    """What each word adds to each output, exactly: an n-gram's weight is shared by the words it stands in, evenly.

    Where characters are read and not words, n-grams are the words.
    """
    spreads = [_spread(linear, compared(text)) for text in texts]
    features = _features(linear, texts).tocsr()
    names, weights = [], []
    for row, (words, owners) in enumerate(spreads):
        found: dict[str, np.ndarray] = {word: np.zeros(len(linear.labels)) for word in words}
        start, end = features.indptr[row : row + 2]
        for column, value in zip(features.indices[start:end].tolist(), features.data[start:end].tolist(), strict=True):
            added = linear.weight[:, column].astype(np.float64) * value
            whose = owners[column]
            for word in whose:
                found[word] = found.get(word, 0.0) + added / len(whose)
        names.append(list(found))
        weights.append(np.stack(list(found.values())) if found else np.zeros((0, len(linear.labels))))
    base = np.repeat(linear.bias.astype(np.float64)[None], len(texts), axis=0)
    return Contributions(names, [[""] * len(one) for one in names], weights, base)


def _spread(linear: Linear, text: str) -> tuple[list[str], dict[int, list[str]]]:
    """The words of a text, and for each of its n-grams, by column, the words it stands in, as often as it does."""
    owners: dict[int, list[str]] = {}
    start = 0
    for block, vocabulary in zip(linear.blocks, linear.vocabularies, strict=True):
        for gram, words in _grams(block, text):
            if gram in vocabulary:
                owners.setdefault(start + vocabulary[gram], []).extend(words)
        start += len(vocabulary)
    whole = all(block["analyzer"] != "char" for block in linear.blocks)
    return (list(dict.fromkeys(WORD.findall(text.lower()))) if whole else []), owners


def _grams(block: Mapping[str, Any], text: str) -> Iterator[tuple[str, list[str]]]:
    """Every n-gram of a block in a text, and the words it stands in; where characters are read it stands for itself."""
    analyse = _vectoriser(block).build_analyzer()
    if block["analyzer"] == "char":
        yield from ((gram, [gram]) for gram in analyse(text))
    elif block["analyzer"] == "word":
        yield from ((gram, gram.split(" ")) for gram in analyse(text))
    else:
        for piece in text.lower().split():
            yield from ((gram, WORD.findall(piece) or [piece]) for gram in analyse(piece))


def _one_label(x: csr_matrix, targets: np.ndarray, strength: float, weight: np.ndarray, bias: np.ndarray) -> None:
    """One row of `weight` a label, by one-against-rest support vector machines; labels without rows get a low bias."""
    from sklearn.svm import LinearSVC

    parts = None
    if targets.ndim == 2:  # a row for each label somebody gave, with the share of those who did
        rows, labels = np.nonzero(targets > LEAST_SHARE)
        x, targets, parts = x[rows], labels, targets[rows, labels]
    machine = LinearSVC(C=strength, random_state=0).fit(x, targets, sample_weight=parts)
    bias[:] = machine.intercept_.min() - 1.0
    if len(machine.classes_) == 2:  # scikit-learn keeps one row for two classes
        coefficients, intercepts = np.vstack([-machine.coef_, machine.coef_]), np.r_[-machine.intercept_, machine.intercept_]
    else:
        coefficients, intercepts = machine.coef_, machine.intercept_
    weight[machine.classes_], bias[machine.classes_] = coefficients, intercepts


def _any_labels(x: csr_matrix, targets: np.ndarray, strength: float, weight: np.ndarray, bias: np.ndarray) -> None:
    """A support vector machine of its own for each label; a label that all rows or none have is always or never given."""
    from sklearn.svm import LinearSVC

    for label, given in enumerate(targets.T > 0):
        if given.all() or not given.any():
            bias[label] = 1.0 if given.all() else -1.0
            continue
        machine = LinearSVC(C=strength, random_state=0).fit(x, given)
        weight[label], bias[label] = machine.coef_[0], machine.intercept_[0]


def _number(x: csr_matrix, targets: np.ndarray, strength: float, weight: np.ndarray, bias: np.ndarray) -> None:
    """Ridge regression; how far from `strength` the penalty should be, three folds of at most `FOLDED_ROWS` rows say."""
    from sklearn.linear_model import Ridge

    chosen = np.random.default_rng(0).permutation(len(targets))[:FOLDED_ROWS]
    errors = dict.fromkeys(RIDGES, 0.0)
    for fold in np.array_split(chosen, 3):
        inside = np.setdiff1d(chosen, fold)
        for factor in RIDGES:
            ridge = Ridge(alpha=1.0 / (strength * factor), solver="sparse_cg", random_state=0).fit(x[inside], targets[inside])
            errors[factor] += float(np.square(targets[fold] - ridge.predict(x[fold])).sum())
    best = min(RIDGES, key=errors.__getitem__)
    ridge = Ridge(alpha=1.0 / (strength * best), solver="sparse_cg", random_state=0).fit(x, targets)
    weight[0], bias[0] = ridge.coef_, ridge.intercept_


FITS = {"cross_entropy": _one_label, "binary_cross_entropy": _any_labels, "squared_error": _number}


def _blocks(texts: Sequence[str], settings: Settings) -> tuple[dict[str, Any], ...]:
    analyser = settings.analyser
    if analyser == "auto":
        sample = "".join(texts[:1000])
        wide = sum("\u3040" <= letter <= "\u9fff" or "\uac00" <= letter <= "\ud7a3" for letter in sample)
        analyser = "characters" if wide > 0.2 * max(1, len(sample)) else "words"
    if analyser == "characters":
        return ({"analyzer": "char", "ngram_range": [1, 3], "min_df": settings.min_rows},)
    return (
        {"analyzer": "word", "ngram_range": [1, 2], "min_df": settings.min_rows},
        {"analyzer": "char_wb", "ngram_range": [2, 5], "min_df": settings.min_rows},
    )


def _vectoriser(block: Mapping[str, Any], vocabulary: Mapping[str, int] | None = None) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    options = {**block, "ngram_range": tuple(block["ngram_range"])}
    if vocabulary is not None:
        options["min_df"] = 1
    if options["analyzer"] == "word":
        options["token_pattern"] = WORD.pattern
    return TfidfVectorizer(**options, sublinear_tf=True, vocabulary=vocabulary)


def _features(linear: Linear, texts: Sequence[str]) -> csr_matrix:
    """TF-IDF features, each block of unit length, (n, n-grams)."""
    from scipy.sparse import hstack

    parts, start = [], 0
    for block, vocabulary in zip(linear.blocks, linear.vocabularies, strict=True):
        vectoriser = _vectoriser(block, vocabulary)
        vectoriser.idf_ = linear.idf[start : start + len(vocabulary)]
        parts.append(vectoriser.transform([compared(text) for text in texts]))
        start += len(vocabulary)
    return hstack(parts, format="csr")
