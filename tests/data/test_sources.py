"""Files come in as written, cell by cell, or are refused in one clear sentence that names the place."""

import csv
import gzip
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from savile.base.errors import DataError
from savile.base.records import digest
from savile.data import sources

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=12)


@settings(deadline=None)
@given(st.lists(st.tuples(CELLS.map(lambda cell: cell + "."), CELLS), min_size=1, max_size=8), st.sampled_from(",;\t|"))
def test_csv_comes_in_as_written(tmp_path_factory, rows, delimiter):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([("text", "label"), *rows, *[("plain", "x")] * 3])
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    table = sources.read(path).table
    assert table.column_names == ["text", "label"]
    assert list(zip(*table.to_pydict().values(), strict=True))[: len(rows)] == rows


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.one_of(CELLS, st.none()), min_size=1), min_size=1, max_size=8))
def test_jsonl_comes_in_as_written(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("jsonl") / "t.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    source = sources.read(path)
    columns = source.table.to_pydict()
    assert [{name: columns[name][i] for name in columns if columns[name][i] is not None} for i in range(len(rows))] == [
        {name: value for name, value in row.items() if value is not None} for row in rows
    ]
    assert source.lines.tolist() == list(range(1, len(rows) + 1))


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv", "t.tsv.gz", "t.jsonl", "t.jsonl.gz", "T.CSV"])
def test_every_format_gives_the_same_table(tmp_path, name):
    rows = [("hello, world", "a"), ("你好", "b")]
    if "json" in name:
        text = "\n".join(json.dumps({"text": first, "label": second}) for first, second in rows)
    else:
        out = io.StringIO()
        csv.writer(out, delimiter="\t" if "tsv" in name else ",").writerows([("text", "label"), *rows])
        text = out.getvalue()
    raw = text.encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
    source = sources.read(path)
    assert source.table.to_pydict() == {"text": ["hello, world", "你好"], "label": ["a", "b"]}
    assert source.sha256 == digest(path.read_bytes())
    assert sources.stem(path) in ("t", "T")


def test_byte_order_mark_blank_lines_and_windows_line_ends_are_tolerated(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbftext,label\r\n\r\nhello,a\r\n\r\nbye,b\r\n")
    source = sources.read(path)
    assert source.table.to_pydict() == {"text": ["hello", "bye"], "label": ["a", "b"]}
    assert source.lines.tolist() == [3, 5]


def test_a_row_keeps_the_line_it_starts_on(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('text,label\n"two\nlines",a\nthen,b\n', encoding="utf-8")
    assert sources.read(path).lines.tolist() == [2, 4]


def test_nothing_is_typed_on_the_way_in(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": 1.50, "b": true, "c": null, "d": [1, "x"], "e": "007", "f": "\\ud800"}', encoding="utf-8")
    assert sources.read(path).table.to_pylist() == [
        {"a": "1.50", "b": "true", "c": None, "d": '["1", "x"]', "e": "007", "f": "?"}
    ]


def test_tsv_with_lone_quotes_reads_them_as_plain_characters(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text('text\tlabel\n"so he said\ta\n5" disk\tb\n', encoding="utf-8")
    assert sources.read(path).table.to_pydict() == {"text": ['"so he said', '5" disk'], "label": ["a", "b"]}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_even_when_cells_hold_others(tmp_path, delimiter):
    path = tmp_path / "t.csv"
    lines = [delimiter.join(["text", "label", "n"]), *(delimiter.join(["one. two: three", "x", str(i)]) for i in range(9))]
    if delimiter != ",":
        lines = [line.replace(". ", ", ") for line in lines]
    path.write_text("\n".join(lines), encoding="utf-8")
    assert sources.read(path).table.column_names == ["text", "label", "n"]


def test_a_single_column_is_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("text\nhello\nworld\n", encoding="utf-8")
    assert sources.read(path).table.to_pydict() == {"text": ["hello", "world"]}


def test_a_nameless_column_is_named_by_its_place(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(",text\n0,hello\n", encoding="utf-8")
    assert sources.read(path).table.column_names == ["column 1", "text"]


GOOD = b"text,label\nhello,a\nbye,b\n"
BAD = {
    "empty file": ("t.csv", b"", "empty"),
    "white space only": ("t.csv", b" \n\n", "empty"),
    "header only": ("t.csv", b"text,label\n", "header only"),
    "excel": ("t.csv", b"PK\x03\x04rest", "Excel"),
    "parquet under another name": ("t.csv", b"PAR1rest", "Parquet"),
    "binary junk": ("t.csv", GOOD + b"\0\1\2", "binary content in line 4"),
    "too many cells": ("t.csv", GOOD + b"one,two,three\n", "3 in line 4"),
    "too few cells": ("t.csv", b"text,label\nhello,a\nalone\n", "1 in line 3"),
    "open quote": ("t.csv", GOOD + b'"never closed,c\nmore,d\n', "line 4"),
    "duplicate columns": ("t.csv", b"text,label,text\na,b,c\n", "text more than once"),
    "bad json": ("t.jsonl", b'{"text": "a"}\n{"text": \n', "line 2"),
    "json list": ("t.jsonl", b'{"text": "a"}\n[1, 2]\n', "list in line 2"),
    "json without columns": ("t.jsonl", b"{}\n{}\n", "nothing in it"),
    "cut gzip": ("t.csv.gz", gzip.compress(GOOD * 200)[:-20], "cut short"),
    "no gzip": ("t.csv.gz", GOOD, "damaged or not gzip"),
    "gzip under another name": ("t.csv", gzip.compress(GOOD), "gzip file under another name"),
    "unknown format": ("t.docx", b"PK\x03\x04", r"\.csv, .*CSV"),
    "old excel": ("t.xls", b"\xd0\xcf\x11\xe0", "spreadsheet"),
    "pickle": ("t.pkl", b"\x80\x04", "run programs"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_refused_with_the_place(tmp_path, case):
    name, raw, said = BAD[case]
    path = tmp_path / name
    path.write_bytes(raw)
    with pytest.raises(DataError, match=said) as caught:
        sources.read(path)
    assert caught.value.exit_code == 2
    assert caught.value.do


def test_no_message_repeats_what_a_row_says(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(GOOD + b"ann@example.com,a,b\n")
    with pytest.raises(DataError) as caught:
        sources.read(path)
    assert "ann@" not in str(caught.value)


def test_a_missing_file_names_its_nearest_neighbour(tmp_path):
    (tmp_path / "tickets.csv").write_bytes(GOOD)
    with pytest.raises(DataError, match=r"Did you mean .*tickets\.csv"):
        sources.read(tmp_path / "tickts.csv")
    with pytest.raises(DataError, match="folder does not exist"):
        sources.read(tmp_path / "nowhere" / "tickets.csv")


def test_a_stray_quote_in_a_tsv_swallows_no_rows(tmp_path):
    lines = [f"text number {i}\tl{i % 2}" for i in range(40)]
    lines[5], lines[9] = '"hello there\tl0', 'and I end here"\tl1'
    path = tmp_path / "quotes.tsv"
    path.write_text("text\tlabel\n" + "\n".join(lines) + "\n")
    assert sources.read(path).table.num_rows == 40
