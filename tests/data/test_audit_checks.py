"""The audit: what single columns, pairs, the order of rows and a second file show; and what is left alone."""

import numpy as np
import pyarrow as pa
import pytest

from savile.data import _audit, _audit_checks
from savile.data._audit_page import html


def audited(columns, **asked):
    table = pa.table({name: [str(value) for value in values] for name, values in columns.items()})
    return _audit.audit("rows", table, _audit.Asked(rights=True, **asked))


def rules(found):
    return {issue.rule for issue in found.issues}


def hours(count, skip=(), again=()):
    days = np.datetime64("2024-01-01T00:00") + np.arange(count).astype("timedelta64[h]")
    kept = [str(day).replace("T", " ") + ":00" for place, day in enumerate(days) if place not in skip]
    return kept + [kept[place] for place in again]


def test_gaps_repeats_and_empty_tail_of_a_series_are_told_and_negative_prices_are_no_error():
    times = hours(400, skip=(50, 51, 52), again=(300,))
    rng = np.random.default_rng(0)
    prices = [f"{price:.3f}" for price in rng.normal(5, 6, len(times))]
    prices[-10:] = [""] * 10
    found = audited({"time": times, "price": prices})
    evidence = {issue.rule: issue.evidence for issue in found.issues}
    assert "3 steps of 1 hour are" in evidence["series_gap"]
    assert evidence["series_repeat"].startswith("1 time of 'time' occurs")
    assert "10 of them in a row at the end" in evidence["blank_number"]
    assert "not an error" in evidence["negative_values"]
    assert "coded_missing" not in evidence


def test_codes_below_zero_are_kinds_of_missing():
    rng = np.random.default_rng(0)
    amounts = rng.integers(0, 300, 500)
    amounts[:60] = rng.choice([-7, -8, -9], 60)
    found = next(issue for issue in audited({"amount": amounts}).issues if issue.rule == "coded_missing")
    assert len(found.rows) == 60


def test_rows_of_another_source_at_the_end_are_told_and_a_file_of_one_source_is_not():
    rng = np.random.default_rng(1)
    own = [" ".join(rng.choice(["the", "bank", "card", "lost", "my"], rng.integers(6, 12))) for _ in range(900)]
    other = [f"{text.title()}, 12.5 % in 2019: see https://t.co/{i}" for i, text in enumerate(own[:150])]
    assert "source_shift" not in rules(audited({"text": own}))
    found = next(issue for issue in audited({"text": own + other}).issues if issue.rule == "source_shift")
    assert abs(int(found.rows[0]) - 900) <= 40


def test_leakage_and_a_column_that_tells_the_label():
    rng = np.random.default_rng(2)
    labels = rng.choice(["yes", "no"], 400)
    texts = [f"question number {1000 + i} about an order" for i in range(400)]
    test = pa.table({"text": [*texts[:30], *(f"another one {i} of its own" for i in range(70))]})
    score = [f"{(0.9 if label == 'yes' else 0.1) + rng.normal(0, 0.01):.4f}" for label in labels]
    found = audited({"text": texts, "score": score, "label": labels}, test=test, label="label")
    evidence = {issue.rule: issue.evidence for issue in found.issues}
    assert "30 of 100 test rows" in evidence["leakage"]
    assert "'score' alone tells 'label'" in evidence["target_leak"]
    assert found.issues[0].rule in ("leakage", "target_leak")


def test_a_day_that_tells_a_holiday_is_a_calendar_and_no_leak():
    days = [str(np.datetime64("2024-01-01") + day) for day in range(60) for _ in range(8)]
    holidays = [str(int(day[8:] in ("01", "06"))) for day in days]
    assert "target_leak" not in rules(audited({"day": days, "label": holidays}, label="label"))
    codes = [f"code {day}" for day in days]
    assert "target_leak" in rules(audited({"day": codes, "label": holidays}, label="label"))


def test_versions_tell_form_from_value():
    new = pa.table({"zip": ["01907", "66049", "10115"], "rate": ["6.0", "5.3", "7.1"]})
    old = pa.table({"zip": ["1907", "66049", "10115"], "rate": ["6", "5.3", "7.2"]})
    found = {(issue.rule, issue.column): len(issue.rows) for issue in _audit_checks.versions(new, old)}
    assert found == {("format_drift", "zip"): 1, ("format_drift", "rate"): 1, ("changed_value", "rate"): 1}


@pytest.mark.parametrize(
    ("one", "other"), [("01907", "1907"), ("0.0", "0"), ("1,200", "1200"), (" Oslo", "oslo"), ("5", "5.00")]
)
def test_forms_of_one_value_are_equal(one, other):
    assert _audit_checks.canonical(one) == _audit_checks.canonical(other)


def test_the_page_shows_no_personal_data_and_fetches_nothing():
    columns = {"note": ["write to ann.lee@example.com please"] * 3 + ["nothing here"] * 40}
    found = audited(columns)
    table = pa.table(columns)
    shown = html(found, table)
    assert "personal_email" in rules(found)
    assert "ann.lee@example.com" not in shown
    assert "http://" not in shown.replace("http://www.w3.org", "")


def test_codes_of_one_width_have_no_drift_of_form():
    ids = [f"{i:017d}{'X' if i % 10 == 0 else i % 10}" for i in range(10**16, 10**16 + 200)]
    zips = [f"{i * 499:05d}" for i in range(200)]
    assert "format_drift" not in rules(audited({"id": ids, "zip": zips}))
    cut = [code.lstrip("0") if i % 2 else code for i, code in enumerate(zips, 0)]
    assert "format_drift" in rules(audited({"zip": cut}))
    assert "format_drift" in rules(audited({"weight": [f"{i}" if i % 9 else f"{i} kg" for i in range(200)]}))


def test_many_names_of_one_distribution_are_no_shift_over_time():
    days = [str(np.datetime64("2024-01-01") + np.timedelta64(day, "D")) for day in range(600)]
    found = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        names = rng.choice([f"name {number}" for number in range(35)], 600)
        found += "time_shift" in rules(audited({"day": days, "customer": names}))
        names[400:] = rng.choice([f"name {number}" for number in range(12)], 200)
        assert "time_shift" in rules(audited({"day": days, "customer": names}))
    assert not found


def test_one_number_below_zero_is_doubted_and_many_are_nothing_to_tell():
    rng = np.random.default_rng(0)
    weights = [f"{weight:.1f}" for weight in rng.gamma(2, 3, 500) + 0.1]
    found = audited({"weight": [*weights, "-3.0"], "change": rng.normal(size=501).round(3)})
    told = [issue for issue in found.issues if issue.rule == "negative_values"]
    assert [issue.evidence for issue in told] == [
        "1 number of 'weight' is below 0, where the others are not: look whether that can be."
    ]


def test_a_form_as_seldom_as_the_odd_ones_is_odd_too():
    prices = [f"{price // 100},{price % 100:02d}" for price in range(1000, 1998)]
    found = next(issue for issue in audited({"price": [*prices, "12.5", "1.234,56"]}).issues if issue.rule == "odd_format")
    assert found.evidence.startswith("2 values of 'price' do not have the form '9,9': ")
    assert found.rows.tolist() == [998, 999]


def test_a_repair_made_in_many_cells_is_shown_once():
    changes = [_audit.Change(row, "city", "Pairs", "Paris", 0.9, "") for row in range(5)]
    assert _audit._shown(changes) == "'Pairs' → 'Paris'"
    assert _audit._shown([*changes, _audit.Change(9, "city", "Rmoe", "Rome", 0.9, "")]) == "'Pairs' → 'Paris', 'Rmoe' → 'Rome'"
