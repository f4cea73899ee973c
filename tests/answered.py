"""What every bad input gets, whatever is wrong: one clear message, the right exit code, nothing half-written."""

import json

from savile.base.store import Store
from savile.cli import main

ROWS = [(f"please cancel my order number {i} today", "cancel") for i in range(12)]
ROWS += [(f"where is parcel {i}, it should be here by now", "status") for i in range(12)]
GOOD = "text,label\n" + "".join(f'"{text}",{label}\n' for text, label in ROWS)


class Table(dict):
    """Bad inputs by name: how each is made, and what the error object and the message must hold."""

    def case(self, code, exit_code, *said):
        """Register one."""

        def register(make):
            assert make.__name__ not in self
            self[make.__name__] = (make, code, exit_code, said)
            return make

        return register


def file(folder, content, name="tickets.csv"):
    """A file of text or bytes; its path."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def hold(answer, folder, monkeypatch, capsys, kept=()):
    """Make one bad input of a table, run it, and hold the answer against what it must be.

    Args:
        answer: the entry of the table.
        folder: an empty folder; the home lies in it as ``home``.
        monkeypatch: pytest's own, undone before anything is looked at.
        capsys: pytest's own.
        kept: names of recipes that may have been written.

    Returns:
        The exit code.
    """
    make, code, exit_code, said = answer
    monkeypatch.chdir(folder)
    arguments = make(*(folder, monkeypatch)[: make.__code__.co_argcount])
    capsys.readouterr()
    before = contents(folder)
    got = main([*arguments, "--json"])
    monkeypatch.undo()
    out, err = capsys.readouterr()
    assert_said(out, err, got, (code, exit_code, said))
    after = contents(folder)
    new = {path.name for path in after.keys() - before.keys()}
    assert new <= set(kept)
    assert {path: after[path] for path in before} == before
    nothing_half_written(folder / "home")
    return got


def contents(folder):
    """Every file outside the home, with its bytes; those nobody may read apart."""
    files = [path for path in folder.rglob("*") if path.is_file() and "home" not in path.relative_to(folder).parts[:1]]
    return {path: path.read_bytes() for path in files}


def assert_said(out, err, got, wanted):
    """One JSON object with the error, the same in words on stderr, no traceback."""
    code, exit_code, said = wanted
    assert got == exit_code, err
    assert len(out.splitlines()) == 1
    error = json.loads(out)["error"]
    assert error["code"] == code, error
    assert all(error[part].strip() for part in ("wanted", "received", "do"))
    told = " ".join(error.values())
    assert [part for part in said if part not in told] == [], told
    assert "Traceback" not in err
    assert error["do"] in err


def nothing_half_written(home):
    """Whatever is stored is whole."""
    if not (home / "store.db").exists():
        assert not list(home.glob("records/*/*")) if home.is_dir() else True
        return
    store = Store(home)
    assert store.audit.verify() == []
    assert not list((home / "scratch").iterdir())
    for row in store.list():
        store.verify(row["ref"])
