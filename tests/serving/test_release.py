"""A release takes a passed gate and is one bundle: a changed byte or setting, or a form that answers otherwise, is refused."""

import json
import socket
import stat
from dataclasses import replace

import numpy as np
import pytest

import small_line
from savile import evaluation, serving
from savile.base.errors import CorruptError, GateError, InputError, MachineError, ParityError, UnknownNameError
from savile.base.mask import policy
from savile.base.records import Calibration
from savile.base.store import Store
from savile.serving import _bundle, _keys


@pytest.fixture
def stored(small):
    """The small line in a store of the test's own."""
    data, _, model = small
    store = Store.open()
    return store.save(data), store.save(model)


def test_a_release_says_what_may_serve(stored):
    data, model = stored
    release = small_line.released(data, model)
    assert (release.form, release.engine, release.approver, release.forced) == ("onnx-int8", "onnxruntime", "tester", False)
    said = {"calibration", "labels", "mask", "task", "base"}
    assert set(release.bundle) == {"onnx-int8/model.onnx", "onnx-int8/tokenizer.json", *said}
    assert len(release.golden["texts"]) == _bundle.GOLDEN
    assert set(release.golden["texts"]) <= set(data.texts("test"))
    assert Store.open().load(release.ref).digest == release.digest
    assert '"action":"release"' in Store.open().audit.path.read_text()


def test_golden_inputs_are_answered_as_expected(stored):
    data, model = stored
    release = small_line.released(data, model)
    predictor = _bundle.opened(release)
    outputs = predictor(release.golden["texts"])
    assert [predictor.labels[choice] for choice in outputs.choice] == [one["label"] for one in release.golden["answers"]]
    expected = [one["probability"] for one in release.golden["answers"]]
    assert outputs.confidence.tolist() == pytest.approx(expected, abs=1e-4)
    assert _bundle.replay(predictor, release)["passed"]


def test_a_gate_that_is_not_passed_refuses(stored):
    data, model = stored
    report = evaluation.evaluate(model, data, "onnx-int8", "onnxruntime", {"gates": [{"metric": "accuracy", "min": 1.01}]})
    with pytest.raises(GateError):
        serving.release(model, "onnx-int8", "onnxruntime", report, data, "tester")
    forced = serving.release(model, "onnx-int8", "onnxruntime", report, data, "tester", forced=True)
    assert forced.forced
    assert '"forced":true' in Store.open().audit.path.read_text()


def test_a_report_on_something_else_is_refused(stored):
    data, model = stored
    report = evaluation.evaluate(model, data, "onnx-int8", "onnxruntime")
    with pytest.raises(InputError, match="Evaluate the form"):
        serving.release(model, "onnx-fp32", "onnxruntime", report, data, "tester")


def test_the_trained_form_of_any_family_may_serve(stored):
    data, _ = stored
    linear = small_line.adapted(data, "", "linear")
    release = serving.release(linear, None, None, evaluation.evaluate(linear, data), data, "tester")
    assert (release.form, release.engine) == ("linear", "")
    assert _bundle.replay(_bundle.opened(release), release)["passed"]


def test_a_changed_byte_is_found(stored):
    data, model = stored
    release = small_line.released(data, model)
    path = model.forms["onnx-int8"]["model.onnx"]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)
    with pytest.raises(CorruptError):
        _bundle.opened(release)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"calibrations": {"onnx-int8": Calibration(9.0)}}, "calibration"),
        ({"labels": ("a", "b", "c", "d")}, "labels"),
        ({"mask": {"pii": "mask"}}, "mask"),
    ],
)
def test_a_changed_setting_is_found(stored, change, named):
    data, model = stored
    release = small_line.released(data, model)
    with pytest.raises(CorruptError, match=f"content of {named}"):
        _bundle.check(replace(model, **change), release)


def test_a_form_that_answers_otherwise_is_refused(stored):
    data, model = stored
    release = small_line.released(data, model)
    predictor = _bundle.opened(release)
    intact = predictor._logits
    predictor._logits = lambda texts: np.roll(intact(texts), 1, axis=1)
    found = _bundle.replay(predictor, release)
    assert not found["passed"]
    with pytest.raises(ParityError):
        _bundle.refuse(release, found)
    predictor._logits = lambda texts: 3 * intact(texts)
    assert "times the trained" in _bundle.replay(predictor, release)["reason"]


def test_a_taken_port_is_told_before_anything_is_loaded(stored, monkeypatch):
    data, model = stored
    release = small_line.released(data, model)
    monkeypatch.setattr(_bundle, "opened", lambda release: pytest.fail("loaded"))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(MachineError, match="another program"):
            serving.serve(release, port=other.getsockname()[1], keys=False)
    with pytest.raises(MachineError):
        serving.serve(release, host="256.0.0.1", port=0, keys=False)


def test_keys_are_required_to_exist(stored):
    data, model = stored
    with pytest.raises(InputError, match="--new-key"):
        serving.serve(small_line.released(data, model), port=0)


def test_only_the_hash_of_a_key_is_on_the_disk():
    store, key = Store.open(), serving.new_key("shop")
    (path,) = store.keys.glob("api-*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(key) > 40
    everything = b"".join(path.read_bytes() for path in store.home.rglob("*") if path.is_file())
    assert key.encode() not in everything
    assert json.loads(path.read_text())["name"] == "shop"


def test_keys_are_admitted_and_taken_back():
    keys = _keys.Keys(Store.open().keys)
    assert len(keys) == 0
    first, second = serving.new_key("shop"), serving.new_key("desk")
    assert keys.admit(f"Bearer {first}".encode())
    assert keys.admit(f"bearer  {second} ".encode())
    for wrong in ("", "Bearer", "Bearer ", f"Basic {first}", first, f"Bearer {first}x", f"Bearer {first[:-1]}", "Bearer \xff"):
        assert not keys.admit(wrong.encode("latin-1"))
    assert serving.revoke_key("shop") == 1
    assert not keys.admit(f"Bearer {first}".encode())
    assert keys.admit(f"Bearer {second}".encode())
    with pytest.raises(UnknownNameError, match="desk"):
        serving.revoke_key("dask")


@pytest.mark.parametrize("name", ["", "../etc/passwd", "a" * 65, "a\nb", "\x00"])
def test_a_name_that_cannot_be_one_is_refused(name):
    with pytest.raises(InputError):
        serving.new_key(name)


def test_served_text_is_masked_as_trained_text_was(stored):
    data, model = stored
    masked = Store.open().save(replace(model, mask=policy(Store.open().keys)))
    predictor = _bundle.opened(small_line.released(data, masked))
    seen, read = [], predictor._logits
    predictor._logits = lambda texts: seen.extend(texts) or read(texts)
    predictor(["my card is at ada@example.com"])
    assert seen
    assert "ada@example.com" not in seen[0]
