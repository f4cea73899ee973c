"""A tiny base for small data sets of three easy classes."""

import pytest
from easy_data import FILLER, WORDS

from savile import testing


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    texts = [" ".join((*words, *FILLER)) for words in WORDS.values()]
    return str(testing.tiny_encoder(tmp_path_factory.mktemp("tiny"), texts))


@pytest.fixture(scope="session")
def tiny_masked(tmp_path_factory):
    """A tiny base whose tokenizer has a word for hidden words."""
    texts = [" ".join((*words, *FILLER, "number", "[MASK]")) for words in WORDS.values()]
    folder = testing.tiny_encoder(tmp_path_factory.mktemp("masked"), texts)
    spec = folder / "tokenizer.json"
    spec.write_text(spec.read_text().replace('"[mask]"', '"[MASK]"'))
    return str(folder)


@pytest.fixture(scope="session")
def tiny_decoder(tmp_path_factory):
    return str(testing.tiny_decoder(tmp_path_factory.mktemp("decoder")))
