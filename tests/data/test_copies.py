"""Copies among more texts than fit into memory are found as in memory, in files that leave nothing behind."""

import errno
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from savile import data
from savile.base.errors import MachineError
from savile.data import Options, Reading, _copies, _gather, _spill, dedup
from savile.data._over import over
from savile.data._sketch import sketch

ROOM = 1 << 30


def table(texts, labels=None):
    return pa.table({"text": pa.array(texts, pa.string()), "label": pa.array(labels or [""] * len(texts), pa.string())})


def found(texts, room, piece=1_000, labels=None):
    whole = table(texts, labels)
    return _copies.find((_copies.look(whole.slice(start, piece)) for start in range(0, len(texts), piece)), room)


def pairs(family):
    order = np.argsort(family, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(family[order].astype(np.int64))) + 1)
    return {(int(i), int(j)) for group in groups for i in group for j in group if i < j}


def edited(texts, rng):
    letters = list("".join(texts))
    copies = []
    for text in texts:
        copy = list(text)
        for _ in range(int(rng.integers(1, max(2, len(text) // 10 + 1)))):
            copy[int(rng.integers(len(copy)))] = letters[rng.integers(len(letters))]
        copies.append("".join(copy))
    return copies


@pytest.mark.parametrize("words", [3, 8, 40])
def test_on_disk_nearly_everything_is_found_and_nothing_else(sentences, words):
    count = 9_000 // max(words, 8)
    texts = sentences(count, words=words)
    texts += edited(texts[: count // 3], np.random.default_rng(words))
    exact, got = found(texts, ROOM), found(texts, 0)
    assert exact.exact
    assert not got.exact
    for name in ("alike", "near"):
        right, here = pairs(getattr(exact, name)), pairs(getattr(got, name))
        assert here <= right
        assert len(here) >= 0.97 * len(right)
    assert len(pairs(got.near)) >= 0.9 * (count // 3)


def test_one_template_of_thousands_of_rows_is_one_family_on_disk_too():
    texts = [f"Your order number {number} has been handed to the carrier and will arrive tomorrow." for number in range(5_000)]
    start = time.process_time()
    sizes = np.bincount(found(texts, 0).near)
    assert sizes.max() > 0.95 * len(texts)
    assert time.process_time() - start < 20


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["", "a", "A ", "b", "long enough a text", "long  enough a Text"]), st.sampled_from("xy"))
    )
)
def test_repeats_are_the_first_row_with_the_same_form_and_label(rows):
    texts, labels = [text for text, _ in rows], [label for _, label in rows]
    got = found(texts, 0, piece=2, labels=labels)
    forms = [dedup.normal(text) for text in texts]
    for row, (form, label) in enumerate(zip(forms, labels, strict=True)):
        same = [other for other in range(row + 1) if forms[other] == form] if form else [row]
        assert got.same[row] == same[0]
        assert got.first[row] == (next(other for other in same if labels[other] == label) if form else row)


def test_texts_that_repeat_one_letter_are_alike_however_long():
    got = found(["哈" * 5, "哈" * 9, "哈" * 30, "好", "好好"], 0)
    assert got.alike.tolist() == [0, 0, 0, 3, 4]


def test_a_sketch_depends_on_the_text_alone(sentences):
    texts = sentences(300)
    every, alone = sketch(texts), [sketch([text]) for text in texts]
    for place, one in enumerate(alone):
        assert sorted(map(tuple, every.keys[every.owner == place])) == sorted(map(tuple, one.keys))
        assert (every.bits[place] == one.bits[0]).all()


def test_nothing_and_one_text():
    assert found([], 0).near.tolist() == []
    assert found(["only one of them here"], 0).near.tolist() == [0]
    assert found(["", "", ""], 0).near.tolist() == [0, 1, 2]


def test_records_meet_by_their_first_number():
    rng = np.random.default_rng(0)
    runs, written = _spill.Runs(), rng.integers(1 << 62, size=(5_000, 2), dtype=np.uint64) << np.uint64(1)
    for start in range(0, 5_000, 700):
        runs.add(written[start : start + 700])
    read = np.concatenate(list(runs.lots()))
    assert sorted(map(tuple, read.tolist())) == sorted(map(tuple, written.tolist()))


@pytest.fixture
def tickets(write, sentences):
    """A file of 6,000 rows with exact repeats, conflicts, edited copies, and the numbers of each."""
    texts = sentences(4_000)
    rows = texts + texts[:500] + texts[500:600] + edited(texts[1_000:2_400], np.random.default_rng(0))
    labels = [f"kind {place % 4}" for place in range(4_000)]
    labels += labels[:500] + ["kind 4"] * 100 + labels[1_000:2_400]
    return write({"text": rows, "label": labels})


def rules(seen):
    return {one.rule: one for one in seen.findings}


def small(monkeypatch):
    monkeypatch.setattr(_gather, "working_memory", lambda: _gather.PROGRAM + _gather.NEEDS * 200_000)
    monkeypatch.setattr(_gather, "LEAST", 1 << 14)


def test_copies_are_counted_in_all_rows_of_a_file_that_is_learnt_from_in_part(tickets, monkeypatch):
    every = rules(data.inspect(tickets))
    small(monkeypatch)
    part = data.inspect(tickets)
    assert part.rows < 4_000
    told = rules(part)
    assert "6,000 rows" in told["sampled"].evidence
    assert told["exact_duplicate"].count == every["exact_duplicate"].count >= 500
    assert "100 texts under more than one label, 200 of all 6,000 rows" in told["label_conflict"].evidence
    assert told["near_duplicate"].count >= 0.95 * every["near_duplicate"].count > 2_000
    units = part.data.units
    for name, rows in part.data.parts.items():
        assert not any(set(units[rows]) & set(units[other]) for key, other in part.data.parts.items() if key != name)


def test_rows_of_a_given_test_file_are_held_against_all_rows(tickets, write, monkeypatch, sentences):
    small(monkeypatch)
    test = write({"text": sentences(4_000)[3_000:3_040] + sentences(20, seed=9), "label": ["kind 1"] * 60}, "test.csv")
    seen = data.inspect(tickets, Options(test=test))
    learnt = np.concatenate([seen.data.parts[name] for name in ("train", "valid", "calib")])
    known = {seen.data.table.column("text")[row].as_py() for row in learnt}
    overlap = sum(text in known for text in sentences(4_000)[3_000:3_040])
    assert rules(seen)["test_overlap"].count == overlap > 3


@pytest.mark.slow
def test_on_ray_the_same_is_found(tickets, monkeypatch):
    ray = pytest.importorskip("ray", reason="the extra ray is not installed: pip install 'savile[ray]'")
    monkeypatch.setattr(_copies, "CUT", 700)
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="disabled", RAY_worker_niceness="0")
    ray.init("local", num_cpus=2, include_dashboard=False, object_store_memory=100 * 2**20, log_to_driver=False)
    try:
        here, there = data.inspect(tickets), data.inspect(tickets, Options(where="ray"))
        small(monkeypatch)
        part, part_there = data.inspect(tickets), data.inspect(tickets, Options(where="ray"))
    finally:
        ray.shutdown()
    for one, other in ((here, there), (part, part_there)):
        assert other.findings == one.findings
        assert other.data.digest == one.data.digest


def test_results_come_in_the_order_of_the_tables():
    tables = [pa.table({"x": [place] * (place + 1)}) for place in range(5)]
    said = [row.column("n")[0].as_py() for row in over(lambda one: pa.table({"n": [len(one)]}), tables, "local")]
    assert said == [1, 2, 3, 4, 5]


KILLED = """
import sys, time
import numpy as np
from savile.data import _spill
kept = _spill.Bytes(), _spill.array(20 << 20, np.uint8)
kept[0].add(bytes(40 << 20))
print("written", flush=True)
time.sleep(60)
"""


def test_a_killed_process_leaves_nothing_on_the_disk(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path), "SAVILE_HOME": str(tmp_path / "none")}
    process = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, env=environment)
    assert process.stdout.readline() == b"written\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    spilled = _spill.Bytes()
    monkeypatch.setattr(spilled._file, "write", full)
    with pytest.raises(MachineError, match="room on the disk"):
        spilled.add(b"x")
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(MachineError, match="room on the disk"):
        _spill.array(20 << 20, np.uint8)


def test_bytes_that_do_not_come_back_are_said():
    spilled = _spill.Bytes()
    spilled.add(b"abc")
    spilled.size = 10
    with pytest.raises(MachineError, match="disk that works"):
        spilled.read(0, 10)


def test_the_memory_allowed_decides_what_is_learnt_from(tickets):
    assert _gather.room(Reading(memory=0.25)) < _gather.room(Reading()) <= 2e9
    assert data.inspect(tickets, Options(read=Reading(memory=0.25))).rows == 6_000
