"""Texts in a table become features: how much the words speak for each answer, and a few dimensions of a frozen embedding.

The words' score of a training row comes from a model that has not seen the row (out of fold), or the trees would trust a score
that knows the answer. The embedding is the base's own, never tuned, along its main axes (principal components).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from savile.base import answers, catalogue
from savile.base.contracts import Rows
from savile.base.errors import CorruptError, MissingBaseError
from savile.base.events import emit
from savile.base.records import canonical

FOLDS = 5
MOST_SCORES = 20  # labels the words are scored for
MAX_LENGTH = 128


@dataclass(frozen=True)
class TextBlock:
    """One column of texts as features.

    Attributes:
        column: of the table.
        words: the linear model whose outputs are the first features.
        outputs: which of its outputs.
        base, sha256: the frozen base, empty without one.
        mean, axes: of its embeddings, (d,) and (d, dimensions).
    """

    column: str
    words: Any
    outputs: tuple[int, ...]
    base: str = ""
    sha256: str = ""
    mean: np.ndarray | None = None
    axes: np.ndarray | None = None

    @property
    def width(self) -> int:
        """How many features the column gives."""
        return len(self.outputs) + (0 if self.axes is None else self.axes.shape[1])


def fit(column: str, rows: Rows, task: str, base: str, dimensions: int) -> tuple[TextBlock, np.ndarray]:
    """The block of a column, and its features of the training rows, (n, width).

    Args:
        column: of the table.
        rows: texts, targets and labels.
        task: catalogue name.
        base: name of a base, ``auto``, or empty for none.
        dimensions: of the embedding that are kept at most.
    """
    words = catalogue.get("families", "linear")
    texts, count = list(rows.inputs), len(rows.labels)
    outputs = (1,) if count == 2 and rows.targets.ndim == 1 else tuple(range(min(count, MOST_SCORES)))
    scores = np.zeros((len(texts), len(outputs)))
    order = np.random.default_rng(rows.seed).permutation(len(texts))
    order = order[np.argsort(answers.strata(rows.targets)[order], kind="stable")]
    fold = np.empty(len(texts), dtype=np.int64)
    fold[order] = np.arange(len(texts)) % FOLDS
    for number in range(FOLDS):
        inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        part = replace(rows, inputs=[texts[i] for i in inside], targets=rows.targets[inside], valid=None)
        scores[outside] = words.predict(words.fit(part, task), [texts[i] for i in outside])[:, list(outputs)]
    block = TextBlock(column, words.fit(replace(rows, inputs=texts, valid=None), task), outputs)
    name = base_for(base, texts)
    if not name:
        return block, scores
    embedded = _embed(name, texts)
    mean = embedded.mean(axis=0)
    _, _, axes = np.linalg.svd(embedded - mean, full_matrices=False)
    axes = np.ascontiguousarray(axes[: min(dimensions, len(axes))].T, dtype=np.float32)
    block = replace(block, base=name, sha256=_found(name).sha256, mean=mean, axes=axes)
    return block, np.concatenate([scores, (embedded - mean) @ axes], axis=1)


def encode(block: TextBlock, texts: Sequence[str]) -> np.ndarray:
    """Texts -> features, float64 (n, width)."""
    words = catalogue.get("families", "linear")
    scores = np.asarray(words.predict(block.words, list(texts))[:, list(block.outputs)], dtype=np.float64)
    if block.axes is None:
        return scores
    return np.concatenate([scores, (_embed(block.base, texts) - block.mean) @ block.axes], axis=1)


def save(block: TextBlock, number: int) -> dict[str, bytes]:
    """The files of the block with a number."""
    from safetensors.numpy import save as to_bytes

    about = {"column": block.column, "outputs": list(block.outputs), "base": block.base, "sha256": block.sha256}
    files = {f"text-{number}.json": canonical(about).encode()}
    if block.axes is not None and block.mean is not None:
        files[f"text-{number}.safetensors"] = to_bytes({"mean": block.mean, "axes": block.axes})
    words = catalogue.get("families", "linear").save(block.words)
    return files | {f"text-{number}-{name}": content for name, content in words.items()}


def load(files: Mapping[str, Any], number: int) -> TextBlock:
    """The block of its files, name -> path.

    Raises:
        CorruptError: the base on this machine is another one.
    """
    from safetensors.numpy import load_file

    from savile.base.records import Model

    linear = catalogue.get("families", "linear")
    about = json.loads(files[f"text-{number}.json"].read_text())
    prefix = f"text-{number}-"
    form = {name.removeprefix(prefix): path for name, path in files.items() if name.startswith(prefix)}
    words = linear.load(Model("linear", (), forms={linear.FORM: form}))
    block = TextBlock(about["column"], words, tuple(about["outputs"]), about["base"], about["sha256"])
    if not block.base:
        return block
    if _found(block.base).sha256 != block.sha256:
        do = "Adapt again on this base, or bring the old one back."
        raise CorruptError(f"the base {block.base} with SHA-256 {block.sha256[:12]}…", "another one", do)
    return replace(block, **load_file(str(files[f"text-{number}.safetensors"])))


def base_for(asked: str, texts: Sequence[str]) -> str:
    """The base to embed with: as asked; ``auto`` takes the one for the language, and none when this machine lacks it."""
    if asked != "auto":
        return asked
    letters = "".join(texts[:1_000])
    name = "minilm" if sum(letter > "\u02ff" for letter in letters) < 0.2 * max(1, len(letters)) else "use-m"
    try:
        kind = _found(name).kind
        import torch  # noqa: F401
    except (MissingBaseError, ModuleNotFoundError):
        emit("note", text=f"Texts are read by their words alone: the base {name} cannot be used on this machine.")
        return ""
    return name if kind in catalogue.names("families") else ""


def _found(name: str) -> Any:
    from savile.models._bases import locate

    return locate(name)


def _embed(base: str, texts: Sequence[str]) -> np.ndarray:
    """Frozen embeddings, float32 (n, d); equal texts are read once."""
    import torch

    from savile.models._rows import TokenRows, embed

    network = _network(base)
    different, which = np.unique(np.array(texts, dtype=object).astype(str), return_inverse=True)
    rows = TokenRows(network.encode(different.tolist()), network.pad_id)
    pooled, _ = embed(network, rows, 0, torch.float32)
    return np.asarray(pooled.numpy()[which])


@cache
def _network(base: str) -> Any:
    """The base, loaded once a process."""
    family = catalogue.get("families", _found(base).kind)
    return family.create(base, ("text",), "cross_entropy", cosine=False, max_length=MAX_LENGTH).eval()
