"""What governing found in rows, as findings of an audit with repairs: labels that are wrong, and copies that are too many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from savile.base.records import Dataset
from savile.data import _copies, labels
from savile.data._audit_issue import Change, Issue
from savile.data._copies import normal
from savile.data._draft import Reading, counted
from savile.data._gather import room

if TYPE_CHECKING:
    import pyarrow as pa

LEAVE_OUT = ""  # the column of a change that leaves a whole row out
SAME, NEAR = 0.99, 0.85  # how sure it is that a copy is one


def same(data: Dataset, table: pa.Table, test: pa.Table | None) -> bool:
    """Whether the rows of data are those of its files, none left out or put together by a step; others stand behind them."""
    made = data.table.column(data.roles["made"]).to_pylist().count("augment") if "made" in data.roles else 0
    files = len(table) + (0 if test is None else len(test))
    return len(data.table) - made == files


def allowed(data: Dataset, table: pa.Table) -> np.ndarray | None:
    """The rows that rights did not leave out, int64, where they left some out."""
    outcome = data.settings.get("steps", {}).get("rights")
    if outcome is None or not any(outcome["left_out"].values()):
        return None
    rest = {(source["column"], source["value"] or "") for source in outcome["rules"]["sources"]}
    columns = {name: [str(one or "").strip() for one in table.column(name).to_pylist()] for name, _ in rest if name}
    kept = [[value == cell for cell in columns[name]] if name else [True] * len(table) for name, value in rest]
    return np.flatnonzero(np.any(kept, axis=0))


def issues(data: Dataset, table: pa.Table) -> Iterator[Issue]:
    """The findings.

    Args:
        data: what governing made, or would make, of the table.
        table: the rows as they are in the file; those of the data come in the same order, a test file's behind them.
    """
    column = data.roles["label"]
    if column not in table.column_names:
        return  # a step made it, of votes or answers
    given = ["" if one is None else str(one).strip() for one in table.column(column).to_pylist()]
    yield from _labels(data, column, given)
    if any(one.rule == "sampled" for one in data.findings):
        return  # what governing noted of all rows says more than the copies in a sample of them
    if "text" in data.roles and data.roles["text"] in table.column_names and "second" not in data.roles:
        texts = [str(one or "") for one in table.column(data.roles["text"]).to_pylist()]
        yield from _repeats(texts, given, _families(data, texts, given))


def _families(data: Dataset, texts: list[str], given: list[str]) -> np.ndarray:
    """A number that rows of nearly the same text share, int64 (n,): that of their units, unless groups are in these, too."""
    import pyarrow as pa

    if data.units is not None and "group" not in data.roles:
        return data.units[: len(texts)]
    looked = map(_copies.look, _copies.cut(pa.table({"text": texts, "label": given})))
    return _copies.find(looked, room(Reading())).alike.astype(np.int64)


def _labels(data: Dataset, column: str, given: list[str]) -> Iterator[Issue]:
    """Labels that models of other rows say are wrong; those that are surely another one can be mended."""
    outcome = data.settings.get("steps", {}).get("labels")
    if outcome is None:
        return
    own = [one for one in outcome["listed"] if one["part"] != "test" and one["row"] < len(given)]
    own = [one for one in own if given[one["row"]] == one["label"]]
    if not own:
        return
    why = f"models of other rows, by {' and '.join(outcome['seen_by'])}"
    sure = [one for one in own if one["proposed"] != one["label"] and one["right"] >= labels.SURE]
    changes = tuple(Change(one["row"], column, one["label"], one["proposed"], one["right"], why) for one in sure)
    wrong = float(np.mean([one["chance"] for one in own]))
    mended = f"; {len(changes):,} of them surely have another" if changes else ""
    flagged = f"{counted(outcome['flagged'], 'row')} whose label is {labels.likely(wrong)} wrong"
    evidence = f"{flagged}, {wrong:.0%} of them as expected{mended}."
    rows = np.sort(np.array([one["row"] for one in own]))
    share = outcome["flagged"] / max(outcome["rows"], 1)
    repair = "Answer them with savile review, or mend those that are sure with --fix."
    yield Issue("label_error", "warning", column, evidence, rows, round(wrong, 3), share=share, repair=repair, changes=changes)


def _repeats(texts: list[str], given: list[str], alike: np.ndarray) -> Iterator[Issue]:
    """Rows that repeat an earlier one with the same label, word for word or nearly so."""
    distinct, same = np.unique(np.array([normal(text) for text in texts], dtype=object), return_inverse=True)
    empty = (distinct == "")[same]
    kinds = (
        ("exact_duplicate", same, SAME, "the text and the label of an earlier row"),
        ("near_duplicate", alike, NEAR, "nearly the text and the label of an earlier row"),
    )
    taken = np.zeros(len(texts), dtype=bool)
    for rule, family, confidence, what in kinds:
        key = np.unique(np.stack([family, np.unique(given, return_inverse=True)[1]]), axis=1, return_inverse=True)[1]
        first = np.full(int(key.max(initial=-1)) + 1, len(texts))
        np.minimum.at(first, key, np.arange(len(texts)))
        rows = np.flatnonzero((first[key] < np.arange(len(texts))) & ~taken & ~empty)
        taken[rows] = True
        if len(rows):
            changes = tuple(
                Change(int(row), LEAVE_OUT, texts[row], "", confidence, f"repeats row {first[key[row]] + 1}") for row in rows
            )
            evidence = f"{counted(len(rows), 'row')} {'has' if len(rows) == 1 else 'have'} {what}."
            repair = "Leave them out with --fix: they look like more evidence than they are."
            yield Issue(rule, "note", LEAVE_OUT, evidence, rows, confidence, repair=repair, changes=changes)
