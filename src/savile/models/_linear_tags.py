"""The linear model that tags: what a token is, and what stands around it, weighed for each label of a token.

Words and numbers are tokens, Chinese, Japanese and Korean characters one by one. Features are hashed; the labels are fitted one
against the rest by logistic loss. No token knows the label of another: that BIO is kept is the decoder's business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.base.contracts import Rows
from savile.base.outputs import Tokens
from savile.base.records import canonical
from savile.models._piece_cutter import WIDE
from savile.models._spans import token_targets

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

TOKENS = re.compile(rf"[{WIDE}]|[^\W\d_{WIDE}]+|\d+|[^\w\s]|_")
HASHED = 1 << 20
RARE, MANY_TOKENS = 2, 5_000  # a feature of fewer tokens is left out where there are many
PASSES, PENALTY = 8, 1e-6
NEVER = -20.0  # log-odds of a label that no training token has


@dataclass(frozen=True)
class LinearTags:
    """A fitted model: the hashed features it knows, sorted, and one weight row an output."""

    columns: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    labels: tuple[str, ...]


def fit(data: Rows, outputs: int) -> LinearTags:
    """Fit on the tokens of texts with spans as targets."""
    from sklearn.linear_model import SGDClassifier

    texts = list(data.inputs)
    places = [_places(text) for text in texts]
    targets = np.concatenate([token_targets(one, spans) for one, spans in zip(places, data.targets, strict=True)])
    hashed = _hashed(texts, places)
    counts = np.asarray((hashed != 0).sum(axis=0)).ravel()
    columns = np.flatnonzero(counts >= (RARE if len(targets) > MANY_TOKENS else 1))
    weight = np.zeros((outputs, len(columns)), dtype=np.float32)
    bias = np.full(outputs, NEVER, dtype=np.float32)
    present = np.unique(targets)
    if len(present) < 2:
        bias[present] = 0.0
        return LinearTags(columns, weight, bias, tuple(data.labels))
    known = hashed[:, columns]
    machine = SGDClassifier(loss="log_loss", alpha=PENALTY, max_iter=PASSES, tol=None, average=True, random_state=data.seed)
    machine.fit(known, targets)
    rows, intercepts = machine.coef_, machine.intercept_
    if len(present) == 2:  # scikit-learn keeps one row for two classes
        rows, intercepts = np.vstack([-rows, rows]) / 2, np.r_[-intercepts, intercepts] / 2
    weight[present], bias[present] = rows, intercepts
    return LinearTags(columns, weight, bias, tuple(data.labels))


def predict(model: LinearTags, texts: Sequence[str]) -> Tokens:
    """Texts -> log-odds of each output for their tokens."""
    places = [_places(text) for text in texts]
    bounds = np.cumsum([0, *map(len, places)]).astype(np.int64)
    if not bounds[-1]:
        return Tokens.of([(np.zeros((0, len(model.bias)), dtype=np.float32), one) for one in places], len(model.bias))
    flat = _hashed(texts, places)[:, model.columns] @ model.weight.T + model.bias
    return Tokens(np.asarray(flat, dtype=np.float32), bounds, np.concatenate(places))


def files(model: LinearTags) -> dict[str, Path | bytes]:
    """The files of the form ``linear``."""
    from safetensors.numpy import save

    tensors = {"columns": model.columns.astype(np.int64), "weight": model.weight, "bias": model.bias}
    return {"linear.json": canonical({"tags": list(model.labels)}).encode(), "linear.safetensors": save(tensors)}


def of_files(found: Mapping[str, Path]) -> LinearTags:
    """The model of its files."""
    from safetensors.numpy import load_file

    tensors = load_file(found["linear.safetensors"])
    labels = json.loads(found["linear.json"].read_text())["tags"]
    return LinearTags(tensors["columns"], tensors["weight"], tensors["bias"], tuple(labels))


def _places(text: str) -> np.ndarray:
    return np.array([match.span() for match in TOKENS.finditer(text)], dtype=np.int64).reshape(-1, 2)


def _hashed(texts: Sequence[str], places: Sequence[np.ndarray]) -> csr_matrix:
    """The features of all tokens, (t, `HASHED`)."""
    from sklearn.feature_extraction import FeatureHasher

    hasher: Any = FeatureHasher(HASHED, input_type="string", alternate_sign=False, dtype=np.float32)
    each = (features for text, one in zip(texts, places, strict=True) for features in _features(text, one.tolist()))
    return hasher.transform(each)


def _features(text: str, places: Sequence[tuple[int, int]]) -> Iterator[list[str]]:
    """The names of each token's features."""
    words = [text[start:end].lower() for start, end in places]
    shapes = [_shape(text[start:end]) for start, end in places]
    padded, around = ["", "", "", *words, "", "", ""], ["", "", *shapes, "", ""]
    for i, word in enumerate(words):
        w = padded[i : i + 7]
        s = around[i : i + 5]
        found = ["*", f"0{word}", f"-1{w[2]}", f"+1{w[4]}", f"-2{w[1]}", f"+2{w[5]}", f"-3{w[0]}", f"+3{w[6]}"]
        found += [f"a{w[2]} {word}", f"b{word} {w[4]}", f"c{w[1]} {w[2]}", f"d{w[4]} {w[5]}", f"e{w[2]} {word} {w[4]}"]
        found += [f"s{s[2]}", f"t{s[1]} {s[2]}", f"u{s[2]} {s[3]}", f"v{s[0]} {s[1]} {s[2]} {s[3]} {s[4]}", f"w{w[2]} {s[2]}"]
        if len(word) > 1:
            found += [f"p{word[:2]}", f"q{word[:3]}", f"x{word[-2:]}", f"y{word[-3:]}"]
        yield found


def _shape(word: str) -> str:
    """``Ann`` -> ``Xx``, ``IBM`` -> ``X``, ``2024`` -> ``9999``, a Chinese character -> ``c``, any other sign as it is."""
    if word.isdecimal():
        return "9" * min(len(word), 6)
    if word.isalpha():
        if "\u3040" <= word[0] <= "\uffff":
            return "c"
        return "X" if word.isupper() and len(word) > 1 else "Xx" if word[0].isupper() else "x"
    return word
