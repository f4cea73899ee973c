"""A linear tagger: what a token is, and what stands around it, weighed for each label of a token; NumPy is all it needs.

Words and numbers are tokens, Chinese, Japanese and Korean characters one by one. The names of features are hashed (CRC-32) to
20 bits. `savile.models._linear_tags` fits such models; one for names, addresses and organisations in English and Chinese ships
as ``tagger.safetensors``, fitted on text composed for it (``scripts/make_tagger.py``), its weights in eight bits.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from savile.base._bio import decoded
from savile.base.outputs import Span, Tokens

WIDE = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
TOKENS = re.compile(rf"[{WIDE}]|[^\W\d_{WIDE}]+|\d+|[^\w\s]|_")
BITS = 20
SURE = 0.7  # how probable the least sure token of a span must be
SHIPPED = Path(__file__).with_name("tagger.safetensors")
LINES = re.compile(r"\n")


@dataclass(frozen=True)
class Tagger:
    """A fitted model.

    Attributes:
        columns: the hashed features it knows, sorted, int64 (k,).
        weight: float32 (outputs, k).
        bias: float32 (outputs,).
        labels: of the spans it finds.
    """

    columns: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    labels: tuple[str, ...]


def places(text: str) -> np.ndarray:
    """Where the tokens of a text are, int64 (s, 2)."""
    return np.array([match.span() for match in TOKENS.finditer(text)], dtype=np.int64).reshape(-1, 2)


def hashed(texts: Sequence[str], where: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The features of all tokens: hashes, int64 (f,), and where each token's begin, and the end, int64 (t + 1,)."""
    found: list[int] = []
    bounds = [0]
    crc, mask = zlib.crc32, (1 << BITS) - 1
    for text, one in zip(texts, where, strict=True):
        for names in features(text, one.tolist()):
            found += [crc(name.encode()) & mask for name in names]
            bounds.append(len(found))
    return np.array(found, dtype=np.int64), np.array(bounds, dtype=np.int64)


def scores(tagger: Tagger, texts: Sequence[str]) -> Tokens:
    """Texts -> log-odds of each output for their tokens."""
    where = [places(text) for text in texts]
    bounds = np.cumsum([0, *map(len, where)]).astype(np.int64)
    found, starts = hashed(texts, where)
    index = np.searchsorted(tagger.columns, found)
    index[index == len(tagger.columns)] = 0
    known = tagger.columns[index] == found if len(tagger.columns) else np.zeros(len(found), dtype=bool)
    added = np.where(known[:, None], tagger.weight.T[index], 0.0) if len(found) else np.zeros((0, len(tagger.bias)))
    flat = np.add.reduceat(added, starts[:-1], axis=0) if len(starts) > 1 else np.zeros((0, len(tagger.bias)))
    return Tokens((flat + tagger.bias).astype(np.float32), bounds, np.concatenate([np.zeros((0, 2), np.int64), *where]))


def spans(tagger: Tagger, texts: Sequence[str], least: float = SURE) -> list[tuple[Span, ...]]:
    """The spans of each text on the best path that are at least so probable."""
    logits = scores(tagger, texts)
    shifted = np.exp(logits.flat.astype(np.float64) - logits.flat.max(axis=1, keepdims=True, initial=-np.inf))
    found = decoded(logits.like(shifted / shifted.sum(axis=1, keepdims=True))).tolist()
    return [tuple(span for span in one if span.probability >= least) for one in found]


def rounded(tagger: Tagger) -> bytes:
    """The file of a model, its weights in eight bits with one scale an output."""
    from safetensors.numpy import save

    scale = np.abs(tagger.weight).max(axis=1, keepdims=True) / 127
    weight = np.rint(tagger.weight / np.maximum(scale, 1e-12)).astype(np.int8)
    tensors = {"columns": tagger.columns.astype(np.int32), "weight": np.ascontiguousarray(weight)}
    tensors |= {"scale": scale.astype(np.float32), "bias": tagger.bias.astype(np.float32)}
    written: bytes = save(tensors, {"labels": json.dumps(tagger.labels)})
    return written


@cache
def shipped() -> Tagger:
    """The tagger of names, addresses and organisations."""
    from safetensors import safe_open

    with safe_open(SHIPPED, "numpy") as file:
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        labels = tuple(json.loads(file.metadata()["labels"]))
    return Tagger(found["columns"].astype(np.int64), found["weight"] * found["scale"], found["bias"], labels)


def features(text: str, where: Sequence[tuple[int, int]]) -> Iterator[list[str]]:
    """The names of each token's features."""
    words = [text[start:end].lower() for start, end in where]
    shapes = [shape(text[start:end]) for start, end in where]
    breaks = [LINES.search(text, end, start) is not None for (_, end), (start, _) in pairwise(where)]
    lines = [True, *breaks, True]
    padded, around = ["", "", "", *words, "", "", ""], ["", "", *shapes, "", ""]
    for i, word in enumerate(words):
        w = padded[i : i + 7]
        s = around[i : i + 5]
        found = ["*", f"0{word}", f"-1{w[2]}", f"+1{w[4]}", f"-2{w[1]}", f"+2{w[5]}", f"-3{w[0]}", f"+3{w[6]}"]
        found += [f"a{w[2]} {word}", f"b{word} {w[4]}", f"c{w[1]} {w[2]}", f"d{w[4]} {w[5]}", f"e{w[2]} {word} {w[4]}"]
        found += [f"s{s[2]}", f"t{s[1]} {s[2]}", f"u{s[2]} {s[3]}", f"v{s[0]} {s[1]} {s[2]} {s[3]} {s[4]}", f"w{w[2]} {s[2]}"]
        found += [f"l{lines[i]}{lines[i + 1]} {s[2]}", f"g{s[0]} {s[1]} {s[2]}", f"h{s[2]} {s[3]} {s[4]}"]
        if len(word) > 1:
            found += [f"p{word[:2]}", f"q{word[:3]}", f"x{word[-2:]}", f"y{word[-3:]}"]
        yield found


def shape(word: str) -> str:
    """``Ann`` -> ``Xx``, ``IBM`` -> ``X``, ``2024`` -> ``9999``, a Chinese character -> ``c``, any other sign as it is."""
    if word.isdecimal():
        return "9" * min(len(word), 6)
    if word.isalpha():
        if "\u3040" <= word[0] <= "\uffff":
            return "c"
        return "X" if word.isupper() and len(word) > 1 else "Xx" if word[0].isupper() else "x"
    return word
