"""API keys: 256 random bits, shown once; only their SHA-256 is kept, as the name of a file in ``$SAVILE_HOME/keys``.

A key that random needs no salt: nobody can try them all. Taking a key back is deleting its file.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path

from savile.base.errors import InputError, UnknownNameError
from savile.base.store import Store

PREFIX, FILES = "sv_", "api-*.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}")


def new_key(name: str = "default") -> str:
    """Make an API key; this is the only time it is seen.

    Args:
        name: whom it is for, to take it back by; several keys may share one.

    Raises:
        InputError: the name cannot be one.
        MachineError: the disk refuses.
    """
    if not _NAME.fullmatch(name):
        raise InputError("a name of letters, digits, spaces, dots and dashes", repr(name), "Name whom the key is for.")
    store, key = Store.open(), PREFIX + secrets.token_urlsafe(32)
    store.audit.append("key", name)  # makes the home, too
    path = store.keys / f"api-{_digest(key)}.json"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"name": name, "created": datetime.now(UTC).isoformat()}, file)
    return key


def revoke_key(name: str) -> int:
    """Take back every key of a name, at once for servers that run, too; how many there were.

    Raises:
        UnknownNameError: there is none.
    """
    store = Store.open()
    named = {path: json.loads(path.read_text(encoding="utf-8"))["name"] for path in store.keys.glob(FILES)}
    found = [path for path, owner in named.items() if owner == name]
    if not found:
        raise UnknownNameError("API key", name, named.values())
    store.audit.append("revoke key", name)
    for path in found:
        path.unlink()
    return len(found)


def listed_keys() -> list[dict[str, str]]:
    """Whom the API keys are for and when each was made, oldest first; never a key, which nobody knows but its owner."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in Store.open().keys.glob(FILES)]
    return sorted(found, key=lambda one: (one["created"], one["name"]))


class Keys:
    """The keys that open the door, read again when one is made or taken back.

    Args:
        folder: where their files lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen, self._digests = -1, list[str]()

    def __len__(self) -> int:
        return len(self._current())

    def admit(self, authorization: bytes) -> bool:
        """Whether an Authorization header carries a key; takes as long for a near miss as for a wide one."""
        scheme, _, key = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            return False
        found = hashlib.sha256(key.strip()).hexdigest()
        return any([hmac.compare_digest(found, known) for known in self._current()])  # noqa: C419  (all of them, always)

    def _current(self) -> list[str]:
        changed = self.folder.stat().st_mtime_ns if self.folder.exists() else 0
        if changed != self._seen:
            self._digests = [path.stem.removeprefix("api-") for path in self.folder.glob(FILES)]
            self._seen = changed
        return self._digests


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
