"""TF-IDF of words and characters with a linear classifier: the baseline every report shows, and often a fine answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from savile.base.errors import CorruptError
from savile.base.records import Model, canonical

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

trains: Literal["loop", "own"] = "own"
FORM = "linear"


@dataclass(frozen=True)
class Settings:
    """How texts become features and how strong the penalty is.

    Attributes:
        analyser: ``words`` (word 1-2-grams and character 2-5-grams), ``characters`` (1-3-grams, for text without spaces), or
            ``auto``, which looks for Chinese, Japanese or Korean letters.
        strength: inverse penalty C of the linear support vector machine.
        min_rows: n-grams in fewer rows are left out.
    """

    analyser: Literal["auto", "words", "characters"] = "auto"
    strength: float = 1.0
    min_rows: int = 1


@dataclass(frozen=True)
class Linear:
    """A fitted classifier: n-gram blocks, their inverse document frequencies, and one weight row a label."""

    blocks: tuple[dict[str, Any], ...]
    vocabularies: tuple[dict[str, int], ...]
    idf: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    labels: tuple[str, ...]


def fit(texts: Sequence[str], targets: np.ndarray, labels: Sequence[str], settings: Settings | None = None) -> Linear:
    """Fit one-against-rest linear support vector machines on TF-IDF features.

    Args:
        texts: training texts.
        targets: label index of each text, int64 (n,).
        labels: label of each index.
    """
    from sklearn.svm import LinearSVC

    settings = settings or Settings()
    blocks = _blocks(texts, settings)
    vectorisers = [_vectoriser(block).fit(texts) for block in blocks]
    vocabularies = tuple({term: int(i) for term, i in v.vocabulary_.items()} for v in vectorisers)
    idf = np.concatenate([v.idf_ for v in vectorisers])
    linear = Linear(blocks, vocabularies, idf, np.zeros((0, 0)), np.zeros(0), tuple(labels))
    machine = LinearSVC(C=settings.strength, random_state=0)
    machine.fit(_features(linear, texts), targets)
    weight = np.zeros((len(labels), len(idf)), dtype=np.float32)
    bias = np.full(len(labels), machine.intercept_.min() - 1.0, dtype=np.float32)
    if len(machine.classes_) == 2:  # scikit-learn keeps one row for two classes
        coefficients, intercepts = np.vstack([-machine.coef_, machine.coef_]), np.r_[-machine.intercept_, machine.intercept_]
    else:
        coefficients, intercepts = machine.coef_, machine.intercept_
    weight[machine.classes_], bias[machine.classes_] = coefficients, intercepts
    return Linear(blocks, vocabularies, idf, weight, bias, tuple(labels))


def save(linear: Linear) -> dict[str, Path | bytes]:
    """The files of the form ``linear``."""
    from safetensors.numpy import save as to_bytes

    spec = {"blocks": list(linear.blocks), "labels": list(linear.labels)}
    return {
        "linear.json": canonical(spec).encode(),
        "vocabularies.json": canonical([sorted(v, key=v.__getitem__) for v in linear.vocabularies]).encode(),
        "linear.safetensors": to_bytes({"idf": linear.idf, "weight": linear.weight, "bias": linear.bias}),
    }


def load(model: Model, form: str = FORM) -> Linear:
    """The classifier of a saved model.

    Raises:
        CorruptError: its files do not fit together.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    files: Mapping[str, Path] = {name: Path(str(path)) for name, path in model.forms[form].items()}
    try:
        spec = json.loads(files["linear.json"].read_text())
        terms = json.loads(files["vocabularies.json"].read_text())
        tensors = load_file(files["linear.safetensors"])
    except (SafetensorError, ValueError, KeyError) as error:
        raise CorruptError("the files of a linear model", str(error).partition("\n")[0], "Adapt again.") from error
    if sum(map(len, terms)) != len(tensors["idf"]) or tensors["weight"].shape != (len(spec["labels"]), len(tensors["idf"])):
        raise CorruptError("one weight an n-gram and label", f"shape {tensors['weight'].shape}", "Adapt again.")
    vocabularies = tuple({term: i for i, term in enumerate(block)} for block in terms)
    return Linear(tuple(spec["blocks"]), vocabularies, **tensors, labels=tuple(spec["labels"]))


def predict(linear: Linear, texts: Sequence[str]) -> np.ndarray:
    """Texts -> one margin a label, float32 (n, outputs)."""
    features = _features(linear, texts).astype(np.float32)
    return np.asarray(features @ linear.weight.T + linear.bias, dtype=np.float32)


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
        options["token_pattern"] = r"(?u)\b\w+\b"  # one-letter words count
    return TfidfVectorizer(**options, sublinear_tf=True, vocabulary=vocabulary)


def _features(linear: Linear, texts: Sequence[str]) -> csr_matrix:
    """TF-IDF features, each block of unit length, (n, n-grams)."""
    from scipy.sparse import hstack

    parts, start = [], 0
    for block, vocabulary in zip(linear.blocks, linear.vocabularies, strict=True):
        vectoriser = _vectoriser(block, vocabulary)
        vectoriser.idf_ = linear.idf[start : start + len(vocabulary)]
        parts.append(vectoriser.transform(texts))
        start += len(vocabulary)
    return hstack(parts, format="csr")
