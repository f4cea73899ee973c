"""The linear model that tags (see `savile.base._tagger`): fitted one label of a token against the rest, by logistic loss.

No token knows the label of another: that BIO is kept is the decoder's business.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from savile.base import _tagger
from savile.base._tagger import Tagger as LinearTags
from savile.base.contracts import Rows
from savile.base.outputs import Tokens
from savile.base.records import canonical
from savile.models._spans import token_targets

RARE, MANY_TOKENS = 2, 5_000  # a feature of fewer tokens is left out where there are many
PASSES, PENALTY = 8, 3e-6
NEVER = -20.0  # log-odds of a label that no training token has


def fit(data: Rows, outputs: int) -> LinearTags:
    """Fit on the tokens of texts with spans as targets."""
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import SGDClassifier

    texts = list(data.inputs)
    where = [_tagger.places(text) for text in texts]
    targets = np.concatenate([token_targets(one, spans) for one, spans in zip(where, data.targets, strict=True)])
    found, starts = _tagger.hashed(texts, where)
    counts = np.bincount(found, minlength=1 << _tagger.BITS)
    columns = np.flatnonzero(counts >= (RARE if len(targets) > MANY_TOKENS else 1))
    weight = np.zeros((outputs, len(columns)), dtype=np.float32)
    bias = np.full(outputs, NEVER, dtype=np.float32)
    present = np.unique(targets)
    if len(present) < 2:
        bias[present] = 0.0
        return LinearTags(columns, weight, bias, tuple(data.labels))
    numbers = np.full(1 << _tagger.BITS, -1)
    numbers[columns] = np.arange(len(columns))
    kept = numbers[found] >= 0
    ends = np.concatenate([[0], np.cumsum(kept)])[starts]
    index = numbers[found][kept].astype(np.int32)
    known = csr_matrix((np.ones(len(index)), index, ends), shape=(len(targets), len(columns)))
    machine = SGDClassifier(loss="log_loss", alpha=PENALTY, max_iter=PASSES, tol=None, average=True, random_state=data.seed)
    machine.fit(known, targets)
    rows, intercepts = machine.coef_, machine.intercept_
    if len(present) == 2:  # scikit-learn keeps one row for two classes
        rows, intercepts = np.vstack([-rows, rows]) / 2, np.r_[-intercepts, intercepts] / 2
    weight[present], bias[present] = rows, intercepts
    return LinearTags(columns, weight, bias, tuple(data.labels))


def predict(model: LinearTags, texts: Sequence[str]) -> Tokens:
    """Texts -> log-odds of each output for their tokens."""
    return _tagger.scores(model, texts)


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
