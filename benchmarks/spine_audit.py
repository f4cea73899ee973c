"""2,000 changes made to an audit log, each of which `verify` must find; and how many lines a second it verifies."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from savile.base._durable import database
from savile.base.audit import AuditLog, State, _line
from savile.base.records import canonical

CHANGES, LINES, LONG = 2_000, 60, 200_000


def _lines(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


def _flip(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def _delete(data: bytes, rng: random.Random) -> bytes:
    lines = _lines(data)
    lines.pop(rng.randrange(len(lines)))
    return b"".join(lines)


def _insert(data: bytes, rng: random.Random) -> bytes:
    """A line of another log, whole in itself, anywhere, the end included."""
    lines = _lines(data)
    at = rng.randint(0, len(lines))
    before = lines[at - 1].decode()[-67:-3] if at else ""
    act = canonical({"action": "promote", "actor": "mallory", "facts": {}, "subject": "model@666", "time": "2026-01-01"})
    lines.insert(at, _line(State(at, before, 0, ""), act).encode())
    return b"".join(lines)


def _insert_byte(data: bytes, rng: random.Random) -> bytes:
    at = rng.randint(0, len(data))
    return data[:at] + bytes([rng.randrange(256)]) + data[at:]


def _delete_byte(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + data[at + 1 :]


def _swap(data: bytes, rng: random.Random) -> bytes:
    lines = _lines(data)
    one, other = rng.sample(range(len(lines)), 2)
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


def _duplicate(data: bytes, rng: random.Random) -> bytes:
    lines = _lines(data)
    at = rng.randrange(len(lines))
    return b"".join([*lines[: at + 1], lines[at], *lines[at + 1 :]])


def _truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def _drop_last_lines(data: bytes, rng: random.Random) -> bytes:
    lines = _lines(data)
    return b"".join(lines[: -rng.randint(1, len(lines))])


def _rewrite(data: bytes, rng: random.Random) -> bytes:
    """One act changed, and every line after it chained anew, so that the chain is whole."""
    lines = _lines(data)
    at, state, chained = rng.randrange(len(lines)), State(0, "", 0, ""), []
    for number, old in enumerate(lines):
        act = old[old.index(b'"action"') : old.rindex(b',"hash"')].decode()
        act = act.replace('"actor":"', '"actor":"not ') if number == at else act
        line = _line(state, "{" + act + "}")
        chained.append(line.encode())
        state = State(number + 1, line[-67:-3], 0, "")
    return b"".join(chained)


_WAYS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip,
    _delete,
    _insert,
    _insert_byte,
    _delete_byte,
    _swap,
    _duplicate,
    _truncate,
    _drop_last_lines,
    _rewrite,
)
MUTATIONS = {way.__name__.strip("_"): way for way in _WAYS}


def mutate(data: bytes, kind: str, rng: random.Random) -> bytes:
    """The log after one change of a kind named in `MUTATIONS`."""
    return MUTATIONS[kind](data, rng)


def main() -> None:
    from _report import report

    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        log = AuditLog(Path(folder) / "short")
        for i in range(LINES):
            log.append("promote", f"model@{i}", alias="champion", i=i)
        original, found = log.path.read_bytes(), 0
        for i in range(CHANGES):
            changed = mutate(original, list(MUTATIONS)[i % len(MUTATIONS)], rng)
            assert changed != original
            log.path.write_bytes(changed)
            found += bool(log.verify())
        log.path.write_bytes(original)
        assert log.verify() == []
        report("audit_changes_found", found, "changes", bar=CHANGES)
        report("audit_verify_rate", verify_rate(Path(folder) / "long"), "lines/s", bar=200_000)
        report("audit_append_rate", append_rate(log), "lines/s")


def verify_rate(home: Path) -> float:
    """Lines per second of CPU over a log of 200,000 lines."""
    log = AuditLog(home)
    log.append("first", "data@0")
    state, lines = log.state(), log.path.read_bytes().decode().splitlines(keepends=True)
    act = {
        "action": "promote",
        "actor": "ann",
        "facts": {"alias": "champion"},
        "subject": "model@1",
        "time": "2026-01-01T00:00:00",
    }
    while len(lines) < LONG:
        lines.append(_line(State(len(lines), lines[-1][-67:-3], 0, ""), canonical(act)))
    log.path.write_text("".join(lines), encoding="utf-8")
    with database(home / "store.db") as db:
        db.execute("UPDATE audit SET count = ?, head = ?, size = ?", [LONG, lines[-1][-67:-3], log.path.stat().st_size])
    assert state.count == 1
    start = time.process_time()
    assert log.verify() == []
    return LONG / (time.process_time() - start)


def append_rate(log: AuditLog, count: int = 300) -> float:
    """Acts per second of one writer, each fsynced."""
    start = time.perf_counter()
    for i in range(count):
        log.append("promote", f"model@{i}")
    return count / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
