"""What could still point at a person is measured: classes of rows that agree, and names in texts."""

import csv
import json

import pytest

from savile import data
from savile.base import mask
from savile.base.errors import InputError


def table(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["age", "city", "amount", "label"])
        writer.writerows(rows)
    return path


def told(path, **settings):
    found = data.prepare(path, data.Options(steps={"risk": settings}, label="label"))
    return found, found.settings["steps"]["risk"]


def test_classes_are_counted_as_the_definitions_say(tmp_path):
    rows = [[30, "Bern", i, ("yes", "no")[i % 2]] for i in range(20)] + [[31, "Bern", 20 + i, "yes"] for i in range(6)]
    rows += [[99, "Rome", 40 + i, "no"] for i in range(2)] + [[77, "Oslo", 50, "no"]]
    found, outcome = told(table(tmp_path / "rows.csv", rows), k=5, l=2)
    assert outcome["quasi"] == ["age", "city"]
    said = outcome["table"]
    assert (said["classes"], said["k"], said["unique"], said["below_k"]) == (4, 1, 1, 3)
    assert (said["l"], said["below_l"]) == (1, 9)
    assert said["below_k_without"] == {"age": 3, "city": 3}
    assert outcome["level"] == "high"
    assert {one.rule: one.count for one in found.findings if one.rule in ("few_alike", "no_diversity")} == {
        "few_alike": 3,
        "no_diversity": 9,
    }
    assert "What could still point at a person" in data.page(found).read_text()
    json.dumps(outcome)


def test_a_table_where_everybody_is_alike_is_no_risk(tmp_path):
    rows = [[30, "Bern", i * 7 % 11, ("yes", "no")[i % 2]] for i in range(40)]
    _, outcome = told(table(tmp_path / "rows.csv", rows))
    assert outcome["table"]["below_k"] == outcome["table"]["below_l"] == 0
    assert outcome["level"] == "low"


def test_wrong_settings_are_told(tmp_path):
    path = table(tmp_path / "rows.csv", [[30, "Bern", i * 7 % 11, ("yes", "no")[i % 2]] for i in range(40)])
    with pytest.raises(InputError, match="aage"):
        told(path, quasi=["aage"])
    with pytest.raises(InputError, match="1 or more"):
        told(path, k=0)


def test_names_are_replaced_where_asked_the_same_in_every_file(tmp_path):
    seen = set()
    for number in range(2):
        path = tmp_path / f"rows{number}.jsonl"
        about = ("parcel", "refund", "loan", "card", "late train", "broken lamp", "contract", "insurance", "key")
        ends = ("that never came", "I asked for in May", "you sent twice")
        lines = [f"My name is Maria Lindberg, please call about the {one} {end}" for one in about for end in ends]
        path.write_text("\n".join(json.dumps({"text": text, "label": str(i % 2)}) for i, text in enumerate(lines)))
        found = data.govern(path, pii="names")
        texts = found.column("text")
        assert not any("Lindberg" in text for text in texts)
        seen |= {text[text.index("[NAME-") :][:13] for text in texts}
        assert any(one.rule == "personal_name" for one in found.findings)
    assert len(seen) == 1


def test_masking_names_twice_changes_nothing():
    masker = mask.Masker(mask.policy(None, pii="names"))
    once = masker("Dear Anna Kowalski, Peter Schmidt of Nordwind Logistics GmbH lives at 12 Maple Street, Bern.")
    assert "Kowalski" not in once
    assert masker(once) == once
    assert mask.Masker({"pii": "mask", "kinds": ["email"], "key": masker.policy["key"]})("Dear Anna") == "Dear Anna"
