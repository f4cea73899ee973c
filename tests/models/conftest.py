"""A tiny base, and rows of three easy classes for it."""

import numpy as np
import pytest

from savile import testing

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


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    texts = [" ".join((*words, "please the my is")) for words in WORDS.values()]
    return str(testing.tiny_encoder(tmp_path_factory.mktemp("tiny"), texts))


@pytest.fixture
def network(tiny):
    """Makes a fresh network with a method attached."""
    from savile.models import encoder

    def make(method="full", **settings):
        made = encoder.create(tiny, sorted(WORDS), cosine=method != "head", max_length=32)
        encoder.attach(made, method, settings)
        return made

    return make
