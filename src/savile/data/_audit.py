"""The audit of a file: every check there is, one list in order of what mending brings or what leaving it risks.

It needs no label, no model and no settings, and changes nothing. Cells are looked at on at most `CELLS` rows of a larger file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.base import mask
from savile.base.errors import InputError
from savile.base.records import Dataset, Finding
from savile.data import _audit_checks, _audit_order, _audit_rows, _audit_whole, cells, sources
from savile.data._audit_issue import Change, Issue
from savile.data._cell_table import Grid, grid
from savile.data._draft import Reading, Whole, counted

if TYPE_CHECKING:
    import pyarrow as pa

CELLS = 5_000
CHUNK = 20_000  # rows looked at together when all are
LEAST_ROWS = 20
TAUGHT = 0.4  # doubt times trust from which corrected rows are followed
WORDY = 60  # mean characters of a value from which a column is a text, which the cell strategies leave out


@dataclass(frozen=True)
class Asked:
    """What an audit may be told.

    Attributes:
        test: rows of a test file, with the columns of the first.
        earlier: an earlier version of the same rows.
        label: column with the labels.
        corrected: row number -> right cells of rows a person corrected.
        every: whether the cells of all rows are looked at, not those of `CELLS` drawn evenly.
        rights: whether the rights to the data are on file.
        governed: what governing the same file made, or would make, of it.
        noted: what reading the file noted, where it was not governed.
        whole: all rows of the file, where the table has a sample of them.
        where: ``local``, or ``ray`` to look at all rows there.
    """

    test: pa.Table | None = None
    earlier: pa.Table | None = None
    label: str | None = None
    corrected: Mapping[int, Sequence[str]] | None = None
    every: bool = False
    rights: bool = False
    governed: Dataset | None = None
    noted: Sequence[Finding] = ()
    whole: Whole | None = None
    where: str = "local"


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        name: of the file.
        rows: number of rows.
        columns: names of the columns.
        issues: in order, the first to be mended first.
    """

    name: str
    rows: int
    columns: tuple[str, ...]
    issues: tuple[Issue, ...]

    @property
    def changes(self) -> list[Change]:
        """Every cell that `--fix` would change."""
        return [change for issue in self.issues for change in issue.changes]

    def plain(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "name": self.name,
            "rows": self.rows,
            "columns": list(self.columns),
            "findings": [issue.plain() for issue in self.issues],
            "changes": len(self.changes),
        }


def read(path: str | Path, reading: Reading | None = None, again: bool = False) -> sources.Source:
    """A file as read, every row of it in memory; what is unusual is not told when it is read `again`.

    Raises:
        DataError: it cannot be used.
        InputError: it has more rows than may be in memory.
    """
    found = sources.read(path, reading, again=again)
    if found.whole is not None:
        received = f"{found.name} with {found.whole.count:,} rows, of which {len(found.table):,} fit"
        do = f"Cut the file, or allow more GB: --set data.read.memory={2 * (reading or Reading()).gigabytes:g}"
        raise InputError("rows that fit into the memory allowed, to mend, teach or compare them", received, do)
    return found


def audit(name: str, table: pa.Table, asked: Asked) -> Audit:
    """Every check over one table of strings; what rights leave out is not looked at."""
    kept = _audit_rows.allowed(asked.governed, table) if asked.governed is not None and asked.whole is None else None
    if kept is None:
        return _audit(name, table, asked)
    earlier = asked.earlier.take(kept) if asked.earlier is not None and len(asked.earlier) == len(table) else asked.earlier
    corrected = asked.corrected and {
        new: asked.corrected[old] for new, old in enumerate(kept.tolist()) if old in asked.corrected
    }
    found = _audit(name, table.take(kept), replace(asked, earlier=earlier, corrected=corrected))
    return replace(found, issues=tuple(one if one.part == "test" else _placed(one, kept) for one in found.issues))


def _placed(one: Issue, rows: np.ndarray) -> Issue:
    """A finding about some rows of a file, with their numbers in it."""
    changes = tuple(replace(change, row=int(rows[change.row])) for change in one.changes)
    return replace(one, rows=rows[one.rows], changes=changes)


def _audit(name: str, table: pa.Table, asked: Asked) -> Audit:
    seen = grid(table)
    found = [*_audit_checks.of_columns(seen), *_audit_checks.of_pairs(seen, asked.label)]
    found += [*_audit_order.foreign_rows(seen, asked.label), *_audit_order.series(seen)]
    found += [*_personal(seen, asked), *_cells(table, asked), *_between(table, asked)]
    if not asked.rights:
        said = "No rights are on file for these rows: owner, licence, consent and purpose are unknown."
        found.append(
            Issue(
                "no_rights", "warning", "", said, np.arange(seen.rows), repair="Write them beside the file: STEM.rights.yaml."
            )
        )
    found += [_of_finding(one) for one in asked.noted]
    if asked.governed is not None:
        rows = _audit_rows.same(asked.governed, table, asked.test)
        if rows:
            found += _audit_rows.issues(asked.governed, table)
        known = {issue.rule for issue in found}
        noted = [one if rows else replace(one, rows=()) for one in asked.governed.findings if one.rule not in known]
        found += [_of_finding(one) for one in noted]
    masker = mask.Masker(mask.policy(None))  # findings are printed and sent around
    sized = [
        replace(
            one,
            evidence=masker(one.evidence),
            total=asked.test.num_rows if one.part == "test" and asked.test is not None else seen.rows,
        )
        for one in found
    ]
    return Audit(name, seen.rows, tuple(table.column_names), tuple(sorted(sized, key=lambda one: -one.rank)))


def _of_finding(one: Finding) -> Issue:
    return Issue(
        one.rule, one.severity, "", one.evidence, np.array(one.rows, dtype=np.int64), one.confidence, repair=one.repair
    )


def _personal(seen: Grid, asked: Asked) -> Iterator[Issue]:
    """Personal data by the compiled recognisers, kind by kind; of a larger file it is counted in all rows."""
    masker = mask.Masker({})
    of_all = _audit_whole.personal(asked.whole, asked.where) if asked.whole else {}
    for column in seen.columns:
        kinds = {kind: list[int]() for name, kind in of_all if name == column.name}
        for code, value in enumerate(column.values):
            for kind in {span.kind for span in masker.find(value)}:
                kinds.setdefault(kind, []).append(code)
        for kind, codes in kinds.items():
            rows = np.flatnonzero(np.isin(column.codes, codes))
            count = of_all.get((column.name, kind), len(rows))
            verb = "holds" if count == 1 else "hold"
            evidence = f"{counted(count, 'cell')} of {column.name!r} {verb} personal data ({kind.replace('_', ' ')})."
            repair = "Governing replaces it by pseudonyms; keep the key where only few can read it."
            share = count / asked.whole.count if asked.whole else None
            yield Issue(f"personal_{kind}", "warning", column.name, evidence, rows, 0.9, share=share, repair=repair)


def _cells(table: pa.Table, asked: Asked) -> Iterator[Issue]:
    """Wrong cells with their repairs, those of form apart from those of value."""
    import pyarrow.compute as pc

    if table.num_rows < LEAST_ROWS:
        return
    corrected, limit = asked.corrected, CHUNK if asked.every or asked.corrected else CELLS
    lengths = {name: pc.mean(pc.utf8_length(table.column(name))).as_py() or 0.0 for name in table.column_names}
    names = list(table.column_names) if corrected else [name for name, length in lengths.items() if length <= WORDY]
    pieces = -(-table.num_rows // limit)
    every = [np.arange(first, table.num_rows, pieces) for first in range(pieces if asked.every else 1)]
    if corrected:
        every = [np.arange(table.num_rows)]
    if names:
        found = [(rows, cells.find(table.select(names).take(rows), corrected)) for rows in every]
        for place, name in enumerate(names):
            yield from _of_column(place, name, found, TAUGHT if corrected else cells.SURE)


def _of_column(place: int, name: str, found: Sequence[tuple[np.ndarray, cells.Cleaned]], least: float) -> Iterator[Issue]:
    """The findings about one column's cells, from the pieces of the table."""
    changes = [
        Change(int(rows[one.row]), name, one.old, one.new, round(one.doubt * one.trust, 4), one.why)
        for rows, cleaned in found
        for one in cleaned.repairs
        if one.column == place and one.doubt * one.trust >= least
    ]
    form = tuple(one for one in changes if _audit_checks.canonical(one.old) == _audit_checks.canonical(one.new))
    value = tuple(one for one in changes if one not in set(form))
    wrong = np.concatenate([rows[np.flatnonzero(cleaned.doubt[:, place] > 0.5)] for rows, cleaned in found])
    doubts = np.concatenate([cleaned.doubt[:, place] for _, cleaned in found])
    wrong = np.sort(wrong[~np.isin(wrong, [one.row for one in form])])
    looked = f" of the {len(doubts):,} rows looked at" if len(found) == 1 else ""
    if form:
        verb = "is" if len(form) == 1 else "are"
        evidence = f"{counted(len(form), 'cell')} of {name!r} {verb} written in another form than the rest: {_shown(form)}."
        at = np.sort(np.array([one.row for one in form]))
        yield Issue("format_drift", "note", name, evidence, at, 0.9, repair="Write them in the form of the rest.", changes=form)
    if len(wrong):
        mended = f"; {len(value):,} can be mended: {_shown(value)}" if value else "; none can be mended surely"
        verb = "is" if len(wrong) == 1 else "are"
        evidence = f"{counted(len(wrong), 'cell')} of {name!r}{looked} {verb} probably wrong{mended}."
        repair = "Look at them and mend them with --fix." if value else "Look at them; correct some rows to teach more."
        sure, share = float(doubts[doubts > 0.5].mean()), len(wrong) / len(doubts)
        yield Issue("wrong_cell", "warning", name, evidence, wrong, sure, share=share, repair=repair, changes=value)


def _shown(changes: Sequence[Change]) -> str:
    different = list(dict.fromkeys((one.old, one.new) for one in changes))
    cut = ", ".join(f"{old[:30]!r} → {new[:30]!r}" for old, new in different[:3])
    return cut + (", …" if len(different) > 3 else "")


def _between(table: pa.Table, asked: Asked) -> Iterator[Issue]:
    """What a second file shows: leakage and shift of a test file, changes since an earlier version."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if asked.earlier is not None:
        if asked.earlier.num_rows == table.num_rows:
            yield from _audit_checks.versions(table, asked.earlier)
        else:
            said = f"The earlier version has {counted(asked.earlier.num_rows, 'row')}, this one {table.num_rows:,}."
            yield Issue("rows_changed", "warning", "", said)
    if asked.test is None:
        return
    shared = [name for name in table.column_names if name in asked.test.column_names]
    wide = [n for n in shared if (pc.mean(pc.utf8_length(table.column(n))).as_py() or 0) > 12 and n != asked.label]
    distinct = [n for n in wide if pc.count_distinct(table.column(n)).as_py() > 0.5 * table.num_rows]
    yield from _audit_checks.leakage(asked.whole.rows if asked.whole else [table], asked.test, distinct)
    both = pa.concat_tables([table.select(shared), asked.test.select(shared)])
    second = np.arange(both.num_rows) >= table.num_rows
    yield from _audit_order.shifts(grid(both), second, "file_shift", "the test file")
