"""Bars: looked at before anything is trained, for a typo must not cost an hour; and the report that says they were cleared."""

from __future__ import annotations

import numpy as np

from savile.base import catalogue
from savile.base.contracts import Predictions, Value
from savile.base.errors import UnknownNameError
from savile.base.recipe import Recipe
from savile.base.records import Dataset, Model, Outputs, Report
from savile.base.store import Store
from savile.flow import _line, _refs


def check(recipe: Recipe, data: Dataset) -> None:
    """Every metric, column and slice the recipe names for evaluating is there.

    Raises:
        UnknownNameError: one is not; the message carries the nearest.
    """
    from savile import evaluation

    wanted = recipe.evaluate
    known = metrics(data)
    for name in (wanted.metric, *(bar.metric for bar in wanted.gates)):
        if name is not None and name not in known:
            raise UnknownNameError("metric", name, known)
    columns = [name for name in data.table.column_names if name not in (data.roles.get("text"), data.roles["label"])]
    offered = [*columns, "text length"]
    for name in (*wanted.slices, *(bar.slice.partition("=")[0] for bar in wanted.gates if bar.slice)):
        if name not in offered:
            raise UnknownNameError("column to slice by", name, offered)
    evaluation.check(data, _line.bars(recipe))


def passed(model: Model) -> Report | None:
    """The report that decides, if it passed: the newest on the model's own data with bars of its own, else the newest.

    Measuring again without bars must not undo a refusal.
    """
    store, data, deciding = Store.open(), _refs.data_of(model).ref, None
    for row in reversed(store.list("report")):
        report: Report = store.load(row["ref"])
        if (report.body["model"], report.body["data"]) != (model.ref, data):
            continue
        barred = any(check["name"] != "parity" for check in report.body["gate"]["checks"])
        if barred or deciding is None:
            deciding = report
        if barred:
            break
    return deciding if deciding is not None and deciding.body["gate"]["passed"] else None


def metrics(data: Dataset) -> list[str]:
    """The figures that the metric files give for this task and number of labels: tried on two undecided answers a label."""
    labels = data.labels
    gold = np.repeat(np.arange(len(labels)), 2)
    probabilities = np.full((len(gold), len(labels)), 1.0 / len(labels))
    sure = probabilities[:, 0]
    outputs = Outputs(np.zeros(probabilities.shape, dtype=np.float32), probabilities, gold, sure, sure > 1)
    answers, found = Predictions(gold, outputs, labels), []
    for module in (catalogue.get("metrics", name) for name in catalogue.names("metrics")):
        if data.task in getattr(module, "tasks", (data.task,)):
            found += [name for name, value in module.measure(answers).items() if isinstance(value, Value)]
    return found
