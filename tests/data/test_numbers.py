"""Numbers of other countries and spreadsheets are read as what they say; codes and telephone numbers are left alone."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from savile import data
from savile.data import _numbers

SPELT = {
    "decimal commas": (["1.234,56", "7", "-0,5"], ["1234.56", "7", "-0.5"]),
    "decimal commas alone": (["1,5", "12,25", "3"], ["1.5", "12.25", "3"]),
    "three decimals": (["0,125", "1,250"], ["0.125", "1.250"]),
    "commas between thousands": (["1,234.56", "7", "12,000"], ["1234.56", "7", "12000"]),
    "thousands only": (["1,234", "12,000"], ["1234", "12000"]),
    "spaces": (["1 234,56", "7", "12\u202f000,10"], ["1234.56", "7", "12000.10"]),
    "per cent": (["12%", "7 %"], ["12", "7"]),
    "euros": (["€ 3,50", "12,00 €"], ["3.50", "12.00"]),
    "dollars": (["$1,234.50", "$7"], ["1234.50", "7"]),
    "brackets": (["(1,200.50)", "3"], ["-1200.50", "3"]),
}


@pytest.mark.parametrize("case", SPELT)
def test_spellings(case):
    written, meant = SPELT[case]
    found, said = _numbers.plain(pa.array([*written, None]))
    assert found.to_pylist() == [*meant, None]
    assert said


@pytest.mark.parametrize(
    "cells",
    [
        ["1", "2.5"],
        ["007", "1,234"],
        ["31.01.2024", "01.02.2024"],
        ["555 123 456", "555 123 457"],
        ["1,2", "3,4", "a"],
        ["v1.2", "v1.3"],
        ["10%", "unknown"],
        ["", "EUR"],
        ["1.2.3", "1.2.4"],
    ],
)
def test_others_are_left_alone(cells):
    assert _numbers.plain(pa.array(cells)) == (pa.array(cells), "")


@settings(deadline=None)
@given(st.lists(st.decimals(-(10**6), 10**6, places=2), min_size=1, max_size=9))
def test_a_number_means_the_same_in_any_country(numbers):
    plain = [f"{number:.2f}" for number in [*numbers, 1234567.25]]
    grouped = [f"{number:,.2f}" for number in [*numbers, 1234567.25]]
    german = [text.translate(str.maketrans(",.", ".,")) for text in grouped]
    assert _numbers.plain(pa.array(grouped))[0].to_pylist() == plain
    assert _numbers.plain(pa.array(german))[0].to_pylist() == plain


def test_a_table_from_germany(tmp_path, sentences):
    rows = [f"{text};{i},5;1.{i:03d},25 €;{'ab'[i % 2]}" for i, text in enumerate(sentences(60))]
    (tmp_path / "t.csv").write_text("\n".join(["text;Anzahl;Preis;label", *rows]), encoding="cp1252")
    seen = data.inspect(tmp_path / "t.csv")
    assert {column.name: column.kind for column in seen.columns} == {
        **dict.fromkeys(("Anzahl", "Preis"), "real"),
        "text": "string",
        "label": "string",
    }
    assert {finding.rule for finding in seen.findings} >= {"encoding", "delimiter", "number_format"}
