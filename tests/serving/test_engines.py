"""Engines keep their contract, pack without mixing texts, and say what is wrong with a file."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from savile.base import catalogue
from savile.base.errors import CorruptError
from savile.models import Predictor
from savile.models._predict import pad
from savile.serving import _packing
from savile.testing import check_engine

EXACT = [("onnx-fp32", "openvino"), ("onnx-fp32", "onnxruntime"), ("onnx-int8", "onnxruntime")]
PAIRS = [("openvino-bf16", "openvino"), *EXACT]


@pytest.mark.parametrize(("form", "engine"), EXACT)
def test_engines_keep_their_contract(small, form, engine):
    data, _, model = small
    trained = Predictor(model, "torch")
    texts = [text for text in data.texts("test") if len(text.split()) == 5]
    ids = np.array(Predictor(model, form, engine).tokens(texts))
    check_engine(engine, model.forms[form], ids, trained.logits(texts))


def test_bf16_chooses_alone_what_it_chooses_in_company(small):
    data, _, model = small
    predictor, texts = Predictor(model, "openvino-bf16", "openvino"), data.texts("test")
    together = predictor(texts)
    alone = [predictor([text]) for text in texts]
    assert together.choice.tolist() == [one.choice[0] for one in alone]
    assert np.abs(together.confidence - [one.confidence[0] for one in alone]).max() < 0.01


@pytest.mark.parametrize(("form", "engine"), PAIRS)
def test_calls_from_several_threads_do_not_mix(small, form, engine):
    data, _, model = small
    predictor = Predictor(model, form, engine, threads=1)
    texts = data.texts("test")
    expected, found = predictor.logits(texts), {}

    def ask(first):
        found[first] = np.concatenate([predictor.logits(texts[i : i + 5]) for i in range(first, len(texts) - 5, 7)])

    threads = [threading.Thread(target=ask, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for first, logits in found.items():
        rows = np.concatenate([np.arange(i, i + 5) for i in range(first, len(texts) - 5, 7)])
        assert np.abs(logits - expected[rows]).max() < 0.2


@pytest.mark.parametrize("engine", catalogue.names("engines"))
@pytest.mark.parametrize("content", [b"", b"no graph at all", b"\x08\x07"])
def test_a_file_that_is_no_graph_is_said_so(tmp_path, engine, content):
    for name in ("model.onnx", "model.xml", "model.bin"):
        (tmp_path / name).write_bytes(content)
    plugin = catalogue.get("engines", engine)
    assert plugin.available() is None
    for names in [("model.onnx",), ("model.xml", "model.bin")][: 1 + ("openvino" in plugin.READS)]:
        with pytest.raises(CorruptError):
            plugin.open({name: tmp_path / name for name in names}, 1)


lengths = st.lists(st.integers(1, 64), min_size=1, max_size=70).map(np.array)


@given(lengths)
@settings(max_examples=150, deadline=None)
def test_packing_keeps_every_token_once_and_apart(counts):
    rng = np.random.default_rng(0)
    ids, mask = pad([rng.integers(1, 1000, count).tolist() for count in counts])
    flat, positions, texts, pool = _packing.packed(ids, mask.sum(axis=1), 64)
    assert flat.shape == positions.shape == texts.shape
    assert pool.shape == (pool.shape[0], flat.size)
    assert flat.shape[0] <= _packing._rounded(len(counts))
    for text, count in enumerate(counts):
        rows, columns = np.nonzero(texts == text)
        assert len(set(rows)) == 1
        assert (flat[rows, columns] == ids[text, :count]).all()
        assert (positions[rows, columns] == np.arange(count)).all()
        assert pool[text].sum() == pytest.approx(1.0)
        assert set(np.flatnonzero(pool[text])) == set(rows * 64 + columns)
    assert (texts >= 0).sum() == sum(counts)
    assert not pool[len(counts) :].any()


@given(st.lists(st.integers(1, 500), min_size=1, max_size=64).map(np.array))
def test_every_text_goes_into_rows_that_hold_it(counts):
    found = list(_packing.by_row_length(counts))
    assert sorted(np.concatenate([texts for _, texts in found]).tolist()) == list(range(len(counts)))
    for length, texts in found:
        assert (counts[texts] <= length).all()


def test_packing_fills_rows():
    ids, mask = pad([[5] * count for count in [40, 24, 32, 32, 10, 10, 44]])
    flat, *_ = _packing.packed(ids, mask.sum(axis=1), 64)
    assert flat.shape == (3, 64)


def test_padded_graphs_get_rows_as_long_as_the_longest():
    seen = []
    run = _packing.reader(("ids", "mask"), lambda inputs: seen.append(inputs) or np.zeros((2, 3), np.float32))
    run(*pad([[1, 2, 3], [4]]))
    assert [array.tolist() for array in seen[0]] == [[[1, 2, 3], [4, 0, 0]], [[1, 1, 1], [1, 0, 0]]]
    with pytest.raises(ValueError, match="not ids, positions"):
        _packing.reader(("tokens",), lambda inputs: inputs[0])
