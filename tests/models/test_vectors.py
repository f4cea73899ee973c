"""Vectors of texts: the loss is the published one, what is learned is found, and all of it resumes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from savile.base import answers, catalogue
from savile.base.contracts import Rows
from savile.base.errors import InputError
from savile.models import FitSettings, _bm25, encoder, fit, linear, sentence
from savile.models._contrastive import VectorRows, multiple_negatives
from savile.models._vectors import log_losses, paired, shortened

TASK = catalogue.get("tasks", "embed")
QUESTIONS = [
    "my card was stolen",
    "card blocked",
    "the parcel is late",
    "order late again",
    "money refund please",
    "charged twice",
]
SUBJECTS = [
    "card stolen blocked",
    "card stolen blocked",
    "parcel order late",
    "parcel order late",
    "refund money",
    "refund money",
]


def unit(rng, rows, width=8):
    found = rng.normal(size=(rows, width))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def rows(questions=QUESTIONS, subjects=SUBJECTS, values=None):
    texts = [answers.pair(one, other) for one, other in zip(questions, subjects, strict=True)]
    return texts, TASK.paired(values or ["1"] * len(texts), texts)


def made(tiny, family):
    create = {"encoder": lambda: encoder.create(tiny, ("similarity",), "contrastive", pairs=True)}
    return create.get(family, lambda: sentence.create("use-m", ("similarity",), "contrastive", pairs=True))()


def test_the_loss_is_multiple_negatives_ranking():
    """As sentence-transformers defines it: cosines times 20, cross-entropy, hard negatives behind the positives."""
    rng = np.random.default_rng(0)
    anchors, positives, hard = unit(rng, 5), unit(rng, 5), unit(rng, 3)
    scores = 20.0 * anchors @ np.concatenate([positives, hard]).T
    wanted = np.mean(np.log(np.exp(scores).sum(axis=1)) - np.diag(scores))
    found = multiple_negatives(torch.tensor(anchors), torch.tensor(np.concatenate([positives, hard])), 0.05)
    assert float(found) == pytest.approx(wanted, abs=1e-9)


def test_what_is_right_elsewhere_in_the_batch_is_no_wrong_answer(tiny):
    network = made(tiny, "encoder")
    source = VectorRows(network, rows(), FitSettings(), torch.float32)
    first, second = source._vectors(source.first), source._vectors(source.second)
    scores = (first @ second.T / 0.05).detach().numpy()
    one_of_each = [
        -scores[row, row]
        + np.log(sum(np.exp(scores[row, col]) for col in range(6) if col == row or SUBJECTS[col] != SUBJECTS[row]))
        for row in range(6)
    ]
    assert source.loss(np.arange(6)).item() == pytest.approx(np.mean(one_of_each), abs=1e-4)


def test_hard_negatives_join_the_batch_of_their_text(tiny):
    questions, subjects = [*QUESTIONS, QUESTIONS[0]], [*SUBJECTS, "card blocked the order"]
    hard = VectorRows(made(tiny, "encoder"), rows(questions, subjects, ["1"] * 6 + ["0"]), FitSettings(), torch.float32)
    plain = VectorRows(made(tiny, "encoder"), rows(), FitSettings(), torch.float32)
    assert len(hard.tokens) == len(plain.tokens) == 6
    assert hard.loss(np.array([0, 2])).item() > plain.loss(np.array([0, 2])).item()
    assert hard.loss(np.array([1, 2])).item() == pytest.approx(plain.loss(np.array([1, 2])).item(), abs=1e-6)


@pytest.mark.parametrize("family", ["encoder", "sentence"])
def test_training_brings_together_what_belongs_together(family, tiny):
    network = made(tiny, family)
    encoder.attach(network, "full", {})
    before = TASK.score(encoder.predict(network.eval(), rows()[0]), rows()[1])
    settings = FitSettings(steps=40, learning_rate=1e-3, precision="fp32", sizes=(8,), batch_rows=6)
    fit(network, rows(), settings, valid=rows(), score=TASK.score)
    vectors = encoder.predict(network, rows()[0])
    assert TASK.score(vectors, rows()[1]) > max(0.95, before - 1e-9)
    assert np.allclose(np.linalg.norm(vectors.reshape(len(QUESTIONS), 2, -1), axis=2), 1.0, atol=1e-5)
    short = np.concatenate([shortened(side, 8) for side in np.split(vectors, 2, axis=1)], axis=1)
    assert TASK.score(short, rows()[1]) > 0.9


def test_the_head_alone_learns_on_what_the_base_makes_of_texts(tiny):
    network = made(tiny, "encoder")
    encoder.attach(network, "head", {})
    start = encoder.predict(network.eval(), rows()[0])
    trunk = {name: p.clone() for name, p in network.trunk.named_parameters()}
    fitted = fit(network, rows(), FitSettings(steps=30, learning_rate=1e-2, precision="fp32"))
    assert fitted.steps == 30
    assert log_losses(encoder.predict(network, rows()[0]), rows()[1]).mean() < log_losses(start, rows()[1]).mean()
    assert all(torch.equal(p, trunk[name]) for name, p in network.trunk.named_parameters())


def test_a_resumed_run_ends_with_the_same_weights(tiny, tmp_path, monkeypatch):
    settings = FitSettings(steps=8, precision="fp32", checkpoint_seconds=0.0, batch_rows=3)
    whole, killed = made(tiny, "encoder"), made(tiny, "encoder")
    for network in (whole, killed):
        encoder.attach(network, "full", {})
    fit(whole, rows(), settings)
    real = VectorRows.loss
    calls = []

    def dies(self, batch):
        calls.append(batch)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return real(self, batch)

    monkeypatch.setattr(VectorRows, "loss", dies)
    with pytest.raises(KeyboardInterrupt):
        fit(killed, rows(), settings, checkpoint=tmp_path)
    monkeypatch.setattr(VectorRows, "loss", real)
    again = made(tiny, "encoder")
    encoder.attach(again, "full", {})
    fit(again, rows(), settings, checkpoint=tmp_path)
    assert np.array_equal(encoder.predict(whole, QUESTIONS), encoder.predict(again, QUESTIONS))


@settings(deadline=None)
@given(st.integers(2, 12), st.integers(0, 1000))
def test_the_truth_scores_best_and_the_order_of_rows_is_nothing(n, seed):
    rng = np.random.default_rng(seed)
    vectors = np.concatenate([unit(rng, n), unit(rng, n)], axis=1)
    gold = np.column_stack([np.ones(n), np.arange(n), n + np.arange(n)]).astype(np.float64)
    order = rng.permutation(n)
    assert TASK.score(vectors, gold) == pytest.approx(TASK.score(vectors[order], gold[order]))
    same = np.concatenate([vectors[:, :8], vectors[:, :8]], axis=1)
    assert TASK.score(same, gold) == pytest.approx(1.0)


def test_scored_pairs_are_judged_by_rank_correlation():
    rng = np.random.default_rng(0)
    first = unit(rng, 30)
    shares = np.linspace(0, 1, 30)
    second = shares[:, None] * first + (1 - shares)[:, None] * unit(rng, 30)
    second /= np.linalg.norm(second, axis=1, keepdims=True)
    gold = np.column_stack([shares, np.arange(30), 30 + np.arange(30)])
    assert TASK.score(np.concatenate([first, second], axis=1), gold) > 0.8
    assert TASK.score(np.concatenate([first, -second], axis=1), gold) == 0.0


def test_ndcg_is_that_of_scikit_learn():
    from sklearn.metrics import ndcg_score

    rng = np.random.default_rng(1)
    queries, candidates = unit(rng, 6), unit(rng, 30)
    due = rng.random((6, 30)) < 0.15
    due[:, 0] = True
    cells = np.argwhere(np.ones_like(due))
    vectors = np.concatenate([queries[cells[:, 0]], candidates[cells[:, 1]]], axis=1).astype(np.float32)
    gold = np.column_stack([due[cells[:, 0], cells[:, 1]], cells[:, 0], 100 + cells[:, 1]]).astype(np.float64)
    assert TASK.score(vectors, gold) == pytest.approx(ndcg_score(due, queries @ candidates.T, k=10), abs=1e-6)


def test_each_text_is_read_once_and_single_texts_have_no_second_vector():
    read = []

    def vectors(texts):
        read.extend(texts)
        return np.ones((len(texts), 3), dtype=np.float32)

    found = paired([answers.pair("a", "b"), answers.pair("a", "c"), "b", ""], vectors)
    assert sorted(read) == ["", "a", "b", "c"]
    assert found[2:, 3:].sum() == 0
    assert found[:2].all()


def test_keywords_find_what_shares_rare_words():
    """BM25 as Lucene counts it: idf log(1 + (N - n + 0.5) / (n + 0.5)), k1 1.2, b 0.75."""
    texts, gold = rows()
    model = linear.fit(Rows(texts, gold, ("similarity",)), "embed")
    vectors = linear.predict(model, texts)
    assert TASK.score(vectors, gold) > 0.6
    documents = [doc.split() for doc in dict.fromkeys(SUBJECTS)]
    query, document = QUESTIONS[0].split(), documents[0]
    mean, score = np.mean([len(doc) for doc in documents]), 0.0
    for word in query:
        n, times = sum(word in doc for doc in documents), document.count(word)
        idf = np.log(1 + (len(documents) - n + 0.5) / (n + 0.5))
        score += idf * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * len(document) / mean))
    assert TASK.alike(vectors)[0] == pytest.approx(score, rel=1e-5)
    assert isinstance(model, _bm25.Bm25)


def test_too_many_dimensions_and_sizes_are_refused(tiny):
    with pytest.raises(InputError, match="dimensions from 1 to 4"):
        shortened(np.eye(4, dtype=np.float32), 5)
    with pytest.raises(InputError, match="sizes from 1 to 32"):
        VectorRows(made(tiny, "encoder"), rows(), FitSettings(sizes=(64,)), torch.float32)
