"""A small model all the way from data to a release, for the rooms at the end of the line."""

import numpy as np
import pyarrow as pa

from savile import adaptation, compression, evaluation, serving, testing
from savile.base.records import Dataset
from savile.base.store import Store

WORDS = {
    "card lost": ("card", "stolen", "blocked", "pin"),
    "order late": ("parcel", "order", "late", "courier"),
    "refund": ("money", "refund", "charged", "twice"),
    "退款": ("退款", "什么", "时候", "到账"),
}
FILLER = ("please", "the", "my", "is", "today", "hello", "thanks")
ROWS = {"train": 200, "valid": 60, "calib": 60, "test": 120}


def base(folder):
    """A tiny encoder with random weights."""
    return str(testing.tiny_encoder(folder, [" ".join((*words, *FILLER)) for words in WORDS.values()]))


def dataset(held=True, mask=None):
    """Four easy classes of texts of 3 to 9 words, stored; without `held` there are no validation and calibration rows."""
    rng, labels = np.random.default_rng(0), sorted(WORDS)
    counts = {name: rows if held or name in ("train", "test") else 0 for name, rows in ROWS.items()}
    targets = np.arange(sum(counts.values())) % len(labels)
    texts = [
        " ".join(rng.permutation([*rng.choice(WORDS[labels[i]], 2), *rng.choice(FILLER, rng.integers(1, 8))])) for i in targets
    ]
    ends = np.cumsum([0, *counts.values()])
    parts = {name: np.arange(ends[i], ends[i + 1], dtype=np.int64) for i, name in enumerate(counts)}
    table = pa.table({"text": texts, "label": [labels[i] for i in targets]})
    roles = {"text": "text", "label": "label"}
    return Store.open().save(Dataset(table, roles, parts, labels=tuple(labels), mask=mask or {}))


def adapted(data, tiny, method="full"):
    """A tuned model that is sure of its answers."""
    if method == "linear":
        return adaptation.adapt(data, "linear")
    return adaptation.adapt(data, tiny, method, settings={"epochs": 25.0, "learning_rate": 5e-3})


def line(folder):
    """Data, trained model and compressed model in the store that is open."""
    data = dataset()
    trained = adapted(data, base(folder))
    return data, trained, compression.compress(trained, data)


def released(data, model, form="onnx-int8", engine="onnxruntime"):
    """A release of a form, from a report without bars."""
    return serving.release(model, form, engine, evaluation.evaluate(model, data, form, engine), data, "tester")
