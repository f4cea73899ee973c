"""The word `evaluate`: what a model is worth, beside both baselines, and whether it may serve."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from savile.base import catalogue
from savile.base import recipe as recipes
from savile.base.errors import InputError
from savile.base.records import Dataset, Model
from savile.flow import _bars, _line, _refs
from savile.flow._options import Common
from savile.flow._result import envelope

if TYPE_CHECKING:
    from savile.base.recipe import Recipe
    from savile.base.records import Release, Report


def evaluate(
    model: str | Model | Release,
    data: str | Path | Dataset | None = None,
    *,
    form: str | None = None,
    engine: str | None = None,
    against: str | Model | Release | None = None,
    **more: Unpack[Common],
) -> Report:
    """Measure a model on the test part of data, beside both baselines, and hold it against the bars.

    Args:
        model: a model or its reference.
        data: data whose test part is read; default: what the model was trained on.
        form: which of its forms; default: the one that serves.
        engine: what runs the form; default: the one that serves it.
        against: another model or release, measured as it serves, on the same rows; a model is never compared with itself.
        settings: dotted keys of the recipe and their values, such as evaluate.floor.

    Raises:
        UnknownNameError: there is no such model, data, form, engine or metric.
        InputError: the model to compare with is the same one, or answers something else.
    """
    found = _refs.model(model)
    rows = _refs.data_of(found) if data is None else _refs.dataset(data)
    recipe, form, engine = _settled(found, form, engine, more)
    _bars.check(recipe, rows)
    return _line.evaluate(recipe, found, rows, form, engine, _rival(found, form, against))


def plan(
    model: str | Model | Release,
    data: str | Path | Dataset | None = None,
    *,
    form: str | None = None,
    engine: str | None = None,
    against: str | Model | Release | None = None,
    **more: Unpack[Common],
) -> dict[str, Any]:
    """What `evaluate` would measure with the same arguments."""
    found = _refs.model(model)
    rows = _refs.data_of(found) if data is None else _refs.stored_dataset(data)
    recipe, form, engine = _settled(found, form, engine, more)
    _bars.check(recipe, rows)
    rival = _rival(found, form, against)
    chosen = {"model": found.ref, "data": rows.ref, "form": form, "engine": engine, "rows": len(rows.parts["test"])}
    chosen |= {"against": rival.ref} if rival else {}
    return {**envelope("evaluate"), "verdict": "dry_run", **chosen, "bars": recipes.plain(recipe.evaluate)}


def _rival(model: Model, form: str | None, against: str | Model | Release | None) -> Model | None:
    """The model to compare with.

    Raises:
        InputError: it is the same, by its digest, or has another task or other labels.
    """
    from savile.evaluation import digest_of

    if against is None:
        return None
    rival = _refs.model(against)
    ours, theirs = digest_of(model, form), digest_of(rival)
    if ours == theirs:
        do = "Name another model; `savile show model` lists them."
        raise InputError("two models to compare", f"one: {model.ref} and {rival.ref} have the digest {ours[:12]}…", do)
    if (model.task, set(model.labels)) != (rival.task, set(rival.labels)):
        received = f"{rival.ref} for the task {rival.task} and {len(rival.labels)} labels"
        raise InputError(f"a model for the task {model.task} and the same labels as {model.ref}", received, "Name another one.")
    return rival


def _settled(model: Model, form: str | None, engine: str | None, more: Common) -> tuple[Recipe, str | None, str | None]:
    """The bars, the form and the engine; baselines stand on the model's own base."""
    if engine is not None:
        catalogue.get("engines", engine)
    if form is None:
        form, engine = _line.served(model)[0], engine or _line.served(model)[1]
    elif engine is None:
        engine = model.facts.get("forms", {}).get(form, {}).get("engine")
    recipe = recipes.make(more.get("settings"))
    based = replace(recipe.model, base=model.base or recipe.model.base, family=model.family)
    return replace(recipe, model=based), form, engine
