"""The audit log shows every change made to it, survives crashes, and costs the same however long it is."""

import json
import os
import random
import sys
from pathlib import Path

import pytest

from savile.base.audit import AuditLog, actor
from savile.base.errors import InputError, MachineError

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from spine_audit import MUTATIONS, mutate


@pytest.fixture
def log(savile_home):
    log = AuditLog(savile_home)
    for i in range(5):
        log.append("govern", f"data@{i}", rows=i, words="退款")
    return log


def test_a_line_says_who_did_what_to_what_and_when(log, monkeypatch):
    monkeypatch.setenv("SAVILE_ACTOR", "ann")
    assert log.append("promote", "model@1", alias="champion") == 6
    lines = log.path.read_text(encoding="utf-8").splitlines()
    line, before = json.loads(lines[-1]), json.loads(lines[-2])
    assert {name: line[name] for name in ("seq", "actor", "action", "subject")} == {
        "seq": 6,
        "actor": "ann",
        "action": "promote",
        "subject": "model@1",
    }
    assert line["facts"] == {"alias": "champion"}
    assert line["prev"] == before["hash"]
    assert line["time"] > before["time"]


def test_the_actor_is_named_or_is_the_user(monkeypatch):
    assert actor()
    monkeypatch.setenv("SAVILE_ACTOR", "night shift")
    assert actor() == "night shift"
    monkeypatch.delenv("SAVILE_ACTOR")
    monkeypatch.setattr("getpass.getuser", lambda: (_ for _ in ()).throw(KeyError("uid")))
    assert actor() == str(os.getuid())


def test_an_untouched_log_is_intact(log, tmp_path):
    assert log.verify() == []
    assert AuditLog(tmp_path / "never used").verify() == []


@pytest.mark.parametrize("kind", MUTATIONS)
def test_every_kind_of_change_is_found(log, kind):
    original = log.path.read_bytes()
    rng = random.Random(0)
    for _ in range(20):
        log.path.write_bytes(mutate(original, kind, rng))
        assert log.verify() != []
    log.path.write_bytes(original)
    assert log.verify() == []


def test_a_log_without_file_or_without_database_is_not_intact(log):
    database = log.home / "store.db"
    database.rename(log.home / "aside")
    assert "no store.db" in log.verify()[0]
    (log.home / "aside").rename(database)
    log.path.unlink()
    assert any("bytes of" in problem for problem in log.verify())


def test_a_problem_names_its_line(log):
    lines = log.path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"rows":2', b'"rows":9')
    log.path.write_bytes(b"".join(lines))
    assert log.verify() == [
        "line 3 was changed: its content does not have the hash it carries",
        "line 4 does not follow the line before it",
    ]


def test_what_was_cut_off_stays_visible_after_the_next_act(log):
    whole = log.path.read_bytes()
    log.path.write_bytes(whole[: whole.rindex(b"\n", 0, -1) + 1])
    log.append("promote", "model@1")
    assert log.verify() != []


@pytest.mark.parametrize("written", [0, 1, 40, -1, None])
def test_a_crash_while_writing_is_no_change_and_the_next_act_completes_the_line(log, written, monkeypatch):
    def crash(self):
        line = self.state().pending.encode()
        with self.path.open("ab") as file:
            file.write(line if written is None else line[:written])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        settle, calls = AuditLog._settle, []
        patch.setattr(AuditLog, "_settle", lambda self: crash(self) if calls.append(1) or len(calls) == 2 else settle(self))
        with pytest.raises(KeyboardInterrupt):
            log.append("promote", "model@torn")
    assert log.verify() == []
    assert log.append("promote", "model@next") == 7
    assert log.verify() == []
    assert [json.loads(line)["subject"] for line in log.path.read_text().splitlines()][-2:] == ["model@torn", "model@next"]


def test_bytes_after_a_crash_that_were_not_announced_are_a_change(log):
    with log.path.open("ab") as file:
        file.write(b"{")
    assert log.verify() == ["1 bytes stand behind line 5, the last one acknowledged"]


def test_a_fact_that_json_cannot_hold_is_refused_and_nothing_is_written(log):
    before = log.path.read_bytes()
    with pytest.raises(InputError, match="facts that JSON can hold"):
        log.append("gate", "report@1", value=float("nan"))
    assert log.path.read_bytes() == before
    assert log.verify() == []


def test_a_disk_that_refuses_is_an_error_of_the_machine_and_the_log_goes_on(log, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(MachineError, match="Free some space"):
            log.append("promote", "model@1")
    log.append("promote", "model@2")
    assert log.verify() == []


def test_appending_reads_nothing_of_the_lines_before(log, monkeypatch):
    seen = []
    after = AuditLog._after
    monkeypatch.setattr(AuditLog, "_after", lambda self, size: seen.append(len(data := after(self, size))) or data)
    log.append("promote", "model@1")
    assert seen == [0]
