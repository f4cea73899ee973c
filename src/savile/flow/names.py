"""The word `names`: what can be plugged in, by kind."""

from __future__ import annotations

from typing import Any, Unpack

from savile.base import catalogue
from savile.base.errors import UnknownNameError
from savile.flow._options import Common
from savile.flow._result import envelope

BASE_MODELS = "bases"


def names(kind: str | None = None, **more: Unpack[Common]) -> dict[str, Any]:
    """List what a recipe can name: tasks, model families, methods, techniques, metrics, engines, apps, bases.

    Args:
        kind: one kind only, such as methods.
        settings: taken by every word; nothing here depends on them.

    Raises:
        UnknownNameError: there is no such kind.
    """
    kinds = [*catalogue.KINDS, BASE_MODELS]
    if kind is not None and kind not in kinds:
        raise UnknownNameError("kind", kind, kinds)
    return {**envelope("names"), "names": {one: _listed(one) for one in kinds if kind in (None, one)}}


def _listed(kind: str) -> dict[str, str]:
    if kind != BASE_MODELS:
        return catalogue.describe(kind)
    from savile.models import _bases

    here = _bases.installed()
    return {name: f"{base.about}{'' if name in here else ' (not installed)'}" for name, base in _bases.BASES.items()}
