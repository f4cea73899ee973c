"""The steps a recipe asks for beside those that every file goes through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from savile.base import catalogue
from savile.base import recipe as recipes
from savile.base.contracts import Step
from savile.base.errors import InputError

Asked = tuple[Step, Any]


def steps(asked: Mapping[str, Mapping[str, Any]], line: Sequence[str]) -> dict[str, list[Asked]]:
    """Step of every file -> the steps asked for that run behind it, each with its settings, in the order of the recipe.

    Raises:
        UnknownNameError: there is no such step.
        RecipeError: a setting is wrong.
        InputError: the step is one that every file goes through.
    """
    found: dict[str, list[Asked]] = {name: [] for name in line}
    for name, given in asked.items():
        step = catalogue.get("steps", name)
        if name in line:
            raise InputError("a step to add", f"{name!r}, which every file goes through", "Leave it out of data.steps.")
        found[step.AFTER].append((step, recipes.fill(step.Settings, given, f"data.steps.{name}")))
    return found
