"""The verb: the contract's JSON, pages and card on disk, the audit entry, and one clear error for each wrong input."""

import json
import sys
import types
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml

from savile.base import catalogue
from savile.base.errors import DataError, InputError, UnknownNameError
from savile.base.events import listening
from savile.base.store import Store
from savile.evaluation import evaluate

VALUE = {"right": 0.4, "wrong": -3.0, "person": -1.2}
METRICS = ["accuracy", "macro_f1", "weighted_f1", "log_loss", "brier", "ece"]


@pytest.fixture
def report(room):
    data = room.data()
    settings = {"floor": 0.9, "must_beat": "both", "value": VALUE, "gates": [{"metric": "ece", "max": 0.1, "slice": "region"}]}
    weak = {"linear": room.model(data, 1.5, "linear"), "base": room.model(data, 2.0, seed=2)}
    return evaluate(room.model(data), data, "openvino-bf16", settings=settings, baselines=weak)


def test_the_body_is_the_contract(report):
    body = report.body
    assert json.loads(json.dumps(body, allow_nan=False)) == body
    assert list(body["metrics"]) == METRICS
    for found in (body["metrics"], *body["baselines"].values(), *body["differences"].values()):
        assert all(set(figure) == {"value", "low", "high", "n"} for figure in found.values())
        assert all(figure["low"] <= figure["value"] <= figure["high"] for figure in found.values())
    assert set(body["baselines"]) == set(body["differences"]) == {"linear", "base"}
    assert {"column", "value", "metric", "value_low", "n"} <= set(body["worst_slice"])
    assert {"automated_share", "accuracy_when_automated", "value"} <= set(body["business"])
    assert body["cost"] == {"seconds": 12.5, "peak_rss_mb": None, "trainable_share": 0.02, "kwh": 0.0004, "size_mb": 0.09}
    assert body["verdict"] == "better"
    names = ["floor", "beat base", "beat linear", "ece on region=north", "ece on region=south", "parity"]
    assert [check["name"] for check in body["gate"]["checks"]] == names
    assert all({"name", "value", "bar", "passed"} <= set(check) for check in body["gate"]["checks"])
    assert body["parity"]["openvino-bf16"]["n"] == 600


def test_the_report_is_stored_with_its_lineage_and_its_gate_is_in_the_audit_log(report, monkeypatch):
    assert report.ref.startswith("report@")
    assert report.parents == ("model@encoder1", "data@1", "model@linear1", "model@encoder2")
    store = Store.open()
    assert store.load(report.ref).body == report.body
    assert store.audit.verify() == []
    last = json.loads((store.home / "audit.jsonl").read_text().splitlines()[-1])
    assert report.ref in json.dumps(last)


def test_the_page_and_the_card_lie_under_the_home(report):
    page, card = map(Path, report.body["pages"])
    assert page.is_absolute()
    assert page.is_relative_to(Store.open().pages.resolve())
    assert (page.name, card.name) == ("report.html", "model_card.md")
    text = page.read_text(encoding="utf-8")
    for said in (report.body["summary"][0], "Proof that the model you serve is the model you tested", "退款", "region: south"):
        assert said in text


def test_the_summary_speaks_the_users_words(report):
    verdict, automation, worth, price, closing = report.body["summary"]
    assert verdict.startswith("Better than the keyword model (TF-IDF) by ")
    assert "and the untuned base model by " in verdict
    assert automation.startswith("Answers ")
    assert automation.endswith("% of them right.")
    assert worth.endswith("an item, against -1.20 when a person answers each.")
    assert price == "Takes 0.1 MB on disk as openvino-bf16, trained in 12 s, with about 0.0004 kWh (modelled)."
    assert closing == "Your data never left this machine."


def test_the_card_has_a_head_that_yaml_reads(report):
    card = Path(report.body["pages"][1]).read_text(encoding="utf-8")
    _, head, text = card.split("---\n", 2)
    fields = yaml.safe_load(head)
    assert fields["pipeline_tag"] == "text-classification"
    assert fields["base_model"] == "minilm"
    result = fields["model-index"][0]["results"][0]
    assert result["dataset"] == {"name": "support", "type": "support", "split": "test"}
    assert result["metrics"][0] == {
        "type": "accuracy",
        "name": "accuracy",
        "value": round(report.body["metrics"]["accuracy"]["value"], 4),
    }
    for title in (
        "Model details",
        "Uses",
        "Bias, risks and limitations",
        "Training details",
        "Evaluation",
        "Environmental impact",
    ):
        assert f"\n## {title}\n" in text


def test_the_hub_reads_the_card(report):
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard(Path(report.body["pages"][1]).read_text(encoding="utf-8"), ignore_metadata_errors=False)
    assert card.data.pipeline_tag == "text-classification"
    assert card.data.eval_results[0].metric_type == "accuracy"


def test_a_second_evaluation_is_the_same_report(room):
    data = room.data()
    model = room.model(data)
    assert evaluate(model, data) == evaluate(model, data)
    assert evaluate(model, data).ref == evaluate(model, data).ref


def test_a_failed_gate_is_a_result(room):
    data = room.data()
    report = evaluate(room.model(data, 1.0), data, settings={"floor": 0.99})
    assert report.body["verdict"] == "refused"
    assert report.body["summary"][0].startswith("Refused: 1 of 1 checks failed: the floor (accuracy ")
    assert Path(report.body["pages"][0]).exists()


def test_a_form_that_answers_otherwise_is_refused(room):
    data = room.data()
    shift = np.zeros((600, 4))
    shift[5:20] = [9.0, -9.0, 3.0, 0.0]
    report = evaluate(room.model(data, shift=shift.tolist()), data, "openvino-bf16")
    assert report.body["verdict"] == "refused"
    assert "served as tested (" in report.body["summary"][0]
    assert "answers changed where the trained form was not in doubt" in report.body["summary"][0]


def test_a_model_is_never_better_than_itself(room):
    data = room.data()
    model = room.model(data)
    report = evaluate(model, data, baselines={"base": model})
    assert report.body["differences"]["base"]["accuracy"] == {"value": 0, "low": 0, "high": 0, "n": 600}
    assert report.body["verdict"] == "not_proven"


def test_few_rows_prove_nothing(room):
    data = room.data(120)
    report = evaluate(
        room.model(data), data, settings={"must_beat": "linear"}, baselines={"linear": room.model(data, 0.5, "linear")}
    )
    assert report.body["gate"]["passed"]
    assert report.body["verdict"] == "not_proven"
    assert report.body["summary"][0].endswith("The test has 120 rows; a proof takes 500.")


def test_worse_is_said(room):
    data = room.data()
    report = evaluate(
        room.model(data, 0.5), data, baselines={"linear": room.model(data, 3.0, "linear"), "base": room.model(data, 0.1)}
    )
    assert report.body["verdict"] == "worse"
    assert report.body["summary"][0].startswith("Worse than the keyword model (TF-IDF) by ")
    assert "untuned" not in report.body["summary"][0]
    assert "-" not in report.body["summary"][0].removeprefix("Worse than the keyword model (TF-IDF)")


def test_labels_are_matched_by_name(room):
    data = room.data(labels=("refund", "card lost"))
    report = evaluate(room.model(data, 9.0), data)
    assert report.body["metrics"]["accuracy"]["value"] > 0.99


def test_lengths_are_sliced_when_no_column_can_be(room):
    data = room.data(columns=())
    assert evaluate(room.model(data), data).body["worst_slice"]["column"] == "text length"


def test_progress_is_told(room):
    data, seen = room.data(), []
    with listening(seen.append):
        evaluate(room.model(data), data, baselines={"base": room.model(data, 1.0)})
    assert [(event.facts["done"], event.facts["total"]) for event in seen if event.kind == "progress"] == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"flor": 0.9}, UnknownNameError, "Did you mean 'floor'"),
        ({"must_beat": "bas"}, UnknownNameError, "Did you mean 'base'"),
        ({"value": {"right": 1}}, InputError, "value of all three"),
        ({"slices": ["regoin"]}, UnknownNameError, "Did you mean 'region'"),
        ({"metric": "acc"}, UnknownNameError, "a metric among"),
        ({"must_beat": "linear"}, InputError, "Hand over the baseline"),
    ],
)
def test_a_wrong_setting_is_one_clear_error(room, settings, error, says):
    data = room.data()
    with pytest.raises(error, match=says):
        evaluate(room.model(data), data, settings=settings)


def test_wrong_data_and_models_are_one_clear_error(room):
    data = room.data()
    model = room.model(data)
    with pytest.raises(DataError, match="unheard"):
        evaluate(model, room.data(labels=("refund", "unheard")))
    with pytest.raises(DataError, match="a test part with rows"):
        evaluate(model, data.select("test", np.arange(0)))


def test_a_metric_from_outside_is_measured_reported_and_gated(room, monkeypatch):
    block = (
        (Path(__file__).parents[2] / "docs" / "evaluation.md")
        .read_text(encoding="utf-8")
        .partition("## Add a metric")[2]
        .split("```python")[1]
        .split("```")[0]
    )
    module = types.ModuleType("top3")
    exec(block, vars(module))
    point = EntryPoint("top3", "top3", "savile.metrics")
    monkeypatch.setitem(sys.modules, "top3", module)
    monkeypatch.setattr(catalogue, "_outside", lambda kind: {"top3": point} if kind == "metrics" else {})
    data = room.data()
    report = evaluate(room.model(data), data, settings={"gates": [{"metric": "top3", "min": 0.9}]})
    best = np.argsort(np.array(room.model(data).facts["logits"]), axis=1)[:, -3:]
    assert report.body["metrics"]["top3"]["value"] == (best == data.targets("test")[:, None]).any(axis=1).mean()
    assert report.body["gate"]["checks"][0]["name"] == "top3"
    assert "top3" in Path(report.body["pages"][0]).read_text(encoding="utf-8")


def test_labels_cannot_break_the_page(room):
    labels = ('<img src=x onerror="alert(1)">', "a|b\n# c", "退款", "&amp;")
    room.labels = labels
    data = room.data(labels=labels)
    report = evaluate(room.model(data, 1.0), data)
    page, card = (Path(path).read_text(encoding="utf-8") for path in report.body["pages"])
    assert "<img" not in page
    assert "<img" not in card
    assert "\n# c" not in card


def test_the_linear_family_is_measured_as_it_answers(tmp_path, monkeypatch):
    from savile.base.contracts import Rows
    from savile.base.records import Dataset, Model
    from savile.models import Predictor, linear

    monkeypatch.setenv("SAVILE_HOME", str(tmp_path / "home"))
    words = {"refund": "money back please", "delivery": "where is my parcel", "login": "password does not work"}
    rows = [(f"{text} {'now' * (i % 3)} order {i}", label) for i in range(60) for label, text in words.items()]
    texts, golds = map(list, zip(*rows, strict=True))
    labels = tuple(sorted(words))
    parts = {"train": np.arange(90), "test": np.arange(90, 180), "valid": np.arange(0), "calib": np.arange(0)}
    table = pa.table({"text": texts, "label": golds})
    data = Dataset(table, {"text": "text", "label": "label"}, parts, labels=labels, name="mail", ref="data@1")
    fitted = linear.save(linear.fit(Rows(data.texts("train"), data.targets("train"), labels)))
    for name, content in fitted.items():
        (tmp_path / name).write_bytes(content)
    forms = {"linear": {name: tmp_path / name for name in fitted}}
    model = Model("linear", labels, forms=forms, ref="model@1")
    report = evaluate(model, data, settings={"floor": 0.9})
    right = Predictor(model, "linear")(data.texts("test")).choice == data.targets("test")
    assert report.body["metrics"]["accuracy"]["value"] == right.mean() == 1.0
    assert report.body["cost"]["size_mb"] == pytest.approx(sum(map(len, fitted.values())) / 1e6, abs=1e-3)
    assert report.body["gate"]["passed"]
    assert report.body["parity"] is None
