"""Bars and slices looked at before anything is trained: a typo in a gate must not cost an hour."""

from __future__ import annotations

import numpy as np

from savile.base import catalogue
from savile.base.contracts import Predictions, Value
from savile.base.errors import UnknownNameError
from savile.base.recipe import Recipe
from savile.base.records import Dataset, Outputs
from savile.flow import _line


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
