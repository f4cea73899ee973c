"""The retriever: what stands together and what is often right comes first, and a row is not evidence for itself."""

import numpy as np
import pytest

from savile.base import answers
from savile.base.contracts import Predictions, Rows
from savile.base.errors import DataError, InputError
from savile.base.records import Outputs
from savile.evaluation import ranking
from savile.models import _occurrence, retriever
from savile.tasks import rank

THEMES = {
    "coast": ("reef", "sail", "tide", "dune"),
    "city": ("tram", "mall", "loft", "cafe"),
    "farm": ("barn", "plow", "hay", "seed"),
}


def rows(count=240, seed=0):
    """Queries of one theme, whose right candidates are of it, too; names share no words."""
    rng, texts, targets = np.random.default_rng(seed), [], []
    names = sorted(THEMES)
    for i in range(count):
        theme = names[i % 3]
        *query, right = rng.permutation(THEMES[theme])
        other = rng.choice(THEMES[names[(i + 1) % 3]])
        texts += [answers.pair("\n".join(query), str(one)) for one in (right, other)]
        targets += [1, 0]
    return texts, np.array(targets)


def test_what_stood_together_comes_first():
    texts, targets = rows()
    made = retriever.fit(Rows(texts, targets, ("0", "1")))
    asked, gold = rows(60, seed=1)
    logits = retriever.predict(made, asked)
    assert ((logits[:, 1] > 0) == (gold == 1)).mean() > 0.9
    assert np.isfinite(retriever.predict(made, ["", answers.pair("", "never seen"), "alone"])).all()


def test_a_row_is_no_evidence_for_itself():
    texts = [answers.pair(f"only {i}", f"once {i}") for i in range(20)]
    right = np.ones(20, dtype=bool)
    pairs = _occurrence.read(texts)
    seen = _occurrence.count(pairs, right)
    found = dict(zip(_occurrence.NAMES, _occurrence.features(pairs, seen, right).T, strict=True))
    assert np.abs(found["together"]).max() == 0
    assert np.abs(found["how often"]).max() == 0
    unaware = dict(zip(_occurrence.NAMES, _occurrence.features(pairs, seen).T, strict=True))
    assert unaware["together"].min() > 0


def test_labels_say_which_is_right():
    assert rank.labels(["0", "1"]) == ("0", "1")
    assert rank.labels(["yes", "no"]) == ("no", "yes")
    with pytest.raises(DataError, match="0 and 1"):
        rank.labels(["red", "blue"])
    with pytest.raises(InputError, match="two texts"):
        retriever.fit(Rows(["a", "b"], np.array([0, 1]), ("x", "y")), "classify")


def predictions(scores, right, queries):
    probabilities = np.column_stack([1 - np.array(scores), scores])
    choice = probabilities.argmax(1)
    outputs = Outputs(probabilities, probabilities, choice, probabilities.max(1), choice < 0)
    return Predictions(np.array(right), outputs, ("0", "1"), queries=np.array(queries))


def test_known_ranks():
    one = predictions([0.9, 0.5, 0.4, 0.3], [0, 1, 0, 0], [0, 0, 0, 0])
    figures = ranking.measure(one)
    assert figures["ndcg_10"].value == pytest.approx(1 / np.log2(3))
    assert figures["mrr"].value == 0.5
    assert figures["first"].value == 0.0
    equal = ranking.by_query(predictions([0.5] * 4, [1, 0, 0, 0], [0] * 4))
    assert equal[0, 1] == 0.25  # behind its equals
    none = ranking.by_query(predictions([0.5, 0.1], [0, 0], [0, 1]))
    assert len(none) == 0
    best = ranking.by_query(predictions([0.9, 0.8, 0.1, 0.7, 0.2], [1, 1, 0, 1, 0], [7, 7, 7, 8, 8]))
    assert (best == 1.0).all()
