"""The word `plan`: what a run would take, in time, memory, disk, energy and money, and what the other ways would."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from savile.base import answers, catalogue
from savile.base.errors import InputError, SavileError
from savile.base.events import emit
from savile.base.recipe import Recipe, override
from savile.base.records import Dataset
from savile.flow import _forecast, _line, _order, _past, _preflight, _refs
from savile.flow._forecast import Forecast
from savile.flow._options import OnFile
from savile.flow._result import envelope

if TYPE_CHECKING:
    from savile.adaptation._probe import Prober

OTHER_BASES = ("use-m",)  # beside the recipe's own, when they are here
COMPARED = ("auto", "full", "head", "lora")  # other methods take about as long as lora


def plan(
    source: str | Path | Recipe,
    *,
    label: str | None = None,
    text: str | None = None,
    test: str | Path | None = None,
    quick: bool = False,
    **more: Unpack[OnFile],
) -> dict[str, Any]:
    """Predict what a run would take from a short measured trial, beside every other way; nothing is stored.

    The trial takes a few real steps of each way, the longest rows first. Past runs on this machine correct the plan, and how
    far past plans were off is shown. Energy and money are modelled with ``run.watts``, ``run.kwh_price``, ``run.hour_price``.

    Args:
        source: data file, recipe in YAML, or stored data such as data@3f2a.
        label: column with the labels; inferred when left out.
        text: column with the texts; inferred when left out.
        test: file with a published test set; without one 20 % of the rows are set apart.
        quick: only the way the recipe takes, without alternatives.
        task: what is asked; inferred from the label when left out.
        settings: dotted keys of the recipe and their values, such as adapt.budget.minutes.

    Raises:
        InputError: the file, the recipe or a setting cannot be used.
    """
    from savile.adaptation._probe import Prober

    named = {"task.label": label, "task.text": text, "data.test": test, "task.kind": more.get("task")}
    clock = time.perf_counter()
    recipe, data = _read(source, named, more)
    if answers.in_words(data.task):
        do = "Ask for an estimate with savile run --dry-run, and give adapt.budget.minutes."
        raise InputError("a task whose ways are tried in a moment", f"the task {data.task}", do)
    governed, prober = time.perf_counter() - clock, Prober(data)
    recipe = override(recipe, {"model.base": prober.base(recipe.model.base)})
    chosen = _row(recipe, data, prober, governed)
    others = [] if quick else [_row(other, data, prober, governed) for other in _others(recipe)]
    found = {**envelope("plan"), "name": recipe.name or data.name, "rows": data.table.num_rows, "plan": chosen}
    prices = _forecast.prices(recipe)
    return {**found, "alternatives": others, "past": _past.errors(), "modelled": {**prices, "of": ["kwh", "money"]}}


def _read(source: str | Path | Recipe, named: dict[str, Any], more: OnFile) -> tuple[Recipe, Dataset]:
    """The recipe and its data, in memory: a plan writes nothing."""
    from savile import data

    if isinstance(source, str) and source.startswith("data@"):
        found = _refs.stored_dataset(source)
        recipe = override(Recipe(), {**(more.get("settings") or {}), "data.path": source, "name": found.name})
        return recipe, found
    order = _order.settle(source, named, more.get("settings"))
    seen = data.inspect(order.recipe.data.source, _order.options(order.recipe))
    _line.tell_findings(seen)
    return order.with_roles(seen.task, seen.roles).recipe, replace(seen.data, name=order.recipe.name)


def _row(recipe: Recipe, data: Dataset, prober: Prober, governed: float) -> dict[str, Any]:
    """One way: what it takes, or why it does not work here."""
    way = {"model": _line.base(recipe), "method": recipe.adapt.method if _line.base(recipe) == recipe.model.base else ""}
    emit("progress", stage=f"try {way['model']} {way['method']}".strip(), done=0, total=1)
    try:
        found: Forecast = _forecast.forecast(recipe, data, prober)
        found = replace(found, stages={**found.stages, "govern": governed})
        said = {**way, **found.as_dict(), "profile": found.profile(), "refused": None}
    except SavileError as error:
        return {**way, "refused": error.as_dict()}
    try:
        _preflight.check(found, recipe)
    except SavileError as error:
        said["refused"] = error.as_dict()
    return said


def _others(recipe: Recipe) -> Iterator[Recipe]:
    """Other ways: each family that needs no base, and the methods that differ most on the recipe's base and on others here."""
    from savile.models._bases import installed

    taken = (_line.base(recipe), recipe.adapt.method)
    for family in catalogue.names("families"):
        plugin = catalogue.get("families", family)
        if plugin.trains == "own" and hasattr(plugin, "fit") and family != taken[0]:
            yield override(recipe, {"model.family": family, "adapt.method": "auto", "adapt.settings": {}})
    here = installed()
    for base in dict.fromkeys((recipe.model.base, *(name for name in OTHER_BASES if name in here))):
        for method in COMPARED:
            if (base, method) != taken:
                yield override(recipe, {"model.family": None, "model.base": base, "adapt.method": method, "adapt.settings": {}})
