"""The store: records, their files and their names, kept in one folder, ``$SAVILE_HOME`` or ``.savile`` in the working folder.

    records/<kind>/<id>.json     what a record says          blobs/sha256/<aa>/<digest>    its files, each kept once
    store.db                     which records there are,    audit.jsonl                   who did what
                                 aliases, what was done      pages/  keys/  scratch/

A record's id is the start of the SHA-256 of its kind, body, settings, parents and files, so the same thing has the same name.
Files come first, then the record, then its row in `store.db`: only that row makes it exist, a crash leaves nothing half-done.
Any number of processes and threads may write at once. Nothing is written before the first write.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from savile.base._durable import create, database, locked, machine_errors, place
from savile.base.audit import AuditLog
from savile.base.errors import CorruptError, InputError, UnknownNameError
from savile.base.events import emit
from savile.base.records import RECORDS, Dataset, Entry, Model, Release, Report, canonical, digest

Record = TypeVar("Record", Dataset, Model, Report, Release)

ID_DIGITS = 12
SMALL = 1 << 20  # bytes up to which `get` checks a file's digest unasked
_CHUNK = 1 << 20
_MEND = "Delete that file if it is there, and do again what made {}; or put it back from a backup."
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_PREFIX = re.compile(r"[0-9a-f]+")


class Store:
    """Records on disk.

    Args:
        home: the store's folder.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()
        self.audit = AuditLog(self.home)

    @classmethod
    def open(cls, home: Path | None = None) -> Store:
        """The store in `home`, by default ``$SAVILE_HOME`` or ``.savile`` in the working folder; nothing is written yet."""
        return cls(Path(home or os.environ.get("SAVILE_HOME") or ".savile"))

    @property
    def exists(self) -> bool:
        """Whether anything was ever stored."""
        return (self.home / "store.db").exists()

    @property
    def pages(self) -> Path:
        """Where HTML pages lie."""
        return self.home / "pages"

    @property
    def keys(self) -> Path:
        """Where keys lie, for the owner only."""
        return self.home / "keys"

    def page(self, name: str, text: str) -> Path:
        """Write a page, such as ``report-3f2a/report.html``, whole or not at all; the absolute path of it.

        Raises:
            MachineError: when the disk refuses; a page of that name that was there stays as it was.
        """
        target = self.pages / name
        with machine_errors(self.home), self.scratch() as folder:
            _write(folder / "page", text.encode("utf-8", "replace"))
            place(folder / "page", target)
        return target.resolve()

    @contextmanager
    def alone(self, key: str) -> Iterator[None]:
        """Do what `key` stands for alone: whoever asks for it meanwhile, in any process, waits, and then finds it done."""
        path = self.home / "locks" / digest(key)[:32]
        with machine_errors(self.home):
            create(self.home)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            lock = _turn(path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # before it is let go, so that nobody holds a file that has no name
            os.close(lock)

    def save(self, record: Record) -> Record:
        """Keep a record; the result carries its reference, and its files are the store's."""
        return type(record).from_entry(self.put(record.entry()))

    def load(self, name: str) -> Any:
        """The record of a reference, a unique start of one, or an alias.

        Raises:
            UnknownNameError: when there is none.
            InputError: when several fit.
            CorruptError: when a file is not what was stored.
        """
        entry = self.get(name)
        return RECORDS[entry.kind].from_entry(entry)

    def put(self, entry: Entry) -> Entry:
        """Keep an entry; the result has its id and paths of stored files. Doing it again mends what was damaged since.

        Raises:
            MachineError: when the disk refuses; nothing is then half-written.
        """
        with machine_errors(self.home), self.scratch() as folder:
            files = {name: self._take_in(source, folder) for name, source in sorted(entry.files.items())}
            said = {name: getattr(entry, name) for name in ("kind", "body", "settings", "parents")}
            content = json.loads(_json({**said, "files": files}))  # as it will be read: keys are strings, tuples lists
            ref = f"{entry.kind}@{_id(content)}"
            created = self._created(ref) or datetime.now(UTC).isoformat()
            aside = folder / "record.json"
            _write(aside, _json({**content, "created": created}).encode())
            place(aside, self._record(ref))
            with self._writing() as db:
                row = [ref, entry.kind, created, str(entry.body.get("name", ""))]
                db.execute("INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?)", row)
        return self.get(ref)

    def get(self, name: str, verify: bool = False) -> Entry:
        """The entry of a reference, a unique start of one, or an alias.

        Small files are held against their digests, large ones against their size, or with `verify` against their digests, too.

        Raises:
            UnknownNameError: when there is none.
            InputError: when several fit.
            CorruptError: when a file is not what was stored.
        """
        ref = self.resolve(name)
        content = self._read(ref)
        for named, stored in content["files"].items():
            self._check(ref, named, stored, verify)
        files: dict[str, Path | bytes] = {named: self._blob(stored["sha256"]) for named, stored in content["files"].items()}
        kind, _, id = ref.partition("@")
        return Entry(kind, content["body"], content["settings"], tuple(content["parents"]), files, id)

    def verify(self, name: str) -> None:
        """Hold a record and all its files against their digests.

        Raises:
            CorruptError: when one is not what was stored.
        """
        self.get(name, verify=True)

    def resolve(self, name: str) -> str:
        """The whole reference behind a reference, a unique start of one (``data@3f``, ``3f``) or an alias.

        Raises:
            UnknownNameError: when there is none.
            InputError: when several fit.
        """
        aliases = self.aliases()
        if name in aliases:
            return aliases[name]
        kind, _, start = name.rpartition("@")
        refs = [row["ref"] for row in self.list(kind or None)]
        fitting = [ref for ref in refs if ref.partition("@")[2].startswith(start)] if _PREFIX.fullmatch(start) else []
        if len(fitting) > 1:
            raise InputError("one record", f"{name!r}, which fits {', '.join(fitting)}", "Give more of its letters.")
        if not fitting:
            raise UnknownNameError("record", name, [*aliases, *(refs or [row["ref"] for row in self.list()])])
        return fitting[0]

    def alias(self, name: str, ref: str) -> str:
        """Let a name such as ``champion`` stand for one record from now on, and write that down in the audit log.

        Returns:
            The whole reference.

        Raises:
            InputError: when it cannot be a name.
            UnknownNameError: when there is no such record.
            CorruptError: when the record is not what was stored; the name then stays where it was.
        """
        if not _ALIAS.fullmatch(name) or _PREFIX.fullmatch(name):
            do = "Start with a letter, go on with letters, digits, dot, dash and underscore, and let it not look like an id."
            raise InputError("a name for a record", repr(name), do)
        whole = self.resolve(ref)
        self.verify(whole)
        self.audit.append("alias", whole, alias=name, before=self.aliases().get(name))
        with self._writing() as db:
            db.execute("INSERT INTO aliases VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET ref = excluded.ref", [name, whole])
        return whole

    def aliases(self) -> dict[str, str]:
        """name -> reference."""
        return dict(self._rows("SELECT name, ref FROM aliases ORDER BY name"))

    def list(self, kind: str | None = None) -> Sequence[dict[str, str]]:
        """``ref``, ``kind``, ``created`` and ``name`` of every record, or of those of one kind, oldest first."""
        query = "SELECT ref, kind, created, name FROM records WHERE ? IN ('', kind) ORDER BY created, ref"
        return [dict(zip(("ref", "kind", "created", "name"), row, strict=True)) for row in self._rows(query, kind or "")]

    def remember(self, key: str, ref: str) -> None:
        """Note that what `key` stands for was done and gave the record `ref`."""
        whole = self.resolve(ref)
        with self._writing() as db:
            db.execute("INSERT INTO memory VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET ref = excluded.ref", [key, whole])

    def recall(self, key: str) -> str | None:
        """The record that was remembered for `key`; None when there is none, or a file of it is gone."""
        ref = next((str(ref) for (ref,) in self._rows("SELECT ref FROM memory WHERE key = ?", key)), None)
        if ref is None or not self._record(ref).exists():
            return None
        whole = all(self._blob(stored["sha256"]).exists() for stored in self._read(ref)["files"].values())
        return ref if whole else None

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for temporary files on the store's own disk; it goes with the block, or after a crash with the next."""
        with machine_errors(self.home):
            create(self.home)
            root = self.home / "scratch"
            with locked(self.home):
                _sweep(root)
                folder = Path(tempfile.mkdtemp(dir=root))
                in_use = _hold(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(in_use)

    def _record(self, ref: str) -> Path:
        kind, _, id = ref.partition("@")
        return self.home / "records" / kind / f"{id}.json"

    def _blob(self, sha256: str) -> Path:
        return self.home / "blobs" / "sha256" / sha256[:2] / sha256

    def _take_in(self, source: Path | bytes, folder: Path) -> dict[str, Any]:
        """Copy a file among the blobs; its digest and size. What the store has under that digest already is replaced."""
        if isinstance(source, Path) and source.is_relative_to(self.home / "blobs"):
            return {"sha256": source.name, "bytes": source.stat().st_size}
        aside = folder / "blob"
        sha256 = _write(aside, source)
        size = aside.stat().st_size
        place(aside, self._blob(sha256))
        return {"sha256": sha256, "bytes": size}

    def _read(self, ref: str) -> dict[str, Any]:
        """What the file of a record says, held against the record's id."""
        path, received = self._record(ref), "another content"
        try:
            content = json.loads(path.read_bytes())
            if isinstance(content, dict) and content.pop("created", None) and f"{content.get('kind')}@{_id(content)}" == ref:
                return content
        except FileNotFoundError:
            received = "no file"
        except ValueError:
            received = "no JSON"
        raise CorruptError(f"the record {ref} in {path}", received, _MEND.format(ref))

    def _check(self, ref: str, name: str, stored: Mapping[str, Any], verify: bool) -> None:
        path, size = self._blob(stored["sha256"]), stored["bytes"]
        try:
            found = path.stat().st_size
            intact = found == size and (not (verify or size <= SMALL) or _digest(path) == stored["sha256"])
            received = f"{found} of {size} bytes" if found != size else "another content"
        except FileNotFoundError:
            intact, received = False, "no file"
        if not intact:
            raise CorruptError(f"{name} of {ref} in {path}", received, _MEND.format(ref))

    def _created(self, ref: str) -> str | None:
        return next((created for (created,) in self._rows("SELECT created FROM records WHERE ref = ?", ref)), None)

    def _rows(self, query: str, *values: str) -> Sequence[tuple[Any, ...]]:
        if not self.exists:
            return []
        with machine_errors(self.home), database(self.home / "store.db") as db:
            return list(db.execute(query, values))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, one writer at a time; an error closes the connection before the commit, which undoes all of it."""
        with machine_errors(self.home), database(self.home / "store.db") as db:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")


def _id(content: Mapping[str, Any]) -> str:
    return digest(canonical(content))[:ID_DIGITS]


def _json(value: Any) -> str:
    """Like `canonical`, but keys stay in order: the first metric of a report is the one that counts."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)


def _write(target: Path, source: Path | bytes) -> str:
    """Write bytes or the content of a file, fsynced, and give its SHA-256."""
    sha256 = hashlib.sha256()
    with target.open("wb") as out:
        for chunk in _chunks(source):
            sha256.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return sha256.hexdigest()


def _digest(path: Path) -> str:
    sha256 = hashlib.sha256()
    for chunk in _chunks(path):
        sha256.update(chunk)
    return sha256.hexdigest()


def _chunks(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _hold(folder: Path) -> int:
    """Lock a folder for as long as this process lives; the descriptor of the lock, which closing it lets go."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor


def _turn(path: Path) -> int:
    """Wait until nobody else holds the lock of that path; the descriptor that holds it, and that a dead process lets go."""
    told = False
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not told:
                emit("note", text="The same is being done by another process; waiting for it.")
            told = True
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)  # whoever had it has unlinked it: the name now stands for another file


def _sweep(root: Path) -> None:
    """Remove the folders of processes that died."""
    for folder in root.iterdir():
        with suppress(BlockingIOError, FileNotFoundError):
            descriptor = _hold(folder)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)
