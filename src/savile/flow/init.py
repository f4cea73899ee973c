"""The word `init`: a recipe for a file, to be read and changed before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

from savile.base.errors import InputError
from savile.base.events import emit
from savile.flow import _contract, _goals, _imports, _line, _order
from savile.flow._options import OnInit
from savile.flow._result import envelope


def init(
    source: str | Path,
    *,
    label: str | None = None,
    text: str | None = None,
    test: str | Path | None = None,
    **more: Unpack[OnInit],
) -> dict[str, Any]:
    """Write a recipe beside a data file, with its columns inferred and shown; `run` follows it.

    Of a LLaMA-Factory or axolotl YAML, the recipe is that of its data, and what became of each line is said.

    Args:
        source: data file, folder or pattern; or the YAML of another tool.
        label: column with the labels; inferred when left out.
        text: column with the texts; inferred when left out.
        test: file with a published test set.
        task: what is asked; inferred from the label when left out.
        goal: support, sentiment, profile, process, forecast or code: base, method and metric that suit it, with the reasons.
        checks: column saying which rows are good (good, yes, 1, pass, ok); writes STEM.assertions.yaml, no recipe.
        settings: dotted keys of the recipe and their values.

    Raises:
        InputError: the file cannot be used, or its recipe is there already.
    """
    if more.get("checks"):
        return _contract.write(Path(source), more["checks"])
    order, imported = _seen(source, label, text, test, more)
    if _order.write(order) is not order:
        raise _taken(order)
    said = {"recipe": str(order.file), "roles": _roles(order), "imported": imported, "next": f"savile run {order.file}"}
    return {**envelope("init"), **said}


def plan(
    source: str | Path,
    *,
    label: str | None = None,
    text: str | None = None,
    test: str | Path | None = None,
    **more: Unpack[OnInit],
) -> dict[str, Any]:
    """The recipe `init` would write."""
    if more.get("checks"):
        return {**_contract.write(Path(source), more["checks"], doing=False), "verdict": "dry_run"}
    order, imported = _seen(source, label, text, test, more)
    said = {"recipe": _order.text(order), "roles": _roles(order), "imported": imported}
    return {**envelope("init"), "verdict": "dry_run", **said}


def _seen(source: str | Path, *rest: Any) -> tuple[_order.Order, list[dict[str, Any]]]:
    """The order behind a data file, or behind the data that another tool's file names, and what became of that file's lines."""
    from savile import data

    label, text, test, more = rest
    asked = dict(more.get("settings") or {})
    if more.get("goal"):
        asked = _goals.settings(more["goal"], {**({"task.kind": more["task"]} if more.get("task") else {}), **asked})
    named = {"task.label": label, "task.text": text, "data.test": test, "task.kind": more.get("task")}
    other = _imports.read(Path(source)) if Path(source).name.endswith(_order.RECIPE_SUFFIXES) else None
    if other is None:
        order = _order.settle(source, named, asked)
    else:
        for line in other.lines:
            emit("note", text=_imports.sentence(line))
        order = _order.settle(other.source, named, {**other.settings, **asked})
    if order.target is None:
        raise _taken(order)
    seen = data.inspect(order.recipe.data.source, _order.options(order.recipe))
    _line.tell_findings(seen)
    return order.with_roles(seen.task, seen.roles), other.lines if other else []


def _taken(order: _order.Order) -> InputError:
    return InputError("a data file without a recipe", f"{order.file}, which is there", "Change it, or move it away first.")


def _roles(order: _order.Order) -> dict[str, str]:
    task = order.recipe.task
    found = {"text": task.text, "label": task.label, "time": task.time, "group": task.group}
    return {role: column for role, column in found.items() if column}
