"""Spans and labels of tokens say the same, decoding keeps to BIO, and nothing of a long text is left out."""

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest

from savile.base import _bio
from savile.base.contracts import Rows
from savile.base.outputs import Span, Tokens, arrays, joined, of_arrays, spanned
from savile.models import _linear_tags, _span_maps, _spans
from savile.models._piece_cutter import VOCABULARY, PieceCutter
from savile.tasks import tag


class Words:
    """A cutter whose tokens are words and whose rows hold four of them."""

    begin, end, room = [7], [8], 40

    def __call__(self, texts):
        found = []
        for text in texts:
            starts = np.cumsum([0, *(len(word) + 1 for word in text.split(" "))])
            places = [(start, start + len(word)) for start, word in zip(starts, text.split(" "), strict=False)]
            found.append(([len(word) for word in text.split(" ")], np.array(places)))
        return found


def one_hot(path, outputs):
    return np.log(np.eye(outputs)[path] * 0.9 + 0.1 / outputs).astype(np.float32)


def test_targets_and_decoding_are_each_others_inverse():
    text = "Ann Lee of Acme Ltd saw Bob Lee"
    cut = Words()([text])[0][1]
    spans = [Span(0, 7, 0), Span(11, 19, 1), Span(24, 27, 0), Span(28, 31, 0)]
    targets = _spans.token_targets(cut, spans)
    assert targets.tolist() == [1, 2, 0, 3, 4, 0, 1, 1]
    tokens = Tokens.of([(np.exp(one_hot(targets, 5)), cut)], 5)
    assert [span.key for span in _spans.decoded(tokens)[0]] == [span.key for span in spans]


def test_decoding_finds_the_best_path_that_bio_allows():
    rng = np.random.default_rng(0)
    places = np.stack([np.arange(5) * 2, np.arange(5) * 2 + 1], axis=1)
    for _ in range(20):
        probabilities = rng.dirichlet(np.ones(5) * 0.4, size=5)
        allowed = [
            path
            for path in itertools.product(range(5), repeat=5)
            if all(now == 0 or now % 2 or before in (now, now - 1) for before, now in zip((0, *path), path, strict=False))
        ]
        best = max(allowed, key=lambda path: np.log(probabilities[np.arange(5), path]).sum())
        found = _bio.paths(Tokens.of([(probabilities, places), (probabilities[:2], places[:2])], 5))
        assert found[:5].tolist() == list(best)


def test_windows_cover_every_token_once_and_agree_with_one_long_row():
    texts = [" ".join(["a" * (1 + i % 7) for i in range(n)]) for n in (1, 39, 40, 41, 300)]

    def run(rows):
        return [np.repeat(np.array(row, dtype=np.float32)[:, None], 3, axis=1) for row in rows]

    found = _spans.answered(texts, Words(), run, 3)
    for row, (ids, places) in enumerate(Words()(texts)):
        inside = slice(found.bounds[row], found.bounds[row + 1])
        assert found.flat[inside, 0].tolist() == ids
        assert (found.places[inside] == places).all()
    assert all(len(window.ids) <= 42 for window in _spans.windows(Words(), Words()(texts)))


def test_tokens_are_taken_joined_and_kept():
    rng = np.random.default_rng(1)
    rows = [(rng.normal(size=(n, 3)).astype(np.float32), np.arange(2 * n).reshape(n, 2)) for n in (2, 0, 4, 1)]
    tokens = Tokens.of(rows, 3)
    assert len(tokens) == 4
    again = joined([tokens[np.array([3, 1])], tokens[np.array([0, 2])]])[np.array([2, 1, 3, 0])]
    for name in ("flat", "bounds", "places"):
        assert (getattr(again, name) == getattr(tokens, name)).all()
        assert (getattr(of_arrays(arrays(tokens)), name) == getattr(tokens, name)).all()
    gold = spanned([[Span(0, 2, 1)], []])
    assert (of_arrays(arrays(gold)) == gold).all()


def test_calibration_finds_the_bias_and_honest_probabilities():
    rng = np.random.default_rng(2)
    head, places = tag.head(1), np.stack([np.arange(8) * 2, np.arange(8) * 2 + 1], axis=1)
    rows, gold = [], []
    for _ in range(300):
        due = rng.random(8) < 0.3
        logits = rng.normal(size=(8, 3))
        logits[:, 0] += 3.0  # far too ready to leave tokens outside
        logits[due, 1] += 4.0
        logits[:, 2] -= 9.0
        rows.append((logits.astype(np.float32), places))
        gold.append([Span(2 * i, 2 * i + 1, 0) for i in np.flatnonzero(due)])
    tokens, gold = Tokens.of(rows, 3), spanned(gold)
    plain = tag.score(_span_maps.decide(head, tokens, _span_maps.Calibration()).choice, gold)
    fitted = _span_maps.calibrate(head, tokens, gold, _span_maps.Calibration())
    outputs = _span_maps.decide(head, tokens, fitted)
    assert fitted.biases[0] < 0
    assert tag.score(outputs.choice, gold) > plain
    said = np.array([span.probability for spans in outputs.choice for span in spans])
    true = [span.key in {due.key for due in dues} for spans, dues in zip(outputs.choice, gold, strict=True) for span in spans]
    assert abs(said.mean() - np.mean(true)) < 0.02


def test_the_linear_model_learns_names_by_what_is_around_them():
    rng = np.random.default_rng(3)
    names = ["Ann", "Bob", "Cem", "Dora", "Eve", "Finn"]
    texts = [f"Dear {rng.choice(names)} your parcel no {rng.integers(99)} is late" for _ in range(200)]
    cells = [[[5, text.index(" your"), "name"]] for text in texts]
    model = _linear_tags.fit(Rows(texts, tag.targets(cells, ("name",)), ("name",)), 3)
    found = _span_maps.decide(
        tag.head(1), _linear_tags.predict(model, ["Dear Zoë your parcel is here", ""]), _span_maps.Calibration()
    )
    assert [span.key for span in found.choice[0]] == [(5, 8, 0)]
    assert found.choice[1] == ()


def test_pieces_keep_their_places():
    base = pytest.importorskip("savile.models._bases").installed().get("use-m")
    if base is None:
        pytest.skip("no base use-m on this machine")
    cutter = PieceCutter((base / "sp.model").read_bytes(), 256)
    texts = ["浙商银行企业信贷部叶老桂博士", "John's Kosketikatu 12b,\n\tÅbo — ﬁne", "", "   "]
    for text, (ids, places) in zip(texts, cutter(texts), strict=True):
        assert len(ids) == len(places)
        covered = {i for start, end in places.tolist() for i in range(start, end)}
        assert covered >= {i for i, letter in enumerate(text) if not letter.isspace()}
        assert all(end > start for start, end in places.tolist())
    own, piece = (np.array(cutter(["银行"])[0][0]) // VOCABULARY**i % VOCABULARY for i in range(2))
    assert len(set(own)) == 2
    assert len(set(piece)) == 1


def test_a_head_that_tags_sees_several_layers_and_one_of_before_the_top_alone(tmp_path):
    from savile.models import encoder

    if "minilm" not in pytest.importorskip("savile.models._bases").installed():
        pytest.skip("no base minilm on this machine")
    import torch

    texts = ["Ann Lee lives at 5 High St", "", "x " * 300]
    for read, width in ((None, 4 * 384), ((), 384)):
        network = encoder.create("minilm", ("name",), "token_cross_entropy", cosine=False)
        encoder.attach(network, "head", {})
        network.tag(3, read)
        assert network.read == ((0, 2, 4, 6) if read is None else ())
        assert network.head.norm.weight.shape == (width,)
        with torch.no_grad():
            network.head.weight.normal_()
        paths = {}
        for name, content in encoder.save(network).items():
            paths[name] = tmp_path / f"{width}-{name}"
            paths[name].write_bytes(content)
        assert ("read" in json.loads(paths["network.json"].read_text())) == (read is None)
        again = encoder.load(SimpleNamespace(forms={"torch": paths}))
        said, expected = encoder.predict(again, texts), encoder.predict(network.eval(), texts)
        assert expected.flat.std() > 0
        assert np.array_equal(said.flat, expected.flat)
        alone = encoder.predict(again, texts[:1])  # beside longer texts a text is answered as by itself
        assert np.allclose(alone.flat, expected.flat[: len(alone.flat)], atol=1e-4)
