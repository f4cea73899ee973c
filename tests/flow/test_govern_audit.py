"""`savile govern` on a file as a steward uses it: audited without a label, mended on a copy, every change undone by its id."""

import csv
import gzip
import json

import numpy as np
import pytest

import savile
from savile import cli
from savile.base.errors import DataError, InputError, RefusalError
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


@pytest.mark.parametrize(
    ("name", "encoding", "delimiter", "ending"),
    [
        ("rows.csv", "cp1252", ";", "\r\n"),
        ("rows.csv", "utf-8-sig", ",", "\n"),
        ("rows.tsv", "utf-16", "\t", "\r\n"),
        ("rows.csv.gz", "utf-8", "|", "\n"),
    ],
)
def test_a_copy_is_written_as_the_file_is_and_all_taken_back_is_the_file(rows, tmp_path, name, encoding, delimiter, ending):
    lines = [line.split(",") for line in rows.read_text().splitlines()]
    written = [delimiter.join([f'"{line[0]}"', *line[1:], '"grün ""so""\nzwei"']) for line in lines]
    written[30:30] = [f"a row{delimiter}of another length", ""]
    content = (ending.join(written).replace("grün", "note", 1) + ending).encode(encoding)
    path = tmp_path / "there" / name
    path.parent.mkdir()
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    made = savile.govern(path, fix=True)
    assert made["changed"] == 4
    fixed = path.with_name("rows.fixed.tsv" if ".tsv" in name else "rows.fixed.csv")
    assert made["fixed"] == str(fixed)
    right = content.decode(encoding).replace("germqny", "germany").replace("spqin", "spain").replace("qustria", "austria")
    assert fixed.read_bytes() == right.encode(encoding)
    assert savile.govern(path.parent)["rows"] == 150  # the copy is no data of its own
    for one in {json.loads(line)["finding"] for line in path.with_name("rows.changes.jsonl").read_text().splitlines()}:
        savile.govern(path, undo=one)
    assert fixed.read_bytes() == content


def test_a_change_that_the_file_has_no_letters_for_is_left_and_told(rows, tmp_path, capsys):
    asked, path = tmp_path / "asked.csv", tmp_path / "there.csv"
    path.write_bytes(rows.read_text().replace("berlin", "柏林").encode("gbk"))
    read = {"data.read.encoding": "gbk"}
    savile.govern(path, correct=asked, settings=read)
    table = list(csv.reader(asked.open(encoding="utf-8", newline="")))
    for line in table[1:]:
        line[2] = line[2].replace("q", "a") + "🙂"
    with asked.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(table)
    told = ["--fix", "--correct", str(asked), "--set", "data.read.encoding=gbk", "--json"]
    assert cli.main(["govern", str(path), *told]) == 0
    said = capsys.readouterr()
    ledger = [json.loads(line) for line in path.with_name("there.changes.jsonl").read_text(encoding="utf-8").splitlines()]
    left = [one for one in ledger if "🙂" in one["new"]]
    assert left
    assert all(one["undone"] for one in left)
    assert json.loads(said.out)["changed"] == len(ledger) - len(left)
    assert "cannot hold them" in said.err
    path.with_name("there.fixed.csv").read_bytes().decode("gbk")


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


@pytest.mark.parametrize("shape", ["a column each", "a row each"])
def test_a_recipe_whose_labels_a_step_makes_is_governed_and_audited(tickets, shape):
    path, lines = tickets
    if shape == "a column each":
        rows, settings = [["text", "ann", "ben"], *([text, label, label] for text, label in lines)], "columns: [ann, ben]"
    else:
        rows = [["text", "item", "who", "vote"]]
        rows += [[text, str(i), who, label] for i, (text, label) in enumerate(lines) for who in ("ann", "ben")]
        settings = "columns: [vote], item: item, annotator: who"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    recipe = path.with_name("votes.yaml")
    recipe.write_text(f"version: 1\nname: votes\ndata: {{path: tickets.csv, steps: {{votes: {{{settings}}}}}}}\n")
    data = savile.govern(recipe)
    assert len(data.table) == len(lines)
    assert json.loads(Store.open().pages.joinpath(f"{data.ref.replace('@', '-')}-audit.json").read_text())["findings"]
    assert savile.govern(recipe, fix=True)["fixed"] == str(path.with_name("tickets.fixed.csv"))


def test_rows_that_rights_leave_out_do_not_stop_the_audit(tickets):
    path, lines = tickets
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["text", "label", "origin"], *([*line, "ab"[i % 4 == 0]] for i, line in enumerate(lines))])
    rights = "sources:\n- {name: a, column: origin, value: a}\n- {name: b, column: origin, value: b, forbidden: [sale]}\n"
    path.with_name("tickets.rights.yaml").write_text(rights + "purpose: sale\non_breach: leave_out\n")
    data = savile.govern(path)
    assert len(data.table) == sum(i % 4 != 0 for i in range(len(lines)))
    assert Store.open().pages.joinpath(f"{data.ref.replace('@', '-')}-audit.html").exists()
    told = savile.govern(path, fix=True)
    found = {one["rule"]: one["rows"] for one in told["findings"]}
    assert found["exact_duplicate"] == [121]  # as numbered in the file; row 120 repeats row 0, and neither may be used
    assert not {row for rule, rows in found.items() if rule != "no_rights" for row in rows if row % 4 == 0}
    page = Store.open().pages.joinpath(f"{data.ref.replace('@', '-')}-audit.json").read_text()
    assert '"rows": 92' in page
    path.with_name("tickets.rights.yaml").write_text(rights + "purpose: sale\n")
    with pytest.raises(RefusalError):
        savile.govern(path)
    refused = Store.open().audit.acts("refuse")
    assert [(act["subject"], act["facts"]["stage"]) for act in refused] == [("tickets.csv", "govern")]


def test_a_change_is_not_taken_back_in_a_file_that_was_changed_since(rows):
    savile.govern(rows, fix=True)
    ledger, fixed = rows.with_name("rows.changes.jsonl"), rows.with_name("rows.fixed.csv")
    before, id = fixed.read_bytes(), json.loads(ledger.read_text().splitlines()[0])["id"]
    lines = rows.read_text().splitlines(keepends=True)
    rows.write_text("".join([lines[0], *lines[2:]]))
    with pytest.raises(InputError, match="as it was when it was mended"):
        savile.govern(rows, undo=id)
    assert fixed.read_bytes() == before


def test_what_was_taken_back_is_not_mended_again(rows):
    savile.govern(rows, fix=True)
    id = json.loads(rows.with_name("rows.changes.jsonl").read_text().splitlines()[0])["id"]
    savile.govern(rows, undo=id)
    fixed = rows.with_name("rows.fixed.csv").read_bytes()
    assert savile.govern(rows, fix=True)["changed"] == 3
    assert rows.with_name("rows.fixed.csv").read_bytes() == fixed


def test_a_dry_run_shows_the_audit_and_writes_nothing(rows, tickets, tmp_path, capsys):
    savile.govern(rows, fix=True)
    id = json.loads(rows.with_name("rows.changes.jsonl").read_text().splitlines()[0])["id"]

    def told(*more):
        assert cli.main(["govern", *map(str, more), "--dry-run", "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    there = {path: path.read_bytes() for path in (*tmp_path.rglob("*"), *Store.open().home.rglob("*")) if path.is_file()}
    assert any(one["rule"] == "wrong_cell" for one in told(rows)["findings"])
    assert told(rows, "--fix")["changes"] == 4
    assert told(rows, "--undo", id)["undone"] == [id]
    assert len(told(rows, "--correct", tmp_path / "asked.csv")["asked"]) == 20
    assert {one["rule"] for one in told(tickets[0])["audit"]} >= {"exact_duplicate", "near_duplicate"}
    now = {path: path.read_bytes() for path in (*tmp_path.rglob("*"), *Store.open().home.rglob("*")) if path.is_file()}
    assert now == there


def test_a_person_is_shown_where_the_answer_lies_not_all_of_it(rows, tickets, capsys):
    for more in ([rows], [rows, "--fix"], [rows, "--dry-run"], [tickets[0], "--dry-run"]):
        assert cli.main(["govern", *map(str, more)]) == 0
        assert len(capsys.readouterr().out.splitlines()) <= 5
    ref = savile.govern(tickets[0]).ref
    assert cli.main(["show", ref, "--passport"]) == 0
    assert "no row is in two parts" in capsys.readouterr().out
    assert cli.main(["init", str(tickets[0]), "--checks", "label"]) == 2  # no label is called good
    capsys.readouterr()
    rows.write_text("answer,verdict\n" + "".join(f"refund of {i} is sent,good\nerror,bad\n" for i in range(60)))
    assert cli.main(["init", str(rows), "--checks", "verdict"]) == 0
    assert "rows.assertions.yaml" in capsys.readouterr().out.replace("\n", "")


def test_how_a_file_is_read_is_heard_where_there_is_no_label(tmp_path):
    path = tmp_path / "cities.csv"
    path.write_bytes("".join(f"{i};Zürich;{i * 7 % 5}\n" for i in range(60)).encode("cp1252"))
    with pytest.raises(InputError):
        savile.govern(path, settings={"data.read.encoding": "utf-8"})
    found = savile.govern(path, settings={"data.read.delimiter": ";", "data.read.header": False})
    assert (found["rows"], len(found["columns"])) == (60, 3)


def test_a_row_that_was_not_read_is_told_where_there_is_no_label(rows):
    with rows.open("a") as file:
        file.write("berlin,germany,0049,1.5,too long\n")
    assert "ragged" in {one["rule"] for one in savile.govern(rows)["findings"]}


def test_the_audit_of_data_somebody_is_erased_from_is_taken_away(tickets):
    path, lines = tickets
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["text", "label"], *lines, ["write to mia@example.com about my money", "refund"]])
    data = savile.govern(path)
    page = Store.open().pages / f"{data.ref.replace('@', '-')}-audit.html"
    assert page.exists()
    savile.govern("data", erase="mia@example.com")
    assert not page.exists()
    assert not page.with_suffix(".json").exists()


def test_what_cannot_be_learnt_from_is_audited_unless_more_was_asked(rows, capsys):
    lines = [line.split(",") for line in rows.read_text().split()]
    rows.write_text("\n".join(",".join([*line, "label" if not i else "same"]) for i, line in enumerate(lines)))
    assert any(one["rule"] == "wrong_cell" for one in savile.govern(rows)["findings"])
    assert savile.govern(rows, fix=True)["changed"] == 4
    with pytest.raises(DataError, match="two labels"):
        savile.govern(rows, check_labels="words")
    rows.write_text("")
    with pytest.raises(DataError, match="empty"):
        savile.govern(rows)
    assert "audit" not in capsys.readouterr().err


def test_what_must_hold_is_held_where_there_is_no_label(rows):
    contract = "checks: [{kind: one_of, column: prefix, values: ['0049', '0034']}]\n"
    rows.with_name("rows.assertions.yaml").write_text(contract)
    failed = next(one for one in savile.govern(rows)["findings"] if one["rule"] == "assertion_failed")
    assert failed["rows"][:3] == [2, 5, 8]
    assert failed["count"] == 50
    rows.with_name("rows.assertions.yaml").write_text(contract + "on_failure: refuse\n")
    with pytest.raises(DataError, match="where not"):
        savile.govern(rows)


def test_what_was_written_beside_data_is_no_data_of_its_folder(rows):
    folder, fixed = rows.with_name("months"), rows.with_name("months") / "may.fixed.csv"
    folder.mkdir()
    lines = rows.read_text().splitlines()
    for name in ("may", "june"):
        (folder / f"{name}.csv").write_text("\n".join([lines[0], *(f"{line}{len(name)}" for line in lines[1:])]))
    before = savile.govern(folder)["rows"]
    savile.govern(folder / "may.csv", fix=True)
    (folder / "may.rights.json").write_text('{"sources": []}')
    assert fixed.exists()
    assert savile.govern(folder)["rows"] == savile.govern(folder / "*.csv")["rows"] == before == 300
    assert savile.govern(fixed)["rows"] == 150


def test_a_purpose_without_rights_is_refused(rows):
    with pytest.raises(InputError, match="sources in the rights"):
        savile.govern(rows, purpose="sale")


def test_what_is_unusual_about_a_file_is_told_once(rows, capsys):
    rows.write_text(rows.read_text().replace(",", ";"))
    for more in ([], ["--fix"], ["--label", "prefix", "--fix"]):
        assert cli.main(["govern", str(rows), *more]) == 0
        assert capsys.readouterr().err.count("are divided by ';'.\n") == 1


def test_the_list_says_how_much_of_it_is_shown_and_counts_in_words(rows, capsys):
    rows.write_text("text,kind\n" + "".join(f"a question about item {i},{'ab'[i % 2]}\n" for i in range(3)))
    cli.main(["govern", str(rows)])
    assert "1 finding, 0 repairs ready" in capsys.readouterr().err
    numbers = np.random.default_rng(0).normal(2, 1, (300, 12)).round(3).tolist()
    rows.write_text(",".join(f"x{i}" for i in range(12)) + "\n" + "\n".join(",".join(map(str, line)) for line in numbers))
    cli.main(["govern", str(rows)])
    assert " findings, 0 repairs ready, the first 8 of them below" in capsys.readouterr().err


def test_why_nothing_was_made_to_learn_from_is_told(rows, capsys):
    cli.main(["govern", str(rows)])
    told = " ".join(capsys.readouterr().err.split())
    assert "for that takes one label column; received 3 candidates: city (3 values)" in told
