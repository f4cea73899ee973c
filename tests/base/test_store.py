"""The store keeps what it acknowledged, whatever happens: crashes, full disks, damaged files, several writers at once."""

import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from savile.base import _durable
from savile.base.errors import CorruptError, InputError, MachineError, UnknownNameError
from savile.base.records import Entry, Report
from savile.base.store import SMALL, Store

WRITERS, RECORDS_EACH = 4, 25
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def store():
    return Store.open()


def model(name="m", **files):
    return Entry("model", {"name": name}, {"rank": 8}, ("data@1",), files or {"torch/head": b"weights"})


def remnants(store):
    return list((store.home / "scratch").iterdir()) + list(store.home.glob("*.new"))


def test_nothing_is_written_before_the_first_write(store, savile_home):
    assert store.home == savile_home
    assert (store.list(), store.aliases(), store.recall("key"), store.audit.verify()) == ([], {}, None, [])
    assert not store.exists
    assert not savile_home.exists()
    store.put(model())
    assert store.exists
    assert savile_home.stat().st_mode & 0o777 == 0o700
    assert store.keys.stat().st_mode & 0o777 == 0o700


def test_a_home_made_by_someone_else_first_is_closed_unless_it_holds_other_things(tmp_path):
    for name, neighbour, mode in [("ours", "keys", 0o700), ("theirs", "thesis", 0o755)]:
        (tmp_path / name).mkdir(mode=0o755)
        (tmp_path / name / neighbour).mkdir()
        store = Store.open(tmp_path / name)
        store.put(model())
        assert store.home.stat().st_mode & 0o777 == mode
        assert (store.home / "records").stat().st_mode & 0o777 == 0o700


def test_the_home_is_a_folder_of_the_working_folder_unless_set(monkeypatch, tmp_path):
    monkeypatch.delenv("SAVILE_HOME")
    monkeypatch.chdir(tmp_path)
    assert Store.open().home == tmp_path / ".savile"
    assert Store.open(tmp_path / "other").home == tmp_path / "other"


def test_the_same_thing_has_the_same_name_and_another_thing_another(store):
    first = store.put(model())
    assert store.put(model()) == first
    assert len(first.id) == 12
    others = [
        model(name="n"),
        model(**{"torch/head": b"weighty"}),
        model(**{"torch/tail": b"weights"}),
        Entry("report", {"name": "m"}, {"rank": 8}, ("data@1",), {"torch/head": b"weights"}),
        Entry("model", {"name": "m"}, {"rank": 9}, ("data@1",), {"torch/head": b"weights"}),
        Entry("model", {"name": "m"}, {"rank": 8}, ("data@2",), {"torch/head": b"weights"}),
    ]
    assert len({first.id, *(store.put(other).id for other in others)}) == 7


@settings(max_examples=20, deadline=None)
@given(st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), st.binary(max_size=200), max_size=4))
def test_files_come_back_as_they_went_in(files):
    entry = Store.open().put(Entry("model", {}, files=files))
    assert {name: path.read_bytes() for name, path in entry.files.items()} == files


def test_a_body_comes_back_as_json_has_it_in_the_order_of_its_keys(store):
    entry = store.put(Entry("report", {"b": (1, 2), "a": {10: "x", 9: "y"}, "path": Path("p")}))
    assert json.dumps(entry.body) == '{"b": [1, 2], "a": {"10": "x", "9": "y"}, "path": "p"}'


def test_a_file_is_copied_and_its_source_left_alone(store, tmp_path):
    source = tmp_path / "weights"
    source.write_bytes(os.urandom(3 * SMALL + 5))
    before = source.stat()
    kept = store.put(model(**{"torch/w": source})).files["torch/w"]
    assert kept.read_bytes() == source.read_bytes()
    assert (source.stat().st_ino, source.stat().st_nlink, source.stat().st_mtime_ns) == (before.st_ino, 1, before.st_mtime_ns)
    source.write_bytes(b"changed")
    store.verify(store.list()[0]["ref"])


def test_equal_files_are_kept_once_and_a_kept_file_is_taken_as_it_is(store):
    first = store.put(model(a=b"same", b=b"same"))
    again = store.put(model(name="n", c=first.files["a"]))
    assert len({*first.files.values(), *again.files.values()}) == 1


def test_records_are_found_by_reference_start_and_alias(store):
    refs = [store.put(Entry("report", {"i": i})).ref for i in range(40)]
    whole = refs[0]
    assert store.alias("champion", whole) == whole
    assert (
        store.load(whole).ref == store.load(whole[:13]).ref == store.load(whole[7:]).ref == store.load("champion").ref == whole
    )
    start = next(a[:8] for a in refs for b in refs if a != b and a[:8] == b[:8])
    with pytest.raises(InputError, match="fits report@") as caught:
        store.get(start)
    assert caught.value.code == "input"
    for name in ("report@", "", "report@zz", "model@" + whole[7:], "report@%"):
        with pytest.raises(UnknownNameError):
            store.get(name)
    with pytest.raises(UnknownNameError, match="Did you mean 'champion'"):
        store.get("champoin")


def test_records_are_listed_by_kind_and_age(store):
    made = [store.put(Entry(kind, {"name": name})).ref for kind, name in [("report", "a"), ("model", "b"), ("report", "c")]]
    assert [row["ref"] for row in store.list()] == made
    assert [row["name"] for row in store.list("report")] == ["a", "c"]
    assert store.list("release") == []
    store.put(Entry("report", {"name": "a"}))
    assert [row["ref"] for row in store.list()] == made


def test_an_alias_moves_and_every_move_is_in_the_audit_log(store):
    old, new = store.put(model("old")).ref, store.put(model("new")).ref
    store.alias("champion", old)
    store.alias("champion", new)
    assert store.aliases() == {"champion": new}
    acts = [json.loads(line) for line in store.audit.path.read_text().splitlines()]
    assert [(act["action"], act["subject"], act["facts"]["before"]) for act in acts] == [
        ("alias", old, None),
        ("alias", new, old),
    ]
    for bad in ("", "has space", "data@1", "beef", "9lives", "a" * 65):
        with pytest.raises(InputError, match="a name for a record"):
            store.alias(bad, new)
    with pytest.raises(UnknownNameError):
        store.alias("champion", "model@000000")


def test_what_was_done_is_remembered_until_a_file_of_it_is_gone(store):
    entry = store.put(model())
    store.remember("key", entry.ref)
    assert store.recall("key") == entry.ref
    assert store.recall("other") is None
    entry.files["torch/head"].unlink()
    assert store.recall("key") is None
    store.put(model())
    assert store.recall("key") == entry.ref
    with pytest.raises(UnknownNameError):
        store.remember("key", "model@123456")


@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_a_damaged_file_is_named_and_making_it_again_mends_it(store, damage):
    entry = store.put(model())
    path = entry.files["torch/head"]
    data = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(data[:-1] if damage == "cut" else bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(CorruptError, match=f"torch/head of {entry.ref} in .*{path.name}.*do again what made {entry.ref}"):
        store.get(entry.ref)
    with pytest.raises(CorruptError):
        store.alias("champion", entry.ref)
    assert store.aliases() == {}
    store.put(model())
    assert store.get(entry.ref) == entry


def test_a_large_file_is_checked_by_size_always_and_by_digest_when_asked(store):
    data = bytearray(os.urandom(SMALL + 1))
    entry = store.put(model(big=bytes(data)))
    data[7] ^= 1
    entry.files["big"].write_bytes(data)
    assert store.get(entry.ref) == entry
    for ask in (store.verify, lambda ref: store.get(ref, verify=True)):
        with pytest.raises(CorruptError, match="another content"):
            ask(entry.ref)
    entry.files["big"].write_bytes(data[:-1])
    with pytest.raises(CorruptError, match=f"{SMALL} of {SMALL + 1} bytes"):
        store.get(entry.ref)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_changed_byte_of_a_record_is_noticed(data):
    store = Store.open()
    ref = store.put(Entry("report", {"name": "r", "value": 0.938}, {"floor": 0.9}, ("data@1",))).ref
    path = store.home / "records" / "report" / f"{ref.partition('@')[2]}.json"
    text = path.read_bytes()
    end = text.index(b', "created"')  # when it was first stored is no part of what it is, nor are spaces
    at = data.draw(st.integers(0, end - 1).filter(lambda at: text[at : at + 1] != b" "))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != text[at]))
    path.write_bytes(text[:at] + bytes([other]) + text[at + 1 :])
    with pytest.raises(CorruptError, match=f"the record {ref} in {path}"):
        store.get(ref)
    path.write_bytes(text)


def test_a_record_that_is_cut_off_or_gone_is_named(store):
    ref = store.save(Report({"a": 1})).ref
    path = next((store.home / "records").rglob("*.json"))
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(CorruptError, match="no JSON"):
        store.get(ref)
    path.unlink()
    with pytest.raises(CorruptError, match="no file"):
        store.get(ref)
    assert store.save(Report({"a": 1})).ref == store.get(ref).ref


def test_a_broken_database_is_named(store):
    store.put(model())
    (store.home / "store.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(CorruptError, match=r"store\.db"):
        store.list()


@pytest.mark.parametrize("step", ["write", "place", "row"])
def test_a_full_disk_leaves_nothing_half_written(store, monkeypatch, step):
    kept = store.put(model("before"))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    def full_database(*_):
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        if step == "row":
            patch.setattr("savile.base.store.database", full_database)
        else:
            patch.setattr(*{"write": (os, "fsync", full), "place": (Path, "replace", full)}[step])
        with pytest.raises(MachineError, match=r"disk is full|No space left"):
            Store.open().put(model("after"))
    assert remnants(store) == []
    assert [row["name"] for row in store.list()] == ["before"]
    store.verify(kept.ref)
    assert store.put(model("after")).body == {"name": "after"}


SMALL_DISK = """
import os, sys
from pathlib import Path
from savile.base.errors import MachineError
from savile.base.records import Entry
from savile.base.store import Store

def refused(act):
    try:
        act()
    except MachineError:
        return True

store, kept = Store.open(Path(sys.argv[1]) / "home"), []
while not refused(lambda: kept.append(store.put(Entry("model", {"i": len(kept)}, files={"w": os.urandom(100_000)})).ref)):
    refused(lambda: store.audit.append("put", kept[-1]))
intact = lambda: [row["ref"] for row in store.list()] == kept and not any(map(store.verify, kept)) and not store.audit.verify()
assert len(kept) > 3 and intact() and not list((store.home / "scratch").iterdir())
os.system(f"mount -o remount,ro {sys.argv[1]}")
assert intact() and refused(lambda: store.put(Entry("model", {}))) and refused(lambda: store.audit.append("put", kept[0]))
"""


def test_a_disk_that_is_really_full_and_then_read_only_keeps_what_was_acknowledged(tmp_path):
    mount = ["unshare", "-m", "bash", "-ec", 'mount -t tmpfs -o size=2m tmpfs "$1"; shift; "$@"', "bash", str(tmp_path)]
    if not shutil.which("unshare") or subprocess.run([*mount, "true"], capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk is not allowed here")
    command = [*mount, sys.executable, "-c", SMALL_DISK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_home_that_cannot_be_written_to_is_an_error_of_the_machine(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MachineError, match="set SAVILE_HOME"):
        Store.open(tmp_path / "file").put(model())
    with pytest.raises(MachineError, match="set SAVILE_HOME"):
        Store.open(tmp_path / "file" / "below").audit.append("act", "thing")


def test_a_read_only_home_can_be_read(store, monkeypatch):
    ref = store.alias("champion", store.put(model()).ref)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert store.get("champion").ref == ref
    assert store.audit.verify() == []
    with pytest.raises(MachineError, match="readonly"):
        store.alias("challenger", ref)
    assert store.aliases() == {"champion": ref}


def test_a_scratch_folder_goes_with_its_block_and_after_a_crash_with_the_next(store):
    with store.scratch() as folder, store.scratch() as other:
        (folder / "file").write_text("temporary")
        assert folder != other
        assert folder.is_dir()
    assert remnants(store) == []
    code = "import os, sys; from savile.base.store import Store\nwith Store.open().scratch(): os._exit(9)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert len(remnants(store)) == 1
    with store.scratch():
        assert len(remnants(store)) == 1
    assert remnants(store) == []


def test_several_processes_and_threads_write_at_once(store):
    code = f"""
import sys
from savile.base.records import Entry
from savile.base.store import Store
store, me = Store.open(), sys.argv[1]
for i in range({RECORDS_EACH}):
    entry = store.put(Entry("report", {{"by": me, "i": i}}, files={{"shared": b"x" * i, "own": f"{{me}} {{i}}".encode()}}))
    store.remember(f"{{me}} {{i}}", entry.ref)
    store.alias("champion", entry.ref)
    store.audit.append("wrote", entry.ref, by=me)
"""
    writers = [subprocess.Popen([sys.executable, "-c", code, str(i)]) for i in range(WRITERS)]
    with ThreadPoolExecutor(4) as threads:
        mine = list(threads.map(lambda i: store.put(Entry("model", {"i": i})).ref, range(20)))
    assert [writer.wait() for writer in writers] == [0] * WRITERS
    rows = store.list("report")
    assert len(rows) == WRITERS * RECORDS_EACH
    assert len({*mine}) == len(store.list("model")) == 20
    for row in rows:
        store.verify(row["ref"])
    assert all(store.recall(f"{me} {i}") for me in range(WRITERS) for i in range(RECORDS_EACH))
    assert store.aliases()["champion"] in {row["ref"] for row in rows}
    assert store.audit.verify() == []
    assert store.audit.state().count == 2 * WRITERS * RECORDS_EACH


def test_five_kills_lose_nothing_that_was_acknowledged(store):
    sys.path.insert(0, str(BENCHMARKS))
    from spine_kill_store import killed_writer, lost

    for seconds in (0.15, 0.2, 0.3, 0.4, 0.5):
        assert lost(store, killed_writer(store.home, seconds)) == []
    assert len(store.list()) > 5


def test_a_lock_is_let_go_when_its_holder_dies(store):
    store.put(model())
    code = (
        "import os\nfrom savile.base._durable import locked\nfrom savile.base.store import Store\n"
        "with locked(Store.open().home): os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    with _durable.locked(store.home):
        taken = True
    assert taken


def test_a_page_is_written_whole_or_not_at_all(store, monkeypatch):
    path = store.page("report-1/report.html", "<p>first</p>")
    assert path == store.pages.resolve() / "report-1" / "report.html"

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("savile.base.store.os.fsync", full)
    with pytest.raises(MachineError, match="room on the disk"):
        store.page("report-1/report.html", "<p>second</p>")
    assert path.read_text() == "<p>first</p>"
    assert [item.name for item in path.parent.iterdir()] == ["report.html"]


def test_what_is_done_alone_is_done_by_one_at_a_time(store):
    inside, most = [], []

    def work():
        with store.alone("train"):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    with store.alone("something else"):  # does not wait for them
        pass
    for thread in threads:
        thread.join()
    assert most == [1] * 8
    assert not list((store.home / "locks").iterdir())
