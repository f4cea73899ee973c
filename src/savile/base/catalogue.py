"""The catalogue: finds plug-ins by file name, without importing them, and outside packages by entry point.

A file without an underscore in a room is a plug-in, and the module itself is the implementation: `savile/tasks/classify.py`
is the task ``classify``, and its functions are what the contract asks for. An outside package names a module (or any object
with the same attributes) under the entry-point group ``savile.<kind>``.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from savile.base.errors import UnknownNameError

# kind -> (room that holds the built-in ones, the word for one of them in messages)
KINDS: dict[str, tuple[str, str]] = {
    "tasks": ("savile.tasks", "task"),
    "families": ("savile.models", "model family"),
    "encoders": ("savile.models._senses", "encoder of pictures or recordings"),
    "steps": ("savile.data", "data step"),
    "methods": ("savile.adaptation", "adaptation method"),
    "keepers": ("savile.adaptation._keeping", "way of keeping what was learnt"),
    "techniques": ("savile.compression", "compression technique"),
    "metrics": ("savile.evaluation", "metric"),
    "engines": ("savile.serving", "engine"),
    "trackers": ("savile.tracking", "tracker"),
    "policies": ("savile.scheduling", "scheduling policy"),
    "apps": ("savile.apps", "app"),
}


@cache
def _builtin(kind: str) -> dict[str, str]:
    """name -> module path of the built-in plug-ins of a kind."""
    room, _ = KINDS[kind]
    spec = importlib.util.find_spec(room)
    paths = list(spec.submodule_search_locations or []) if spec else []
    found = (module.name for module in pkgutil.iter_modules(paths))
    return {name: f"{room}.{name}" for name in found if not name.startswith("_")}


def _outside(kind: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=f"savile.{kind}")}


def names(kind: str) -> list[str]:
    """The sorted names of every plug-in of a kind; nothing is imported."""
    return sorted({*_builtin(kind), *_outside(kind)})


def get(kind: str, name: str) -> Any:
    """Import and return one plug-in.

    Raises:
        UnknownNameError: when no plug-in of that kind has the name; the message carries the nearest match.
    """
    builtin = _builtin(kind)
    if name in builtin:
        return importlib.import_module(builtin[name])
    outside = _outside(kind)
    if name in outside:
        return outside[name].load()
    raise UnknownNameError(KINDS[kind][1], name, names(kind))


def describe(kind: str) -> dict[str, str]:
    """name -> first line of its docstring, read from the source without importing it."""
    lines: dict[str, str] = {}
    for name in names(kind):
        module = _builtin(kind).get(name) or _outside(kind)[name].module
        spec = importlib.util.find_spec(module)
        source = Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""
        lines[name] = (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
    return lines
