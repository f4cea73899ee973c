"""Erasure of a person: every data set that holds rows of theirs, everything made of it, and data to go on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from savile.base import mask
from savile.base.errors import InputError, UnknownNameError
from savile.base.events import emit
from savile.base.queue import PICKED, Queue
from savile.base.records import Dataset
from savile.base.store import Store
from savile.flow import _audit, _refs
from savile.flow._result import envelope

if TYPE_CHECKING:
    import numpy as np

EVERYTHING = "data"
REVIEW_PAGE = "review.html"


def erase(source: str, subject: str, doing: bool = True) -> dict[str, Any]:
    """Find a person in stored data, store that data without their rows, and mark the rest.

    What is marked is refused from then on: adapt, evaluate, release and serve say so. Nothing is deleted; the files that still
    hold the rows are listed. Neither the audit log nor the answer repeats who was asked for.

    Args:
        source: a data set's reference, or ``data`` for all that are stored.
        subject: an identifier, looked for in every column, or ``column=value``; columns that are left out are searched by the
            keyed digests that they left.
        doing: False to look only.

    Raises:
        InputError: nobody is named, the column does not exist, or no data holds rows of theirs.
    """
    store = Store.open()
    refs = [row["ref"] for row in store.list("data")] if source == EVERYTHING else [_refs.stored_dataset(source).ref]
    marked = {act["subject"] for act in store.audit.acts("erase")}
    found, lacking = _search(store, refs, subject, marked)
    derived = descendants(store, [dataset.ref for dataset, _ in found])
    kept = [row for row in store.list() if row["ref"] in derived and row["ref"] not in marked]
    listed = [{"ref": dataset.ref, "name": dataset.name, "rows": len(rows), "now": None} for dataset, rows in found]
    if doing:
        for entry, (dataset, rows) in zip(listed, found, strict=True):
            entry["now"] = _without(store, dataset, rows)
        _unasked(store, subject)
        for row in kept:
            store.audit.append("erase", row["ref"], why="made of data that held a person who asked to be erased")
    files = sorted({str(path) for dataset, _ in found for path in store.get(dataset.ref).files.values()})
    _tell(listed, kept, doing)
    return {**envelope("govern"), "data": listed, "derived": kept, "files": files, "unsearched": lacking, "marked": doing}


def _search(
    store: Store, refs: Sequence[str], subject: str, marked: set[str]
) -> tuple[list[tuple[Dataset, np.ndarray]], dict[str, list[str]]]:
    """Data sets that hold rows of a person, with the row numbers, and columns of data sets that could not be searched."""
    from savile import data

    found: list[tuple[Dataset, np.ndarray]] = []
    lacking, columns = dict[str, list[str]](), set[str]()
    for ref in refs:
        dataset = store.load(ref)
        rows = data.rows_of(dataset, subject)
        columns |= data.columns_of(dataset)
        if ref not in marked and (blind := _blind(dataset, subject)):
            lacking[ref] = blind
        if len(rows) and ref not in marked:
            found.append((dataset, rows))
    for ref, names in lacking.items():
        said = f"{ref} was stored before columns that are left out kept digests: only its stored columns are searched"
        emit("warning", text=f"{said}, not {', '.join(names)}. Govern its file again to have them searched.")
    if not found:
        _check_column(subject, {*columns, *(name for names in lacking.values() for name in names)})
        do = "Write the identifier as it stands in the file, or name a column: customer_id=C-1042."
        raise InputError("rows of that person in stored data", f"none in {len(refs)} data sets", do)
    return found, lacking


def _blind(dataset: Dataset, subject: str) -> list[str]:
    """The columns that would have to be searched and cannot be."""
    from savile import data

    column, names = subject.partition("=")[0].strip(), data.unsearched(dataset)
    if column in names:
        return [column]
    return [] if column in data.columns_of(dataset) else list(names)


def _check_column(subject: str, columns: set[str]) -> None:
    """A column that is named exists.

    Raises:
        UnknownNameError: no data set has it.
    """
    column, equals, _ = subject.partition("=")
    if equals and column.strip() not in columns:
        raise UnknownNameError("column", column.strip(), columns)


def _unasked(store: Store, subject: str) -> None:
    """Take questions about rows of the person away that were picked from files, which no record stands for."""
    name = subject.rpartition("=")[2].strip().casefold()
    forms = {name, mask.Masker(mask.policy(store.keys))(subject.rpartition("=")[2].strip()).casefold()}
    queue = Queue(store.home)
    queue.drop(
        one for one in queue.list() if one.data.startswith(PICKED) and any(form in one.text.casefold() for form in forms)
    )


def descendants(store: Store, refs: Sequence[str]) -> set[str]:
    """Every record made of some records, directly or through others."""
    parents = {row["ref"]: store.get(row["ref"]).parents for row in store.list()}
    found: set[str] = set()
    while new := {ref for ref, made_of in parents.items() if ref not in found and ({*refs} | found) & {*made_of}}:
        found |= new
    return found - {*refs}


def _without(store: Store, dataset: Dataset, rows: np.ndarray) -> str:
    """Store the data without some rows, mark the old record, and take its page and its questions away, which may show them."""
    from savile import data

    made = store.save(data.without(dataset, rows))
    for page in (data.page(dataset), *_audit.pages(dataset)):
        page.unlink(missing_ok=True)
    Queue(store.home).forget(dataset.ref)
    (store.pages / REVIEW_PAGE).unlink(missing_ok=True)
    facts = {"why": "a person asked to be erased", "rows": len(rows), "now": made.ref}
    store.audit.append("erase", dataset.ref, **facts)
    return str(made.ref)


def _tell(listed: Sequence[Mapping[str, Any]], kept: Sequence[Mapping[str, str]], doing: bool) -> None:
    rows = [[one["ref"], one["name"], f"{one['rows']} rows", one["now"]] for one in listed]
    rows += [[one["ref"], one["name"], "made of it", None] for one in kept]
    title = "Marked: no longer to be used" if doing else "Would be marked"
    emit("table", title=title, head=["Record", "Name", "Holds", "Use instead"], rows=rows)
