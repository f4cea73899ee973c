"""Parquet, Excel, JSON in its many shapes, packed files, folders and patterns: each gives the table a csv would."""

import bz2
import datetime
import json
import lzma
import zipfile

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from savile import data
from savile.base.errors import DataError, UnknownNameError
from savile.data import Options, Reading, sources

TABLE = {"text": ["hello, world", "你好", "bye"], "n": ["1", "2", None], "label": ["a", "b", "a"]}


def book(path, **sheets):
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
    made.save(path)
    return path


def rules(source):
    return [finding.rule for finding in source.findings]


def test_parquet(tmp_path):
    table = pa.table(
        {"text": TABLE["text"], "n": pa.array([1, 2, None]), "label": pa.array(TABLE["label"]).dictionary_encode()}
    )
    pq.write_table(table, tmp_path / "t.parquet")
    source = sources.read(tmp_path / "t.parquet")
    assert source.table.to_pydict() == TABLE
    assert source.lines.tolist() == [1, 2, 3]


def test_parquet_of_every_type_reads_like_a_csv(tmp_path):
    day, moment = datetime.date(2024, 1, 31), datetime.datetime(2024, 1, 31, 8, 5, tzinfo=datetime.UTC)
    table = pa.table(
        {
            "real": [1.5, float("nan")],
            "whole": [3.0, 4.0],
            "yes": [True, None],
            "day": [day, day],
            "moment": [moment.replace(tzinfo=None)] * 2,
            "midnight": [datetime.datetime(2024, 1, 31)] * 2,
            "zone": [moment] * 2,
            "bytes": [b"\xff", b"\0"],
            "none": pa.nulls(2),
            "big": pa.array(["x", "y"], pa.large_string()),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    source = sources.read(tmp_path / "t.parquet")
    assert source.table.slice(0, 1).to_pylist() == [
        {
            **{"real": "1.5", "whole": "3", "yes": "true", "day": "2024-01-31", "moment": "2024-01-31 08:05:00"},
            **{"midnight": "2024-01-31", "zone": "2024-01-31 08:05:00+00:00", "none": None, "big": "x"},
        }
    ]
    assert source.table.column("real")[1].as_py() is None
    assert rules(source) == ["binary"]


def test_parquet_with_lists_and_objects(tmp_path):
    table = pa.table(
        {"text": ["a", "b"], "tags": [["x", "y"], []], "of": [{"who": "ann", "age": 3}, {"who": "bob", "age": None}]}
    )
    pq.write_table(table, tmp_path / "t.parquet")
    assert sources.read(tmp_path / "t.parquet").table.to_pydict() == {
        **{"text": ["a", "b"], "tags": ['["x", "y"]', "[]"]},
        **{"of.who": ["ann", "bob"], "of.age": ["3", None]},
    }


def test_excel(tmp_path):
    rows = [["text", "n", "label"], ["hello, world", 1, "a"], ["你好", 2.0, "b"], ["bye", None, "a"]]
    source = sources.read(book(tmp_path / "t.xlsx", Sheet1=rows))
    assert source.table.to_pydict() == TABLE
    assert source.lines.tolist() == [2, 3, 4]
    assert source.findings == ()


def test_excel_cells_read_like_a_csv(tmp_path):
    moment = datetime.datetime(2024, 1, 31, 8, 5)
    row = [1.25, True, datetime.date(2024, 1, 31), moment, datetime.time(8, 5), "#N/A", 12345678901234.0]
    source = sources.read(book(tmp_path / "t.xlsx", s=[list("abcdefg"), row, row]))
    assert list(source.table.slice(0, 1).to_pylist()[0].values()) == [
        *["1.25", "true", "2024-01-31", "2024-01-31 08:05:00", "08:05:00", None, "12345678901234"]
    ]


def test_excel_titles_groups_and_empty_columns(tmp_path):
    rows = [["Tickets of January"], [], ["who", None, "what", None], ["id", "name", "text", "label"]]
    rows += [[i, f"n{i}", f"where is parcel {i}", "ab"[i % 2], None] for i in range(9)]
    source = sources.read(book(tmp_path / "t.xlsx", s=rows))
    assert source.table.column_names == ["id", "name", "text", "label"]
    assert source.table.num_rows == 9
    assert source.lines[0] == 5
    assert rules(source) == ["layout"]


def test_a_header_of_two_lines_is_joined_where_names_repeat(tmp_path):
    rows = [["before", None, "after", None], ["text", "score", "text", "score"]]
    rows += [[f"it was bad {i}", i, f"it is good {i}", i * 2] for i in range(6)]
    source = sources.read(book(tmp_path / "t.xlsx", s=rows))
    assert source.table.column_names == ["before text", "before score", "after text", "after score"]


def test_the_sheet_is_found_or_asked_for(tmp_path):
    rows = [["text", "label"], *[[f"hello {i}", "ab"[i % 2]] for i in range(30)]]
    path = book(tmp_path / "t.xlsx", Notes=[["made in May"]], Tickets=rows, Empty=[])
    source = sources.read(path)
    assert source.table.num_rows == 30
    assert "'Tickets'" in source.findings[0].evidence
    path = book(tmp_path / "u.xlsx", May=rows, June=rows)
    with pytest.raises(DataError, match=r"May, June.*data\.read\.sheet='May'"):
        sources.read(path)
    assert sources.read(path, Reading(sheet="June")).table.num_rows == 30
    with pytest.raises(UnknownNameError, match="Did you mean 'June'"):
        sources.read(path, Reading(sheet="Jun"))


OBJECTS = [{"text": "hello", "label": "a"}, {"text": "bye", "label": "b"}]
SHAPES = {
    "a list": (OBJECTS, {}),
    "a list under a key": ({"version": 2, "data": OBJECTS}, {}),
    "columns": ({"text": ["hello", "bye"], "label": ["a", "b"]}, {}),
    "columns by row number": ({"text": {"0": "hello", "1": "bye"}, "label": {"0": "a", "1": "b"}}, {}),
    "rows by their key": ({"k1": OBJECTS[0], "k2": OBJECTS[1]}, {"key": ["k1", "k2"]}),
    "lists": ([["text", "label"], ["hello", "a"], ["bye", "b"]], {}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_json_of_many_shapes(tmp_path, shape):
    value, more = SHAPES[shape]
    for name, indent in (("t.json", None), ("u.json", 2)):
        (tmp_path / name).write_text(json.dumps(value, indent=indent), encoding="utf-8")
        assert sources.read(tmp_path / name).table.to_pydict() == {**more, "text": ["hello", "bye"], "label": ["a", "b"]}


def test_lines_and_documents_are_told_apart_whatever_they_are_called(tmp_path):
    (tmp_path / "t.json").write_text("\n".join(map(json.dumps, OBJECTS)), encoding="utf-8")
    (tmp_path / "t.jsonl").write_text(json.dumps(OBJECTS, indent=1), encoding="utf-8")
    (tmp_path / "u.jsonl").write_text(json.dumps(OBJECTS), encoding="utf-8")
    for name in ("t.json", "t.jsonl", "u.jsonl"):
        assert sources.read(tmp_path / name).table.to_pydict() == {"text": ["hello", "bye"], "label": ["a", "b"]}


def test_small_objects_inside_rows_become_columns(tmp_path):
    rows = [{"id": 1, "text": {"context": "a", "statement": "b"}, "votes": {}}]
    (tmp_path / "t.jsonl").write_text(json.dumps(rows[0]), encoding="utf-8")
    assert sources.read(tmp_path / "t.jsonl").table.to_pydict() == {
        **{"id": ["1"], "text.context": ["a"], "text.statement": ["b"], "votes": ["{}"]}
    }


def test_small_objects_inside_them_do_too_but_for_deep_ones_and_those_with_lists(tmp_path):
    deep = {"a": {"b": {"c": {"d": {"e": {"f": "1"}}}}}}
    row = {"by": {"name": "Mia", "at": {"zip": "01", "geo": {}}}, "said": {"text": "hi", "tags": ["a"]}, "deep": deep}
    (tmp_path / "t.jsonl").write_text(json.dumps(row), encoding="utf-8")
    assert sources.read(tmp_path / "t.jsonl").table.to_pydict() == {
        **{"by.name": ["Mia"], "by.at.zip": ["01"]},
        **{"said": ['{"text": "hi", "tags": ["a"]}'], "deep": [json.dumps(deep)]},
    }


def test_parts_in_one_document_are_refused(tmp_path):
    (tmp_path / "t.json").write_text(json.dumps({"train": OBJECTS, "test": OBJECTS}), encoding="utf-8")
    with pytest.raises(DataError, match="train, test in it"):
        sources.read(tmp_path / "t.json")


@pytest.mark.parametrize("packing", ["bz2", "xz", "zip"])
def test_packed_files(tmp_path, packing):
    raw, path = b"text,label\nhello,a\nbye,b\n", tmp_path / f"t.csv.{packing}"
    if packing == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("__MACOSX/._t.csv", b"junk")
            archive.writestr("t.csv", raw)
    else:
        path.write_bytes({"bz2": bz2, "xz": lzma}[packing].compress(raw))
    assert sources.read(path).table.to_pydict() == {"text": ["hello", "bye"], "label": ["a", "b"]}
    assert sources.stem(path) == "t"


def test_a_zip_of_any_name_is_read_by_what_is_in_it(tmp_path):
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("out/tickets.jsonl", "\n".join(map(json.dumps, OBJECTS)))
    assert sources.read(tmp_path / "export.zip").table.num_rows == 2
    assert sources.stem(tmp_path / "export.zip") == "export"


def test_a_folder_is_all_its_data_files(tmp_path, sentences, home):
    folder = tmp_path / "tickets"
    folder.mkdir()
    texts = sentences(60)
    for month in range(3):
        rows = [f"{text},{'ab'[i % 2]}" for i, text in enumerate(texts[month * 20 : month * 20 + 20])]
        (folder / f"m{month}.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    (folder / "README.md").write_text("about", encoding="utf-8")
    source = sources.read(folder)
    assert source.table.num_rows == 60
    assert source.names == ("m0.csv", "m1.csv", "m2.csv")
    made = data.govern(folder)
    assert made.name == "tickets"
    assert data.govern(tmp_path / "tickets" / "m[01].csv").table.num_rows == 40
    (folder / "m1.csv").write_text("text,label\n" + "\n".join([f"{text}," for text in texts[:20]]), encoding="utf-8")
    with pytest.raises(DataError, match=r"m1\.csv lines 2, 3, 4"):
        data.inspect(folder)


def test_files_with_other_columns(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\nhello,a\n", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"label": "b", "text": "bye", "extra": "1"}', encoding="utf-8")
    source = sources.read(tmp_path)
    assert source.table.to_pydict() == {"text": ["hello", "bye"], "label": ["a", "b"], "extra": [None, "1"]}
    assert rules(source) == ["columns_differ"]
    (tmp_path / "c.csv").write_text("sku,price\nx,1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"c\.csv with price, sku"):
        sources.read(tmp_path)


def test_a_folder_for_each_label(tmp_path, home, sentences):
    texts = sentences(40)
    for i, text in enumerate(texts):
        folder = tmp_path / "reviews" / ["good", "bad"][i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i}.txt").write_text(text, encoding="utf-16" if i == 5 else "utf-8")
    made = data.govern(tmp_path / "reviews")
    assert made.labels == ("bad", "good")
    assert set(made.table.column("text").to_pylist()) == set(texts)


def test_training_and_test_files_are_not_thrown_together(tmp_path):
    for name in ("train.csv", "test.csv"):
        (tmp_path / name).write_text("text,label\nhello,a\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"train\.csv --test .*test\.csv"):
        sources.read(tmp_path)


def test_the_test_file_may_be_of_another_format(tmp_path, sentences, home):
    texts = sentences(80)
    rows = [["text", "label"], *[[text, "ab"[i % 2]] for i, text in enumerate(texts[:60])]]
    train = book(tmp_path / "train.xlsx", s=rows)
    test = pa.table({"text": texts[60:], "label": ["a", "b"] * 10})
    pq.write_table(test, tmp_path / "test.parquet")
    made = data.prepare(train, Options(test=tmp_path / "test.parquet"))
    assert len(made.parts["test"]) == 20
    assert made.table.column("text").take(made.parts["test"]).to_pylist() == texts[60:]
