"""`savile govern` on a file as a steward uses it: audited without a label, mended on a copy, every change undone by its id."""

import csv
import json

import numpy as np
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


@pytest.fixture
def tickets(tmp_path):
    """Texts of two labels; three labels are wrong, two rows are copies and one is nearly a copy."""
    words = {"refund": ["money", "bank", "amount", "paid", "invoice"], "login": ["password", "screen", "account", "code"]}
    rng = np.random.default_rng(0)
    lines = [[" ".join([*rng.choice(words[name], 6), f"ref{i * 37}x{i}"]), name] for i in range(60) for name in words]
    for row in (10, 40, 75):
        lines[row][1] = "login" if lines[row][1] == "refund" else "refund"
    lines += [list(lines[0]), list(lines[3]), [lines[5][0] + "!", lines[5][1]]]
    path = tmp_path / "tickets.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["text", "label"], *lines])
    return path, lines


def test_wrong_labels_and_copies_are_in_the_list_and_mended_and_taken_back(tickets):
    path, lines = tickets
    told = savile.govern(path, fix=True, check_labels="words")
    found = {one["rule"]: one for one in told["findings"]}
    assert {10, 40, 75} & set(found["label_error"]["rows"])
    assert set(found["exact_duplicate"]["rows"]) == {120, 121}
    assert set(found["near_duplicate"]["rows"]) == {122}
    assert all(found[rule]["undo"] for rule in ("label_error", "exact_duplicate", "near_duplicate"))
    fixed = list(csv.reader(path.with_name("tickets.fixed.csv").open(newline="")))[1:]
    assert len(fixed) == 120
    changed = [row for row in range(120) if fixed[row] != lines[row]]
    assert changed
    assert set(changed) <= {10, 40, 75}
    savile.govern(path, undo=found["label_error"]["id"])
    savile.govern(path, undo=found["exact_duplicate"]["id"])
    assert list(csv.reader(path.with_name("tickets.fixed.csv").open(newline="")))[1:] == lines[:122]
    savile.govern(path, undo=found["near_duplicate"]["id"])
    assert list(csv.reader(path.with_name("tickets.fixed.csv").open(newline="")))[1:] == lines


def test_wrong_labels_join_what_changed_since_and_what_was_corrected(tickets, tmp_path):
    path, lines = tickets
    earlier = tmp_path / "earlier.csv"
    with earlier.open("w", newline="") as file:
        csv.writer(file).writerows([["text", "label"], *lines])
    told = savile.govern(path, against=earlier, check_labels="words")
    assert {"label_error", "exact_duplicate", "near_duplicate"} <= {one["rule"] for one in told["findings"]}
    assert not path.with_name("tickets.fixed.csv").exists()
    asked = tmp_path / "asked.csv"
    savile.govern(path, correct=asked)
    told = savile.govern(path, correct=asked, check_labels="words")
    assert {"label_error", "exact_duplicate"} <= {one["rule"] for one in told["findings"]}
