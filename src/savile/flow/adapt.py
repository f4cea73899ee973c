"""The word `adapt`: from data and a base to a model of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from savile.base import catalogue
from savile.base import recipe as recipes
from savile.base.recipe import Recipe
from savile.base.records import Dataset
from savile.flow import _line, _refs
from savile.flow._options import Common
from savile.flow._result import envelope

if TYPE_CHECKING:
    from savile.base.records import Model


def adapt(
    data: str | Path | Dataset,
    *,
    model: str | None = None,
    method: str | None = None,
    minutes: float | None = None,
    seed: int | None = None,
    **more: Unpack[Common],
) -> Model:
    """Make a model of data; the same call on the same data gives the model that is stored already.

    Args:
        data: a data set or its reference; a file is governed first.
        model: a base by name, folder or hub id, linear, or auto by language, the default.
        method: how it is adapted; default: auto, which tries up to three ways and keeps the best.
        minutes: budget; without one a method takes what it likes.
        seed: of everything random; default: 0.
        settings: dotted keys of the recipe and their values, such as adapt.settings.rank.

    Raises:
        UnknownNameError: there is no such data, base, method or setting.
    """
    return _line.adapt(_recipe(model, method, minutes, seed, more), _refs.dataset(data))


def plan(
    data: str | Path | Dataset,
    *,
    model: str | None = None,
    method: str | None = None,
    minutes: float | None = None,
    seed: int | None = None,
    **more: Unpack[Common],
) -> dict[str, Any]:
    """What `adapt` would take with the same arguments, on data that is stored."""
    from savile.flow._ahead import outlined

    recipe, rows = _recipe(model, method, minutes, seed, more), _refs.stored_dataset(data)
    taken = outlined(recipe, rows).as_dict()
    chosen = {"data": rows.ref, "model": _line.base(recipe), "method": recipe.adapt.method}
    return {**envelope("adapt"), "verdict": "dry_run", **chosen, "plan": taken}


def _recipe(model: str | None, method: str | None, minutes: float | None, seed: int | None, more: Common) -> Recipe:
    named: dict[str, Any] = {"adapt.method": method, "adapt.budget.minutes": minutes, "adapt.seed": seed}
    alone = model in catalogue.names("families") and catalogue.get("families", model).trains == "own"
    named["model.family" if alone else "model.base"] = model
    return recipes.make({key: value for key, value in named.items() if value is not None} | dict(more.get("settings") or {}))
