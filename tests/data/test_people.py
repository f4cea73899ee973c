"""People known by columns that are not stored are found again by keyed digests, in everything that is made of their rows."""

import json
from dataclasses import replace

import numpy as np
import pytest

import savile
from savile import data
from savile.base import people
from savile.base.errors import InputError, MachineError, UnknownNameError
from savile.base.mask import KEY_FILE
from savile.base.store import Store
from savile.cli import main
from savile.data import Options, describe
from savile.data._draft import Draft
from savile.data._ontology import Concept

HERS = [3, 100, 201]


@pytest.fixture
def columns(sentences):
    customers, mails = [f"C-{1000 + i}" for i in range(240)], [f"person{i}@example.com" for i in range(240)]
    for row in HERS:
        customers[row], mails[row] = " c-77042", "Mia@Example.com"
    days = [f"2024-{1 + i // 28:02d}-{1 + i % 28:02d}" for i in range(240)]
    rest = {"text": sentences(240), "label": ["refund", "delivery", "login"] * 80, "opened": days}
    return {"customer_id": customers, "email": mails, **rest}


@pytest.fixture
def tickets(home, write, columns):
    return write(columns)


def stored_bytes():
    store = Store.open()
    return b"".join(path.read_bytes() for path in store.home.rglob("*") if path.is_file())


def test_a_person_is_found_by_columns_that_are_not_stored(tickets):
    made = data.govern(tickets)
    assert {"customer_id", "email"}.isdisjoint(made.table.column_names)
    kept = Store.open().load(made.ref)
    for subject in ("customer_id=C-77042", "C-77042", "email=mia@example.com", " MIA@example.com", "email = mia@example.com "):
        assert data.rows_of(kept, subject).tolist() == HERS
    assert data.rows_of(kept, "customer_id=mia@example.com").tolist() == []
    assert data.rows_of(kept, "customer_id=").tolist() == []
    assert data.columns_of(kept) == {"customer_id", "email", "text", "label", "opened"}


def test_nothing_of_the_values_is_stored(tickets):
    data.govern(tickets)
    held = stored_bytes().lower()
    assert b"77042" not in held
    assert b"mia@example" not in held
    assert b"person17@" not in held


def test_digests_are_no_column_of_the_data(tickets):
    made = data.govern(tickets)
    assert made.features().column_names == ["text"]
    bare = replace(made, known_by=None)
    assert bare.digest == made.digest
    assert not any("people" in name for name in made.files)


def test_digests_stay_in_a_store_and_differ_between_stores(tickets, tmp_path, monkeypatch):
    first = data.govern(tickets)
    again = data.prepare(tickets, Options(seed=1))
    for one, other in zip(first.known_by, again.known_by, strict=True):
        assert (one.column, one.key) == (other.column, other.key)
        assert np.array_equal(one.digests, other.digests)
    assert len(np.unique(first.known_by[0].digests, axis=0)) == 240 - len(HERS) + 1
    key = Store.open().keys / KEY_FILE
    assert key.stat().st_mode & 0o077 == 0
    monkeypatch.setenv("SAVILE_HOME", str(tmp_path / "another"))
    elsewhere = data.govern(tickets)
    assert elsewhere.known_by[0].key != first.known_by[0].key
    assert not (elsewhere.known_by[0].digests == first.known_by[0].digests).all(axis=1).any()
    with pytest.raises(MachineError, match="no such key"):
        data.rows_of(first, "customer_id=C-77042")


def test_columns_that_were_dropped_leave_digests_when_they_identify_people(tickets, write, columns):
    columns |= {"phone": [f"+49 170 {1000000 + 37 * i}" for i in range(240)], "city": ["Ulm", "Bonn"] * 120}
    columns["codes"] = [f"person{i % 90}@example.com" for i in range(240)]
    path = write(columns, "more.csv")
    made = data.prepare(path, Options(text="text", label="label", use=("opened",), drop=("codes", "city")))
    assert {one.column for one in made.known_by} == {"customer_id", "email", "phone", "codes"}
    assert data.rows_of(made, "codes=person5@example.com").tolist() == [5, 95, 185]
    assert data.rows_of(made, "phone=+49 170 1000111").tolist() == [3]


def test_masked_or_kept_personal_data_makes_no_difference(tickets):
    kept = data.prepare(tickets, Options(pii="keep"))
    assert data.rows_of(kept, "email=mia@example.com").tolist() == HERS


def test_erasure_takes_all_that_was_made_and_refuses_unknown_columns(tickets, capsys):
    made = savile.govern(tickets)
    fewer = Store.open().save(data.without(made, np.array([0, 150])))
    model = savile.adapt(made, model="linear")
    with pytest.raises(UnknownNameError, match="customer_id"):
        savile.govern("data", erase="customer_ids=C-77042")
    with pytest.raises(InputError, match="none in"):
        savile.govern("data", erase="customer_id=C-99999")
    capsys.readouterr()
    assert main(["govern", "data", "--erase", "customer_id=C-77042", "--json"]) == 0
    out = capsys.readouterr()
    said = json.loads(out.out)
    assert {one["ref"] for one in said["data"]} == {made.ref, fewer.ref}
    assert model.ref in {one["ref"] for one in said["derived"]}
    assert said["unsearched"] == {}
    less = Store.open().load(said["data"][0]["now"])
    assert less.table.num_rows == 240 - len(HERS)
    assert data.rows_of(less, "mia@example.com").tolist() == []
    assert data.rows_of(less, "person4@example.com").tolist() == [3]
    assert "77042" not in Store.open().audit.path.read_text(encoding="utf-8") + out.out + out.err
    assert main(["govern", "data", "--erase", "mia@example.com"]) == 2


def test_data_that_grew_knows_the_people_of_both(tickets, write, columns, sentences):
    later = {name: values[:120] for name, values in columns.items()} | {"text": sentences(120, seed=1)}
    later["customer_id"] = [f"D-{i // 2}" for i in range(120)]  # a column that is stored there: customers come twice
    del later["opened"]
    old, new = data.govern(tickets), data.govern(write(later, "later.csv"))
    assert "customer_id" in new.table.column_names
    both = Store.open().save(data.appended(old, new))
    assert data.rows_of(both, "email=mia@example.com").tolist() == [*HERS, 240 + 3, 240 + 100]
    assert data.rows_of(both, "customer_id=D-7").tolist() == [240 + 14, 240 + 15]
    assert data.unsearched(both) == ()


def test_data_stored_before_digests_were_taken_is_told_of(tickets, write, columns, sentences, capsys):
    made = data.govern(tickets)
    old = Store.open().save(replace(made, known_by=None))
    assert old.ref != made.ref
    assert old.known_by is None
    assert data.rows_of(old, "email=mia@example.com").tolist() == []
    assert set(data.unsearched(old)) == {"customer_id", "email"}
    capsys.readouterr()
    assert main(["govern", "data", "--erase", "email=mia@example.com", "--json", "--dry-run"]) == 0
    out = capsys.readouterr()
    assert json.loads(out.out)["unsearched"] == {old.ref: ["email"]}
    assert "Govern its file again" in out.err
    assert main(["govern", "data", "--erase", "label=refund", "--json", "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out)["unsearched"] == {}
    later = {name: values[:120] for name, values in columns.items()} | {"text": sentences(120, seed=1)}
    both = data.appended(old, data.govern(write(later, "later.csv")))
    assert data.rows_of(both, "mia@example.com").tolist() == [240 + 3, 240 + 100]
    assert set(data.unsearched(both)) == {"customer_id", "email"}


def test_rows_that_a_step_makes_belong_to_whoever_the_row_they_are_made_of_does():
    import pyarrow as pa

    from savile.data import _made

    known = (people.KnownBy.of("customer_id", ["C-1", "C-2", None], None),)
    empty = np.zeros(3, dtype=bool)
    draft = Draft(
        *("f.csv", Options(), None),
        table=pa.table({"text": ["one", "two", "three"], "label": ["a", "b", "a"]}),
        lines=np.arange(3),
        file_of=np.zeros(3, dtype=np.int32),
        given=empty,
        kept=~empty,
        units=np.arange(3),
        roles={"text": "text", "label": "label"},
        task="classify",
        parts={"train": np.arange(3)},
        known_by=known,
    )
    grown = _made.appended(draft, np.array([1, 1, 0]), ["zwei", "deux", "uno"], "augment: test")
    assert grown.known_by[0].holds(" c-2").tolist() == [False, True, False, True, True, False]
    told = describe.apply(grown, describe.Settings({"a": Concept(about=("A letter.",))}))
    assert len(told.known_by[0].digests) == len(told.table) > 6
    assert told.known_by[0].holds("C-1").tolist() == [True, False, False, False, False, True] + [False] * (len(told.table) - 6)
