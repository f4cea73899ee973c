"""A tiny base for rows of three easy classes."""

import pytest
from easy_rows import WORDS

from savile import testing


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
