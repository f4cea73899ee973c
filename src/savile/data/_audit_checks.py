"""Checks of columns that need no model: numbers that are none, coded gaps, drifting forms, rules with exceptions, leaks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from savile.data._audit_issue import Issue, listed
from savile.data._cell_table import Column, Grid
from savile.data._cell_values import shapes
from savile.data._draft import counted

if TYPE_CHECKING:
    import pyarrow as pa

MOSTLY = 0.95  # share of values from which a column is one of numbers
CODES = 6  # different values below 0 up to which they may be codes
SELDOM = 0.02  # share of cells that contradict a rule of the others
SIGNED = 1 / 3  # share of numbers below 0 from which nobody wonders about them
ODDLY = 0.005  # share of them up to which they may be slips
RULE = 50  # rows of a value from which the others' emptiness is a rule
TOLD = 0.98  # share of rows that a column may tell the label of before it is a leak
FORMS = {
    "with .0 behind": r"^[+-]?\d+\.0+$",
    "with zeros in front": r"^0\d+$",
    "with commas between thousands": r"^\d{1,3}(,\d{3})+(\.\d+)?$",
    "with a unit or sign": r"^[€$£¥]?\s*\d[\d.,]{0,14}\s*([A-Za-z%€$£¥]+\.?)$",  # more digits are those of a code
}
PLAIN = r"^[+-]?\d+(\.\d+)?$"


def numbers(column: Column) -> np.ndarray:
    """The number each different value is, NaN where it is none, (d,)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = pc.utf8_trim_whitespace(pa.array(column.values, pa.string()))
    plain = pc.match_substring_regex(cells, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$")
    found: np.ndarray = pc.cast(pc.if_else(plain, cells, None), pa.float64()).to_numpy(zero_copy_only=False)
    return found


def moments(column: Column) -> np.ndarray | None:
    """Seconds since 1970 of each row, float64, where a column holds a time everywhere, 20 different ones or more."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from savile.base import dates

    if len(column.values) < 20 or not all(value.strip() for value in column.values):
        return None
    seconds = dates.seconds(pc.utf8_trim_whitespace(pa.array(column.values, pa.string())))
    return None if seconds is None or np.isnan(seconds).any() else np.asarray(seconds)[column.codes]


def of_columns(grid: Grid) -> Iterator[Issue]:
    """What single columns show."""
    for column in grid.columns:
        found = numbers(column)
        rows = column.counts
        share = float(rows[np.isfinite(found)].sum() / max(rows[~column.missing].sum(), 1))
        if share >= MOSTLY:
            yield from _of_numbers(column, found)
        yield from _forms(column, grid.rows)
        yield from _scattered(column)


def _of_numbers(column: Column, found: np.ndarray) -> Iterator[Issue]:
    """A column of numbers: cells that are none, codes below zero, and values below zero that are numbers like others."""
    none = ~np.isfinite(found)
    rows = np.flatnonzero(none[column.codes])
    empty = np.array([not value.strip() for value in column.values])
    if len(rows) and len(rows) < len(column.codes):
        verb = "is" if len(rows) == 1 else "are"
        said = "empty" if empty[none].all() else f"no number ({listed([column.values[i] for i in np.flatnonzero(none)])})"
        tail = len(column.codes) - 1 - np.flatnonzero(~none[column.codes]).max()
        where = f", {tail:,} of them in a row at the end" if tail > 1 else ""
        evidence = f"{counted(len(rows), 'cell')} of the number column {column.name!r} {verb} {said}{where}."
        yield Issue("blank_number", "warning", column.name, evidence, rows, 0.95, share=len(rows) / len(column.codes))
    below = np.flatnonzero(np.nan_to_num(found) < 0)
    if not len(below):
        return
    codes = len(below) <= CODES and np.all(found[below] == np.round(found[below])) and found[below].min() >= -999
    rows = np.flatnonzero(np.isin(column.codes, below))
    if codes and len(np.unique(found[np.isfinite(found)])) > 2 * CODES and _apart(column, found, below):
        names = listed([column.values[i] for i in below])
        evidence = f"{counted(len(rows), 'cell')} of {column.name!r} hold {names}: codes for kinds of missing, not amounts."
        repair = "Say what each code means, and keep it as a category beside the number."
        yield Issue("coded_missing", "warning", column.name, evidence, rows, 0.8, repair=repair)
        return
    share = len(rows) / max(np.isfinite(found)[column.codes].sum(), 1)
    said = f"{counted(len(rows), 'number')} of {column.name!r} {'is' if len(rows) == 1 else 'are'} below 0"
    if share <= ODDLY:
        evidence = f"{said}, where the others are not: look whether that can be."
        yield Issue("negative_values", "note", column.name, evidence, rows, 0.5)
    elif share < SIGNED:
        yield Issue("negative_values", "note", column.name, f"{said}, as part of its range: not an error.", rows, 0.9)


def _apart(column: Column, found: np.ndarray, below: np.ndarray) -> bool:
    """Whether the values below zero are repeated codes apart from a column of amounts from 0 up."""
    above = found[np.isfinite(found) & (found >= 0)]
    often = column.counts[below].sum() / len(below) >= 2
    return bool(often and len(above) and above.max() > 20)


def _forms(column: Column, rows: int) -> Iterator[Issue]:
    """Numbers written in several forms in one column; that is drift of form, not a wrong value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = pa.array(column.values, pa.string())
    counts, found = column.counts, dict[str, np.ndarray]()
    for name, pattern in FORMS.items():
        found[name] = pc.match_substring_regex(cells, pattern).to_numpy(zero_copy_only=False)
    plain = pc.match_substring_regex(cells, PLAIN).to_numpy(zero_copy_only=False)
    plain = plain & ~np.any(list(found.values()), axis=0)
    decimals = pc.match_substring_regex(cells, r"^[+-]?\d+\.\d*[1-9]\d*$").to_numpy(zero_copy_only=False)
    for name, mask in found.items():
        odd = int(counts[mask].sum())
        unlike = plain & ~decimals if name == "with .0 behind" else plain
        others = int(counts[unlike].sum())
        if not odd or odd + others < 0.5 * rows or not others:
            continue
        if name == "with zeros in front" and len({len(column.values[i]) for i in np.flatnonzero(mask | plain)}) == 1:
            continue  # codes of one width, such as postal codes
        which = np.flatnonzero(np.isin(column.codes, np.flatnonzero(mask)))
        sample = column.values[int(np.flatnonzero(mask)[0])]
        written = f"{counted(odd, 'number')} of {column.name!r} {'is' if odd == 1 else 'are'} written {name} ({sample!r})"
        evidence = f"{written}, {others:,} {'is' if others == 1 else 'are'} not: form, not value."
        yield Issue("format_drift", "note", column.name, evidence, which, 0.9, repair="Write all in one form.")


def _scattered(column: Column) -> Iterator[Issue]:
    """A column of one form with a few values of others."""
    values = np.array(shapes(column.values), dtype=object)
    filled = ~column.missing
    kinds, inverse = np.unique(values, return_inverse=True)
    rows = np.bincount(inverse, column.counts * filled, len(kinds))
    total = rows.sum()
    top = np.argsort(-rows)[:2]
    rest = total - rows[top].sum()
    if total < 100 or not 0 < rest <= SELDOM * total or rows[top[0]] < 0.6 * total or len(kinds) < 2:
        return
    if len(top) == 2 and rest + rows[top[1]] <= SELDOM * total:
        top = top[:1]  # the second form is as seldom as those that are told
    odd = np.flatnonzero(~np.isin(inverse, top) & filled)
    which = np.flatnonzero(np.isin(column.codes, odd))
    forms = " or ".join(repr(str(kind)) for kind in kinds[top])
    what = f"{counted(len(which), 'value')} of {column.name!r} {'does' if len(which) == 1 else 'do'} not have the form {forms}"
    evidence = f"{what}: {listed([column.values[i] for i in odd])}."
    yield Issue("odd_format", "note", column.name, evidence, which, 0.6)


def of_pairs(grid: Grid, label: str | None) -> Iterator[Issue]:
    """What two columns show together: cells filled where a rule leaves them empty, and columns that tell the label."""
    few = [c for c in grid.columns if 2 <= len(c.values) <= 30]
    for column in grid.columns:
        empty = np.array([not value.strip() for value in column.values])[column.codes]
        if not 0.05 < empty.mean() < 0.98:
            continue
        for by in few:
            if by is column:
                continue
            count, filled = np.bincount(by.codes), np.bincount(by.codes, ~empty)
            rate = filled / np.maximum(count, 1)
            for code in np.flatnonzero((count >= RULE) & (filled > 0) & (rate <= SELDOM)).tolist():
                if rate.max() < 0.5:
                    continue
                rows = np.flatnonzero((by.codes == code) & ~empty)
                evidence = f"{column.name!r} is filled in {len(rows):,} of {count[code]:,} rows where {by.name!r} is {by.values[code]!r}, which leaves it empty elsewhere."  # noqa: E501
                yield Issue(
                    "filled_against_rule",
                    "warning",
                    column.name,
                    evidence,
                    rows,
                    0.8,
                    repair="Empty these cells, or mend the other column.",
                )
    target = next((c for c in grid.columns if c.name == label), None)
    if target is not None and len(target.values) <= 200:
        yield from _leaks(grid, target)


def _leaks(grid: Grid, target: Column) -> Iterator[Issue]:
    """Columns that alone tell the label nearly always."""
    from savile.data._cell_votes import left_out

    weight = np.ones(grid.rows)
    usual = target.counts.max() / grid.rows
    for column in grid.columns:
        if column is target:
            continue
        found = numbers(column)
        share = np.isfinite(found)[column.codes].mean()
        codes = column.codes
        if share > 0.9 and len(column.values) > 50:
            ranked = np.nan_to_num(found)[column.codes]
            codes = np.searchsorted(np.unique(np.quantile(ranked, np.linspace(0, 1, 65)[1:-1])), ranked)
        own, best, total = left_out(codes, target.codes, weight, len(target.values))
        seen = total >= 3
        if seen.mean() < 0.5:
            continue
        right = float((own > best)[seen].mean())
        # a day that is always known tells a holiday: that is a calendar
        if right >= max(TOLD, usual + 0.5 * (1 - usual)) and moments(column) is None:
            evidence = f"{column.name!r} alone tells {target.name!r} in {right:.1%} of the rows; such a column is usually written after the label."  # noqa: E501
            yield Issue(
                "target_leak",
                "error",
                column.name,
                evidence,
                np.arange(grid.rows),
                0.7,
                share=1.0,
                repair=f"Leave out {column.name!r} unless it is known beforehand.",
            )


def versions(table: pa.Table, earlier: pa.Table) -> Iterator[Issue]:
    """What changed since an earlier version with the same rows: form told apart from value."""
    names = [name for name in table.column_names if name in earlier.column_names]
    changed = dict[str, tuple[np.ndarray, np.ndarray]]()
    for name in names:
        new, old = (np.array([v or "" for v in t.column(name).to_pylist()], dtype=object) for t in (table, earlier))
        differ = np.flatnonzero(new != old)
        same = np.array([canonical(a) == canonical(b) for a, b in zip(new[differ], old[differ], strict=True)], dtype=bool)
        changed[name] = (differ[same], differ[~same])
    for place, (rule, severity, words) in enumerate(
        (("format_drift", "note", "form only"), ("changed_value", "warning", "value"))
    ):
        for name, found in changed.items():
            if len(found[place]):
                count = len(found[place])
                evidence = f"{counted(count, 'cell')} of {name!r} {'differs' if count == 1 else 'differ'} from the earlier version in {words}."  # noqa: E501
                yield Issue(rule, severity, name, evidence, found[place], 0.95)


def canonical(value: str) -> str:
    """A value without what is form: spaces, case, thousands signs, zeros in front and behind the point."""
    bare = " ".join(value.split()).casefold()
    number = bare.replace(",", "")
    try:
        return f"{float(number):.12g}" if number[:1] in "+-.0123456789" and number else bare
    except ValueError:
        return bare


def leakage(tables: Iterable[pa.Table], test: pa.Table, columns: Sequence[str]) -> Iterator[Issue]:
    """Test rows whose text is in the training file too, which comes table by table."""
    from savile.data.dedup import normal

    forms = {name: [normal(value or "") for value in test.column(name).to_pylist()] for name in columns}
    wanted, known = {name: {*values} - {""} for name, values in forms.items()}, {name: set[str]() for name in columns}
    for table in tables if columns else ():
        for name in columns:
            values = table.column(name).to_pylist() if name in table.column_names else []
            known[name].update(wanted[name].intersection(normal(value or "") for value in values))
    for name, asked in forms.items():
        rows = np.flatnonzero([value in known[name] for value in asked])
        if len(rows):
            share = len(rows) / len(asked)
            verb = "has" if len(rows) == 1 else "have"
            of = f"{len(rows):,} of {counted(len(asked), 'test row')} ({share:.0%})"
            evidence = f"{of} {verb} a {name!r} that the training file has too."
            yield Issue(
                "leakage",
                "error",
                name,
                evidence,
                rows,
                0.99,
                share=share,
                repair="Take those rows out of the training file.",
                part="test",
            )
