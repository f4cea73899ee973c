"""Orders candidates for a query by shared words and by what was seen together: no base, seconds on a hundred thousand rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from savile.base import catalogue
from savile.base.contracts import Reads, Rows
from savile.base.errors import CorruptError, InputError
from savile.base.records import Model, canonical
from savile.models import _occurrence
from savile.models._occurrence import NAMES, Seen

trains: Literal["loop", "own"] = "own"
reads: Reads = "text"
FORM = "retriever"
PAIRS = True


@dataclass(frozen=True)
class Settings:
    """How evidence is weighed.

    Attributes:
        strength: inverse penalty C of the logistic regression over the six kinds of evidence.
    """

    strength: float = 1.0


@dataclass(frozen=True)
class Retriever:
    """What was counted, and one weight for each kind of evidence.

    Attributes:
        seen: counts.
        middle, spread: of each kind of evidence, (6,).
        weight: (6,), with `bias`.
        labels: wrong and right.
    """

    seen: Seen
    middle: np.ndarray
    spread: np.ndarray
    weight: np.ndarray
    bias: float
    labels: tuple[str, ...]


def fit(data: Rows, task: str = "rank", settings: Settings | None = None) -> Retriever:
    """Count, and weigh evidence by a logistic regression; of a row that was counted, its own count is left out.

    Raises:
        InputError: the task does not put two texts together, or there are more than two labels.
    """
    from sklearn.linear_model import LogisticRegression

    settings = settings or Settings()
    if not getattr(catalogue.get("tasks", task), "PAIRS", False) or len(data.labels) != 2:
        received = f"the task {task} with {len(data.labels)} labels"
        raise InputError("a task of two texts and two labels for the retriever", received, "Use linear, minilm or use-m.")
    pairs, right = _occurrence.read(list(data.inputs)), np.asarray(data.targets) == 1
    seen = _occurrence.count(pairs, right)
    found = _occurrence.features(pairs, seen, right)
    middle, spread = found.mean(axis=0), found.std(axis=0)
    spread[spread < 1e-9] = 1.0
    solved = LogisticRegression(C=settings.strength, max_iter=1000).fit((found - middle) / spread, right)
    return Retriever(seen, middle, spread, solved.coef_[0], float(solved.intercept_[0]), tuple(data.labels))


def predict(retriever: Retriever, texts: Sequence[str]) -> np.ndarray:
    """Rows of a query and a candidate -> logits, float32 (n, 2)."""
    found = _occurrence.features(_occurrence.read(texts), retriever.seen)
    score = ((found - retriever.middle) / retriever.spread) @ retriever.weight + retriever.bias
    return np.column_stack([np.zeros(len(score)), score]).astype(np.float32)


def save(retriever: Retriever) -> dict[str, Path | bytes]:
    """The files of the form ``retriever``."""
    from safetensors.numpy import save as to_bytes

    seen = retriever.seen
    together = seen.together
    tensors = {
        "often": seen.often,
        "idf": seen.idf,
        "together": together.data,
        "columns": together.indices.astype(np.int32),
        "starts": together.indptr.astype(np.int64),
        "middle": retriever.middle,
        "spread": retriever.spread,
        "weight": retriever.weight,
        "bias": np.array([retriever.bias]),
    }
    spec: dict[str, Any] = {"labels": list(retriever.labels), "evidence": list(NAMES)}
    spec |= {name: sorted(known, key=known.__getitem__) for name, known in (("names", seen.names), ("words", seen.words))}
    return {"retriever.json": canonical(spec).encode(), "retriever.safetensors": to_bytes(tensors)}


def load(model: Model, form: str = FORM) -> Retriever:
    """The fitted model of a saved one.

    Raises:
        CorruptError: its files do not fit together.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file
    from scipy.sparse import csr_matrix

    files: Mapping[str, Path] = {name: Path(str(path)) for name, path in model.forms[form].items()}
    try:
        spec, tensors = json.loads(files["retriever.json"].read_text()), load_file(files["retriever.safetensors"])
        names, words = ({text: i for i, text in enumerate(spec[name])} for name in ("names", "words"))
        shape = (len(names), len(names))
        together = csr_matrix((tensors["together"], tensors["columns"], tensors["starts"]), shape)
        seen = Seen(names, tensors["often"], together, words, tensors["idf"])
        middle, spread, weight = (tensors[name] for name in ("middle", "spread", "weight"))
        return Retriever(seen, middle, spread, weight, float(tensors["bias"][0]), tuple(spec["labels"]))
    except (SafetensorError, KeyError, ValueError) as error:
        raise CorruptError("a retriever whose files fit together", str(error).partition("\n")[0], "Adapt again.") from error
