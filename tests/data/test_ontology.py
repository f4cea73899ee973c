"""Label ontologies: sets with different names become one, labels without rows are described, groups are evened out."""

import csv

import numpy as np
import pytest

from savile.base.errors import DataError, InputError
from savile.data import Options, inspect
from savile.data._ontology import Concept, checked
from savile.data.fair import evened

LABELS = {
    "refund": {"same": ["money back", "shop:3"], "is_a": "payments", "about": "money that was paid comes back"},
    "charge": {"same": ["charged"], "is_a": "payments", "about": ["something was charged twice"]},
    "payments": {"about": "what was paid and how"},
    "delivery": {"same": ["parcel"], "about": "where a parcel is"},
    "insurance": {"is_a": "payments"},
}
SAID = {
    "refund": "please give the money back for row {}",
    "money back": "i want to return this item number {}",
    "charged": "you have charged me twice on day {}",
    "parcel": "where does my parcel number {} stay",
    "delivery": "the courier has lost order {}",
}


def concepts():
    return {name: Concept(**given) for name, given in LABELS.items()}


def file(tmp_path, rows):
    path = tmp_path / "messages.csv"
    with path.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["text", "label", "origin", "sex"])
        writer.writerows(rows)
    return path


def messages(times=12):
    return [
        [text.format(number), name, "shop" if number % 2 else "bank", "f" if number % 3 else "m"]
        for name, text in SAID.items()
        for number in range(times)
    ]


def test_names_stand_for_labels_and_labels_for_what_is_above():
    found = checked(concepts(), ("payments", "delivery"))
    assert [found.answer(name) for name in ("money back", "charge", "parcel", "payments", "nobody")] == [
        "payments",
        "payments",
        "delivery",
        "payments",
        None,
    ]
    assert found.answer("shop:3") == "payments"
    assert checked(concepts(), ()).answer("shop:charged") == "charge"
    assert found.describe("refund") == ["money that was paid comes back", "refund: what was paid and how"]
    assert found.describe("insurance") == ["insurance: what was paid and how"]


def test_circles_and_unknown_labels_are_refused():
    with pytest.raises(InputError, match="circle"):
        checked({"a": Concept(is_a="b"), "b": Concept(is_a="a")}, ())
    with pytest.raises(InputError, match="payments"):
        checked(concepts(), ("payment",))


def test_two_sets_become_one(tmp_path):
    path = file(tmp_path, messages())
    asked = {"ontology": {"labels": LABELS, "into": ["payments", "delivery"]}}
    seen = inspect(path, Options(steps=asked))
    assert seen.labels == {"payments": 36, "delivery": 24}
    assert seen.data.settings["steps"]["ontology"]["labels"]["charged"] == "payments"


def test_labels_nobody_knows_are_an_error_or_left_out(tmp_path):
    path = file(tmp_path, [*messages(), *([f"good morning to number {i}", "greeting", "shop", "f"] for i in range(12))])
    asked = {"labels": LABELS, "into": ["payments", "delivery"]}
    with pytest.raises(DataError, match="greeting"):
        inspect(path, Options(steps={"ontology": asked}))
    assert inspect(path, Options(steps={"ontology": {**asked, "unknown": "drop"}})).rows == 60
    assert set(inspect(path, Options(steps={"ontology": {**asked, "unknown": "keep"}})).labels) == {
        "payments",
        "delivery",
        "greeting",
    }


def test_a_label_without_rows_is_described_and_can_be_learnt(tmp_path, monkeypatch):
    monkeypatch.setenv("SAVILE_HOME", str(tmp_path / "home"))
    path = file(tmp_path, [row for row in messages() if row[1] in ("refund", "charged", "parcel")])
    steps = {
        "ontology": {"labels": LABELS},
        "describe": {"labels": LABELS, "into": ["refund", "charge", "delivery", "insurance"]},
    }
    data = inspect(path, Options(steps=steps)).data
    assert data.labels == ("charge", "delivery", "insurance", "refund")
    added = [row for row in data.parts["train"] if data.table.column("label")[int(row)].as_py() == "insurance"]
    assert [data.table.column("text")[int(row)].as_py() for row in added] == ["insurance: what was paid and how"]
    held = {label.as_py() for part in ("test", "valid", "calib") for label in data.table.column("label").take(data.parts[part])}
    assert "insurance" not in held
    assert len(data.units) == len(data.table)


def test_groups_are_evened_out(tmp_path):
    rows = [row for row in messages(30) if row[3] == "m" or row[1] != "refund" or int(row[0].split()[-1]) % 2]
    seen = inspect(file(tmp_path, rows), Options(steps={"fair": {"column": "sex"}}))
    said = seen.data.settings["steps"]["fair"]
    assert said["after"] < said["before"]
    assert len(seen.data.parts["train"]) == said["rows"]
    assert said["repeated"] > 0
    assert len(np.unique(seen.data.parts["test"])) == len(seen.data.parts["test"])


def test_independence_holds_to_the_row():
    rng = np.random.default_rng(0)
    group = rng.integers(3, size=600)
    label = (rng.random(600) < 0.2 + 0.3 * group).astype(np.int64)
    drawn = evened(group, label, 1.0, rng)
    assert len(drawn) == 600
    counts = np.zeros((3, 2))
    np.add.at(counts, (group[drawn], label[drawn]), 1)
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / 600
    assert np.abs(counts - expected).max() < 2
    assert sorted(evened(group, label, 0.0, rng).tolist()) == list(range(600))
