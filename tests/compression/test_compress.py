"""Forms are measured and chosen without the test part; a planted fault excludes a form, with a reason."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest

import small_line
from savile.base import catalogue, events
from savile.base.errors import InputError, RecipeError, RefusalError, UnknownNameError
from savile.base.records import Calibration, Dataset
from savile.base.store import Store
from savile.compression import compress
from savile.models import Predictor
from savile.models._maps import fit_temperature

FORMS = ("openvino-bf16", "onnx-fp32", "onnx-int8")


@pytest.fixture
def planted(small, monkeypatch):
    """A technique named ``planted`` that hands out the forms made already, changed by a function."""
    _, _, made = small

    def plant(change=lambda forms: forms):
        forms = {form: dict(made.forms[form]) for form in FORMS}

        def apply(model, calibration):
            for form, files in change(forms).items():
                model = model.with_form(form, files, model.calibrations["torch"])
            return model

        known = catalogue.get
        fake = SimpleNamespace(apply=apply)
        monkeypatch.setattr(catalogue, "get", lambda kind, name: fake if name == "planted" else known(kind, name))

    return plant


def scaled(path, factor):
    """An ONNX form whose rounded weights have a wrong scale in every layer."""
    model = onnx.load_model_from_string(Path(path).read_bytes())
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in tensors:
            tensor = tensors[node.input[1]]
            tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) * np.float32(factor), tensor.name))
    return model.SerializeToString()


def swapped(path):
    """A tokenizer with two of its words exchanged."""
    text = Path(path).read_text(encoding="utf-8")
    return text.replace('"card"', '"\x00"').replace('"money"', '"card"').replace('"\x00"', '"money"').encode()


def test_forms_and_the_one_that_serves_are_measured(small):
    _, trained, model = small
    assert set(model.forms) == {"torch", *FORMS}
    assert model.facts["served"]["form"] in FORMS
    assert model.facts["served"]["engine"] in ("openvino", "onnxruntime")
    assert "as trained" in model.facts["served"]["why"]
    for form in FORMS:
        found = model.facts["forms"][form]
        assert found["tokens_per_second"] > 0
        assert (found["flips"], found["agreement"], found["excluded"]) == (0, 1.0, "")
        assert found["size_mb"] == pytest.approx(sum(path.stat().st_size for path in model.forms[form].values()) / 1e6)
    fastest = max(FORMS, key=lambda form: model.facts["forms"][form]["tokens_per_second"])
    assert model.facts["served"]["form"] == fastest
    assert model.facts["valid"] == trained.facts["valid"]


def test_a_temperature_is_refitted_for_each_form_on_the_rows_set_apart(small):
    data, _, model = small
    texts = [*data.texts("valid"), *data.texts("calib")]
    gold = np.concatenate([data.targets("valid"), data.targets("calib")])
    for form in FORMS:
        logits = Predictor(model, form, model.facts["forms"][form]["engine"]).logits(texts)
        assert model.calibrations[form].temperature == pytest.approx(fit_temperature(logits, gold), rel=0.02)


def test_the_test_part_is_not_read(small, planted, monkeypatch):
    data, trained, _ = small
    planted()
    monkeypatch.setattr(Dataset, "texts", lambda self, part=None: self.column("text", _allowed(part)))
    monkeypatch.setattr(Dataset, "targets", lambda self, part=None, known=Dataset.targets: known(self, _allowed(part)))
    assert compress(trained, data, "planted").facts["served"]


def _allowed(part):
    assert part in ("train", "valid", "calib")
    return part


def test_a_model_is_compressed_once(small, planted):
    data, trained, _ = small
    planted()
    first = compress(trained, data, "planted")
    said = []
    with events.listening(said.append):
        second = compress(trained, data, "planted")
    assert first.ref == second.ref
    assert "Nothing has changed" in said[0].facts["text"]
    assert Store.open().audit.path.read_text().count('"action":"compress"') == 1


def test_a_wrong_scale_is_refused(small, planted):
    data, trained, made = small
    wrong = scaled(made.forms["onnx-int8"]["model.onnx"], 3.0)
    planted(lambda forms: forms | {"onnx-int8": forms["onnx-int8"] | {"model.onnx": wrong}})
    found = compress(trained, data, "planted")
    assert found.facts["forms"]["onnx-int8"]["excluded"]
    assert found.facts["served"]["form"] != "onnx-int8"


def test_a_swapped_tokenizer_is_refused(small, planted):
    data, trained, made = small
    other = swapped(made.forms["openvino-bf16"]["tokenizer.json"])
    planted(lambda forms: {"openvino-bf16": forms["openvino-bf16"] | {"tokenizer.json": other}})
    said = []
    with events.listening(said.append):
        found = compress(trained, data, "planted")
    assert "not in doubt" in found.facts["forms"]["openvino-bf16"]["excluded"]
    assert found.facts["served"] == {"form": "torch", "engine": None, "why": found.facts["served"]["why"]}
    assert any(event.kind == "warning" and "openvino-bf16" in event.facts["text"] for event in said)


def test_the_smallest_is_chosen_when_size_counts(small, planted):
    data, trained, made = small
    sizes = sorted(made.facts["forms"][form]["size_mb"] for form in FORMS)
    planted()
    found = compress(trained, data, "planted", {"max_size_mb": (sizes[0] + sizes[1]) / 2})
    assert found.facts["forms"][found.facts["served"]["form"]]["size_mb"] == pytest.approx(sizes[0])
    with pytest.raises(RefusalError, match="MB; allowed are"):
        compress(trained, data, "planted", {"max_size_mb": 0.001})


def test_without_calibration_rows_the_trained_temperature_stays(savile_home, tmp_path, small, planted):
    data = small_line.dataset(held=False)
    _, trained, _ = small
    kept = replace(trained, calibrations={"torch": Calibration(1.7, 0.2)})
    planted()
    found = compress(Store.open().save(kept), data, "planted")
    assert {found.calibrations[form] for form in FORMS} == {Calibration(1.7, 0.2)}
    assert found.facts["forms"]["onnx-fp32"]["rows"] == small_line.ROWS["train"]


@pytest.mark.parametrize(
    ("technique", "settings", "error", "sentence"),
    [
        ("exprot", {}, UnknownNameError, "export"),
        ("export", {"max_sise_mb": 3}, UnknownNameError, "max_size_mb"),
        ("export", {"forms": ["onnx-int4"]}, UnknownNameError, "onnx-int8"),
        ("export", {"forms": "onnx-int8"}, RecipeError, "forms: a valid tuple"),
        ("export", {"calibration_rows": "many"}, RecipeError, "calibration_rows: a valid integer"),
        ("export", {"calibration_rows": 0}, InputError, "one row or more"),
    ],
)
def test_what_cannot_be_done_is_said(small, technique, settings, error, sentence):
    data, trained, _ = small
    with pytest.raises(error, match=sentence):
        compress(trained, data, technique, settings)


def test_the_data_must_be_known(small):
    with pytest.raises(InputError, match="Name the data"):
        compress(replace(small[1], parents=()))


def test_the_steadiest_form_goes_before_the_fastest():
    """Of forms that may serve, one that moves answers far enough to change a clear one comes last, however fast."""
    from savile.compression._measure import Candidate

    def one(form, speed, moved, reason=""):
        return Candidate(form, "openvino", Calibration(), {"tokens_per_second": speed, "moved": moved}, reason)

    tried = [one("a-int8", 300, 1.2), one("b-bf16", 200, 0.4), one("c-fp32", 100, 0.0), one("d-bf16", 400, 0.1, "too large")]
    assert [each.form[0] for each in sorted(tried, key=lambda each: each.rank)] == ["b", "c", "a", "d"]
