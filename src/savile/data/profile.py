"""Infers what each column is for, shows it, and stops where a guess would be wrong: text, label, time, group, id and the rest.

What the caller names wins. Otherwise the label is the column with one of the usual names, else the only one with few distinct
values; the text is the longest column of sentences, those with usual names first. Dates and customer ids steer the split.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from savile.base.errors import DataError, InputError, UnknownNameError
from savile.base.events import emit
from savile.base.records import Finding
from savile.data import _columns, _time
from savile.data._draft import Column, Draft, finding

if TYPE_CHECKING:
    import pyarrow as pa

LABEL_NAMES = ("label", "category", "intent", "class", "sentiment", "target", "y", "标签", "类别", "意图", "分类", "情感")
TEXT_NAMES = (
    *("text", "message", "query", "utterance", "content", "review", "title", "sentence", "question", "body", "comment"),
    *("tweet", "post", "description", "feedback", "request", "prompt", "文本", "内容", "评论", "标题", "句子", "问题", "正文"),
)
TIME_NAME = re.compile(r"date|time|timestamp|created|updated|received|opened|_at$|^day$|日期|时间", re.IGNORECASE)
NOT_TIME = re.compile(r"birth|dob|expir|生日|出生", re.IGNORECASE)
GROUP_NAME = re.compile(
    r"^(customer|user|account|owner|client|member)([ _-]?(id|no|nr|num|number|key|code|uuid|name))?$|^(客户|用户|账户)",
    re.IGNORECASE,
)
ID_NAME = re.compile(r"(^|[ _-])(id|uid|uuid|guid|index|key|no|number|code)$|[a-z]I[dD]$|编号$", re.IGNORECASE)
MAX_LABELS = 200  # fewer distinct values than this can be classes of their own accord
MANY_NUMBERS = 20  # more distinct fractions than this are a score, not classes
MIN_GROUPS = 10
MIN_ROWS = 10
MAX_EMPTY = 0.05  # share of rows without label or text that may be left out


def apply(draft: Draft) -> Draft:
    """Find the roles, leave out rows without text or label, and check that there is something to learn."""
    import pyarrow as pa

    values = {name: _columns.trimmed(draft.table.column(name)) for name in draft.table.column_names}
    columns = {name: _columns.describe(name, column) for name, column in values.items() if name not in draft.options.drop}
    _named(draft, columns)
    roles = _roles(draft, columns, values)
    shown = tuple(_place(column, roles, values[column.name]) for column in columns.values())
    emit("roles", roles=roles, columns=[{"name": c.name, "role": c.role, "distinct": c.distinct, "why": c.why} for c in shown])
    draft = replace(draft, table=pa.table(values), roles=roles, columns=shown)
    for role in ("label", "text"):
        draft = _without_empty(draft, role, values[roles[role]])
    return _classes(draft.noting(*_notes(shown)))


def _named(draft: Draft, columns: dict[str, Column]) -> None:
    """Every column the caller names must exist, in the test file too."""
    options = draft.options
    named = [options.label, options.text, options.time, options.group, *options.use]
    for name in [*named, *options.drop]:
        if name is not None and name not in draft.table.column_names:
            raise UnknownNameError("column", name, draft.table.column_names)
    twice = sorted({name for name in named[:4] if name and named[:4].count(name) > 1})
    if twice:
        raise InputError("one role for a column", f"{twice[0]!r} named for two roles", "Name another column for one of them.")
    gone = [name for name in named[:4] if name in options.drop]
    if gone:
        raise InputError("columns with a role kept", f"{gone[0]!r} among the columns to drop", "Take it from one of the lists.")


def _roles(draft: Draft, columns: dict[str, Column], values: dict[str, pa.Array]) -> dict[str, str]:
    """role -> column; explicit names first, then what names and values say."""
    options = draft.options
    free = {name: column for name, column in columns.items() if column.distinct}
    roles = {role: name for role in ("label", "text", "time", "group") if (name := getattr(options, role))}
    for name in roles.values():
        free.pop(name, None)
    if "label" not in roles:
        usual = [name for known in LABEL_NAMES for name in free if name.casefold() == known]
        if usual:
            roles["label"] = usual[0]
            free.pop(usual[0])
            if len(usual) > 1:
                others = ", ".join(usual[1:])
                emit("warning", text=f"Taking {usual[0]!r} as the label; {others} could be one too. Name it with --label.")
    if "text" not in roles:
        roles["text"] = _text(free, values)
        free.pop(roles["text"])
    if "time" not in roles:
        times = [
            name for name in free if TIME_NAME.search(name) and not NOT_TIME.search(name) and _dates(values[name]) is not None
        ]
        if times:
            roles["time"] = times[0]
    if "group" not in roles and "time" not in roles:
        groups = [name for name in free if _is_group(columns[name])]
        if groups:
            roles["group"] = groups[0]
    if "label" not in roles:
        roles["label"] = _only_few(draft, {n: c for n, c in free.items() if n not in roles.values()}, values)
    _check_label(columns[roles["label"]], values[roles["label"]], explicit=options.label is not None)
    if options.time and _dates(values[options.time]) is None:
        raise DataError(
            "dates or times in the time column",
            f"{options.time!r} with values that do not read as dates",
            "Write them as 2026-01-31.",
        )
    return {role: roles[role] for role in ("text", "label", "time", "group") if role in roles}


def _dates(values: pa.Array) -> np.ndarray | None:
    present = values.drop_null()
    parsed = _time.parse(present)
    return _time.unix(present) if parsed is None else parsed


def seconds(values: pa.Array) -> np.ndarray:
    """Seconds since 1970 of a time column (n,), NaN where a value is missing or no date."""
    filled = np.full(len(values), np.nan)
    dates = _dates(values)
    if dates is not None:
        filled[np.asarray(values.is_valid())] = dates
    return filled


def _text(free: dict[str, Column], values: dict[str, pa.Array]) -> str:
    """The column of sentences: among those with a usual name the longest, else the longest of many different values."""
    usual, varied = [], []
    for name, column in free.items():
        if column.kind != "string" or column.distinct < 2:
            continue
        words, chinese = _columns.shares(values[name].drop_null())
        rows = len(values[name]) - column.missing
        if set(_words(name)) & set(TEXT_NAMES) and (words >= 1.5 or chinese >= 0.3 or column.length >= 12):
            usual.append(name)
        if column.distinct >= 0.2 * rows and (words >= 3 or (chinese >= 0.3 and column.length >= 4)):
            varied.append(name)
    candidates = usual or varied
    if not candidates:
        raise InputError(
            "a column with texts",
            f"columns {', '.join(free) or '(none left)'}, none of which holds sentences",
            "Name the text column with --text; tables without any text cannot be classified yet.",
        )
    return max(candidates, key=lambda name: free[name].length)


def _words(name: str) -> list[str]:
    """``reviewText`` and ``review_text`` -> ``review``, ``text``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold().replace("_", " ").replace("-", " ").split()


def _is_group(column: Column) -> bool:
    return bool(GROUP_NAME.search(column.name)) and column.distinct >= MIN_GROUPS


def _is_id(column: Column, values: pa.Array) -> bool:
    """All values differ, and the name, a running number or the look of a code says that they only number the rows."""
    present = values.drop_null()
    if column.kind == "time" or len(present) < 2 or column.distinct < 0.98 * len(present):
        return False
    if ID_NAME.search(column.name) or column.name.startswith("column "):
        return True
    if column.kind == "integer":
        return _columns.rising(present)
    words, chinese = _columns.shares(present)
    return column.kind == "string" and words == 1.0 and chinese == 0.0 and column.length <= 40


def _few(column: Column, values: pa.Array) -> bool:
    """Few enough different values, each often enough, to be classes."""
    rows = len(values) - column.missing
    repeated = 2 <= column.distinct < MAX_LABELS and rows >= (5 if column.kind == "string" else 20) * column.distinct
    return repeated and column.kind in ("string", "integer") and column.length <= 60


def _only_few(draft: Draft, free: dict[str, Column], values: dict[str, pa.Array]) -> str:
    """The only column with few distinct values."""
    candidates = [name for name, column in free.items() if _few(column, values[name])]
    if len(candidates) == 1:
        return candidates[0]
    listing = ", ".join(f"{name} ({free[name].distinct} values)" for name in candidates[:10])
    raise InputError(
        "one label column",
        f"{len(candidates)} candidates: {listing}"
        if candidates
        else f"no column that looks like one among {', '.join(free) or 'none'}",
        f"Name it with --label, for example --label {candidates[0]!r}." if candidates else "Name it with --label.",
    )


def _check_label(column: Column, values: pa.Array, explicit: bool) -> None:
    """Refuse labels that are measurements or free text."""
    rows = len(values) - column.missing
    fractions = column.kind == "real" and column.distinct > MANY_NUMBERS
    if column.kind in ("integer", "real") and (fractions or column.distinct >= MAX_LABELS):
        raise InputError(
            f"labels, fewer than {MAX_LABELS} different ones",
            f"{column.distinct} different numbers in {column.name!r}",
            "Predicting a number (task score) is not there yet; group the numbers into classes, or name another column.",
        )
    if column.distinct >= MAX_LABELS and (not explicit or column.distinct * 2 > rows):
        raise InputError(
            f"labels, fewer than {MAX_LABELS} different ones",
            f"{column.distinct} different values in {rows} rows of {column.name!r}",
            "Name another column with --label.",
        )


def _place(column: Column, roles: dict[str, str], values: pa.Array) -> Column:
    """The column with its role and the reason for it."""
    for role, name in roles.items():
        if name == column.name:
            return replace(column, role=role, why=f"steers the split by {role}" if role in ("time", "group") else f"the {role}")
    if not column.distinct:
        return replace(column, role="empty", why="no values")
    if column.distinct == 1:
        return replace(column, role="constant", why="one value only")
    if _is_id(column, values):
        return replace(column, role="id", why="numbers the rows; left out")
    if column.kind == "string":
        return replace(column, role="category" if _few(column, values) else "words", why="kept for slices")
    return replace(column, role="time" if column.kind == "time" else "number", why="kept for slices")


def _without_empty(draft: Draft, role: str, values: pa.Array) -> Draft:
    """Leave out rows whose label or text is missing; too many of them are an error."""
    if draft.given.any() and np.asarray(values.is_null())[draft.given].all():
        name = draft.roles[role]
        raise DataError(
            f"the {role} column {name!r} in both files", f"none in {draft.origin['test']['name']}", "Add it to the test file."
        )
    empty = np.asarray(values.is_null())
    rows = np.flatnonzero(empty & draft.kept)
    share = len(rows) / max(int(draft.kept.sum()), 1)
    where = f"{len(rows):,} rows without a {role} ({share:.1%}), {draft.where(rows)}" if len(rows) else ""
    if share >= MAX_EMPTY:
        raise DataError(f"a {role} in every row", where, f"Fill the column {draft.roles[role]!r} or remove those rows.")
    draft = replace(draft, kept=draft.kept & ~empty)
    if not len(rows):
        return draft
    return draft.noting(
        finding(f"empty_{role}", "warning", rows, f"{where}, left out.", f"Fill in the {role}, or remove the rows.")
    )


def _classes(draft: Draft) -> Draft:
    """At least two classes that occur more than once; a class of one row can only be trained on."""
    labels = np.array(draft.values("label"))
    trained = np.flatnonzero(draft.kept & ~draft.given)
    if len(trained) < MIN_ROWS:
        raise DataError(
            f"at least {MIN_ROWS} labelled rows", f"{len(trained)}", "Add rows; a few hundred are a good beginning."
        )
    names, counts = np.unique(labels[trained], return_counts=True)
    column = draft.roles["label"]
    if len(names) < 2:
        raise DataError(
            "at least two different labels",
            f"only {names[0]!r} in {column!r}",
            "Add rows of another class, or name another column with --label.",
        )
    single = names[counts == 1]
    if (counts > 1).sum() < 2:
        raise DataError(
            "at least two classes with more than one row",
            f"one row of {single[0]!r} and {len(single) - 1} more such classes",
            "Add rows.",
        )
    if not len(single):
        return draft
    rows = trained[np.isin(labels[trained], single)]
    evidence = f"{len(single)} classes with one row only: {', '.join(single[:5])}. Such a row can be learnt but never checked."
    return draft.noting(finding("single_row_class", "warning", rows, evidence, "Add rows, or join the class with another."))


def _notes(columns: tuple[Column, ...]) -> list[Finding]:
    """What an owner should know about the columns themselves."""
    notes = []
    for role, evidence in (
        ("id", "only number the rows and are left out"),
        ("constant", "hold one value only"),
        ("empty", "are empty"),
    ):
        names = [column.name for column in columns if column.role == role]
        if names:
            notes.append(Finding(f"{role}_column", "note", len(names), f"Columns that {evidence}: {', '.join(names)}."))
    return notes
