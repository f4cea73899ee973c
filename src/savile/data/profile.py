"""Infers what each column is for, shows it, and stops where a guess would be wrong; leaves out rows without text or label."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from savile.base import catalogue
from savile.base.errors import DataError, InputError, UnknownNameError
from savile.base.events import emit
from savile.base.records import Finding
from savile.data import _columns, _numbers, _pairs, _roles, privacy
from savile.data._draft import SCORE, Draft, counted, finding

if TYPE_CHECKING:
    import pyarrow as pa

MIN_ROWS = 10
MAX_EMPTY = 0.05  # share of rows without label or text that may be left out
IMBALANCE = 10  # times as many rows of one label as of another
SHOWN_NAMES = 5


def apply(draft: Draft) -> Draft:
    """Find the roles, leave out rows without text or label, and check that there is something to learn.

    Raises:
        InputError: when roles cannot be inferred, or named columns do not exist.
        DataError: when too many labels or texts are missing, or there are too few rows or labels.
    """
    import pyarrow as pa

    draft = _pairs.joined(draft)
    values = {name: _columns.trimmed(draft.table.column(name)) for name in draft.table.column_names}
    values, spelled = _plainly(draft, values)
    privacy.check_names(draft)
    _check_names(draft)
    columns = {name: _columns.describe(name, column) for name, column in values.items() if name not in draft.options.drop}
    roles = _roles.infer(draft.options, columns, values, draft.hints)
    shown = tuple(_roles.place(column, roles, values[column.name]) for column in columns.values())
    emit("roles", roles=roles, columns=[{"name": c.name, "role": c.role, "distinct": c.distinct, "why": c.why} for c in shown])
    label = roles["label"]
    spans, conversed = draft.hints.get("spans") == label, draft.hints.get("label") == label
    task = _roles.task(draft.options, columns[label], values[label], conversed, spans)
    draft = replace(draft, table=pa.table(values), roles=roles, columns=shown, task=task).noting(*spelled)
    for role in ("label", "text"):
        if role not in roles or (role == "label" and not draft.one_label and task != SCORE):
            continue  # where any number of labels is given, none is an answer
        draft = _without_empty(draft, role, values[roles[role]])
    if hasattr(catalogue.get("tasks", task), "UNLABELLED"):
        _check_rows(np.flatnonzero(draft.kept & ~draft.given))
    else:
        draft = _check_classes(draft) if draft.one_label else _check_varied(draft)
    draft = _column_notes(draft, values)
    return _label_notes(draft) if draft.one_label else draft


def _plainly(draft: Draft, values: dict[str, pa.Array]) -> tuple[dict[str, pa.Array], list[Finding]]:
    """Columns of numbers written as ``1.234,5``, ``1,234.5`` or ``12 %`` with plain numbers, and what to say about it."""
    found, said = dict(values), dict[str, list[str]]()
    for name, column in values.items():
        if name != draft.options.text and not (name == draft.options.label and draft.options.task == _roles.SEVERAL):
            found[name], how = _numbers.plain(column)
            if how:
                said.setdefault(how, []).append(name)
    notes = [f"Numbers with {how}, read as such: {_some(names)}." for how, names in said.items()]
    for note in notes:
        emit("note", text=note)
    return found, [Finding("number_format", "note", 1, note) for note in notes]


def _check_names(draft: Draft) -> None:
    """Every column the caller names exists, and none is named for two things."""
    options = draft.options
    roles = [name for name in (options.label, options.text, options.time, options.group) if name is not None]
    for name in (*roles, *options.use, *options.drop):
        if name not in draft.table.column_names:
            raise UnknownNameError("column", name, draft.table.column_names)
    twice = [name for name in roles if roles.count(name) > 1 or name in options.drop]
    if twice:
        raise InputError("one use for each named column", f"two for {twice[0]!r}", "Name another column for one of them.")


def _without_empty(draft: Draft, role: str, values: pa.Array) -> Draft:
    """Leave out rows whose label or text is missing; too many of them are an error."""
    name, empty = draft.roles[role], np.asarray(values.is_null())
    if draft.given.any() and empty[draft.given].all():
        test = draft.origin["test"]["name"]
        raise DataError(f"the {role} column {name!r} in both files", f"nothing of it in {test}", "Add it to the test file.")
    rows = np.flatnonzero(empty)
    if not len(rows):
        return draft
    share = len(rows) / len(empty)
    what = f"{counted(len(rows), 'row')} without a {role} ({share:.1%}), {draft.where(rows)}"
    if share >= MAX_EMPTY and not (role == "label" and _may_lack_labels(draft)):
        raise DataError(f"a {role} in nearly every row", what, f"Fill the column {name!r}, remove those rows, or name another.")
    draft = replace(draft, kept=draft.kept & ~empty)
    return draft.noting(
        finding(f"empty_{role}", "warning", rows, f"{what}, left out.", f"Fill in the {role}, or remove the rows.")
    )


def _may_lack_labels(draft: Draft) -> bool:
    """Whether a step that was asked for makes use of rows without a label."""
    return any(getattr(catalogue.get("steps", name), "UNLABELLED", False) for name in draft.options.steps)


def _check_varied(draft: Draft) -> Draft:
    """Enough rows, and numbers or sets of labels that differ."""
    trained = np.flatnonzero(draft.kept & ~draft.given)
    _check_rows(trained)
    values = draft.values("label")
    if len({values[row] for row in trained}) < 2:
        do = "Add rows with other values, or name another column with --label."
        raise DataError(f"values that differ in {draft.roles['label']!r}", "the same in every row", do)
    return draft


def _check_rows(trained: np.ndarray) -> None:
    if len(trained) < MIN_ROWS:
        do = "Add rows; a few hundred are a good beginning."
        raise DataError(f"at least {MIN_ROWS} rows to learn from", f"{len(trained)}", do)


def _check_classes(draft: Draft) -> Draft:
    """At least two classes that occur more than once; a class of one row can only be trained on."""
    labels = np.array(draft.values("label"))
    trained = np.flatnonzero(draft.kept & ~draft.given)
    _check_rows(trained)
    names, counts = np.unique(labels[trained], return_counts=True)
    single = names[counts == 1]
    if len(names) - len(single) < 2:
        received = f"only {str(names[0])!r}" if len(names) == 1 else f"one row only of {_some(single)}"
        do = "Add rows of another label, or name another column with --label."
        if len(names) == len(single) and "text" in draft.roles:
            do = "Name another column with --label; to learn to write such answers, ask for the task answer."
        raise DataError(f"two labels in {draft.roles['label']!r}, two rows of each", privacy.unnamed(draft, received), do)
    if not len(single):
        return draft
    rows = trained[np.isin(labels[trained], single)]
    evidence = (
        f"{counted(len(single), 'label')} with one row only: {_some(single)}. Such a row can be learnt from but never checked."
    )
    return draft.noting(finding("single_row_class", "warning", rows, evidence, "Add rows, or join the label with another."))


def _column_notes(draft: Draft, values: dict[str, pa.Array]) -> Draft:
    """What an owner should know about the columns themselves."""
    told = {"id": "only number the rows and are left out", "constant": "hold one value only", "empty": "are empty"}
    for role, evidence in told.items():
        names = [column.name for column in draft.columns if column.role == role]
        if names:
            draft = draft.noting(Finding(f"{role}_column", "note", len(names), f"Columns that {evidence}: {_some(names)}."))
    for column in draft.columns:
        if column.role == "number" and column.missing:
            rows = np.flatnonzero(np.asarray(values[column.name].is_null()))
            evidence = f"{counted(len(rows), 'empty cell')} in the number column {column.name!r}, {draft.where(rows)}."
            draft = draft.noting(finding("blank_number", "note", rows, evidence))
    return draft


def _label_notes(draft: Draft) -> Draft:
    """Labels that are probably one, and labels with far more rows than others."""
    labels = np.array(draft.values("label"))
    names, counts = np.unique(labels[draft.kept], return_counts=True)
    spelled: dict[str, list[str]] = {}
    for name in names.tolist():
        spelled.setdefault("".join(filter(str.isalnum, name.casefold())) or name, []).append(name)
    alike = [same for same in spelled.values() if len(same) > 1]
    if alike:
        rows = np.flatnonzero(draft.kept & np.isin(labels, [name for same in alike for name in same]))
        evidence = f"Labels that differ only in spelling: {_some([' / '.join(same) for same in alike])}."
        draft = draft.noting(finding("label_spelling", "warning", rows, evidence, "Write each label in one way."))
    if counts.max() >= IMBALANCE * counts.min():
        most, least = str(names[counts.argmax()]), str(names[counts.argmin()])
        evidence = (
            f"{most!r} has {counted(counts.max(), 'row')}, {least!r} has {counts.min():,}; read macro F1 beside accuracy."
        )
        draft = draft.noting(Finding("imbalance", "note", len(names), evidence))
    return draft


def _some(names: list[str] | np.ndarray) -> str:
    """The first names of a list."""
    return ", ".join(names[:SHOWN_NAMES]) + (", …" if len(names) > SHOWN_NAMES else "")
