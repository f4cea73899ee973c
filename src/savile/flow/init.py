"""The word `init`: a recipe for a file, to be read and changed before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

from savile.base.errors import InputError
from savile.flow import _line, _order
from savile.flow._options import OnFile
from savile.flow._result import envelope


def init(
    source: str | Path,
    *,
    label: str | None = None,
    text: str | None = None,
    test: str | Path | None = None,
    **more: Unpack[OnFile],
) -> dict[str, Any]:
    """Write a recipe beside a data file, with its columns inferred and shown; `run` follows it.

    Args:
        source: csv, tsv or jsonl file, plain or gzipped.
        label: column with the labels; inferred when left out.
        text: column with the texts; inferred when left out.
        test: file with a published test set.
        task: what is asked; inferred from the label when left out.
        settings: dotted keys of the recipe and their values.

    Raises:
        InputError: the file cannot be used, or its recipe is there already.
    """
    order = _seen(source, label, text, test, more)
    if _order.write(order) is not order:
        raise _taken(order)
    return {**envelope("init"), "recipe": str(order.file), "roles": _roles(order), "next": f"savile run {order.file}"}


def plan(
    source: str | Path,
    *,
    label: str | None = None,
    text: str | None = None,
    test: str | Path | None = None,
    **more: Unpack[OnFile],
) -> dict[str, Any]:
    """The recipe `init` would write."""
    order = _seen(source, label, text, test, more)
    return {**envelope("init"), "verdict": "dry_run", "recipe": _order.text(order), "roles": _roles(order)}


def _seen(source: str | Path, *rest: Any) -> _order.Order:
    from savile import data

    label, text, test, more = rest
    named = {"task.label": label, "task.text": text, "data.test": test, "task.kind": more.get("task")}
    order = _order.settle(source, named, more.get("settings"))
    if order.target is None:
        raise _taken(order)
    seen = data.inspect(order.recipe.data.source, _order.options(order.recipe))
    _line.tell_findings(seen)
    return order.with_roles(seen.task, seen.roles)


def _taken(order: _order.Order) -> InputError:
    return InputError("a data file without a recipe", f"{order.file}, which is there", "Change it, or move it away first.")


def _roles(order: _order.Order) -> dict[str, str]:
    task = order.recipe.task
    found = {"text": task.text, "label": task.label, "time": task.time, "group": task.group}
    return {role: column for role, column in found.items() if column}
