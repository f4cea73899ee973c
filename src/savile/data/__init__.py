"""Govern: a company's own file comes in, a data set that may be learnt from goes out.

In: csv, tsv, JSON, Parquet or Excel files. Out: a stored `Dataset` with roles, masked rows and disjoint parts, the findings,
and a page that shows what is wrong with the data. The steps are `sources` (read), `profile` (roles), `privacy` (mask), `dedup`
(copies) and `splits` (parts); each is a file with one function, `apply(draft) -> draft`.

To add a step, write such a file and name it in `STEPS`; what it finds it adds as `Finding`s, and what it decides it says with
`events.emit`. A step that only some recipes ask for, under ``data.steps``, is not named there but says behind which of them it
runs, see `contracts.Step`. A step reads and writes nothing but its draft; only `sources` opens files, only `govern` stores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.base import answers, catalogue
from savile.base.errors import DataError
from savile.base.events import emit
from savile.base.records import Dataset, Finding, canonical, digest
from savile.data import _asked, _page
from savile.data._draft import Column, Draft, Options, Reading
from savile.data._passport import passport
from savile.data._stages import appended
from savile.data._subject import columns_of, rows_of, unsearched, without

if TYPE_CHECKING:
    import pyarrow as pa

STEPS = ("sources", "profile", "privacy", "dedup", "splits")
__all__ = [
    "Inspection",
    "Options",
    "Reading",
    "appended",
    "beside",
    "columns_of",
    "govern",
    "inspect",
    "page",
    "passport",
    "prepare",
    "rows_of",
    "unlabelled",
    "unsearched",
    "without",
]

EDITION = 9  # of the steps: raised when the same file would come out otherwise


@dataclass(frozen=True)
class Inspection:
    """What `govern` would do, without doing it.

    Attributes:
        task: catalogue name of the task.
        roles: role -> column name.
        columns: what was understood of each column.
        rows: number of rows read.
        labels: label -> number of rows in any part.
        parts: part -> number of rows.
        findings: what was noted.
        sources: name and SHA-256 of each file read.
        data: what would be stored, in memory.
    """

    task: str
    roles: Mapping[str, str]
    columns: tuple[Column, ...]
    rows: int
    labels: Mapping[str, int]
    parts: Mapping[str, int]
    findings: tuple[Finding, ...]
    sources: Mapping[str, Mapping[str, Any]]
    data: Dataset


def govern(
    source: str | Path,
    task: str | None = None,
    label: str | None = None,
    text: str | None = None,
    test: str | Path | None = None,
    pii: str = "mask",
) -> Dataset:
    """Turn a file into a stored data set.

    Args:
        source: data file (csv, tsv, JSON, Parquet, Excel), folder or pattern.
        task: what the data is for; inferred from the label when left out.
        label: column with the labels; inferred when left out.
        text: column with the texts; inferred when left out.
        test: file with a published test set; without one 20 % of the rows become the test part.
        pii: ``mask`` replaces personal data before anything is stored, ``names`` also what a model takes for names and
            addresses; ``keep`` does not, and the audit log says so.

    Raises:
        DataError: when a file cannot be used.
        InputError: when roles cannot be inferred, or a column or task does not exist.
    """
    return prepare(source, Options(task=task, label=label, text=text, test=test, pii=pii))


def prepare(source: str | Path, options: Options) -> Dataset:
    """`govern` with every setting. The same files and options give the record that is stored already."""
    from savile.base.store import Store

    store = Store.open()
    known = _key(Path(source), options)
    ref = store.recall(known)
    if ref is not None:
        emit("note", text=f"Nothing has changed since {ref} was governed.")
        dataset: Dataset = store.load(ref)
    else:
        dataset = store.save(_dataset(_follow(Path(source), options, store.keys)))
        files = {role: dict(file) for role, file in dataset.settings["sources"].items()}
        store.audit.append("govern", dataset.ref, sources=files, pii=options.pii, rows=dataset.table.num_rows)
        store.remember(known, dataset.ref)
    where = page(dataset)
    if not where.exists():
        store.page(where.name, _page.html(dataset))
    return dataset


def unlabelled(source: str | Path, options: Options, policy: Mapping[str, Any]) -> tuple[pa.Table, dict[str, str]]:
    """Rows to be read by a model rather than learnt from; nothing is stored.

    Args:
        source: any file that `govern` reads.
        options: names of the columns with text and time, inferred when left out; columns to leave out.
        policy: the model's mask policy, applied to every column.

    Returns:
        Every row and column as masked strings, null where empty; and role -> column, among ``text time``.

    Raises:
        DataError: the file cannot be used.
        InputError: there is no column of texts, or a named one does not exist.
    """
    from savile.data import _unlabelled

    return _unlabelled.read(Path(source), options, policy)


def page(data: Dataset) -> Path:
    """Where the page 'What is wrong with your data' of a governed data set lies."""
    from savile.base.store import Store

    return Store.open().pages / f"{data.ref.replace('@', '-')}.html"


def inspect(source: str | Path, options: Options | None = None) -> Inspection:
    """What `prepare` would do; writes nothing, not even a key."""
    draft = _follow(Path(source), options or Options(), None)
    dataset = _dataset(draft)
    counts = _page.counted_labels(dataset)
    parts = {name: len(rows) for name, rows in dataset.parts.items()}
    said = (draft.task, draft.roles, draft.columns, len(draft.lines), counts, parts, draft.findings, draft.origin)
    return Inspection(*said, dataset)


def _follow(source: Path, options: Options, keys: Path | None) -> Draft:
    """Take a file through every step."""
    if options.task is not None:
        catalogue.get("tasks", options.task)
    draft, asked = Draft(source, options, keys), _asked.steps(options.steps, STEPS)
    for name in STEPS:
        draft = catalogue.get("steps", name).apply(draft)
        for step, settings in asked[name]:
            draft = step.apply(draft, settings)
    return draft


def _dataset(draft: Draft) -> Dataset:
    """The record of a finished draft."""
    from savile.data import sources

    if not len(draft.parts["train"]) or not len(draft.parts["test"]):
        do = "Give rows that differ more, or a file with a test set."
        raise DataError("rows for both training and test", "nearly equal texts or groups that hold all rows together", do)
    used = [row for rows in draft.parts.values() for row in rows.tolist()]
    labels = answers.labels(draft.task, draft.table.column(draft.roles["label"]).take(used).to_pylist())
    return Dataset(
        table=draft.table,
        roles=draft.roles,
        parts=draft.parts,
        task=draft.task,
        labels=labels,
        mask=draft.policy,
        findings=draft.findings,
        name=sources.stem(draft.source),
        units=np.unique(draft.units, return_inverse=True)[1].astype(np.int64),
        settings={
            "edition": EDITION,
            "options": {
                name: one for name, one in asdict(draft.options).items() if name not in ("test", "where") and one != {}
            },
            "sources": draft.origin,
            "columns": [asdict(column) for column in draft.columns],
            **({"steps": draft.outcomes} if draft.outcomes else {}),
        },
        files=draft.files,
        known_by=draft.known_by,
    )


def beside(source: Path, options: Options) -> dict[str, str]:
    """step -> what stands for files that it reads beside the data, of the steps that do."""
    every = [one for asked in _asked.steps(options.steps, STEPS).values() for one in asked]
    seen = [(step, settings) for step, settings in every if hasattr(step, "beside")]
    return {step.__name__: step.beside(source, settings) for step, settings in seen}  # type: ignore[attr-defined]


def _key(source: Path, options: Options) -> str:
    """What a governed data set is remembered by: the bytes of its files, the options and the edition of the steps."""
    from savile.data import sources

    files = [source] if options.test is None else [source, Path(options.test)]
    chosen = {**asdict(options), "test": None, "where": None, **beside(source, options)}
    return digest(canonical(["govern", EDITION, [[Path(file).name, sources.sha256(file)] for file in files], chosen]))
