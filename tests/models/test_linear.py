"""TF-IDF with a linear machine: the answers of scikit-learn, from files without pickle."""

import json

import numpy as np
import pytest
from easy_rows import WORDS, rows
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC

from savile.base.contracts import Rows
from savile.base.errors import CorruptError
from savile.base.records import Model
from savile.models import linear

LABELS = tuple(sorted(WORDS))


def stored(fitted, folder):
    files = {}
    for name, data in linear.save(fitted).items():
        files[name] = folder / name
        files[name].write_bytes(data)
    return Model("linear", fitted.labels, forms={"linear": files})


def test_it_answers_like_scikit_learn(tmp_path):
    texts, targets = rows(90)
    fitted = linear.fit(Rows(texts, targets, LABELS))
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    reference = make_pipeline(make_union(words, letters), LinearSVC(C=1.0, random_state=0)).fit(texts, targets)
    fresh, _ = rows(60, seed=3)
    loaded = linear.load(stored(fitted, tmp_path))
    assert np.abs(linear.predict(loaded, fresh) - reference.decision_function(fresh)).max() < 1e-4


def test_chinese_is_read_by_character():
    texts, targets = ["我的卡丢了", "卡被偷了", "退款给我", "请退款"], np.array([0, 0, 1, 1])
    fitted = linear.fit(Rows(texts, targets, ("card", "refund")))
    assert [block["analyzer"] for block in fitted.blocks] == ["char"]
    assert linear.predict(fitted, ["卡丢了", "要退款"]).argmax(1).tolist() == [0, 1]


def test_a_label_without_rows_is_never_chosen():
    texts, targets = rows(60)
    keep = np.flatnonzero(targets != 1)
    fitted = linear.fit(Rows([texts[i] for i in keep], targets[keep], LABELS))
    assert 1 not in linear.predict(fitted, texts).argmax(1)


@pytest.mark.parametrize("damage", ["linear.safetensors", "vocabularies.json", "linear.json"])
def test_files_that_do_not_fit_are_refused(damage, tmp_path):
    texts, targets = rows(30)
    model = stored(linear.fit(Rows(texts, targets, LABELS)), tmp_path)
    if damage == "vocabularies.json":
        vocabularies = json.loads((tmp_path / damage).read_text())
        (tmp_path / damage).write_text(json.dumps([vocabularies[0][1:], vocabularies[1]]))
    else:
        (tmp_path / damage).write_bytes((tmp_path / damage).read_bytes()[:20])
    with pytest.raises(CorruptError):
        linear.load(model)
