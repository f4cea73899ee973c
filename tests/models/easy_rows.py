"""Rows of three easy classes."""

import numpy as np

WORDS = {
    "card": ("card", "stolen", "blocked", "pin"),
    "order": ("parcel", "order", "late", "courier"),
    "refund": ("money", "refund", "charged", "twice"),
}


def rows(count, seed=0):
    """Texts of four words, most of them of the class, and the class of each."""
    rng = np.random.default_rng(seed)
    labels = sorted(WORDS)
    targets = np.arange(count) % len(labels)
    filler = ("please", "the", "my", "is")
    texts = [" ".join([*rng.choice(WORDS[labels[target]], 2), *rng.choice(filler, rng.integers(1, 5))]) for target in targets]
    return texts, targets.astype(np.int64)
