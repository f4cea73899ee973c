"""Taking the measures: the test part read once, every metric file over the answers, and what the machine and the model cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from savile.base import answers, catalogue, machine
from savile.base.contracts import Inputs, Predictions, Reads, Value
from savile.base.errors import DataError, InputError, UnknownNameError
from savile.base.records import Calibration, Dataset, Model, canonical, digest
from savile.evaluation import slices as slicing
from savile.evaluation._kept import part, stages
from savile.models._bases import sha256

SETTINGS = ("metric", "floor", "must_beat", "value", "slices", "gates", "good", "budget")
AGAINST = "against"  # the baseline that is a release of one's own, measured as it serves
VALUES = ("right", "wrong", "person")
WRITTEN = 64  # test rows that are answered in words: each takes as long as hundreds that are judged
LENGTH = "text length"  # what is sliced by when no column will do, or when it is named
# loss of a task's head -> the task whose measures suit every task with such answers
KINDS = {
    "cross_entropy": "classify",
    "binary_cross_entropy": "multilabel",
    "squared_error": "score",
    "token_cross_entropy": "tag",
    "contrastive": "embed",
    "next_token": "answer",
}


def checked(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """The settings, once every key is known and every value usable.

    Raises:
        InputError: for a key or a value that means nothing.
    """
    found = dict(settings or {})
    for name in found:
        if name not in SETTINGS:
            raise UnknownNameError("setting of evaluate", name, SETTINGS)
    if found.get("must_beat") not in (None, "base", "linear", "both"):
        raise UnknownNameError("baseline to beat", str(found["must_beat"]), ("base", "linear", "both"))
    worth = {name for name, value in (found.get("value") or {}).items() if value is not None}
    if found.get("value") is not None and (
        worth & set(VALUES) not in (set(), set(VALUES)) or not worth & {*VALUES, "accuracy"}
    ):
        given = ", ".join(sorted(worth)) or "nothing"
        raise InputError(
            "value: {right, wrong, person} or {accuracy}",
            given,
            "Give the value of all three, in one currency, or an accuracy.",
        )
    return found


def trained_form(model: Model) -> str:
    """The form training left: what every other form is held against."""
    form: str = catalogue.get("families", model.family).FORM
    if form in model.forms:
        return form
    raise InputError(f"a model with the form {form}", f"forms {', '.join(model.forms) or '(none)'}", "Adapt it anew.")


class TestPart:
    """The test rows of a data set, read once, with the slices they fall in.

    Args:
        data: the data set.
        labels: the labels the model answers with, in its order.
        columns: columns to slice by; None takes every column with 2 to 50 values.
        good: the label that is good for whoever a row is about; the named columns are watched for fairness then.
    """

    __test__ = False  # not a test case, whatever its name suggests to a test runner

    def __init__(
        self, data: Dataset, labels: Sequence[str], columns: Sequence[str] | None = None, good: str | None = None
    ) -> None:
        if good is not None and good not in labels:
            raise UnknownNameError("label", good, labels)
        self.good = None if good is None else tuple(labels).index(good)
        self.data, self.labels = data, tuple(labels)
        if not len(data.parts["test"]):
            raise DataError("a test part with rows", f"{data.name} has none", "Give a test file, or let govern split one off.")
        unknown = sorted(set(data.labels) - set(labels))
        if unknown:
            do = "Evaluate on data with the labels the model was trained for."
            raise DataError(f"labels among {', '.join(labels[:10])}", ", ".join(unknown[:5]), do)
        self.gold = data.targets("test", labels)
        self.slices = self._slices(data, columns)
        ranked = getattr(catalogue.get("tasks", data.task), "RANKED", False)
        self.queries = (
            np.unique([answers.parted(text)[0] for text in data.texts("test")], return_inverse=True)[1] if ranked else None
        )
        self.watched = tuple(name for name in columns or () if name in self.slices) if good is not None else ()

    def inputs(self, reads: Reads) -> Inputs:
        """The test rows as a model reads them."""
        return self.data.inputs(reads, "test")

    def answers(self, predict: Any) -> Predictions:
        """What a `Predictor` answers on these rows, beside what is right."""
        if answers.in_words(self.data.task):
            outputs = predict.beside(self.inputs(predict.reads), self.gold.tolist(), WRITTEN)
        else:
            outputs = predict(self.inputs(predict.reads))
        return Predictions(self.gold, outputs, self.labels, self.slices, self.watched, self.good, self.queries)

    def _slices(self, data: Dataset, columns: Sequence[str] | None) -> dict[str, list[str]]:
        table = data.table.take(data.parts["test"])
        read = {data.roles.get("text"), data.roles.get("label")}
        offered = [name for name in table.column_names if name not in read]
        present = [name for name in columns or offered if name != LENGTH]
        chosen = {name: slicing.column(table.select(offered), name) for name in present}
        found = {name: values for name, values in chosen.items() if slicing.distinct(values)}
        lengths = {LENGTH: slicing.lengths(data.texts("test"))} if not found or LENGTH in (columns or ()) else {}
        return found | lengths


def sliced_by(settings: Mapping[str, Any]) -> list[str] | None:
    """The columns to slice by: those named and those of the gates; None, which is all there are, when none was named."""
    named, gates = settings.get("slices"), settings.get("gates") or ()
    also = [str(bar["slice"]).partition("=")[0] for bar in gates if bar.get("slice")]
    return list(dict.fromkeys((*named, *also))) if named else None


def metrics(task: str) -> list[ModuleType]:
    """The metric files that measure a task, by its name or by the kind of its answers."""
    modules = [catalogue.get("metrics", name) for name in catalogue.names("metrics")]
    names = {task, KINDS[catalogue.get("tasks", task).head(2).loss]}
    return [module for module in modules if names & set(getattr(module, "tasks", names))]


def measures(task: str, predictions: Predictions, costs: Mapping[str, float] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every metric of the task: the figures, as JSON, and the tables beside them."""
    found: dict[str, Any] = {}
    for module in metrics(task):
        found |= module.measure(predictions, costs)
    figures = {name: value.as_dict() for name, value in found.items() if isinstance(value, Value)}
    return figures, {name: table for name, table in found.items() if name not in figures}


def differences(task: str, ours: Predictions, theirs: Predictions) -> dict[str, Any]:
    """Ours minus theirs, for every metric that can be compared row by row."""
    found: dict[str, Any] = {}
    for module in metrics(task):
        if hasattr(module, "compare"):
            found |= {name: value.as_dict() for name, value in module.compare(ours, theirs).items()}
    return found


def sliced(task: str, predictions: Predictions, gates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """column -> value -> figures, for every slice of at least 30 rows in a column that a gate names."""
    return {
        column: {value: measures(task, part(predictions, inside), None)[0] for value, inside in values.items()}
        for column, values in slice_rows(predictions.slices, gates).items()
    }


def kept(
    data: Dataset, ours: Predictions, theirs: Mapping[str, Predictions], own: Mapping[str, str], metric: str
) -> dict[str, Any]:
    """stage -> a metric before and now, the gain, more being better, and the test rows of that stage.

    Of a metric that is no share but counts in the label's own units, the gain is a share of what it was before. Where the
    rows of a stage do not say what a metric is, such as AUC of one label, the task's first metric is held against the budget.

    Args:
        data: what grew.
        ours: answers to its test part.
        theirs: those of the baselines, `AGAINST` among them where `own` is empty.
        own: stage -> the model that answered its rows alone.
        metric: which one.
    """
    found = {}
    for name, rows in stages(data).items():
        before = _alone(data, rows, own[name]) if own else part(theirs[AGAINST], rows)
        figures = [measures(data.task, one, None)[0] for one in (before, part(ours, rows))]
        held = metric if all(metric in one for one in figures) else next(iter(figures[0]))
        values = [one[held]["value"] for one in figures]
        turned, share = -1 if lower_is_better(held) else 1, held in _marked("in_units")
        gain = turned * (values[1] - values[0]) / ((abs(values[0]) or 1.0) if share else 1.0)
        found[name] = {"before": values[0], "now": values[1], "gain": gain, "n": len(rows), "metric": held, "share": share}
    return found


def _alone(data: Dataset, rows: np.ndarray, ref: str) -> Predictions:
    """What a stored model answers to some test rows, as it serves, among its own labels."""
    from savile.base.store import Store
    from savile.models import Predictor

    model: Model = Store.open().load(ref)
    own = replace(data.select("test", data.parts["test"][rows]), labels=model.labels)
    return TestPart(own, model.labels).answers(Predictor(model, *served(model)))


def lower_is_better(metric: str) -> bool:
    """Whether less of a metric is better, as its file says."""
    return metric in _marked("lower_is_better")


def _marked(mark: str) -> set[str]:
    """The figures that their files list under a name, such as ``lower_is_better``."""
    modules = (catalogue.get("metrics", name) for name in catalogue.names("metrics"))
    return {metric for module in modules for metric in getattr(module, mark, ())}


def slice_rows(slices: Mapping[str, Sequence[str]], gates: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, np.ndarray]]:
    """column -> value -> test rows, for every slice of at least 30 rows in a column that a gate names."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for column in sorted({str(bar["slice"]).partition("=")[0] for bar in gates if bar.get("slice")} & set(slices)):
        values = np.asarray(slices[column])
        rows = {value: np.flatnonzero(values == value) for value in slicing.distinct(slices[column])}
        found[column] = {value: inside for value, inside in rows.items() if len(inside) >= slicing.LEAST_ROWS}
    return found


def figures(task: str, ours: Predictions, theirs: Mapping[str, Predictions], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Everything measured: the model's figures, the baselines', the paired differences, slices, business and tables."""
    found, tables = measures(task, ours, settings.get("value"))
    metric = settings.get("metric") or getattr(catalogue.get("tasks", task), "METRIC", None) or next(iter(found))
    if metric not in found:
        raise UnknownNameError("metric", metric, found)
    return {
        "metric": metric,
        "metrics": found,
        "baselines": {name: measures(task, rival, None)[0] for name, rival in theirs.items()},
        "differences": {name: differences(task, ours, rival) for name, rival in theirs.items()},
        "sliced": sliced(task, ours, settings.get("gates") or ()),
        "worst_slice": tables.pop("worst_slice", None),
        "business": tables.pop("business", None),
        "tables": {"labels": list(ours.labels), **tables},
    }


def origin(model: Model, data: Dataset, form: str, engine: str | None, baselines: Mapping[str, Model]) -> dict[str, Any]:
    """What was measured: references, digests, form and engine, cost and machine."""
    return {
        "name": data.name,
        "data": data.ref,
        "data_digest": data.digest,
        "model": model.ref,
        "form": form,
        "engine": engine,
        "reads": catalogue.get("families", model.family).reads,
        "digests": {"model": fingerprint(model, form)}
        | {name: fingerprint(rival, served(rival)[0]) for name, rival in baselines.items() if name == AGAINST},
        "baseline_models": {name: baseline.ref for name, baseline in baselines.items()},
        "cost": cost(model, form),
        "machine": machine.facts(),
    }


def fingerprint(model: Model, form: str) -> str:
    """SHA-256 of what answers: the files of a form, its calibration, the labels and the mask policy."""
    files = {name: digest(path) if isinstance(path, bytes) else sha256(Path(path)) for name, path in model.forms[form].items()}
    calibration = model.calibrations.get(form, Calibration()).as_dict()
    return digest(canonical([model.family, model.base_digest, files, calibration, list(model.labels), dict(model.mask)]))


def served(model: Model) -> tuple[str, str | None]:
    """The form and the engine a model serves with."""
    chosen = model.facts.get("served") or {}
    return chosen.get("form") or trained_form(model), chosen.get("engine")


def cost(model: Model, form: str) -> dict[str, Any]:
    """What the model took to make, as training noted it, and the size of the form on disk, tokenizer included."""
    noted = {name: model.facts.get(name) for name in ("seconds", "peak_rss_mb", "trainable_share", "kwh")}
    size = sum(len(data) if isinstance(data, bytes) else Path(data).stat().st_size for data in model.forms[form].values())
    return {**noted, "size_mb": round(size / 1e6, 3)}
