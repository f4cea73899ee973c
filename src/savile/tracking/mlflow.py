"""MLflow: parameters, figures, curves, pages and the served model, which `mlflow.pyfunc` loads; needs the extra `track`."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from savile.base.contracts import Tracked

if TYPE_CHECKING:
    import pandas
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

PACKAGES = ("mlflow", "sqlalchemy", "alembic", "pandas")
SERVER = "MLFLOW_TRACKING_URI"
SILENT = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}  # it would send usage data as soon as it is imported
REPORT, MODEL = "savile.report", "model"
LONGEST = 5_000  # letters of a parameter or tag that MLflow takes
TEXTS = "text"


def available() -> str | None:
    """The first package that is missing, or None."""
    return next((name for name in PACKAGES if importlib.util.find_spec(name) is None), None)


def write(tracked: Tracked, folder: Path) -> str:
    """One run an experiment named after the recipe, in an SQLite file of `folder`, or on the server MLFLOW_TRACKING_URI names.

    The model goes with it as a folder that `mlflow.pyfunc.load_model` reads: a table or list of texts in, label, probability
    and whether a person should answer out. It holds tensors and JSON, and no pickle.
    """
    client, experiment = _opened(folder, tracked.name or "savile")
    known = client.search_runs([experiment], f"tags.`{REPORT}` = '{tracked.ref}'", max_results=1)
    if known:
        return _place(client, known[0].info.run_id)
    run = client.create_run(experiment, run_name=tracked.ref, tags={REPORT: tracked.ref, **tracked.tags})
    _log(client, run.info.run_id, tracked)
    client.set_terminated(run.info.run_id)
    return _place(client, run.info.run_id)


def _opened(folder: Path, name: str) -> tuple[MlflowClient, str]:
    """A client of the store and the experiment's id; nothing global is set, so an application's own use of MLflow goes on."""
    os.environ.update(SILENT)
    import logging

    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    from mlflow import MlflowClient

    server = os.environ.get(SERVER)
    client = MlflowClient(tracking_uri=server or f"sqlite:///{folder / 'mlflow.db'}")
    found = client.get_experiment_by_name(name)
    if found is not None:
        return client, str(found.experiment_id)
    return client, str(client.create_experiment(name, None if server else (folder / "artifacts").as_uri()))


def _log(client: MlflowClient, run: str, tracked: Tracked) -> None:
    from mlflow.entities import Metric, Param
    from mlflow.utils.time import get_current_time_millis

    now = get_current_time_millis()
    metrics = [Metric(name, value, now, 0) for name, value in tracked.metrics.items()]
    metrics += [Metric(name, value, now, step) for name, curve in tracked.curves.items() for step, value in curve]
    for start in range(0, len(metrics), 1_000):  # as many as one call takes
        client.log_batch(run, metrics=metrics[start : start + 1_000])
    params = [Param(name, value[:LONGEST]) for name, value in tracked.params.items()]
    for start in range(0, len(params), 100):
        client.log_batch(run, params=params[start : start + 100])
    for name, path in tracked.files.items():
        client.log_artifact(run, str(path), "pages" if name.endswith(".html") else None)
    client.log_text(run, tracked.summary, "summary.txt")
    if tracked.recipe:
        client.log_text(run, tracked.recipe, "recipe.yaml")
    with TemporaryDirectory() as scratch:
        save_model(tracked, Path(scratch) / MODEL)
        client.log_artifacts(run, str(Path(scratch) / MODEL), MODEL)


def _place(client: MlflowClient, run: str) -> str:
    """Where one finds it: what ``mlflow.set_tracking_uri`` takes, and the run."""
    return f"{client.tracking_uri} run {run}"


def save_model(tracked: Tracked, folder: Path) -> None:
    """The model's form that was measured, as MLflow's flavour ``python_function`` with this file as its loader."""
    import mlflow.pyfunc

    from savile.models import _folder

    with TemporaryDirectory() as scratch:
        data = Path(scratch) / "answerer"
        _folder.write(tracked.model, tracked.form, tracked.engine, data)
        mlflow.pyfunc.save_model(
            str(folder),
            loader_module=__name__,
            data_path=str(data),
            signature=_signature(tracked.model.columns),
            pip_requirements=["savile[train,serve]"],
            metadata={REPORT: tracked.ref},
        )


def _signature(columns: Mapping[str, str]) -> ModelSignature:
    """What is asked: a column of texts, or the columns of a table, none of which a row must name."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    kinds = {"string": "string", "bool": "boolean"}
    asked = [ColSpec(kinds.get(kind, "double"), name, required=False) for name, kind in columns.items()]
    return ModelSignature(Schema(asked or [ColSpec("string", TEXTS)]))


def _load_pyfunc(path: str) -> Answerer:
    """What MLflow calls to load the model; the name is MLflow's."""
    return Answerer(Path(path))


class Answerer:
    """Texts or rows in, a table of answers out, through the one `Predictor`.

    Args:
        folder: as `savile.models._folder.write` left it.
    """

    def __init__(self, folder: Path) -> None:
        from savile.models import _folder

        self.answer = _folder.read(folder)

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> pandas.DataFrame:
        """A table, a column of texts or a list of them -> one answer a row, and whether a person should decide.

        One label: ``label`` and ``probability``. Any number of labels: ``labels`` and the ``probability`` of the least sure.
        Spans: ``spans`` with start, end, label and probability, and the ``probability`` of the least sure.
        Vectors: the ``vector`` of the first text of a row. Words: the ``answer``.
        A number: ``value``, and ``low`` and ``high``, between which nine in ten lie.
        """
        import pandas

        outputs, names = self.answer(self._asked(model_input)), self.answer.labels
        if outputs.low is not None:
            said: dict[str, Any] = {"value": outputs.choice, "low": outputs.low, "high": outputs.high}
        elif outputs.choice.dtype.kind == "T":
            said = {"answer": outputs.choice.tolist()}
        elif outputs.choice.dtype == object:
            spans = [[{**one._asdict(), "label": names[one.label]} for one in row] for row in outputs.choice]
            said = {"spans": spans, "probability": outputs.confidence}
        elif outputs.choice.dtype.kind == "f" and outputs.choice.ndim == 2:
            said = {"vector": outputs.choice[:, : outputs.choice.shape[1] // 2].tolist()}
        elif outputs.choice.ndim == 2:
            given = [[name for name, yes in zip(names, row, strict=True) if yes] for row in outputs.choice]
            said = {"labels": given, "probability": outputs.confidence}
        else:
            said = {"label": [names[choice] for choice in outputs.choice], "probability": outputs.confidence}
        return pandas.DataFrame({**said, "abstain": outputs.abstain})

    def _asked(self, given: Any) -> Any:
        """What MLflow hands over, as the predictor reads it."""
        if self.answer.reads == "table":
            return given.astype(object).where(given.notna(), None).to_dict("records")
        if hasattr(given, "columns"):
            given = given[TEXTS if TEXTS in given.columns else given.columns[0]]
        return [str(text) for text in given]
