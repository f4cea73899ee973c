"""`savile govern` on a file as a steward uses it: audited without a label, mended on a copy, every change undone by its id."""

import csv
import json

import pytest

import savile
from savile import cli
from savile.base.errors import InputError
from savile.base.store import Store


@pytest.fixture
def rows(tmp_path):
    """Cities that determine countries, four of which are misspelt; nothing that could be a label."""
    cities = [("berlin", "germany", "0049"), ("madrid", "spain", "0034"), ("vienna", "austria", "0043")]
    lines = [[*cities[i % 3], f"{i * 7 % 101}.{i * 3 % 9 + 1}"] for i in range(150)]
    for row in (5, 40, 77, 120):
        lines[row][1] = lines[row][1].replace("a", "q", 1)
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["city", "country", "prefix", "price"], *lines])
    return path


def test_without_fix_no_cell_changes(rows):
    before = rows.read_bytes()
    found = savile.govern(rows, label=None)
    assert rows.read_bytes() == before
    assert not rows.with_name("rows.fixed.csv").exists()
    if isinstance(found, dict):
        assert found["rows"] == 150
        assert any(one["rule"] == "wrong_cell" for one in found["findings"])


def test_fix_writes_a_copy_and_undo_takes_back(rows):
    before = rows.read_bytes()
    made = savile.govern(rows, fix=True)
    assert rows.read_bytes() == before
    fixed = rows.with_name("rows.fixed.csv")
    assert made["changed"] == 4
    assert "q" not in fixed.read_text()
    changes = [json.loads(line) for line in rows.with_name("rows.changes.jsonl").read_text().splitlines()]
    assert {one["row"] for one in changes} == {5, 40, 77, 120}
    back = savile.govern(rows, undo=changes[0]["id"])
    assert back["undone"] == [changes[0]["id"]]
    assert fixed.read_text().count("q") == 1
    savile.govern(rows, undo=changes[0]["finding"])
    assert fixed.read_bytes().replace(b"\r", b"") == before.replace(b"\r", b"")
    assert [act["action"] for act in Store.open().audit.acts()][-3:] == ["fix", "undo", "undo"]


def test_rights_beside_the_file_are_on_file_when_it_is_mended(rows):
    assert "no_rights" in {one["rule"] for one in savile.govern(rows, fix=True)["findings"]}
    rows.with_name("rows.rights.yaml").write_text("sources: []\n")
    assert "no_rights" not in {one["rule"] for one in savile.govern(rows, fix=True)["findings"]}


def test_an_id_that_is_not_there_is_refused(rows):
    with pytest.raises(InputError, match="file that was mended"):
        savile.govern(rows, undo="c123")
    savile.govern(rows, fix=True)
    with pytest.raises(InputError, match="in place"):
        savile.govern(rows, undo="c123")


def test_rows_are_asked_for_corrected_and_learnt_from(rows, tmp_path):
    asked = tmp_path / "asked.csv"
    assert len(savile.govern(rows, correct=str(asked))["asked"]) == 20
    found = savile.govern(rows, correct=str(asked))
    assert found["changes"] == 0  # every cell of them was left as it is, so all were right
    asked.write_text(asked.read_text().replace("row,", "line,"))
    with pytest.raises(InputError, match="corrected rows"):
        savile.govern(rows, correct=str(asked))


def test_the_shell_prints_one_object(rows, capsys):
    assert cli.main(["govern", str(rows), "--fix", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["command"], said["changed"]) == ("govern", 4)
    assert said["findings"][0].keys() >= {"id", "evidence", "confidence", "gain", "risk", "repair", "undo"}
