"""A tiny base for small data sets of three easy classes."""

import pytest
from easy_data import FILLER, WORDS

from savile import testing


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    texts = [" ".join((*words, *FILLER)) for words in WORDS.values()]
    return str(testing.tiny_encoder(tmp_path_factory.mktemp("tiny"), texts))
