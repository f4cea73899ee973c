"""MLflow is told everything a report knows, in a store on this machine, and loads the model without a pickle."""

import importlib
import os
from pathlib import Path

import pytest

import savile
from savile.base.store import Store
from savile.tracking import mlflow as tracker

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(tracker.available() is not None, reason=f"no {tracker.available()}: pip install 'savile[track]'"),
]


@pytest.fixture
def told(report, monkeypatch):
    """The client of the store a report was written to, and its run."""
    monkeypatch.delenv(tracker.SERVER, raising=False)
    place = savile.track(report, to="mlflow")["places"]["mlflow"]
    client = importlib.import_module("mlflow").MlflowClient(place.partition(" run ")[0])
    return client, client.get_run(place.partition(" run ")[2])


def test_figures_settings_pages_and_model_are_there_and_nothing_is_sent(told, report):
    client, run = told
    assert run.info.status == "FINISHED"
    assert run.data.metrics["test/accuracy"] == pytest.approx(report.body["metrics"]["accuracy"]["value"])
    assert run.data.params["family"] == "linear"
    assert run.data.params["evaluate.floor"] == "0.5"
    assert run.data.tags[tracker.REPORT] == report.ref
    assert {one.path for one in client.list_artifacts(run.info.run_id)} >= {"model", "model_card.md", "pages", "summary.txt"}
    assert run.info.artifact_uri.startswith(f"file://{Store.open().home}")
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_the_model_answers_there_as_it_was_measured_and_holds_no_pickle(told, report):
    _, run = told
    folder = Path(run.info.artifact_uri.removeprefix("file://")) / "model"
    assert [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".joblib")] == []
    loaded = importlib.import_module("mlflow.pyfunc").load_model(str(folder))
    pandas = importlib.import_module("pandas")
    texts = ["please cancel it", "where is it", "give my money back"]
    answers = loaded.predict(pandas.DataFrame({"text": texts}))
    from savile.models import Predictor

    expected = Predictor(Store.open().load(report.body["model"]), report.body["form"])(texts)
    assert list(answers["probability"]) == list(expected.confidence)
    assert list(answers["label"]) == ["cancel", "status", "refund"]


def test_a_report_told_twice_is_one_run(told, report):
    client, run = told
    savile.track(report.ref, to="mlflow")
    assert len(client.search_runs([run.info.experiment_id])) == 1
