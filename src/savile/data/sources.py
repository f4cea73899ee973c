"""Reads csv, tsv, JSON, Parquet, Excel and CoNLL files, alone, in a folder or by a pattern; every cell arrives as a string.

Encoding, delimiter, header and sheet are found out and said. Types come later (`profile`), so a leading zero is not lost before
somebody looked at it. Each row keeps its file and the number of the line it starts on, which is how findings point back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from savile.base.errors import DataError
from savile.base.records import Finding
from savile.data import _columnar, _conll, _conversations, _delimited, _files, _json, _spans, _workbook
from savile.data._delimited import Form
from savile.data._draft import Draft, Reading, Whole
from savile.data._files import find, sha256, stem
from savile.data._gather import Gather, Gathered
from savile.data._reading import Batch, File, Report, batch_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Source", "apply", "find", "read", "sha256", "stem"]

SHARED = 0.5  # share of its columns that each file of several must have in common with the others

Reader = Callable[[File, Report], Iterator[Batch | None]]
READERS: dict[str, Reader] = {
    "csv": _delimited.read,
    "tsv": _delimited.read,
    "jsonl": _json.lines,
    "ndjson": _json.lines,
    "json": _json.document,
    "parquet": _columnar.read,
    "xlsx": _workbook.read,
    "conll": _conll.read,
    "bio": _conll.read,
    "iob": _conll.read,
}


@dataclass(frozen=True)
class Source:
    """One file, or several, as read.

    Attributes:
        table: string columns.
        lines: the line each row starts on, int64 (n,); of Parquet and Excel files its number.
        files: number of the file each row is from, int32 (n,).
        names: what each file is called.
        name: file name, folder or pattern.
        sha256: digest of the bytes.
        findings: what was unusual.
        hints: role -> column, where the shape of the rows settles it.
        whole: all rows, where they are too many and `table` is a sample.
        form: how the file is written, of a single delimited one.
    """

    table: pa.Table
    lines: np.ndarray
    files: np.ndarray
    names: tuple[str, ...]
    name: str
    sha256: str
    findings: tuple[Finding, ...] = ()
    hints: dict[str, str] | None = None
    whole: Whole | None = None
    form: Form | None = None


def apply(draft: Draft) -> Draft:
    """Read the files, and the given test files behind them."""
    import pyarrow as pa

    reading, seed = draft.options.read, draft.options.seed
    sources = [read(draft.source, reading, seed)]
    if draft.options.test is not None:
        sources.append(read(draft.options.test, reading, seed))
    sizes = [source.table.num_rows for source in sources]
    origin = {role: {"name": s.name, "sha256": s.sha256} for role, s in zip(("source", "test"), sources, strict=False)}
    offset = len(sources[0].names)
    files = [source.files + place * offset for place, source in enumerate(sources)]
    return replace(
        draft,
        table=pa.concat_tables([source.table for source in sources], promote_options="default").combine_chunks(),
        lines=np.concatenate([source.lines for source in sources]),
        file_of=np.concatenate(files),
        names=tuple(name for source in sources for name in source.names),
        given=np.repeat([False, True], [sizes[0], sum(sizes[1:])]),
        origin=origin,
        kept=np.ones(sum(sizes), dtype=bool),
        units=np.arange(sum(sizes)),
        hints=dict(sources[0].hints or {}),
        whole=sources[0].whole,
        findings=tuple(found for source in sources for found in source.findings),
    )


def read(path: str | Path, reading: Reading | None = None, seed: int = 0, again: bool = False) -> Source:
    """Read one file, the files of a folder, or those that fit a pattern.

    Args:
        path: file, folder or pattern.
        reading: what the caller settles about encoding, delimiter, header and sheet.
        seed: of the sample that is drawn when the rows do not fit into memory.
        again: whether what is unusual was told when the same file was read before.

    Raises:
        DataError: when there is no such file, or it is empty, damaged, ragged, in no known encoding or of another kind.
    """
    reading = reading or Reading()
    found, report, gather = find(path), Report(), Gather(seed, reading)
    names = tuple(found.name(place) for place in range(len(found.files)))
    if found.classes:
        _texts(found, gather, report, reading)
    else:
        for place, file in enumerate(found.files):
            _one(File(file, names[place], _files.format_of(file), reading), place, gather, report)
    gathered = gather.done()
    _check(gathered, names, report)
    table, hints = _conversations.shape(gathered.table)
    table, spans = _spans.shape(table)
    hints |= spans
    if not again:
        report.tell()
    where = found.path.name or str(found.path)
    found_, reshaped = tuple(report.findings), table is not gathered.table
    whole = Whole(gathered.whole, gathered.read, gathered.places) if gathered.whole and not reshaped else None
    form = report.form if found.files == (found.path,) and not reshaped else None
    return Source(table, gathered.lines, gathered.files, names, where, sha256(path), found_, hints, whole, form)


def _one(file: File, place: int, gather: Gather, report: Report) -> None:
    """The rows of one file."""
    if file.format == _files.TEXT:
        do = "Give a table; or put texts as .txt files into a folder for each label, and name the folder around them."
        raise DataError("a table", f"{file.name}, a text file", do)
    rows, names = 0, list[str]()
    for batch in READERS[file.format](file, report):
        if batch is None:
            gather.back(place)
            rows = 0
            continue
        rows, names = rows + len(batch.lines), [name for name in batch.table.schema.names if name]
        gather.add(batch, place)
    if not rows or not names:
        received = f"{file.name} with {'a header only' if names else 'nothing in it'}"
        raise DataError("rows of data", received, "Give a file with rows.")


def _texts(found: _files.Found, gather: Gather, report: Report, reading: Reading) -> None:
    """One row a text file: its text, and as label the folder it lies in."""
    rows = []
    for place, path in enumerate(found.files):
        file = File(path, found.name(place), "txt", reading)
        if not path.stat().st_size:
            continue
        with file.text(report.encoding(file)) as opened:
            rows.append((place, opened.read().replace("\r\n", "\n").strip()))
    for place, text in rows:
        gather.add(batch_of(("text", "label"), [(text, found.classes[place])], [1]), place)
    if not rows:
        raise DataError("rows of data", f"empty files only in {found.path}", "Give files with text in them.")


def _check(gathered: Gathered, names: tuple[str, ...], report: Report) -> None:
    """Files that belong together, and a word on rows that do not fit into memory."""
    sets = {place: set(columns) for place, columns in gathered.columns.items()}
    every, common = set[str]().union(*sets.values()), set[str].intersection(*sets.values()) if sets else set[str]()
    for place, columns in sets.items():
        others = set[str]().union(*(other for number, other in sets.items() if number != place)) if len(sets) > 1 else columns
        if len(columns & others) < SHARED * max(len(columns), 1):
            received = f"{names[place]} with {_some(columns - others)}, which no other file has"
            raise DataError("files with the same columns", received, "Name one file, or give them the same header.")
    if every != common:
        lacking = sum(columns != every for columns in sets.values())
        said = f"{lacking} of {len(sets)} files lack columns, whose cells are empty there: {_some(every - common)}."
        report.note("columns_differ", said, lacking, "warning", "Give all files the same header.")
    kept = len(gathered.lines)
    if kept < gathered.read:
        said = (
            f"{gathered.read:,} rows are more than the memory allowed can learn from; {kept:,} of them, drawn evenly from all, "
            "are used."
        )
        report.note("sampled", said, kept, "warning", "Allow more GB with data.read.memory, or leave out columns in the files.")


def _some(columns: set[str]) -> str:
    names = sorted(columns)
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
