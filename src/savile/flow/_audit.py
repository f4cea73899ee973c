"""The audit of a file on its way through `govern`: page, JSON and summary; repairs made on a copy, every one undone by its id.

The original file is never written to. ``--fix`` writes ``STEM.fixed.csv`` and a ledger ``STEM.changes.jsonl`` beside it,
readable by its owner alone because it holds what cells held; ``--undo ID`` takes back a change, or all of a finding. The copy
of a delimited file differs from it in the changed cells and in nothing else; that of another format is a csv of its cells.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from savile.base.errors import InputError, MachineError
from savile.base.events import emit
from savile.base.records import Dataset, digest
from savile.base.store import Store
from savile.flow._result import envelope

if TYPE_CHECKING:
    import pyarrow as pa

    from savile.base.recipe import Recipe
    from savile.data import Reading
    from savile.data._audit import Audit
    from savile.data.sources import Source

SHOWN = 8
RECIPES = (".yaml", ".yml")
LEAVE_OUT = ""  # column of a change that leaves a row out, as in `savile.data._audit_rows`
ANY = 1e6  # GB: a file of which a mended copy was written fits
ROW = "row"  # column of a file of corrected rows that says which row each is, from 1


def look(
    source: str | Path, asked: Mapping[str, Any], data: Dataset | None = None, doing: bool = True
) -> tuple[Audit, dict[str, Any]]:
    """Audit a file, write its page and JSON unless not `doing`, and tell the summary.

    Args:
        source: the file.
        asked: ``test``, ``against`` and ``correct``, files; ``label``, a column; ``rights``; ``every``, to look at all cells;
            ``read``, how the file is to be read; ``assertions``, what must hold where the file was not governed.
        data: what governing made of the same file, or would make of it.
    """
    from savile.data import _audit, assertions, sources
    from savile.data._audit_page import html

    contract = asked.get("assertions")

    read = sources.read(source, _reading(data) or asked.get("read"), again=True)  # governing came first, and told
    table, where = read.table, "ray" if asked.get("ray") else "local"
    test = sources.read(asked["test"], again=True).table if asked.get("test") else None
    earlier = _audit.read(asked["against"]).table if asked.get("against") else None
    corrected = _corrected(Path(asked["correct"]), table) if asked.get("correct") else None
    told = _audit.Asked(
        test=test,
        earlier=earlier,
        label=asked.get("label") or (data.roles["label"] if data else None),
        corrected=corrected,
        every=bool(asked.get("every")),
        rights=bool(asked.get("rights")),
        governed=data,
        noted=() if data else (*read.findings, *(assertions.of_rows(read, contract) if contract else ())),
        whole=read.whole,
        where=where,
    )
    name = sources.stem(source)
    found = _audit.audit(name, table, told)
    tell(found)
    if not doing:
        return found, {**envelope("govern"), **found.plain()}
    store = Store.open()
    made = data.ref if data and data.ref else None
    stem = (
        _stem(data) if data and made else f"audit-{digest(sources.sha256(source) + str(sorted(asked.items(), key=str)))[:12]}"
    )
    store.page(f"{stem}.html", html(found, table, test))
    place = store.page(f"{stem}.json", json.dumps(found.plain(), ensure_ascii=False, indent=1))
    page = str(place.with_suffix(".html").resolve())
    emit("note", text=f"The audit, with examples and what each finding costs: {page}")
    return found, {**envelope("govern", made, [page]), **found.plain(), "report": str(place.resolve())}


def _reading(data: Dataset | None) -> Reading | None:
    """How the rows of governed data were read."""
    from savile.data import Reading

    return Reading(**data.settings["options"]["read"]) if data else None


def alone(source: str | Path, named: Sequence[Any]) -> bool:
    """Whether a file may be audited though nothing can be learnt from it: a data file of which nothing was named."""
    return not any(named) and Path(source).suffix.lower() not in RECIPES


def once(recipe: Recipe, data: Dataset) -> None:
    """Audit the file of governed data, unless that was done."""
    if (Store.open().pages / f"{_stem(data)}.html").exists():
        return
    asked = {"test": recipe.data.test, "rights": "rights" in recipe.data.steps, "ray": recipe.run.where == "ray"}
    look(recipe.data.source, asked, data)


def pages(data: Dataset) -> list[Path]:
    """Where page and JSON of the audit of governed data lie."""
    page = Store.open().pages / f"{_stem(data)}.html"
    return [page, page.with_suffix(".json")]


def of(data: Dataset) -> tuple[list[str], list[dict[str, Any]]]:
    """Page and findings of the audit of governed data, each empty when there was none."""
    page = Store.open().pages / f"{_stem(data)}.html"
    if not page.exists():
        return [], []
    found: list[dict[str, Any]] = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))["findings"]
    return [str(page.resolve())], found


def _stem(data: Dataset) -> str:
    return f"{data.ref.replace('@', '-')}-audit"


def tell(found: Audit) -> None:
    """The first findings as a table."""
    from savile.data._draft import counted

    rows = [
        [issue.id, issue.rule.replace("_", " "), f"{issue.gain:.1f}", f"{issue.risk:.2f}", issue.evidence]
        for issue in found.issues[:SHOWN]
    ]
    first = f", the first {SHOWN} of them below" if len(found.issues) > SHOWN else ""
    said = f"{counted(len(found.issues), 'finding')}, {counted(len(found.changes), 'repair')} ready"
    title = f"Audit of {found.name}: {said}{first}"
    emit("table", title=title, head=["Finding", "Kind", "Gain", "Risk", "Seen"], rows=rows)


def fix(source: str | Path, asked: Mapping[str, Any], data: Dataset | None = None) -> dict[str, Any]:
    """Audit a file and write a copy with the repairs that are sure enough, see `look`; what was taken back stays so."""
    from savile.data import _audit
    from savile.data._draft import counted

    found, said = look(source, {**asked, "every": True}, data)
    ledger = _beside(source, "changes.jsonl")
    back = {one["id"] for one in _made(ledger) if one["undone"]} if ledger.is_file() else set[str]()
    every = [
        {**asdict(change), "id": change.id, "finding": issue.id, "undone": change.id in back}
        for issue in found.issues
        for change in issue.changes
    ]
    read = _audit.read(source, _reading(data) or asked.get("read"), again=True)
    _leave_unwritable(read, every)
    path = _write(source, read, every)
    made = [one for one in every if not one["undone"]]
    if taken := sum(one["id"] in back for one in every):
        kept = f"{counted(taken, 'change')} taken back before {'stays' if taken == 1 else 'stay'} so"
        emit("note", text=f"{kept}; remove {ledger} to make {'it' if taken == 1 else 'them'} again.")
    out = sum(one["column"] == LEAVE_OUT for one in made)
    counts = {"cells": len(made) - out, "rows": out}
    Store.open().audit.append("fix", path.name, **counts, findings=sorted({one["finding"] for one in made}))
    rows = f" and {counted(out, 'row')} left out" if out else ""
    mended = f"{counted(len(made) - out, 'cell')} mended{rows} in {path}"
    emit("note", text=f"{mended}; take back with: savile govern {source} --undo ID")
    return {**said, "fixed": str(path), "ledger": str(ledger), "changed": len(made)}


def undo(source: str | Path, id: str, reading: Reading | None = None, doing: bool = True) -> dict[str, Any]:
    """Take back a change, or every change of a finding, in the mended copy; `doing` False only says which.

    Raises:
        InputError: there is no ledger, no such change in it, or the file is another than was mended.
    """
    from savile.data import Reading, _audit
    from savile.data._draft import counted

    ledger = _beside(source, "changes.jsonl")
    if not ledger.is_file():
        raise InputError("a file that was mended", f"no {ledger.name}", f"Mend it first: savile govern {source} --fix")
    made = _made(ledger)
    taken = [one for one in made if id in (one["id"], one["finding"]) and not one["undone"]]
    if not taken:
        do = f"The ids stand in {ledger.name} and on the page of the audit."
        raise InputError("the id of a change or finding that is in place", repr(id), do)
    for one in taken:
        one["undone"] = True
    read = _audit.read(source, replace(reading or Reading(), memory=ANY))
    path = _copy_of(source, read)
    if doing:
        _write(source, read, made)
        Store.open().audit.append("undo", path.name, id=id, cells=len(taken))
    emit("note", text=f"{counted(len(taken), 'change')} {'' if doing else 'would be '}taken back in {path}.")
    left = sum(not one["undone"] for one in made)
    return {
        **envelope("govern"),
        "fixed": str(path),
        "ledger": str(ledger),
        "undone": [one["id"] for one in taken],
        "changed": left,
    }


def _made(ledger: Path) -> list[dict[str, Any]]:
    """The changes in a ledger."""
    return [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]


def teach(source: str | Path, file: str | Path, reading: Reading | None = None, doing: bool = True) -> dict[str, Any]:
    """Write the rows that teach most when a person corrects them, to be corrected in place; `doing` False only says which.

    Raises:
        MachineError: the disk refuses.
    """
    from savile.data import _audit, cells

    table = _audit.read(source, reading).table
    rows = cells.ask(table)
    lines = [[row + 1, *(table.column(name)[row].as_py() or "" for name in table.column_names)] for row in rows]
    if doing:
        _save(Path(file), [_csv([ROW, *table.column_names], lines)])
        emit("note", text=f"Correct the cells of the {len(rows)} rows in {file}, and run the same again.")
    return {**envelope("govern"), "asked": [row + 1 for row in rows], "file": str(Path(file).absolute())}


def _corrected(file: Path, table: pa.Table) -> dict[int, list[str]]:
    """Row number -> right cells, of a file that `teach` wrote and somebody corrected."""
    with file.open(encoding="utf-8-sig", newline="") as opened:
        lines = list(csv.reader(opened))
    if not lines or lines[0] != [ROW, *table.column_names]:
        received = f"{file.name} with {', '.join((lines or [[]])[0][:4]) or 'nothing'} …"
        raise InputError(
            f"corrected rows with the columns {ROW}, {', '.join(table.column_names[:3])} …", received, "Keep the header."
        )
    wrong = [line[0] for line in lines[1:] if not line[0].isdecimal() or not 0 < int(line[0]) <= table.num_rows]
    if wrong or any(len(line) != len(lines[0]) for line in lines[1:]):
        received = f"row {wrong[0]!r}" if wrong else "a line with more or fewer cells"
        raise InputError(f"rows 1 to {table.num_rows} of the file, a cell for each column", received, f"Mend {file.name}.")
    return {int(line[0]) - 1: line[1:] for line in lines[1:]}


def _leave_unwritable(read: Source, made: Sequence[dict[str, Any]]) -> None:
    """Take back changes that the file has no letters or no quotes for."""
    from savile.data import _in_place
    from savile.data._draft import counted

    form = read.form
    left = [one for one in made if form is not None and not one["undone"] and not _in_place.writable(form, one["new"])]
    for one in left:
        one["undone"] = True
    if left and form is not None:
        out = f"{counted(len(left), 'change')} {'is' if len(left) == 1 else 'are'} left out"
        said = f"{out}: {read.name} is in {form.encoding}, or without quotes, and cannot hold them"
        emit("warning", text=f"{said}, {left[0]['id']} in row {left[0]['row'] + 1} for one. Save it as UTF-8 with quotes.")


def _copy_of(source: str | Path, read: Source) -> Path:
    """Where the mended copy lies."""
    from savile.data import _files

    tabs = read.form is not None and _files.format_of(Path(source)) == "tsv"
    return _beside(source, "fixed.tsv" if tabs else "fixed.csv")


def _write(source: str | Path, read: Source, made: Sequence[Mapping[str, Any]]) -> Path:
    """The mended copy and its ledger, each whole or not at all."""
    from savile.data import _in_place

    _check_same(read.table, made, source)
    path, cells, out = _copy_of(source, read), dict[int, dict[str, str]](), set[int]()
    for one in made:
        if not one["undone"]:
            if one["column"] == LEAVE_OUT:
                out.add(one["row"])
            else:
                cells.setdefault(one["row"], {})[one["column"]] = one["new"]
    if read.form is None:
        _save(path, _cells(read.table, cells, out))
    else:
        changes = {int(read.lines[row]): None if row in out else cells[row] for row in sorted({*cells, *out})}
        _save(path, _in_place.mended(Path(source), read.form, changes))
    _save(_beside(source, "changes.jsonl"), [json.dumps(one, ensure_ascii=False) + "\n" for one in made])
    return path


def _cells(table: pa.Table, cells: Mapping[int, Mapping[str, str]], out: set[int]) -> list[str]:
    """The csv of a changed table."""
    columns = {
        name: ["" if value is None else value for value in table.column(name).to_pylist()] for name in table.column_names
    }
    for row, changed in cells.items():
        for column, value in changed.items():
            columns[column][row] = value
    rows = (row for place, row in enumerate(zip(*columns.values(), strict=True)) if place not in out)
    return [_csv(list(columns), rows)]


def _check_same(table: pa.Table, made: Sequence[Mapping[str, Any]], source: str | Path) -> None:
    """What the changes say that cells held is there, for else they would be made in other rows.

    Raises:
        InputError: the file was changed since.
    """
    for one in made:
        names = table.column_names if one["column"] == LEAVE_OUT else [one["column"]]
        there = one["row"] < table.num_rows and all(name in table.column_names for name in names)
        held = {str(table.column(name)[one["row"]].as_py() or "").strip() for name in names} if there else set[str]()
        if one["old"].strip() not in held:
            received = f"row {one['row'] + 1} with another {one['column'] or 'text'}"
            do = f"Put that file back; or mend this one as it is: savile govern {source} --fix"
            raise InputError(f"{Path(source).name} as it was when it was mended", received, do)


def _csv(header: Sequence[str], rows: Any) -> str:
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return written.getvalue()


def _save(path: Path, pieces: Iterable[str | bytes]) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.writelines(one.encode() if isinstance(one, str) else one for one in pieces)
        aside.replace(path)
    except OSError as error:
        raise MachineError(
            f"{path} written", str(error), "Make room, or copy the file to a folder that can be written."
        ) from error
    finally:
        aside.unlink(missing_ok=True)


def _beside(source: str | Path, ending: str) -> Path:
    """A file beside the data, or in the working folder when one may not write there."""
    from savile.data import sources

    path = Path(source).absolute().with_name(f"{sources.stem(source)}.{ending}")
    return path if path.exists() or os.access(path.parent, os.W_OK) else Path.cwd() / path.name
