"""The audit log: who did what to which record, one JSON line each, every line chained to the one before by its SHA-256.

A chain alone cannot show that its end was cut off, so `store.db` keeps the number of lines, the hash of the last one and the
size of the file. An act is announced in the database before its line is written: after a crash the announced line is completed
by the next act, and nothing else behind the last acknowledged line is accepted. Appending costs the same however long the log.

Whoever may rewrite both files can rewrite history; keep the head that `verify` stands on elsewhere to exclude that.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from savile.base._durable import create, database, locked, machine_errors, sync_folder
from savile.base.errors import InputError
from savile.base.records import canonical, digest

_HASH = ',"hash":"%s"}\n'
_TAIL = len(_HASH % digest(""))


@dataclass(frozen=True)
class State:
    """What the database knows of the log.

    Attributes:
        count: number of lines acknowledged.
        head: hash of the last of them.
        size: bytes of the file up to its end.
        pending: the line announced but not acknowledged; empty unless a writer is at work or died.
    """

    count: int
    head: str
    size: int
    pending: str


class AuditLog:
    """The log of one home.

    Args:
        home: the store's folder; the log is its ``audit.jsonl``.
    """

    def __init__(self, home: Path) -> None:
        self.home, self.path = home, home / "audit.jsonl"

    def append(self, action: str, subject: str, **facts: Any) -> int:
        """Write down one act and return its number, once it is on the disk.

        Args:
            action: the verb, such as ``govern`` or ``promote``.
            subject: the record or thing it was done to.
            facts: JSON-able details; never personal data.

        Raises:
            InputError: when a fact is no JSON value.
            MachineError: when the disk refuses.
        """
        act = {"time": datetime.now(UTC).isoformat(), "actor": actor(), "action": action, "subject": subject, "facts": facts}
        try:
            text = canonical(act)
        except ValueError as error:
            raise InputError("facts that JSON can hold", str(error), "Leave out or replace that fact.") from error
        with machine_errors(self.home):
            create(self.home)
            with locked(self.home):
                self._settle()
                state = self.state()
                self._announce(_line(state, text))
                self._settle()
        return state.count + 1

    def acts(self, action: str = "") -> Iterator[dict[str, Any]]:
        """The acts written down, oldest first: all of them, or those of one verb."""
        if self.path.exists():
            with self.path.open(encoding="utf-8") as file:
                for line in file:
                    if not action or f'"action":"{action}"' in line:
                        act: dict[str, Any] = json.loads(line)
                        if action in ("", act["action"]):
                            yield act

    def verify(self) -> list[str]:
        """Every place where the log is not what was written, in words; empty when it is intact."""
        with machine_errors(self.home):
            if not (self.home / "store.db").exists():
                return [f"{self.path} has no store.db beside it to be held against"] if self.path.exists() else []
            if os.access(self.home, os.W_OK):
                with locked(self.home):
                    return list(self._problems(self.state()))
            return list(self._problems(self.state()))

    def state(self) -> State:
        """Number of lines, hash of the last one, bytes, and the announced line, as `store.db` keeps them."""
        with database(self.home / "store.db") as db:
            return State(*db.execute("SELECT count, head, size, pending FROM audit").fetchone())

    def _announce(self, line: str) -> None:
        with database(self.home / "store.db") as db:
            db.execute("UPDATE audit SET pending = ?", [line])

    def _settle(self) -> None:
        """Bring the announced line, if there is one, into the file and then into the count; also after a crash."""
        state = self.state()
        if not state.pending:
            return
        line = state.pending.encode()
        with self.path.open("ab") as file:
            written = self._after(state.size)
            file.write(line[len(written) :] if line.startswith(written) else line)
            file.flush()
            os.fsync(file.fileno())
        if not state.count:
            sync_folder(self.home)
        head = state.pending[-_TAIL:].split('"')[3]
        with database(self.home / "store.db") as db:
            # A power failure may undo this commit, not the announcement: the line is then found whole and counted again.
            db.execute("PRAGMA synchronous = NORMAL")
            settled = [head, state.size + len(line)]
            db.execute("UPDATE audit SET count = count + 1, head = ?, size = ?, pending = ''", settled)

    def _after(self, size: int) -> bytes:
        """What the file holds behind the last acknowledged line."""
        with self.path.open("rb") as file:
            file.seek(size)
            return file.read()

    def _problems(self, state: State) -> Iterator[str]:
        data = self.path.read_bytes() if self.path.exists() else b""
        leftover = data[state.size :]
        if not state.pending.encode().startswith(leftover):
            yield f"{len(leftover)} bytes stand behind line {state.count}, the last one acknowledged"
        if len(data) < state.size:
            yield f"{state.size - len(data)} bytes of {state.size} are missing"
        lines = data[: state.size].splitlines(keepends=True)
        if len(lines) != state.count:
            yield f"{len(lines)} lines where {state.count} were acknowledged"
        previous = ""
        for number, line in enumerate(lines, 1):
            body, tail = line[:-_TAIL], line[-_TAIL:].decode(errors="replace")
            if not body.startswith(_opening(number, previous).encode()):
                yield f"line {number} does not follow the line before it"
            previous = digest(body)
            if tail != _HASH % previous:
                yield f"line {number} was changed: its content does not have the hash it carries"
        if previous != state.head:
            yield f"the last line is not the one acknowledged as number {state.count}"


def actor() -> str:
    """Who acts: ``$SAVILE_ACTOR``, else the user of the operating system."""
    try:
        return os.environ.get("SAVILE_ACTOR") or getpass.getuser()
    except (KeyError, OSError):  # containers run as numbers without a name
        return str(os.getuid())


def _opening(number: int, previous: str) -> str:
    return f'{{"seq":{number},"prev":"{previous}",'


def _line(state: State, act: str) -> str:
    """One line: number, hash of the line before, the act, and the hash of all that. `act` is a JSON object."""
    body = _opening(state.count + 1, state.head) + act[1:-1]
    return body + _HASH % digest(body)
