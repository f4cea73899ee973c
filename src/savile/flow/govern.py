"""The word `govern`: from a company's own file to data that may be learnt from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from savile.flow import _erase, _line, _order
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
    """Make data of a file: roles inferred and shown, personal data masked, copies found, parts without overlap.

    Args:
        source: data file (csv, tsv, JSON, Parquet, Excel), folder or pattern; or a recipe in YAML.
        label: column with the labels; inferred when left out.
        text: column with the texts; inferred when left out.
        test: file with a published test set; without one 20 % of the rows are set apart.
        pii: mask replaces personal data before anything is stored, keep leaves it; default: mask.
        task: what the data is for; inferred from the label when left out.
        value: column naming whose each row is; says what every row and every owner is worth.
        budget: a sum to share out among those owners.
        rights: YAML or JSON file with sources and the rights to them; default: STEM.rights.yaml beside the file, if there.
        purpose: what the data is used for, held against the rights.
        check_labels: look for wrong labels, by words alone (words), by a base such as minilm beside them, or auto.
        erase: take a person, as an identifier or COLUMN=VALUE, out of stored data (source: a reference, or data for all).
        settings: dotted keys of the recipe and their values.

    Raises:
        DataError: the file cannot be used.
        InputError: roles cannot be inferred, or a name does not exist.
        RefusalError: the rights to the data do not allow it.
    """
    if more.get("erase"):
        return _erase.erase(str(source), more["erase"])
    return _line.govern(_settled(source, label, text, test, pii, more).recipe)


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


def _settled(source: str | Path, *rest: Any) -> _order.Order:
    label, text, test, pii, more = rest
    named = {"task.label": label, "task.text": text, "data.test": test, "data.pii": pii, "task.kind": more.get("task")}
    named |= {"data.steps.value.owner": more.get("value"), "data.steps.value.budget": more.get("budget")}
    named |= {"data.steps.rights.file": _absolute(more.get("rights")), "data.steps.rights.purpose": more.get("purpose")}
    named |= {"data.steps.labels.base": more.get("check_labels")}
    return _order.settle(source, named, more.get("settings"))


def _absolute(file: str | Path | None) -> str | None:
    return None if file is None else str(Path(file).absolute())
