"""The word `compress`: from a trained model to forms that are smaller and faster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from savile.base import recipe as recipes
from savile.base.recipe import Recipe
from savile.base.records import Dataset, Model
from savile.flow import _line, _refs
from savile.flow._options import Common
from savile.flow._result import envelope

if TYPE_CHECKING:
    from savile.base.records import Release


def compress(
    model: str | Model | Release,
    *,
    data: str | Path | Dataset | None = None,
    technique: str | None = None,
    **more: Unpack[Common],
) -> Model:
    """Make a model smaller and faster, and measure which form serves best with the same answers.

    Args:
        model: a model or its reference.
        data: data whose training texts calibrate; default: what the model was trained on.
        technique: how; default: export.
        settings: dotted keys of the recipe and their values, such as compress.max_size_mb.

    Raises:
        UnknownNameError: there is no such model, data or technique.
    """
    found = _refs.model(model)
    return _line.compress(_recipe(technique, more), found, _refs.data_of(found) if data is None else _refs.dataset(data))


def plan(
    model: str | Model | Release,
    *,
    data: str | Path | Dataset | None = None,
    technique: str | None = None,
    **more: Unpack[Common],
) -> dict[str, Any]:
    """What `compress` would work on with the same arguments."""
    found, recipe = _refs.model(model), _recipe(technique, more)
    rows = _refs.data_of(found) if data is None else _refs.stored_dataset(data)
    chosen = {"model": found.ref, "data": rows.ref, "technique": recipe.compress.technique, "forms": list(found.forms)}
    return {**envelope("compress"), "verdict": "dry_run", **chosen}


def _recipe(technique: str | None, more: Common) -> Recipe:
    named = {} if technique is None else {"compress.technique": technique}
    return recipes.make({**named, **(more.get("settings") or {})})
