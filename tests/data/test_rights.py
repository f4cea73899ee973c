"""Rows without rights are refused or not stored, later uses are asked again, people can be taken out, passports are checked."""

import json

import numpy as np
import pytest

import savile
from savile import data
from savile.base.errors import InputError, RefusalError, UnknownNameError
from savile.base.records import Report
from savile.base.store import Store
from savile.cli import main
from savile.data import Options

OWN = {"name": "crm", "column": "from", "value": "crm", "owner": "we", "licence": "proprietary", "consent": "contract"}
BOUGHT = {
    "name": "bought",
    "column": "from",
    "value": "shop",
    "owner": "Shop Ltd",
    "licence": "CC-BY-4.0",
    "consent": "consent",
}


@pytest.fixture
def tickets(home, write, sentences):
    texts = sentences(240)
    texts[3] += " from mia@example.com"
    texts[100] += " and mia@example.com again"
    return write(
        {
            "text": texts,
            "label": ["refund", "delivery", "login"] * 80,
            "from": ["crm" if i % 4 else "shop" for i in range(240)],
            "customer": [f"C-{1000 + i % 60}" for i in range(240)],
        }
    )


def governed(path, **rights):
    return data.prepare(path, Options(steps={"rights": {"sources": [OWN, BOUGHT], **rights}}))


def acts(action):
    return list(Store.open().audit.acts(action))


def test_rights_are_kept_with_the_data_and_on_its_page(tickets):
    made = governed(tickets, purpose="support")
    kept = Store.open().load(made.ref).settings["steps"]["rights"]
    assert {one["name"]: one["rows"] for one in kept["sources"]} == {"crm": 180, "bought": 60}
    page = data.page(made).read_text(encoding="utf-8")
    assert "Shop Ltd" in page
    assert "CC-BY-4.0" in page


def test_a_source_that_may_not_be_used_is_refused_before_anything_is_stored(tickets):
    with pytest.raises(RefusalError, match=r"CC-BY-NC-4\.0") as caught:
        governed(tickets, sources=[OWN, {**BOUGHT, "licence": "CC-BY-NC-4.0"}])
    assert caught.value.exit_code == 3
    assert not Store.open().exists


def test_its_rows_are_left_out_and_not_stored_when_asked(tickets):
    made = governed(tickets, sources=[OWN, {**BOUGHT, "expires": "2020-01-01"}], on_breach="leave_out")
    assert made.table.num_rows == 180
    assert set(made.table.column("from").to_pylist()) == {"crm"}
    assert [one.count for one in made.findings if one.rule == "right_missing"] == [60]
    with pytest.raises(RefusalError):
        governed(tickets, sources=[{**OWN, "column": None, "value": None, "expires": "2020-01-01"}], on_breach="leave_out")


def test_rows_of_nobody_and_columns_of_nothing_are_errors(tickets):
    with pytest.raises(InputError, match="60 rows"):
        governed(tickets, sources=[OWN])
    with pytest.raises(UnknownNameError):
        governed(tickets, sources=[{**OWN, "column": "form"}])
    with pytest.raises(InputError, match="sources"):
        governed(tickets, sources=[])


@pytest.fixture
def rights_file(tickets):
    path = tickets.with_name("tickets.rights.yaml")
    path.write_text(
        "sources:\n- {name: crm, owner: we, licence: proprietary, consent: contract, purposes: [support], expires: 2099-01-01,"
        " terms: [{forbid: serve, note: clause 4}, {forbid: adapt, most: 2}]}\npurpose: support\n"
    )
    return path


def test_a_model_for_another_purpose_is_refused_with_exit_3_and_written_down(tickets, rights_file, capsys):
    made = savile.govern(tickets)
    assert made.settings["steps"]["rights"]["rules"]["purpose"] == "support"
    command = ["adapt", made.ref, "--model", "linear", "--json", "--set"]
    assert main([*command, "data.steps.rights.purpose=advertising"]) == 3
    said = json.loads(capsys.readouterr().out)["error"]
    assert said["code"] == "refused"
    assert "advertising" in said["received"]
    assert main([*command, "adapt.seed=0"]) == 0
    assert [act["facts"]["stage"] for act in acts("use")] == ["govern", "adapt"]
    assert [act["facts"]["why"] for act in acts("refuse")] == [["other_purpose"]]
    assert Store.open().audit.verify() == []


def test_clauses_are_asked_at_every_later_use(tickets, rights_file):
    made = savile.govern(tickets)
    model = savile.adapt(made, model="linear")
    savile.adapt(made, model="linear")
    with pytest.raises(RefusalError, match="more than 2 times"):
        savile.adapt(made, model="linear")
    with pytest.raises(RefusalError, match="clause 4"):
        savile.serve(model, force=True, port=0)


def test_data_that_was_governed_is_asked_again_when_its_rights_have_run_out(tickets, rights_file, monkeypatch):
    savile.govern(tickets)

    class Later:
        @staticmethod
        def today():
            from datetime import date

            return date(2100, 1, 1)

    monkeypatch.setattr("savile.flow._rights.date", Later)
    with pytest.raises(RefusalError, match="2099-01-01"):
        savile.govern(tickets)


def test_an_option_names_rights_that_lie_elsewhere(tickets, rights_file, tmp_path, capsys):
    elsewhere = tmp_path / "ours.yaml"
    rights_file.rename(elsewhere)
    assert main(["govern", str(tickets), "--rights", str(elsewhere), "--purpose", "advertising"]) == 3
    assert "not for 'advertising'" in capsys.readouterr().err
    assert main(["govern", str(tickets), "--rights", str(elsewhere)]) == 0
    assert "Rights to the data" in capsys.readouterr().err


def test_a_person_is_found_by_identifier_and_by_column(tickets):
    made = data.govern(tickets)
    assert data.rows_of(made, "mia@example.com").tolist() == [3, 100]
    assert data.rows_of(made, "customer=C-1003").tolist() == [3, 63, 123, 183]
    assert data.rows_of(made, "c-1003").tolist() == [3, 63, 123, 183]
    assert data.rows_of(made, "nobody@example.com").tolist() == []
    with pytest.raises(InputError):
        data.rows_of(made, "x")


def test_data_without_a_person_is_the_same_otherwise(tickets):
    made = data.govern(tickets)
    rows = data.rows_of(made, "customer=C-1003")
    less = data.without(made, rows)
    assert less.table.num_rows == 236
    texts = made.column("text")
    for part in made.parts:
        assert less.column("text", part) == [texts[row] for row in made.parts[part] if row not in rows]
    assert less.parents == (made.ref,)


def test_erasure_lists_and_marks_all_that_was_made_and_gives_data_to_go_on_with(tickets, capsys):
    made = savile.govern(tickets)
    model = savile.adapt(made, model="linear")
    report = Store.open().save(Report({"model": model.ref}, {}, (model.ref, made.ref)))
    assert main(["govern", "data", "--erase", "mia@example.com", "--json", "--dry-run"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert not acts("erase")
    assert main(["govern", made.ref, "--erase", "mia@example.com", "--json"]) == 0
    out = capsys.readouterr()
    said = json.loads(out.out)
    assert [(one["ref"], one["rows"]) for one in said["data"]] == [(made.ref, 2)]
    listed = {one["ref"] for one in said["derived"]}
    assert {model.ref, report.ref} <= listed
    assert {one["ref"] for one in planned["derived"]} == listed
    less = Store.open().load(said["data"][0]["now"])
    assert less.table.num_rows == 238
    for use in (lambda: savile.adapt(made, model="linear"), lambda: savile.serve(model, force=True)):
        with pytest.raises(RefusalError, match="asked to be erased"):
            use()
    assert savile.adapt(less, model="linear").parents == (less.ref,)
    assert "mia" not in Store.open().audit.path.read_text(encoding="utf-8") + out.out
    assert main(["govern", "data", "--erase", "mia@example.com"]) == 2


def test_a_passport_is_checked_against_the_rows(tickets, capsys):
    made = governed(tickets, purpose="support", labelling="two clerks, majority")
    assert main(["show", made.ref, "--passport", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["labelling"] == "two clerks, majority"
    assert said["sources"]["source"]["sha256"] == made.settings["sources"]["source"]["sha256"]
    assert all(check["passed"] for check in said["checks"])
    page, file = (open(path, encoding="utf-8").read() for path in said["pages"])  # noqa: SIM115, PTH123
    assert "Shop Ltd" in page
    assert json.loads(file)["digest"] == made.digest
    kept = data.prepare(tickets, Options(pii="keep"))
    failed = [check["check"] for check in data.passport(kept)["checks"] if not check["passed"]]
    assert any("personal data" in one for one in failed)
    assert any("rights" in one for one in failed)
    assert np.all([not part.size or part.max() < kept.table.num_rows for part in kept.parts.values()])
