"""The word `govern`: from a company's own file to data that may be learnt from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from savile.base.errors import DataError, InputError
from savile.base.events import emit
from savile.flow import _audit, _erase, _line, _order
from savile.flow._options import OnData
from savile.flow._result import envelope

if TYPE_CHECKING:
    from savile.base.records import Dataset

LEARNING = ("task", "check_labels", "value", "purpose", "settings")  # asked for by who wants data to learn from


def govern(
    source: str | Path,
    *,
    label: str | None = None,
    text: str | None = None,
    test: str | Path | None = None,
    pii: str | None = None,
    **more: Unpack[OnData],
) -> Dataset | dict[str, Any]:
    """Audit a file and make data of it: what is wrong and what it costs, roles, personal data masked, parts without overlap.

    A file without a label is audited all the same.

    Args:
        source: data file (csv, tsv, JSON, Parquet, Excel), folder or pattern; or a recipe in YAML.
        label: column with the labels; inferred when left out.
        text: column with the texts; inferred when left out.
        test: file with a published test set; without one 20 % of the rows are set apart.
        pii: mask (the default) replaces personal data before anything is stored, names also names and addresses, presidio those
            that Presidio finds, keep nothing.
        task: what the data is for; inferred from the label when left out.
        value: column naming whose each row is; says what every row and every owner is worth.
        budget: a sum to share out among those owners.
        rights: YAML or JSON file with sources and the rights to them; default: STEM.rights.yaml beside the file, if there.
        purpose: what the data is used for, held against the rights.
        check_labels: look for wrong labels, by words alone (words), by a base such as minilm beside them, or auto.
        against: an earlier version of the file; what changed in form is told apart from what changed in value.
        correct: file of rows for a person to correct, which is written when it is not there; what they teach finds wrong cells.
        fix: write STEM.fixed.csv with the repairs that are sure; without it no cell changes.
        undo: id of a change or finding to take back in STEM.fixed.csv.
        erase: take a person, as an identifier or COLUMN=VALUE, out of stored data (source: a reference, or data for all).
        settings: dotted keys of the recipe and their values.

    Raises:
        DataError: the file cannot be used.
        InputError: roles cannot be inferred, or a name does not exist.
        RefusalError: the rights to the data do not allow it.
    """
    if more.get("erase"):
        return _erase.erase(str(source), more["erase"])
    order = _settled(source, label, text, test, pii, more)
    file, asked = order.recipe.data.source, _asked(order, more)
    if more.get("undo"):
        return _audit.undo(file, more["undo"], asked["read"])
    if more.get("correct") and not Path(more["correct"]).exists():
        return _audit.teach(file, more["correct"], asked["read"])
    if more.get("fix") or more.get("correct") or more.get("against"):
        seen = _seen(order, label, text, test, pii, more.get("check_labels"))
        return _audit.fix(file, asked, seen) if more.get("fix") else _audit.look(file, asked, seen)[1]
    try:
        data = _line.govern(order.recipe)
    except InputError as error:
        if not _alone(error, source, (label, text, test), more):
            raise
        found = _audit.look(file, asked)[1]
        _tell_nothing(error)
        return found
    _audit.once(order.recipe, data)
    return data


def plan(
    source: str | Path,
    *,
    label: str | None = None,
    text: str | None = None,
    test: str | Path | None = None,
    pii: str | None = None,
    **more: Unpack[OnData],
) -> dict[str, Any]:
    """What `govern` would do with the same arguments; writes nothing."""
    from savile import data

    said = {"verdict": "dry_run"}
    if more.get("erase"):
        return {**_erase.erase(str(source), more["erase"], doing=False), **said}
    order = _settled(source, label, text, test, pii, more)
    file, asked = order.recipe.data.source, {**_asked(order, more), "every": bool(more.get("fix"))}
    if more.get("undo"):
        return {**_audit.undo(file, more["undo"], asked["read"], doing=False), **said}
    if more.get("correct") and not Path(more["correct"]).exists():
        return {**_audit.teach(file, more["correct"], asked["read"], doing=False), **said}
    try:
        seen = data.inspect(file, _order.options(order.recipe))
    except InputError as error:
        if not _alone(error, source, (label, text, test), more):
            raise
        found = {**_audit.look(file, asked, doing=False)[1], **said}
        _tell_nothing(error)
        return found
    _line.tell_findings(seen)
    audit = _audit.look(file, asked, seen.data, doing=False)[1]
    columns = [{"name": column.name, "role": column.role, "why": column.why} for column in seen.columns]
    shown = {"task": seen.task, "roles": dict(seen.roles), "columns": columns, "rows": seen.rows, "parts": dict(seen.parts)}
    found = {"findings": [finding.as_dict() for finding in seen.findings], "audit": audit["findings"]}
    return {**envelope("govern"), **said, **shown, **found, "changes": audit["changes"]}


def _alone(error: InputError, source: str | Path, named: tuple[Any, ...], more: Mapping[str, Any]) -> bool:
    """Whether a file is audited though nothing can be learnt from it: no label is found in it, or what was taken for one is
    of no use. One that cannot be read, or breaks what must hold, is refused by the audit just so."""
    if type(error) is InputError:
        return _audit.alone(source, (*named[:2], more.get("task"), more.get("rights"), more.get("purpose")))
    return type(error) is DataError and _audit.alone(source, (*named, *(more.get(name) for name in LEARNING)))


def _tell_nothing(error: InputError) -> None:
    emit("note", text=f"No data to learn from was made, for that takes {error.wanted}; received {error.received}. {error.do}")


def _asked(order: _order.Order, more: Mapping[str, Any]) -> dict[str, Any]:
    """What the audit of an order's file is told."""
    recipe, told = order.recipe, {"against": more.get("against"), "correct": more.get("correct")}
    options = _order.options(recipe)
    rights = "sources" in options.steps.get("rights", {})
    told |= {"read": options.read, "assertions": options.steps.get("assertions")}
    return {"test": recipe.data.test, "label": recipe.task.label, "rights": rights, **told}


def _seen(order: _order.Order, *named: Any) -> Dataset | None:
    """What governing would make of a file, stored nowhere: wrong labels and copies join its audit. None without a label."""
    from savile import data

    try:
        return data.inspect(order.recipe.data.source, _order.options(order.recipe)).data
    except InputError:
        if order.target is None or any(one is not None for one in named):
            raise
        return None


def _settled(source: str | Path, *rest: Any) -> _order.Order:
    label, text, test, pii, more = rest
    named = {"task.label": label, "task.text": text, "data.test": test, "data.pii": pii, "task.kind": more.get("task")}
    named |= {"data.steps.value.owner": more.get("value"), "data.steps.value.budget": more.get("budget")}
    named |= {"data.steps.rights.file": _absolute(more.get("rights")), "data.steps.rights.purpose": more.get("purpose")}
    named |= {"data.steps.labels.base": more.get("check_labels")}
    return _order.settle(source, named, more.get("settings"))


def _absolute(file: str | Path | None) -> str | None:
    return None if file is None else str(Path(file).absolute())
