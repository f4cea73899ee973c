"""Combine: adapters trained apart become one release that is proven against what each answered alone, or are refused."""

import asyncio
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

import savile
import small_line
from savile import adaptation
from savile.base.errors import InputError
from savile.base.records import Dataset
from savile.base.store import Store
from savile.flow.combine import plan
from savile.serving import _bundle, _http

pytestmark = pytest.mark.usefixtures("shared_home")

TASKS = {"cards": ("card lost", "refund"), "orders": ("order late", "退款")}
QUICK = {"steps": 90, "learning_rate": 1e-2, "precision": "fp32", "rank": 4, "alpha": 8}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return small_line.base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def adapters(tiny, shared_home):
    """A model for two labels each, of data of its own."""
    return [adaptation.adapt(_of(name), tiny, "lora", settings=QUICK) for name in TASKS]


def _of(name):
    """The rows of two of the four labels."""
    whole = small_line.dataset()
    said = np.array(whole.column("label"))
    inside = np.isin(said, TASKS[name])
    parts = {part: rows[inside[rows]] for part, rows in whole.parts.items()}
    return Store.open().save(replace(whole, parts=parts, labels=tuple(sorted(TASKS[name])), name=name, ref=""))


@pytest.mark.slow
def test_two_adapters_become_one_release_that_is_proven_and_serves(adapters):
    quick = {"compress.settings.forms": ["onnx-fp32"]}
    found = savile.combine(",".join(one.ref for one in adapters), forget=0.05, settings=quick)
    assert found.passed, found.summary
    checks = {check["name"]: check for check in found.json["gate"]["checks"]}
    assert {"keeps cards", "keeps orders", "parity"} <= set(checks)
    assert not any(name.startswith("learns") for name in checks)
    assert any(line.startswith("cards: accuracy") and "alone" in line for line in found.summary)
    store = Store.open()
    release = store.load(found.json["release"])
    model = store.load(release.model)
    assert store.aliases()["champion"] == release.ref
    assert set(model.labels) == {label for labels in TASKS.values() for label in labels}
    assert sorted(model.facts["modules"]) == ["cards", "orders"]
    predictor = _bundle.opened(release)
    proof = _bundle.replay(predictor, release)
    assert proof["passed"], proof
    service = _http.Service(predictor, release, proof, None)
    said = json.loads(asyncio.run(service.answer(["my card was stolen", "the courier is late"])))["answers"]
    service.close()
    assert [one["label"] for one in said] == ["card lost", "order late"]
    _one_adapter_learns_on(release, model)


def _one_adapter_learns_on(release, model):
    """Corrections for one task teach its adapter, and the update says which others are what they were."""
    said = [("card lost", "refund")[i % 2] for i in range(72)]
    texts = [f"{'my card was stolen' if label == 'card lost' else 'charged twice'} today {i}" for i, label in enumerate(said)]
    parts = {"train": np.arange(60), "test": np.arange(60, 72), "valid": np.arange(0), "calib": np.arange(0)}
    roles = {"text": "text", "label": "label"}
    fixes = Dataset(pa.table({"text": texts, "label": said}), roles, parts, labels=("card lost", "refund"), name="fixes")
    quick = {"adapt.settings.keep.module": "cards", "adapt.settings.least_steps": 20}
    quick["compress.settings.forms"] = ["onnx-fp32"]
    found = savile.improve(Store.open().save(fixes), model=release, keep="domains", forget=0.05, settings=quick)
    assert found.passed, found.summary
    later = Store.open().load(Store.open().load(found.json["release"]).model)
    assert later.facts["modules"]["orders"] == model.facts["modules"]["orders"]
    assert later.facts["modules"]["cards"] != model.facts["modules"]["cards"]
    assert f"The same to the byte: orders {model.facts['modules']['orders'][:12]}." in found.summary


@pytest.mark.slow
def test_a_merge_that_costs_a_task_more_than_its_budget_is_refused_and_says_what_to_do(adapters):
    nothing = {"compress.settings.forms": ["onnx-fp32"], "adapt.settings.density": 0.01}
    found = savile.combine([*adapters], how="magnitude", weights="-30,-30", forget=0.0, settings=nothing)
    assert found.verdict == "refused"
    failed = [check["name"] for check in found.json["gate"]["checks"] if not check["passed"]]
    assert failed
    assert all(name.startswith("keeps") for name in failed)
    assert "--how domains" in found.summary[-1]


def test_a_dry_run_says_how_alike_they_are_and_writes_nothing(adapters):
    count = len(Store.open().list())
    said = plan([*adapters], how="ties", weights=[0.4, 0.6])
    assert said["verdict"] == "dry_run"
    assert said["adapt"]["settings"]["weights"] == [0.4, 0.6]
    assert np.allclose(np.diag(said["similarity"]), 1.0)
    assert len(said["clusters"]) == 2
    assert len(Store.open().list()) == count


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"how": "arrow", "weights": "1,2"}, "weights of a merge"),
        ({"how": "ties", "weights": "much,little"}, "numbers with commas"),
        ({"how": "ties", "most": 1}, "kept apart"),
        ({"most": 0}, "one adapter or more"),
    ],
)
def test_what_does_not_go_together_is_refused(adapters, asked, wanted):
    with pytest.raises(InputError, match=wanted):
        savile.combine([*adapters], **asked)


def test_one_adapter_is_not_enough(adapters):
    with pytest.raises(InputError, match="two adapters or more"):
        savile.combine(adapters[0].ref)
    with pytest.raises(InputError, match="two adapters or more"):
        savile.combine([adapters[0], adapters[0]])
