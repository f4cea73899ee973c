"""Small data sets of three easy classes."""

import numpy as np
import pyarrow as pa

from savile.base.records import Dataset

WORDS = {
    "card_lost": ("card", "stolen", "blocked", "pin"),
    "order_late": ("parcel", "order", "late", "courier"),
    "refund": ("money", "refund", "charged", "twice"),
}
FILLER = ("please", "the", "my", "is")


def dataset(rows, held=0, groups=0, seed=0):
    """A data set of `rows` training rows and, with `held`, as many validation and calibration rows each."""
    rng = np.random.default_rng(seed)
    labels = sorted(WORDS)
    total = rows + 2 * held + 30
    targets = np.arange(total) % len(labels)
    texts = [" ".join([*rng.choice(WORDS[labels[i]], 2), *rng.choice(FILLER, rng.integers(1, 5))]) for i in targets]
    columns = {"text": texts, "label": [labels[i] for i in targets]}
    roles = {"text": "text", "label": "label"}
    if groups:
        columns["customer"] = [f"c{i}" for i in rng.integers(groups, size=total)]
        roles["group"] = "customer"
    ends = np.cumsum([0, rows, held, held, 30])
    names = ("train", "valid", "calib", "test")
    parts = {name: np.arange(ends[i], ends[i + 1], dtype=np.int64) for i, name in enumerate(names)}
    return Dataset(pa.table(columns), roles, parts, labels=tuple(labels))
