"""Every form answers as trained, adapters and all; int8 knows no companions; what cannot be exported is said so."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch

import small_line
from savile.base import machine
from savile.base.errors import InputError, UnknownNameError
from savile.compression import _graphs, export
from savile.models import Predictor
from savile.testing import check_technique

ENGINES = [("openvino-bf16", "openvino"), ("onnx-fp32", "onnxruntime"), ("onnx-fp32", "openvino"), ("onnx-int8", "onnxruntime")]
ENGINES.append(("onnx-int8", "openvino"))


def test_the_technique_keeps_its_contract(small):
    data, trained, _ = small
    check_technique("export", trained, data.texts("train"))


@pytest.mark.parametrize(("form", "engine"), ENGINES)
def test_a_form_answers_as_trained(small, form, engine):
    data, _, model = small
    texts = data.texts("test")
    trained, served = (Predictor(model, *how)(texts) for how in (("torch",), (form, engine)))
    assert (trained.choice == served.choice).all()
    atol = {"fp32": 1e-4, "bf16": 0.3, "int8": 0.3}[form.rpartition("-")[2]]
    assert np.abs(trained.logits - served.logits).max() < atol


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_int8_answers_alone_as_in_company(small, engine):
    data, _, model = small
    predictor, texts = Predictor(model, "onnx-int8", engine), data.texts("test")[:40]
    together = predictor.logits(texts)
    alone = np.concatenate([predictor.logits([text]) for text in texts])
    assert np.abs(together - alone).max() < 1e-4


@pytest.mark.parametrize(("flags", "most"), [(("avx2",), 63), (("avx2", "avx512_vnni"), 127), (("asimd",), 127)])
def test_int8_weights_cannot_saturate_where_bytes_are_summed_in_16_bits(small, monkeypatch, flags, most):
    data, trained, _ = small
    monkeypatch.setattr(machine, "cpu_flags", lambda: flags)
    made = export.apply(trained, data.texts("train"), export.Settings(forms=("onnx-int8",)))
    graph = onnx.load_model_from_string(made.forms["onnx-int8"]["model.onnx"]).graph
    weights = [onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name.endswith("_weight")]
    assert weights
    assert {int(np.abs(weight.astype(int)).max()) for weight in weights} == {most}


def test_int8_rounds_weights_by_channel_and_activations_beforehand(small):
    _, _, model = small
    graph = onnx.load_model_from_string(model.forms["onnx-int8"]["model.onnx"].read_bytes()).graph
    kinds = {node.op_type for node in graph.node}
    assert "DynamicQuantizeLinear" not in kinds
    sizes = {tensor.name: (tensor.data_type, list(tensor.dims)) for tensor in graph.initializer}
    rounded = [node for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in sizes]
    assert len(rounded) == 18  # six a layer
    for node in rounded:
        kind, shape = sizes[node.input[0]]
        assert kind == onnx.TensorProto.INT8
        assert sizes[node.input[1]][1] == shape[1:]  # one scale a column
    (head,) = (node for node in graph.node if node.op_type == "Gemm")
    assert sizes[head.input[1]][0] == onnx.TensorProto.FLOAT


def test_products_that_int8_would_change_too_much_stay(small):
    data, trained, _ = small
    kept = export.apply(trained, data.texts("train"), export.Settings(forms=("onnx-int8",), keep_error=0.0))
    graph = onnx.load_model_from_string(kept.forms["onnx-int8"]["model.onnx"]).graph
    assert "QuantizeLinear" not in {node.op_type for node in graph.node}


def test_an_adapter_is_folded_in(small, tmp_path, savile_home):
    data = small_line.dataset()
    attached = small_line.adapted(data, small_line.base(tmp_path), "lora")
    model = export.apply(attached, data.texts("train"), export.Settings(forms=("onnx-fp32",)))
    (tmp_path / "model.onnx").write_bytes(model.forms["onnx-fp32"]["model.onnx"])
    (tmp_path / "tokenizer.json").write_bytes(model.forms["onnx-fp32"]["tokenizer.json"])
    files = {name: tmp_path / name for name in ("model.onnx", "tokenizer.json")}
    folded = model.with_form("onnx-fp32", files, model.calibrations["torch"])
    texts = data.texts("test")
    assert np.allclose(
        Predictor(attached, "torch").logits(texts), Predictor(folded, "onnx-fp32", "onnxruntime").logits(texts), atol=1e-3
    )


def test_the_tokenizer_goes_along_with_its_cut_off(small):
    _, _, model = small
    trained = json.loads(model.forms["torch"]["tokenizer.json"].read_text())
    assert trained["truncation"]["max_length"] == 62
    for form in export.FORMS:
        assert json.loads(model.forms[form]["tokenizer.json"].read_text()) == trained


def test_a_family_without_a_network_is_refused(small):
    linear = small_line.adapted(small[0], "", "linear")
    with pytest.raises(InputError, match="the family linear"):
        export.apply(linear, ["a text"])


def test_a_form_nobody_knows_is_refused(small):
    with pytest.raises(UnknownNameError, match="onnx-int8"):
        export.apply(small[1], ["a text"], export.Settings(forms=("onnx-int4",)))


class Trunk(torch.nn.Module):
    """Attention over words and places, where places are counted from `first`."""

    def __init__(self, first, takes_positions):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.places = torch.nn.Embedding(50, 8), torch.nn.Embedding(50, 8)
        self.config, self.first, self.takes_positions = SimpleNamespace(), first, takes_positions

    def forward(self, input_ids, attention_mask, position_ids=None):
        if position_ids is not None and not self.takes_positions:
            raise TypeError("position_ids")
        places = torch.arange(input_ids.shape[1]) + self.first if position_ids is None else position_ids
        hidden = self.words(input_ids) + self.places(places)
        if attention_mask.ndim == 2:
            attention_mask = torch.where(attention_mask[:, None, None, :] > 0, 0.0, -1e9)
        scores = (hidden @ hidden.transpose(1, 2))[:, None] + attention_mask
        return SimpleNamespace(last_hidden_state=scores.softmax(-1)[:, 0] @ hidden)


def network(first=0, takes_positions=True):
    """A network pooled by its first token."""
    head = torch.nn.Linear(8, 3)
    pool = lambda hidden, mask: hidden[:, 0]  # noqa: E731
    trunk = Trunk(first, takes_positions)
    return SimpleNamespace(trunk=trunk, head=head, pool=pool, pooling="cls", pad_id=first - 1, loss="cross_entropy")


@pytest.mark.parametrize(("first", "takes", "kind"), [(0, True, "Packed"), (2, True, "Packed"), (0, False, "Padded")])
def test_rows_are_packed_where_that_gives_the_same_answers(first, takes, kind):
    rows = [[2, 7, 8, 3], [2, 9, 3], [2, 4, 4, 4, 4, 3], [2, 3]]
    assert type(_graphs._graph(network(first, takes), rows)).__name__ == kind


GUARDED = """
import socket, sys
def refuse(self, address):
    raise AssertionError(str(address))
socket.socket.connect = socket.socket.connect_ex = refuse
sys.path.insert(0, {tests!r})
import pathlib, small_line
data, trained, model = small_line.line(pathlib.Path({folder!r}))
small_line.released(data, model, "openvino-bf16", "openvino")
assert sys.modules["openvino_telemetry"] is None
print(sorted(model.forms))
"""


def test_nothing_is_sent_while_converting_compiling_and_answering(tmp_path):
    code = GUARDED.format(tests=str(Path(__file__).parents[1]), folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "openvino-bf16" in done.stdout
