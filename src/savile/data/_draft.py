"""A table on its way to becoming a data set: what one step hands to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.base import answers, catalogue
from savile.base.people import KnownBy
from savile.base.records import Finding

if TYPE_CHECKING:
    import pyarrow as pa

    from savile.data._spill import Rows

SHOWN_ROWS = 1_000  # row numbers a finding carries; its count has the whole number
SHOWN_LINES = 5  # line numbers a sentence names
SCORE = "score"  # the task whose label is a number, not a class
SPANS = "tag"  # the task of spans
TENTHS = 10
MEMORY = 2.0  # GB that governing works in unless it is told otherwise


@dataclass(frozen=True)
class Reading:
    """What a caller may settle about reading files; None to find it out.

    Attributes:
        encoding: codec of text files, such as ``utf-8``, ``gb18030`` or ``cp1252``.
        delimiter: what divides the cells of csv files; ``tab`` for a tabulator.
        sheet: sheet of workbooks.
        header: whether the first row names the columns.
        memory: GB of memory that governing may take, 2 unless said.
    """

    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    header: bool | None = None
    memory: float | None = None

    @property
    def gigabytes(self) -> float:
        """The memory that governing may take."""
        return self.memory or MEMORY


@dataclass(frozen=True)
class Options:
    """What a caller may settle about governing; everything left out is inferred and shown.

    Attributes:
        task: catalogue name of the task; None to infer it from the label.
        label: column with the labels.
        text: column with the texts.
        test: file with a published test set, which is never touched; without one a share of the rows becomes the test part.
        pii: ``mask`` replaces personal data before anything is stored, ``names`` also names of people and organisations and
            addresses, ``keep`` leaves it and says so.
        time: column with dates; the latest rows become the test part.
        group: column naming whom a row belongs to; nobody's rows end up in two parts.
        use: the columns to keep beside the roles; empty keeps all.
        drop: columns to leave out, and never to infer a role from.
        steps: name of a step to run beside those of every file -> its settings.
        read: how the files are to be read.
        where: ``local``, or ``ray`` to look at rows on Ray Data; nothing comes out otherwise there.
        seed: seed of every random choice.
    """

    task: str | None = None
    label: str | None = None
    text: str | None = None
    test: str | Path | None = None
    pii: str = "mask"
    time: str | None = None
    group: str | None = None
    use: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    steps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    read: Reading = Reading()
    where: str = "local"
    seed: int = 0


@dataclass(frozen=True)
class Column:
    """What was understood of one column.

    Attributes:
        name: its name in the file.
        kind: ``string``, ``integer``, ``real`` or ``time``.
        distinct: number of different values, empty ones apart.
        missing: number of empty values.
        length: mean number of characters of the values that are not empty.
        role: ``text``, ``label``, ``time``, ``group``, ``id``, ``constant``, ``number``, ``category``, ``words`` or ``empty``.
        why: the reason for the role, in words.
    """

    name: str
    kind: str
    distinct: int
    missing: int
    length: float
    role: str = ""
    why: str = ""


@dataclass(frozen=True)
class Whole:
    """All rows of files of which a sample is in memory.

    Attributes:
        rows: table by table, strings as read.
        count: how many rows there are.
        places: which of them each row of the sample is, int64.
    """

    rows: Rows
    count: int
    places: np.ndarray


@dataclass(frozen=True)
class Draft:
    """The state between two steps. Every array runs over the rows of `table`, the given test file's rows last.

    Attributes:
        source: the file with the rows.
        options: what the caller settled.
        keys: folder of the pseudonym key; None for a key that dies with the process.
        policy: the mask policy, once `privacy` has applied it.
        table: the rows in Arrow; all strings until `privacy` has masked and typed them.
        lines: line number of each row in its file, int64.
        file_of: number of the file each row is from, int32; the test file's come last.
        names: what each file is called.
        given: True for rows of a given test file, bool.
        origin: name and SHA-256 of each file read.
        hints: role -> column, where the shape of the rows settles it.
        whole: all rows of the source, where `table` has a sample of them.
        columns: what was understood of each column.
        roles: role -> column name; ``text`` is absent in a table without sentences.
        task: catalogue name of the task, once `profile` has settled it.
        kept: True for rows that go into a part, bool.
        units: rows with one number have the same or nearly the same text, and once `splits` is through also those of one group;
            they stay together, int64.
        parts: part -> row numbers.
        findings: what was noted so far.
        outcomes: step that was asked for -> what it came to, JSON-able and free of personal data.
        files: ``<step>/<name>`` -> bytes that a step keeps beside the rows.
        known_by: keyed digests of what identifies people in columns that are left out, once `privacy` has left them out.
    """

    source: Path
    options: Options
    keys: Path | None
    policy: Mapping[str, Any] = field(default_factory=dict)
    table: pa.Table = None
    lines: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    file_of: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    names: tuple[str, ...] = ()
    given: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=bool))
    origin: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    hints: Mapping[str, str] = field(default_factory=dict)
    whole: Whole | None = None
    columns: tuple[Column, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    task: str = ""
    kept: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=bool))
    units: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    outcomes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    known_by: tuple[KnownBy, ...] = ()

    def values(self, role: str) -> list[str]:
        """The column of a role as strings, empty where there is no value."""
        return ["" if value is None else str(value) for value in self.table.column(self.roles[role]).to_pylist()]

    @property
    def one_label(self) -> bool:
        """Whether a row has one label of several, neither any number of them nor a number."""
        return not self.task or catalogue.get("tasks", self.task).head(2).loss == "cross_entropy"

    def classes(self) -> np.ndarray:
        """A number for each row's label, int64 (n,); of several labels the rarest; of a number which tenth of all it is in."""
        values = np.array(self.values("label"))
        if self.task == SCORE:
            numbers = np.array([float(value or "nan") for value in values])
            edges = np.nanquantile(numbers, np.linspace(0, 1, TENTHS + 1)[1:-1])
            return np.searchsorted(np.unique(edges), numbers, side="right")
        if not self.one_label:
            cells = self.values("label")
            return answers.strata(answers.targets(self.task, cells, answers.labels(self.task, cells)))
        return np.unique(values, return_inverse=True)[1]

    def noting(self, *findings: Finding) -> Draft:
        """The same draft with more findings."""
        return replace(self, findings=(*self.findings, *findings))

    def telling(self, step: str, outcome: Mapping[str, Any], **files: bytes) -> Draft:
        """The same draft with what a step came to, and the files it keeps."""
        kept = {**self.files, **{f"{step}/{name}": content for name, content in files.items()}}
        return replace(self, outcomes={**self.outcomes, step: outcome}, files=kept)

    def where(self, rows: np.ndarray) -> str:
        """The first lines of some rows, as ``lines 3, 8, 12 …`` or ``line 3; test.csv line 2``."""
        shown, places = rows[:SHOWN_LINES], []
        several = len(self.names) > 1 + bool(self.given.any())
        for file in np.unique(self.file_of[shown]):
            lines = self.lines[shown[self.file_of[shown] == file]]
            name = f"{self.names[file]} " if several or file > 0 else ""
            places.append(f"{name}line{'s' * (len(lines) > 1)} {', '.join(map(str, lines))}")
        return "; ".join(places) + (" …" if len(rows) > len(shown) else "")


def counted(count: int, noun: str) -> str:
    """``1 row``, ``2,400 rows``, ``2 addresses``."""
    ending = "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun if count == 1 else noun + ending}"


def finding(rule: str, severity: str, rows: np.ndarray, evidence: str, repair: str = "") -> Finding:
    """A finding about some rows, given by their numbers."""
    return Finding(rule, severity, len(rows), evidence, tuple(int(row) for row in rows[:SHOWN_ROWS]), repair=repair)
