"""Durable writes: what store and audit log both need from the disk, and its errors in words.

A file appears whole or not at all: it is written aside, fsynced and renamed, and the folder is fsynced, too. Locks are
`flock`s, which the kernel drops when a process dies.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from savile.base.errors import CorruptError, MachineError

BUSY_SECONDS = 60.0
FOLDERS = ("records", "blobs", "blobs/sha256", "pages", "keys", "scratch")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (ref TEXT PRIMARY KEY, kind TEXT NOT NULL, created TEXT NOT NULL, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS aliases (name TEXT PRIMARY KEY, ref TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS memory (key TEXT PRIMARY KEY, ref TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS audit (count INTEGER NOT NULL, head TEXT NOT NULL, size INTEGER NOT NULL, pending TEXT NOT NULL);
INSERT INTO audit SELECT 0, '', 0, '' WHERE NOT EXISTS (SELECT 1 FROM audit);
"""


@contextmanager
def machine_errors(home: Path) -> Iterator[None]:
    """Turn what the disk or SQLite refuses into a `MachineError` that says what to do."""
    try:
        yield
    except FileNotFoundError:  # a caller's path, no fault of the disk
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise MachineError(f"room on the disk of {home}", str(error), "Free some space and run it again.") from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST):
            do = "Give yourself the right to write there, or set SAVILE_HOME to another folder."
            raise MachineError(f"a folder to write to at {home}", str(error), do) from error
        raise MachineError(f"a disk that works under {home}", str(error), "Check the disk and run it again.") from error
    except sqlite3.OperationalError as error:
        do = "Check the free space and the rights of the folder, or set SAVILE_HOME to another one."
        raise MachineError(f"a usable database {home / 'store.db'}", str(error), do) from error
    except sqlite3.DatabaseError as error:
        do = "Put the file back from a backup, or set SAVILE_HOME to a new folder."
        raise CorruptError(f"the SQLite database {home / 'store.db'}", str(error), do) from error


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the one lock of a home; threads and processes wait for each other."""
    with (home / "lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sync_folder(folder: Path) -> None:
    """Make renames in a folder outlast a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def place(aside: Path, target: Path) -> None:
    """Move a fsynced file to its place; whatever was there is replaced in one step."""
    if not target.parent.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        sync_folder(target.parent.parent)
    aside.replace(target)
    sync_folder(target.parent)


def create(home: Path) -> None:
    """Make the home, readable by its owner only, and its database; harmless when they exist."""
    if (home / "store.db").exists():
        return
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(home):
        if not (home / "store.db").exists():
            if {path.name for path in home.iterdir()} <= {"lock", *FOLDERS}:  # it holds nothing of anybody else
                home.chmod(0o700)
            for name in FOLDERS:
                (home / name).mkdir(mode=0o700, exist_ok=True)
                sync_folder((home / name).parent)
            aside = home / "store.db.new"
            aside.unlink(missing_ok=True)
            with database(aside) as db:
                db.executescript(f"PRAGMA journal_mode = WAL; {_SCHEMA}")
            place(aside, home / "store.db")


@contextmanager
def database(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of its own for each use, so that threads and forked processes never share one.

    Every commit is fsynced. A database in a folder one may only read is opened for reading.
    """
    if os.access(path.parent, os.W_OK):
        db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    else:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
    try:
        db.execute("PRAGMA synchronous = FULL")
        yield db
    finally:
        db.close()
