"""The queue for people: rows somebody should look at, what is proposed for each and why, and what was answered.

It is the table ``queue`` of `store.db`. A text is asked about once in a data set and for one reason, however often that is put.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from savile.base._durable import create, database, machine_errors
from savile.base.audit import AuditLog, actor
from savile.base.errors import InputError
from savile.base.records import canonical, digest

STATES = ("open", "accepted", "relabelled", "skipped")
WHY = {
    "label_error": "its label is probably wrong",
    "left": "nobody was sure enough to label it",
    "uncertain": "a model is not sure",
    "diverse": "it stands for a group that nobody has labelled",
    "gain": "its label is expected to mend most answers",
    "even": "it was drawn at random",
}
ID_DIGITS = 12

_SCHEMA = """CREATE TABLE IF NOT EXISTS queue (id TEXT PRIMARY KEY, data TEXT NOT NULL, row INTEGER NOT NULL,
text TEXT NOT NULL, given TEXT NOT NULL, proposed TEXT NOT NULL, why TEXT NOT NULL, score REAL NOT NULL,
state TEXT NOT NULL, answer TEXT NOT NULL, who TEXT NOT NULL, time TEXT NOT NULL)"""
_NAMES = "CREATE TABLE IF NOT EXISTS queue_labels (data TEXT NOT NULL, label TEXT NOT NULL, PRIMARY KEY (data, label))"
PICKED = "rows@"  # begins the reference of rows that were picked from a file, which no record stands for


@dataclass(frozen=True)
class Question:
    """One row for a person to look at.

    Attributes:
        data: reference of the data set; for rows of a file that is not governed yet, `PICKED` and the digest of the file.
        row: its row there, or -1 when the row was left out of it for want of a label.
        text: what is shown, personal data masked.
        given: the label it has, empty when it has none.
        proposed: the label it should rather have, empty when nobody knows.
        why: a key of `WHY`.
        score: how much it pays to look, 0 to 1.
        state: one of `STATES`.
        answer: the right label, once it is accepted or relabelled.
        who: who answered.
        time: when, ISO 8601 in UTC.
    """

    data: str
    row: int
    text: str
    given: str
    proposed: str
    why: str
    score: float
    state: str = "open"
    answer: str = ""
    who: str = ""
    time: str = ""

    @property
    def id(self) -> str:
        """The same for the same text of the same data, asked for the same reason."""
        return digest(canonical([self.data, self.text, self.why]))[:ID_DIGITS]


@dataclass(frozen=True)
class Answer:
    """What a person said to a question: `label` is the right one, or empty to skip it."""

    id: str
    label: str


COLUMNS = tuple(field.name for field in fields(Question))


class Queue:
    """The questions of one store.

    Args:
        home: the store's folder.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()

    def put(self, questions: Iterable[Question], labels: Iterable[str] = ()) -> int:
        """Ask; how many of the questions are new. One that was put before stays as it is, answered or not.

        Args:
            questions: what to ask.
            labels: those that are known of their data, where no record says so.

        Raises:
            MachineError: when the disk refuses.
        """
        rows = [[one.id, *(getattr(one, name) for name in COLUMNS)] for one in questions]
        if not rows:
            return 0
        with self._writing() as db:
            before = db.total_changes
            db.executemany(f"INSERT OR IGNORE INTO queue VALUES ({', '.join('?' * len(rows[0]))})", rows)
            new = db.total_changes - before
            named = [(row[COLUMNS.index("data") + 1], label) for row in rows[:1] for label in labels]
            db.executemany("INSERT OR IGNORE INTO queue_labels VALUES (?, ?)", named)
            return new

    def list(self, state: str | None = None, data: str | None = None) -> Sequence[Question]:
        """Questions in one state or in any, of one data set or of all; those that pay most come first."""
        with self._reading() as db:
            if db is None:
                return []
            query = f"SELECT {', '.join(COLUMNS)} FROM queue WHERE ? IN ('', state) AND ? IN ('', data) ORDER BY score DESC, id"
            return [Question(*row) for row in db.execute(query, [state or "", data or ""])]

    def labels(self, data: str) -> Sequence[str]:
        """The labels known of data without a record: those its file has, those proposed and those people gave."""
        said = {label for one in self.list(data=data) for label in (one.given, one.proposed, one.answer) if label}
        with self._reading() as db:
            if db is not None and db.execute("SELECT 1 FROM sqlite_master WHERE name = 'queue_labels'").fetchone():
                said |= {label for (label,) in db.execute("SELECT label FROM queue_labels WHERE data = ?", [data])}
        return sorted(said)

    def answer(self, answers: Sequence[Answer], who: str | None = None) -> Sequence[Question]:
        """Write down answers, all of them or none; the questions that changed. The last answer to a question counts.

        Args:
            answers: a label that was proposed accepts, another one relabels, an empty one skips.
            who: who answered; by default who acts, as in the audit log.

        Raises:
            InputError: a question is not in this queue.
            MachineError: when the disk refuses.
        """
        known = {one.id: one for one in self.list()}
        strange = [one.id for one in answers if one.id not in known]
        if strange:
            do = "Import into the store ($SAVILE_HOME) that the questions were exported from."
            raise InputError("answers to questions of this queue", f"{strange[0]!r}, which is none of them", do)
        said = {one.id: _answered(known[one.id], one.label, who or actor()) for one in answers}
        changed = [one for id, one in said.items() if (one.state, one.answer) != (known[id].state, known[id].answer)]
        if changed:
            with self._writing() as db:
                query = "UPDATE queue SET state = ?, answer = ?, who = ?, time = ? WHERE id = ?"
                db.executemany(query, [[one.state, one.answer, one.who, one.time, one.id] for one in changed])
            counts = {state: sum(one.state == state for one in changed) for state in STATES[1:]}
            AuditLog(self.home).append("review", "queue", who=who or actor(), **counts)
        return changed

    def forget(self, data: str) -> None:
        """Take the questions of a data set away, answered or not."""
        if self.list(data=data):
            with self._writing() as db:
                db.execute("DELETE FROM queue WHERE data = ?", [data])
                db.execute("DELETE FROM queue_labels WHERE data = ?", [data])

    def drop(self, questions: Iterable[Question]) -> None:
        """Take some questions away, answered or not."""
        ids = [[one.id] for one in questions]
        if ids:
            with self._writing() as db:
                db.executemany("DELETE FROM queue WHERE id = ?", ids)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with machine_errors(self.home):
            create(self.home)
            with database(self.home / "store.db") as db:
                db.execute("BEGIN IMMEDIATE")
                db.execute(_SCHEMA)
                db.execute(_NAMES)
                yield db
                db.execute("COMMIT")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection, or None when nothing was ever asked; nothing is written."""
        path = self.home / "store.db"
        if not path.exists():
            yield None
            return
        with machine_errors(self.home), database(path) as db:
            there = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'queue'").fetchone()
            yield db if there else None


def _answered(question: Question, label: str, who: str) -> Question:
    state = "skipped" if not label else "accepted" if label == question.proposed else "relabelled"
    return replace(question, state=state, answer=label, who=who, time=datetime.now(UTC).isoformat(timespec="seconds"))
