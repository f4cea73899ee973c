"""Reasons in words: exact ones of the linear model, and those found by asking again without each word."""

import numpy as np
import pytest

from savile.base.contracts import Rows
from savile.base.outputs import Calibration
from savile.base.records import Model
from savile.models import Predictor, linear
from savile.models._reasons import MOST_PIECES, pieces_of

LABELS = ("card", "refund")
TEXTS = ["my card was stolen", "card lost again", "card blocked today", "refund please", "money back now", "refund the money"]
CHINESE = ["银行卡丢了", "卡片被盗", "卡不能用", "请退款", "把钱退给我", "退款到账"]


def predictor(texts, folder):
    files = {}
    for name, content in linear.save(linear.fit(Rows(texts, np.array([0, 0, 0, 1, 1, 1]), LABELS))).items():
        (folder / name).write_bytes(content)
        files[name] = folder / name
    return Predictor(Model("linear", LABELS, forms={"linear": files}, calibrations={"linear": Calibration()}), "linear")


@pytest.mark.parametrize(("texts", "asked"), [(TEXTS, "My stolen CARD, and a refund!"), (CHINESE, "我的卡被盗了")])
def test_weights_of_words_sum_to_the_score(texts, asked, tmp_path):
    model = predictor(texts, tmp_path)
    (found,) = model.reasons([asked])
    logits = model.logits([asked])[0].astype(np.float64)
    assert sum(one.weight for one in found.reasons) + found.base == pytest.approx(found.score, abs=1e-9)
    assert found.score == pytest.approx(logits.max() - logits.min(), abs=1e-5)


def test_the_words_that_decide_come_first(tmp_path):
    (found,) = predictor(TEXTS, tmp_path).reasons(["please tell me where my refund is"])
    assert found.reasons[0].what == "refund"
    assert {one.what for one in found.reasons} == {"please", "tell", "me", "where", "my", "refund", "is"}


def test_asked_again_without_each_word_the_same_one_decides(tmp_path):
    model = predictor(TEXTS, tmp_path)
    exact = model.reasons(["stolen card help"])[0]
    model.answerer = None  # as with an engine: nothing but answers to go by
    (found,) = model.reasons(["stolen card help"])
    assert found.base is None
    assert {one.what for one in found.reasons[:2]} == {one.what for one in exact.reasons[:2]} == {"stolen", "card"}
    without = model.logits(["card help"])[0]
    whole = model.logits(["stolen card help"])[0]
    weight = next(one.weight for one in found.reasons if one.what == "stolen")
    assert weight == pytest.approx(float((whole - without) @ [1, -1]), abs=1e-5)


@pytest.mark.parametrize("text", ["", "one", "我的卡。", "it's a well-known word " * 40, "!!! ..."])
def test_pieces_cover_the_words_and_are_not_too_many(text):
    pieces = pieces_of(text)
    assert len(pieces) <= MOST_PIECES
    assert all(0 <= start < end <= len(text) for start, end in pieces)
    assert pieces_of("我的卡") == [(0, 1), (1, 2), (2, 3)]
    assert pieces_of("it's here") == [(0, 4), (5, 9)]
