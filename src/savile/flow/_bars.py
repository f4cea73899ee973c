"""Bars: looked at before anything is trained, for a typo must not cost an hour; and the report that says they were cleared."""

from __future__ import annotations

from typing import Any

import numpy as np

from savile.base import catalogue
from savile.base.contracts import Predictions, Value
from savile.base.errors import UnknownNameError
from savile.base.outputs import Replies, Tokens, spanned
from savile.base.recipe import Recipe
from savile.base.records import Calibration, Dataset, Model, Report
from savile.base.store import Store
from savile.flow import _line, _refs

FAIRNESS = ["four_fifths", "demographic_parity_difference", "equal_opportunity_difference"]  # of the watched columns
AUTOMATED = ["automated_share", "automated_accuracy"]  # where an accuracy is asked for


def check(recipe: Recipe, data: Dataset) -> None:
    """Every metric, column, slice and baseline the recipe names for evaluating is there.

    Raises:
        UnknownNameError: one is not; the message carries the nearest.
        InputError: the task has no such baseline.
    """
    from savile import evaluation
    from savile.evaluation import slices

    wanted = recipe.evaluate
    _line.rivals(recipe, data)
    known = metrics(data)
    known += FAIRNESS if recipe.task.good is not None and wanted.slices else []
    known += AUTOMATED if wanted.value is not None and wanted.value.accuracy else []
    for name in (wanted.metric, *(bar.metric for bar in wanted.gates)):
        if name is not None and name not in known:
            raise UnknownNameError("metric", name, known)
    columns = [name for name in data.table.column_names if name not in (data.roles.get("text"), data.roles["label"])]
    offered = [*columns, "text length", *wanted.slices]
    for name in wanted.slices:
        slices.column(data.table.select(columns).slice(0, 0), name)
    for name in (bar.slice.partition("=")[0] for bar in wanted.gates if bar.slice):
        if name not in offered:
            raise UnknownNameError("column to slice by", name, offered)
    if recipe.task.good is not None and str(recipe.task.good) not in data.labels:
        raise UnknownNameError("label", str(recipe.task.good), data.labels)
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
    from savile.evaluation._measure import metrics as files
    from savile.models._calibrate import decide

    width = len(data.labels)
    head = catalogue.get("tasks", data.task).head(width)
    golds: dict[str, np.ndarray] = {
        "cross_entropy": np.repeat(np.arange(width), 2),
        "binary_cross_entropy": np.repeat(np.eye(width, dtype=np.float32), 2, axis=0),
        "squared_error": np.arange(2.0),
        "token_cross_entropy": spanned([[]] * 2),
        "contrastive": np.array([[1.0, 0, 0], [1.0, 1, 1], [0.0, 2, 2]]),
        "next_token": np.array(["yes", "no"], dtype=np.dtypes.StringDType()),
    }
    gold = golds[head.loss]
    logits: Any = np.zeros((len(gold), head.outputs), dtype=np.float32)
    if head.loss == "token_cross_entropy":
        logits = Tokens(logits, np.arange(len(gold) + 1), np.tile([0, 1], (len(gold), 1)))
    if head.loss == "contrastive":
        logits = np.eye(3, 6, dtype=np.float32)
    if head.loss == "next_token":
        logits = Replies.of([[0], [0]], ["yes", "yes"], np.array([[-1.0, 1.0]] * 2))
    undecided = decide(head, logits, Calibration())
    answers = Predictions(gold, undecided, data.labels)
    measured = [module.measure(answers) for module in files(data.task)]
    return [name for one in measured for name, value in one.items() if isinstance(value, Value)]
