"""Improve: corrected rows become an update that keeps what was known, or are refused with the reason."""

import csv
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import savile
import small_line
from savile.base import recipe as recipes
from savile.base.errors import InputError
from savile.base.records import Model
from savile.base.store import Store
from savile.flow import _line
from savile.flow import improve as word
from savile.models import Predictor

QUICK = {"adapt.settings.precision": "fp32", "adapt.settings.learning_rate": 3e-3, "adapt.settings.least_steps": 150}
LABELS = sorted(small_line.WORDS)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return small_line.base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def served(tiny, tmp_path):
    """Data, and a release of a model of it with the alias champion."""
    data = small_line.dataset(mask=savile.govern(corrections(tmp_path / "any.csv")).mask)
    model = small_line.adapted(data, tiny)
    release = small_line.released(data, model, "torch", None)
    Store.open().alias("champion", release.ref)
    return data, release


def written(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


def corrections(path, wrong=False):
    """60 texts the model has never seen the like of, which all mean a refund; or usual texts with labels that are wrong."""
    rng, rows = np.random.default_rng(1), []
    for i in range(120):
        label = LABELS[i % len(LABELS)]
        words = rng.choice(small_line.WORDS[label], 2) if wrong else rng.choice(small_line.FILLER, 5)
        said = LABELS[(i + 1) % len(LABELS)] if wrong else "refund"
        rows.append((" ".join([*words, *rng.choice(small_line.FILLER, 3), f"{i}"]), said))
    rows += [] if wrong else [(f"card stolen {i}", "card lost") for i in range(10)]
    return written(path, rows)


def accuracy(release, data, gold=None):
    model = Store.open().load(release.model)
    answers = Predictor(model, release.form, release.engine or None)(data.texts("test")).choice
    return float((answers == data.targets("test", model.labels)).mean())


def test_corrections_become_the_champion_and_nothing_else_is_lost(served, tmp_path):
    data, before = served
    found = savile.improve(corrections(tmp_path / "fixes.csv"), settings=QUICK)
    assert found.passed, found.summary
    store = Store.open()
    now = store.load("champion")
    assert now.ref == found.json["release"] != before.ref
    new = savile.govern(tmp_path / "fixes.csv")
    assert accuracy(now, new) >= accuracy(before, new) + 0.05
    assert accuracy(now, data) >= accuracy(before, data) - 0.01
    checks = {check["name"]: check for check in found.json["gate"]["checks"]}
    assert checks["keeps data"]["bar"] == -0.01
    assert checks["learns fixes"]["passed"]
    model = store.load(now.model)
    assert model.facts["keep"] == "replay"
    assert store.load(found.json["data"]).settings["stages"] == ["data", "fixes"]
    assert store.audit.verify() == []


def test_an_update_that_forgets_more_than_its_budget_is_refused_and_says_what_to_do(served, tmp_path):
    _, before = served
    # one form, for which of several is fastest is left to the processor, and int8 has its own doubts about so confused a model
    settings = {**QUICK, "compress.settings.forms": ["openvino-bf16"]}
    found = savile.improve(corrections(tmp_path / "bad.csv", wrong=True), keep="nothing", settings=settings)
    assert found.verdict == "refused"
    assert found.json["release"] is None
    assert Store.open().load("champion").ref == before.ref
    failed = [check["name"] for check in found.json["gate"]["checks"] if not check["passed"]]
    assert failed == ["keeps data"]
    assert "--forget" in found.summary[-1]
    assert "data" in found.summary[-1]


def test_a_second_update_goes_on_from_the_first_and_answers_for_every_stage(served, tmp_path):
    store = Store.open()
    first = savile.improve(corrections(tmp_path / "fixes.csv"), settings=QUICK)
    more = written(tmp_path / "more.csv", [(f"today hello parcel {i}", "order late") for i in range(60)] +
                   [(f"money back {i}", "refund") for i in range(20)])  # fmt: skip
    found = savile.improve(more, settings={**QUICK, "adapt.settings.keep.memory": 300})
    assert [check["name"] for check in found.json["gate"]["checks"]][:3] == ["keeps data", "keeps fixes", "learns more"]
    before, now = (store.load(one.json["model"]) for one in (first, found))
    assert {"onnx-fp32", "onnx-int8"} <= set(before.forms)
    assert set(now.forms) == {"torch", before.facts["served"]["form"]}  # the one that serves, and no other is made
    lineage = store.load(found.json["data"])
    assert lineage.settings["stages"] == ["data", "fixes", "more"]
    assert set(np.unique(lineage.stages("train"))) == {0, 1, 2}


def test_labels_the_model_does_not_know_are_refused(served, tmp_path):
    rows = [(f"a question about insurance {i}", "insurance") for i in range(40)] + [(f"card {i}", "refund") for i in range(40)]
    with pytest.raises(InputError, match="run again on all rows"):
        savile.improve(written(tmp_path / "new.csv", rows))


def test_a_linear_model_is_fitted_again_to_all_rows(tmp_path):
    data = small_line.dataset(mask=savile.govern(corrections(tmp_path / "any.csv")).mask)
    model = small_line.adapted(data, "", "linear")
    found = savile.improve(corrections(tmp_path / "fixes.csv"), model=model, settings={"adapt.budget.forget": 0.05})
    assert found.json["gate"]["checks"][0]["name"] == "keeps data"
    assert Store.open().load(found.json["model"]).family == "linear"


def test_an_update_keeps_to_the_policy_of_the_model_it_goes_on_from():
    policy = {"column": "sex", "good": "granted", "most": 0.05}
    made = {"settings": {}, "value": None, "fair": policy}
    earlier = Store.open().save(Model("linear", ("granted", "refused"), settings=made))
    recipe = word._recipe(earlier, earlier, {"keep": None, "forget": None, "minutes": None}, {})
    assert recipe.adapt.settings == {"fair": policy}


def test_an_update_learns_by_what_the_model_learned_by():
    fit = {"class_weights": "balanced", "label_smoothing": 0.1, "epochs": 9.0, "rdrop": 0.0, "learning_rate": 1e-3}
    made = {"fit": fit, "value": None, "method": {"name": "lora"}}
    earlier = Store.open().save(Model("encoder", ("a", "b"), base="minilm", method="lora", settings=made))
    settings = word._recipe(earlier, earlier, {"keep": None, "forget": None, "minutes": None}, {}).adapt.settings
    assert settings == {"class_weights": "balanced", "label_smoothing": 0.1, "keep": {"by": "replay"}}


def test_new_rows_are_read_by_the_columns_of_the_earlier_ones(tiny, tmp_path):
    path = tmp_path / "shop.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = [(f"the {word} {i}", f"told to ring back about {i} things", label) for label, words in small_line.WORDS.items()
                 for i, word in enumerate(words * 4)]  # fmt: skip
        csv.writer(file).writerows([("short", "answer", "kind"), *lines])
    data = savile.data.prepare(path, savile.data.Options(label="kind", text="short"))
    recipe = recipes.make({"model.base": tiny})
    assert word._rows(path, data, recipe).roles == {"text": "short", "label": "kind"}
    other = path.with_name("other.csv")  # named otherwise, its columns are inferred
    other.write_text(path.read_text().replace("short,answer,kind", "message,answer,queue"))
    assert word._rows(other, data, recipe).roles["label"] == "queue"


def test_an_update_is_judged_by_what_the_release_was_judged_by(served):
    _, release = served
    store = Store.open()
    report = store.load(release.report)
    report = store.save(replace(report, body={**report.body, "metric": "macro_f1"}, ref=""))
    release = replace(release, report=report.ref)
    recipe = word._recipe(release, store.load(release.model), {"keep": None, "forget": None, "minutes": None}, {})
    assert recipe.evaluate.metric == "macro_f1"


def test_a_dry_run_writes_nothing(served, tmp_path):
    from savile.flow.improve import plan

    new = savile.govern(corrections(tmp_path / "fixes.csv"))
    count = len(Store.open().list())
    said = plan(new, keep="ewc")
    assert said["verdict"] == "dry_run"
    assert said["adapt"]["settings"]["keep"] == {"by": "ewc"}
    assert len(Store.open().list()) == count


@pytest.mark.parametrize(
    ("serves", "comes", "moved", "asked"),
    [
        ("onnx-int8", "onnx-int8", 0.4, [["onnx-int8"]]),
        ("onnx-int8", "onnx-int8", 1.3, [["onnx-int8"], None]),
        ("onnx-int8", "torch", 0.4, [["onnx-int8"], None]),
        ("torch", "torch", 0.4, [None]),
        (None, "onnx-int8", 0.4, [None]),
    ],
)
def test_the_form_that_serves_is_made_and_others_where_it_may_hardly_serve(monkeypatch, serves, comes, moved, asked):
    made = []

    def compress(recipe, model, data):
        made.append(recipe.compress.settings.get("forms"))
        return SimpleNamespace(facts={"served": {"form": comes, "engine": ""}, "forms": {comes: {"moved": moved}}})

    monkeypatch.setattr(_line, "compress", compress)
    assert _line.served(word._compressed(recipes.make({}), None, None, serves))[0] == comes
    assert made == asked
