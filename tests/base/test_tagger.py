"""The tagger that ships: its size, its lists, and what it finds in ordinary letters."""

import zlib

import numpy as np
import pytest

from savile.base import _tagger


def found(text):
    """What is found, and as what."""
    tagger = _tagger.shipped()
    return {(text[one.start : one.end], tagger.labels[one.label]) for one in _tagger.spans(tagger, [text])[0]}


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("Dear Maria Lopez, thanks for your message.", {("Maria Lopez", "name")}),
        ("Nicole was late, so Brian called the office.", {("Nicole", "name"), ("Brian", "name")}),
        ("I work for Greenfield Insurance Ltd", {("Greenfield Insurance Ltd", "organisation")}),
        ("Please send it to 12 Mill Lane before noon.", {("12 Mill Lane", "address")}),
        ("Where is my parcel? The courier never came.", set()),
        ("请联系王小明，电话13912345678。", {("王小明", "name")}),
    ],
)
def test_names_addresses_and_organisations_are_found(text, due):
    assert found(text) == due


def test_it_is_small():
    assert _tagger.SHIPPED.stat().st_size + _tagger.LISTS.stat().st_size <= 5_000_000


def test_lists_are_packed_as_hashes_of_their_words():
    from safetensors.numpy import load

    packed = load(_tagger.packed({"f": ["Anna Maria", "Bo"], "t": ["Anna", "St. Y"]}))
    kinds = dict(zip(packed["words"].tolist(), packed["lists"].tolist(), strict=True))
    assert kinds == {zlib.crc32(word): kind for word, kind in ((b"anna", 3), (b"maria", 1), (b"bo", 1), (b"st", 2))}
    assert (np.diff(packed["words"].astype(np.int64)) > 0).all()


def test_a_word_of_a_list_has_its_letters_and_chinese_has_none():
    assert "f" in _tagger.listed()[zlib.crc32(b"maria")]
    text = "Maria 王"
    first, second = _tagger.features(text, _tagger.places(text).tolist())
    assert any(name.startswith("A") for name in first)
    assert not any(name[0] in "ABCD" for name in second)
