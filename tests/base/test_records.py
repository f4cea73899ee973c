"""Records go into the store and come out the same, and the same thing has the same name."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from savile.base.records import RECORDS, Calibration, Dataset, Finding, Model, Release, Report, canonical
from savile.base.store import Store

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def dataset():
    table = pa.table({"text": ["lost card", "退款", "why", "refund"], "label": ["card", "refund", "card", "refund"]})
    parts = {"train": np.array([0, 1, 2]), "valid": np.array([], dtype=np.int64), "test": np.array([3])}
    finding = Finding("blank", "note", 1, "one cell is blank", rows=(2,))
    roles = {"text": "text", "label": "label"}
    return Dataset(table, roles, parts, labels=("card", "refund"), findings=(finding,), name="tiny", mask={"pii": "keep"})


def model():
    forms = {"torch": {"head.safetensors": b"weights", "tokenizer/vocab.txt": b"words"}}
    return Model("encoder", ("a", "b"), forms=forms, calibrations={"torch": Calibration(1.5, 0.2)}, facts={"seconds": 3.5})


def release():
    gate = {"passed": True, "checks": []}
    return Release("model@1", "torch", "torch", "report@1", gate, ("avx2",), {"head": "00"}, "ann", parents=("model@1",))


@pytest.mark.parametrize("record", [dataset(), model(), Report({"verdict": "better"}, {"floor": 0.9}), release()])
def test_a_saved_record_is_loaded_as_it_was_saved(record):
    saved = Store.open().save(record)
    loaded = Store.open().load(saved.ref)
    assert type(loaded) is type(record) is RECORDS[saved.ref.partition("@")[0]]
    assert loaded.ref == saved.ref
    assert canonical(loaded.entry().body) == canonical(record.entry().body) == canonical(saved.entry().body)
    assert Store.open().save(loaded).ref == saved.ref


def test_a_data_set_gives_its_columns_targets_and_parts():
    loaded = Store.open().save(dataset())
    assert loaded.texts("train") == ["lost card", "退款", "why"]
    assert loaded.column("label") == ["card", "refund", "card", "refund"]
    assert loaded.targets("train").tolist() == [0, 1, 0]
    assert loaded.targets("valid").dtype == np.int64
    assert loaded.findings[0].rows == (2,)
    assert loaded.select("train", np.array([0])).texts("train") == ["lost card"]


def test_the_digest_of_a_data_set_follows_rows_roles_and_parts():
    first = dataset()
    others = [
        first.select("train", np.array([0, 1])),
        replace(first, task="score"),
        replace(first, table=first.table.slice(1)),
        replace(first, roles={"text": "label", "label": "text"}),
    ]
    assert len({first.digest, *(other.digest for other in others)}) == 5
    assert replace(first, name="renamed").digest == first.digest


def test_a_form_more_leaves_the_first_model_as_it_is():
    first = model()
    more = first.with_form("onnx-fp32", {"model.onnx": b"graph"}, Calibration())
    assert set(more.forms) == {"torch", "onnx-fp32"}
    assert set(first.forms) == {"torch"}
    saved = Store.open().save(more)
    assert saved.forms["onnx-fp32"]["model.onnx"].read_bytes() == b"graph"
    assert saved.forms["torch"]["tokenizer/vocab.txt"].read_bytes() == b"words"
    assert saved.calibrations["torch"] == Calibration(1.5, 0.2)


def test_the_digest_of_a_release_follows_its_bundle_form_engine_and_flags():
    first = release()
    changes = [{"bundle": {"head": "01"}}, {"form": "onnx-fp32"}, {"engine": "onnx"}, {"cpu_flags": ("avx512_bf16",)}]
    assert len({first.digest, *(replace(first, **change).digest for change in changes)}) == 5
    assert replace(first, approver="bob").digest == first.digest


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_canonical_text_does_not_depend_on_the_order_of_keys(value):
    text = canonical(value)
    assert canonical(dict(reversed(value.items()))) == text
    assert canonical(json.loads(text)) == text


def test_canonical_text_has_no_numbers_that_json_lacks():
    with pytest.raises(ValueError, match="JSON"):
        canonical({"loss": float("nan")})
