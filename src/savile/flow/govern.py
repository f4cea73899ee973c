"""The word `govern`: from a company's own file to data that may be learnt from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from savile.base.errors import InputError
from savile.base.events import emit
from savile.flow import _audit, _erase, _line, _order
from savile.flow._options import OnData
from savile.flow._result import envelope

if TYPE_CHECKING:
    from savile.base.records import Dataset


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
    if more.get("undo"):
        return _audit.undo(source, more["undo"])
    if more.get("correct") and not Path(more["correct"]).exists():
        return _audit.teach(source, more["correct"])
    rights = bool(more.get("rights") or _order.beside(Path(source), "rights"))
    told = {"against": more.get("against"), "correct": more.get("correct")}
    asked: dict[str, Any] = {"test": test, "label": label, "rights": rights, **told}
    if more.get("fix") or more.get("correct") or more.get("against"):
        seen = _seen(source, label, text, test, pii, more)
        return _audit.fix(source, asked, seen) if more.get("fix") else _audit.look(source, asked, seen)[1]
    try:
        order = _settled(source, label, text, test, pii, more)
        data = _line.govern(order.recipe)
    except InputError as error:
        if type(error) is not InputError or not _audit.alone(source, (label, text, more.get("task"))):
            raise
        emit("note", text=f"No data to learn from was made: {error.wanted} were wanted. {error.do}")
        return _audit.look(source, asked)[1]
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

    if more.get("erase"):
        return {**_erase.erase(str(source), more["erase"], doing=False), "verdict": "dry_run"}
    order = _settled(source, label, text, test, pii, more)
    seen = data.inspect(order.recipe.data.source, _order.options(order.recipe))
    _line.tell_findings(seen)
    columns = [{"name": column.name, "role": column.role, "why": column.why} for column in seen.columns]
    shown = {"task": seen.task, "roles": dict(seen.roles), "columns": columns, "rows": seen.rows, "parts": dict(seen.parts)}
    return {**envelope("govern"), "verdict": "dry_run", **shown, "findings": [finding.as_dict() for finding in seen.findings]}


def _seen(source: str | Path, *rest: Any) -> Dataset | None:
    """What governing would make of a file, stored nowhere: wrong labels and copies join its audit. None without a label."""
    from savile import data

    try:
        order = _settled(source, *rest)
        return data.inspect(order.recipe.data.source, _order.options(order.recipe)).data
    except InputError:
        if any(one is not None for one in (*rest[:4], rest[-1].get("check_labels"))):
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
