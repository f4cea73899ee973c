"""Says what each column is for: what the caller names wins, then usual names, then what the values look like.

The label is the column with one of the usual names, else the only one with few different values; the text is the longest column
of sentences, those with usual names first. Dates and customer ids, confidently recognised, steer how rows are divided.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from savile.base import answers, catalogue, dates
from savile.base.errors import DataError, InputError
from savile.base.events import emit
from savile.data import _columns
from savile.data._draft import SCORE, SPANS, Column, Options

if TYPE_CHECKING:
    import pyarrow as pa

    from savile.base.mask import Span

LABEL_NAMES = ("label", "category", "intent", "class", "sentiment", "target", "y", "标签", "类别", "意图", "分类", "情感")
TEXT_NAMES = frozenset(
    (
        *(
            "text",
            "message",
            "query",
            "utterance",
            "content",
            "review",
            "title",
            "sentence",
            "question",
            "body",
            "comment",
            "tweet",
        ),
        *("post", "description", "feedback", "request", "prompt", "文本", "内容", "评论", "标题", "句子", "问题", "正文"),
    )
)
TIME_NAME = re.compile(r"date|time|created|updated|received|opened|_at$|^day$|日期|时间", re.IGNORECASE)
NOT_TIME = re.compile(r"birth|dob|expir|生日|出生", re.IGNORECASE)
GROUP_NAME = re.compile(
    r"^(customer|user|account|owner|client|member)([ _-]?(id|no|nr|num|number|key|code|uuid|name))?$|^(客户|用户|账户)",
    re.IGNORECASE,
)
ID_NAME = re.compile(r"(^|[ _-])(id|uid|uuid|guid|index|key|no|number|code)$|[a-z]I[dD]$|编号$", re.IGNORECASE)
PERSON_WORDS = frozenset(
    (
        *("name", "surname", "firstname", "lastname", "fullname", "username", "nickname", "login", "person", "patient"),
        *("email", "mail", "phone", "telephone", "tel", "mobile", "fax", "contact", "iban", "passport", "ssn"),
        *("姓名", "邮箱", "电话", "手机", "手机号", "身份证", "身份证号", "联系人", "联系方式"),
    )
)
MAX_LABELS = 200  # fewer different values than this can be classes of their own accord
MANY_FRACTIONS = 20  # more different fractions than this are a score, not classes
MANY_NUMBERS = 20  # more different whole numbers than this are classes only when the caller says so
MIN_GROUPS = 10
WRITTEN = 0.25  # share of letters below which values of several words are numbers, such as those of telephones
LETTERS = 0.6  # share of letters from which a code is rather a name
CLASSES, ANSWER = "classify", "answer"  # the tasks of labels and of free answers
SEVERAL = "multilabel"  # the task of any number of labels

LISTS = 0.05  # share of cells that hold a list, from which the column is one of lists
LONGEST_NAME = 60
LOOKED_AT, PERSONAL = 200, 0.5  # cells of a column, and the share of them that is personal data where it identifies people
LISTED, LAST = 12, 3  # names a message lists, and those of them that are the last

Columns = Mapping[str, Column]
Values = Mapping[str, "pa.Array"]


def infer(options: Options, columns: Columns, values: Values, hints: Mapping[str, str]) -> dict[str, str]:
    """role -> column, among ``text label time group``, and ``shares`` where a step has written them.

    Args:
        options: the caller's names.
        columns: what is known of each column.
        values: trimmed strings of each column, null where missing.
        hints: role -> column, where the shape of the rows settles it.

    Raises:
        InputError: when there is no single label column, or neither a text nor anything else to learn from.
        DataError: when the named time column holds no dates.
    """
    named = {"label": options.label, "text": options.text, "time": options.time, "group": options.group}
    roles = {role: name for role, name in named.items() if name is not None}
    if options.label is None and (preferred := _preferred(columns, values)):
        do = "Name a label column with --label; preferences are learned in Python alone, by savile.adaptation.prefer."
        raise InputError("one label column", f"preferences: the columns {preferred}", do)
    hints = _spans(options, columns, hints)
    roles = {**{role: name for role, name in hints.items() if role not in roles and name not in roles.values()}, **roles}

    def free() -> dict[str, Column]:
        return {name: column for name, column in columns.items() if column.distinct and name not in roles.values()}

    if "label" not in roles:
        roles.update(_usual_label(free()))
    if "text" not in roles:
        roles.update(_text(free(), values))
    if options.time is not None and dates.seconds(values[options.time]) is None:
        raise DataError(
            "dates in the time column", f"{options.time!r} without dates", "Write them as 2026-01-31 or name another."
        )
    if not {"time", "group"} & roles.keys():
        roles.update(_steering(free(), values))
    if "label" not in roles:
        roles["label"] = _only_number(free()) if options.task == SCORE else _only_few(free(), values)
    if "text" not in roles:
        _check_features(free(), values)
    return {role: roles[role] for role in ("text", "label", "time", "group", "shares") if role in roles}


def _preferred(columns: Columns, values: Values) -> str:
    """The columns of preferences: two answers to a prompt, or one and whether it is good; empty where there are none."""
    if {"chosen", "rejected"} <= columns.keys():
        return "chosen and rejected"
    judged = {"prompt", "completion", "label"} <= columns.keys()
    said = {str(one).casefold() for one in values["label"].drop_null().unique().to_pylist()} if judged else set()
    return "prompt, completion and label" if said and said <= {"true", "false"} else ""


def _spans(options: Options, columns: Columns, hints: Mapping[str, str]) -> dict[str, str]:
    """The hints with a column of spans as the label, and their text, where nothing else is asked for or has a label's name."""
    rest = {role: name for role, name in hints.items() if role not in ("spans", "spanned")}
    spans = hints.get("spans")
    others = [name for name in columns if name != spans and name.casefold() in LABEL_NAMES and columns[name].distinct]
    asked = options.task == SPANS or options.label == spans
    if spans is None or not (asked or (options.task is None and options.label is None and not others)):
        return rest
    return {**rest, "label": spans, "text": hints["spanned"]}


def reading(options: Options, columns: Columns, values: Values) -> dict[str, str]:
    """role -> column, among ``text time``, of rows that nobody has labelled.

    Raises:
        InputError: there is no column of texts.
    """
    roles = {role: name for role, name in (("text", options.text), ("time", options.time)) if name is not None}
    if "text" not in roles:
        roles |= _text({name: column for name, column in columns.items() if name not in roles.values()}, values)
    if "text" not in roles:
        raise InputError("a column with texts", f"no sentences in {_listing(columns)}", "Name the text column with --text.")
    if "time" not in roles:
        rest = {name: column for name, column in columns.items() if name not in roles.values()}
        roles |= {role: name for role, name in _steering(rest, values).items() if role == "time"}
        dated = [name for name, column in rest.items() if column.kind == "time" and not NOT_TIME.search(name)]
        if "time" not in roles and len(dated) == 1:
            roles["time"] = dated[0]
    return roles


def task(options: Options, label: Column, values: pa.Array, answers: bool = False, spans: bool = False) -> str:
    """The task: what the caller names, else classes where the label has few values, else a score where it is a number.

    Args:
        options: the caller's names.
        label: what is known of the label column.
        values: its values.
        answers: whether it holds the answers of conversations, which are labels only when they are of few kinds.
        spans: whether it holds spans of the text.

    Raises:
        InputError: the label is free text, or a number while classes are asked for.
    """
    if options.task in (None, SPANS) and spans:
        if options.task is None:
            emit("note", text=f"{label.name!r} holds spans of the text: the task is {SPANS}.")
        return SPANS
    if options.task == SPANS:
        received = f"none in {label.name!r}"
        do = 'Write spans as [{"start": 0, "end": 4, "label": "name"}], or a CoNLL file; or leave out --task.'
        raise InputError("spans to find", received, do)
    numeric = _is_score(label)
    if options.task is None and numeric and SCORE in catalogue.names("tasks"):
        emit("note", text=f"{label.name!r} holds {label.distinct:,} different numbers: the task is {SCORE}.")
        return SCORE
    if options.task is None and answers and not _few(label, values):
        emit("note", text=f"{label.name!r} holds {label.distinct:,} different answers: the task is {ANSWER}.")
        return ANSWER
    if options.task is None and SEVERAL in catalogue.names("tasks") and _holds_several(label, values):
        emit("note", text=f"{label.name!r} holds several labels in a cell: the task is {SEVERAL}.")
        return SEVERAL
    chosen = options.task or CLASSES
    if chosen == CLASSES:
        _check_label(label, values, numeric, explicit=options.label is not None)
    if chosen == SCORE and label.kind not in ("integer", "real"):
        received = f"words in {label.name!r}"
        raise InputError("numbers to predict", received, "Name a column of numbers with --label, or leave out --task.")
    return chosen


def _holds_several(label: Column, values: pa.Array) -> bool:
    """Whether cells list labels, as ``a|b``, ``a;b`` or a JSON list, and few enough different ones to be classes."""
    import pyarrow.compute as pc

    if label.kind != "string" or not label.distinct:
        return False
    present = values.drop_null()
    lists = pc.match_substring_regex(present, r"^\s*\[.*\]\s*$|\S\s*[|;；]\s*\S").cast("int8")
    if pc.mean(lists).as_py() < LISTS:
        return False
    names = answers.labels(SEVERAL, present.to_pylist())
    return 2 <= len(names) < MAX_LABELS and len(present) >= 5 * len(names) and max(map(len, names)) <= LONGEST_NAME


def place(column: Column, roles: Mapping[str, str], values: pa.Array) -> Column:
    """The column with its role and the reason for it."""
    for role, name in roles.items():
        if name == column.name:
            return replace(column, role=role, why="steers how rows are divided" if role in ("time", "group") else f"the {role}")
    if not column.distinct:
        return replace(column, role="empty", why="no values; left out")
    if column.distinct == 1:
        return replace(column, role="constant", why="one value only")
    if _is_id(column, values):
        return replace(column, role="id", why="only numbers the rows; left out")
    why = "kept for slices" if "text" in roles else "learned from"
    if column.kind == "string":
        return replace(column, role="category" if _few(column, values) else "words", why=why)
    return replace(column, role="time" if column.kind == "time" else "number", why=why)


def identifies(column: Column, values: pa.Array, find: Callable[[str], Sequence[Span]]) -> bool:
    """Whether a column tells people apart: its role, its name or its cells say so.

    Args:
        column: what is known of it.
        values: its strings, null where missing.
        find: gives the personal data in a text.
    """
    if not column.distinct:
        return False
    if column.role == "id" or GROUP_NAME.search(column.name) or PERSON_WORDS.intersection(words_of(column.name)):
        return True
    cells = values.drop_null().unique()[:LOOKED_AT].to_pylist()
    whole = sum(any(span.end - span.start >= len(cell) for span in find(cell)) for cell in cells)
    return whole >= PERSONAL * len(cells) or _is_id(column, values)


def _usual_label(free: Columns) -> dict[str, str]:
    """The column with a usual name, the names in their order of preference."""
    usual = [name for known in LABEL_NAMES for name in free if name.casefold() == known]
    if len(usual) > 1:
        emit("warning", text=f"Taking {usual[0]!r} as the label; {', '.join(usual[1:])} could be it too. Name it with --label.")
    return {"label": usual[0]} if usual else {}


def _text(free: Columns, values: Values) -> dict[str, str]:
    """The column of sentences: among those with a usual name the longest, else the longest of many different values.

    A table need not have one. Where nothing but names and codes is left beside the label, the longest of those is the text.
    """
    usual, varied = [], []
    for name, column in free.items():
        if column.kind != "string" or column.distinct < 2:
            continue
        words, chinese = _columns.shares(values[name].drop_null())
        rows = len(values[name]) - column.missing
        if TEXT_NAMES.intersection(words_of(name)) and (words >= 1.5 or chinese >= 0.3 or column.length >= 12):
            usual.append(name)
        wordy = words >= 3 or (chinese >= 0.3 and column.length >= 4)
        if column.distinct >= 0.2 * rows and wordy and _columns.share_of_letters(values[name].drop_null()) >= WRITTEN:
            varied.append(name)
    candidates = sorted(usual or varied or _short_texts(free, values), key=lambda name: -free[name].length)
    if len(usual) > 1:
        said = f"Taking {candidates[0]!r} as the text; {', '.join(candidates[1:])} could be it too. Name it with --text."
        emit("warning", text=said)
    return {"text": candidates[0]} if candidates else {}


def _short_texts(free: Columns, values: Values) -> list[str]:
    """Columns of different names of letters, in a table that has nothing else to learn from."""
    useful = {name: column for name, column in free.items() if column.distinct > 1 and not _is_id(column, values[name])}
    if any(column.kind != "string" or _few(column, values[name]) for name, column in useful.items()):
        return []
    return [name for name, column in useful.items() if _columns.share_of_letters(values[name].drop_null()) >= LETTERS]


def _check_features(free: Columns, values: Values) -> None:
    """A table without sentences has other columns to learn from."""
    if any(column.distinct > 1 and not _is_id(column, values[name]) for name, column in free.items()):
        emit("note", text="No column holds sentences: this is a table of numbers and categories, without a text.")
        return
    received = f"no sentences, numbers or categories in {_listing(free)}"
    raise InputError("a column with texts", received, "Name the text column with --text, or add columns to learn from.")


def words_of(name: str) -> list[str]:
    """``reviewText``, ``review_text`` and ``review.text`` -> ``review``, ``text``."""
    return re.sub(r"[_.-]", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold()).split()


def _steering(free: Columns, values: Values) -> dict[str, str]:
    """A time column, else a group column, where both name and values say so."""
    for name in free:
        if TIME_NAME.search(name) and not NOT_TIME.search(name) and dates.seconds(values[name]) is not None:
            return {"time": name}
    for name, column in free.items():
        if GROUP_NAME.search(name) and MIN_GROUPS <= column.distinct < len(values[name]) - column.missing:
            return {"group": name}
    return {}


def _only_number(free: Columns) -> str:
    """The only column with many different numbers."""
    return _only(free, [name for name, column in free.items() if _is_score(column)])


def _only_few(free: Columns, values: Values) -> str:
    """The only column with few different values."""
    return _only(free, [name for name, column in free.items() if _few(column, values[name])])


def _only(free: Columns, candidates: Sequence[str]) -> str:
    """The one candidate, or an error that lists them."""
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise InputError("one label column", f"none that looks like one among {_listing(free)}", "Name it with --label.")
    listing = _listing([f"{name} ({free[name].distinct} values)" for name in candidates])
    raise InputError(
        "one label column", f"{len(candidates)} candidates: {listing}", f"Name it, for example with --label {candidates[0]!r}."
    )


def _few(column: Column, values: pa.Array) -> bool:
    """Few enough different values, each often enough, to be classes."""
    rows = len(values) - column.missing
    if column.kind == "integer":
        return 2 <= column.distinct <= MANY_NUMBERS and rows >= 20 * column.distinct
    return column.kind == "string" and 2 <= column.distinct < MAX_LABELS and rows >= 5 * column.distinct and column.length <= 60


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


def _is_score(column: Column) -> bool:
    """Whether a column holds measurements: more different numbers than there can be classes."""
    many = column.distinct >= MAX_LABELS or (column.kind == "real" and column.distinct > MANY_FRACTIONS)
    return column.kind in ("integer", "real") and many


def _check_label(column: Column, values: pa.Array, numeric: bool, explicit: bool) -> None:
    """Refuse labels that are measurements or free text."""
    rows = len(values) - column.missing
    wanted = f"labels, fewer than {MAX_LABELS} different ones"
    if numeric:
        do = f"Predict the number with --task {SCORE}, turn numbers into classes, or name another column."
        raise InputError(wanted, f"{column.distinct} different numbers in {column.name!r}", do)
    if column.distinct >= MAX_LABELS and (not explicit or column.distinct * 2 > rows):
        received = f"{column.distinct} different values in {rows} rows of {column.name!r}"
        raise InputError(wanted, received, "Name another column with --label.")


def _listing(columns: Iterable[str]) -> str:
    """Column names for a message, the first and last of them when there are many: a label often stands at the end."""
    names = list(columns)
    shown = names if len(names) <= LISTED else [*names[: LISTED - LAST], "…", *names[-LAST:]]
    return ", ".join(shown) or "no column that is left"
