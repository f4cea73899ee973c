"""Files that cannot be used, in every format: one clear message, the right exit code, nothing half-written."""

import bz2
import gzip
import io
import json
import lzma
import os
import sqlite3
import zipfile

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from answered import GOOD, ROWS, Table, file, hold

CASES = Table()
case = CASES.case
OBJECTS = [{"text": text, "label": label} for text, label in ROWS]
LINES = "\n".join(map(json.dumps, OBJECTS))


def parquet(table=None):
    made = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(OBJECTS) if table is None else table, made)
    return made.getvalue()


def book(**sheets):
    made, out = openpyxl.Workbook(), io.BytesIO()
    made.remove(made.active)
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
    made.save(out)
    return out.getvalue()


def table():
    return [["text", "label"], *map(list, ROWS)]


def rewritten(archive, place, value):
    """A zip archive of one file with another byte at a place of its header, and of the entry in the list at the end."""
    changed = bytearray(archive)
    changed[place] = value
    changed[archive.index(b"PK\x01\x02") + place + 2] = value
    return bytes(changed)


def zipped(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return out.getvalue()


# paths


@case("data", 2, "no file at", "Did you mean", "tickets.csv")
def wrong_path(folder):
    file(folder, GOOD)
    return ["run", str(folder / "tickts.csv")]


@case("data", 2, "no file at", "that folder does not exist")
def wrong_folder(folder):
    return ["run", str(folder / "nowhere" / "tickets.csv")]


@case("data", 2, "a folder with data files", "nothing in it")
def an_empty_folder(folder):
    (folder / "inside").mkdir()
    return ["run", str(folder / "inside")]


@case("data", 2, "a folder with data files", "notes.md")
def a_folder_without_data(folder):
    (folder / "inside").mkdir()
    file(folder / "inside", "about", "notes.md")
    return ["run", str(folder / "inside")]


@case("data", 2, "the same columns", "which no other file has")
def a_folder_of_unrelated_files(folder):
    (folder / "inside").mkdir()
    file(folder / "inside", GOOD, "a.csv")
    file(folder / "inside", "sku,price\nx,1\n", "b.csv")
    return ["run", str(folder / "inside")]


@case("data", 2, "rows of one kind", "train.csv --test ")
def a_folder_with_train_and_test(folder):
    (folder / "inside").mkdir()
    file(folder / "inside", GOOD, "train.csv")
    file(folder / "inside", GOOD, "test.csv")
    return ["run", str(folder / "inside")]


@case("data", 2, "rows of one kind", "train and test")
def folders_of_train_and_test(folder):
    for name in ("train", "test"):
        (folder / "inside" / name).mkdir(parents=True)
        file(folder / "inside" / name, GOOD)
    return ["run", str(folder / "inside")]


@case("data", 2, "rows of data", "empty files only")
def a_folder_of_empty_texts(folder):
    for name in ("good", "bad"):
        (folder / "inside" / name).mkdir(parents=True)
        file(folder / "inside" / name, "", "1.txt")
    return ["run", str(folder / "inside")]


@case("data", 2, "none that fits", "Check the pattern")
def a_pattern_without_files(folder):
    file(folder, GOOD)
    return ["run", str(folder / "orders-*.csv")]


@case("data", 2, "ends in .csv", "notes.md")
def another_kind_of_file(folder):
    return ["run", file(folder, GOOD, "notes.md")]


@case("data", 2, "save it as .xlsx")
def an_old_workbook(folder):
    return ["run", file(folder, b"\xd0\xcf\x11\xe0rest", "tickets.xls")]


@case("data", 2, "run programs when it is read")
def a_pickle(folder):
    return ["run", file(folder, b"\x80\x04}.", "tickets.pkl")]


@case("data", 2, "a table", "a text file")
def a_lone_text(folder):
    return ["run", file(folder, "please cancel my order", "note.txt")]


@case("data", 2, "neither a file nor a folder")
def a_pipe(folder):
    os.mkfifo(folder / "tickets.csv")
    return ["run", str(folder / "tickets.csv")]


@case("data", 2, "no file at", "test.csv")
def a_missing_test_file(folder):
    return ["run", file(folder, GOOD), "--test", str(folder / "test.csv")]


@case("data", 2, "the label column 'label' in both files", "nothing of it in new.jsonl")
def a_test_file_without_labels(folder):
    return ["run", file(folder, GOOD), "--test", file(folder, '{"text": "hello"}', "new.jsonl")]


# encodings


@case("data", 2, "which is empty")
def empty_file(folder):
    return ["run", file(folder, "")]


@case("data", 2, "which is empty")
def only_white_space(folder):
    return ["run", file(folder, " \n\n \n")]


@case("data", 2, "binary content in line 2")
def binary_file(folder):
    return ["run", file(folder, b"text,label\n\x00\x01\x02\x03,a\n")]


@case("data", 2, "an SQLite database")
def a_database_under_another_name(folder):
    with sqlite3.connect(folder / "tickets.csv") as base:
        base.execute("CREATE TABLE t (a)")
    return ["run", str(folder / "tickets.csv")]


@case("data", 2, "a zip archive or an Excel workbook")
def a_workbook_under_another_name(folder):
    return ["run", file(folder, book(s=table()))]


@case("data", 2, "a gzip file under another name")
def gzip_under_another_name(folder):
    return ["run", file(folder, gzip.compress(GOOD.encode()))]


@case("data", 2, "might be", "data.read.encoding=")
def an_encoding_nobody_can_tell(folder):
    return ["run", file(folder, b"text,label\n" + b"\xe4\xf6\xfc\xdf\xe4,a\n\xf6\xe4\xfc\xdf\xfc,b\n" * 12)]


@case("data", 2, "UTF-8 but for line 20")
def a_line_in_another_encoding(folder):
    lines = [f"schöne Grüße {i},{'ab'[i % 2]}".encode() for i in range(40)]
    lines[18] = "schöne Grüße,a".encode("cp1252")
    return ["run", file(folder, b"\n".join([b"text,label", *lines]))]


@case("input", 2, "a known encoding", "klingon")
def an_encoding_that_does_not_exist(folder):
    return ["run", file(folder, GOOD), "--set", "data.read.encoding=klingon"]


@case("data", 2, "not utf-8 soon after line 1")
def the_wrong_encoding_named(folder):
    return ["run", file(folder, GOOD.replace("parcel", "包裹").encode("gb18030")), "--set", "data.read.encoding=utf-8"]


@case("data", 2, "not utf-16")
def utf16_cut_in_the_middle(folder):
    return ["run", file(folder, GOOD.encode("utf-16")[:-1])]


# csv and tsv


@case("data", 2, "a header only")
def header_only(folder):
    return ["run", file(folder, "text,label\n")]


@case("data", 2, "3 in line 4")
def ragged_csv(folder):
    lines = GOOD.splitlines()
    return ["run", file(folder, "\n".join([*lines[:3], f"{lines[3]},more", *lines[4:]]))]


@case("data", 2, "1 in line 6 of tickets.tsv")
def ragged_tsv(folder):
    lines = GOOD.replace('"', "").replace(", it", " it").replace(",", "\t").splitlines()
    return ["run", file(folder, "\n".join([*lines[:5], "alone", *lines[5:]]), "tickets.tsv")]


@case("data", 2, "quotes that pair up", "line 25")
def an_open_quote(folder):
    return ["run", file(folder, GOOD.rstrip()[: -len('",status')] + ",status\n")]


@case("data", 2, "column names that differ", "text more than once")
def doubled_columns(folder):
    return ["run", file(folder, GOOD.replace("text,label", "text,text"))]


@case("input", 2, "a delimiter of one character")
def a_delimiter_of_two_characters(folder):
    return ["run", file(folder, GOOD), "--set", "data.read.delimiter='::'"]


@case("recipe", 2, "data.read.header", "boolean")
def a_header_that_is_neither(folder):
    return ["run", file(folder, GOOD), "--set", "data.read.header=perhaps"]


@case("data", 2, "at least 10 rows")
def too_few_rows(folder):
    return ["run", file(folder, "\n".join(GOOD.splitlines()[:6]))]


# JSON


@case("data", 2, "line 2")
def broken_jsonl_line(folder):
    lines = LINES.splitlines()
    return ["run", file(folder, "\n".join([lines[0], lines[1][:-3], *lines[2:]]), "tickets.jsonl")]


@case("data", 2, "one JSON object a line", "a list in line 3")
def a_list_among_json_lines(folder):
    lines = LINES.splitlines()
    return ["run", file(folder, "\n".join([*lines[:2], "[1, 2]", *lines[2:]]), "tickets.jsonl")]


@case("data", 2, "nested too deeply")
def json_nested_too_deeply(folder):
    return ["run", file(folder, '{"a": ' + "[" * 100_000, "tickets.jsonl")]


@case("data", 2, "a JSON document", "line ")
def a_cut_json_document(folder):
    return ["run", file(folder, json.dumps(OBJECTS, indent=1)[:-40], "tickets.json")]


@case("data", 2, "a list of objects", "an empty list")
def an_empty_json_list(folder):
    return ["run", file(folder, "[]", "tickets.json")]


@case("data", 2, "a list of objects", "a list of other things")
def a_json_list_of_words(folder):
    return ["run", file(folder, '["a", "b"]', "tickets.json")]


@case("data", 2, "one table", "train, test")
def parts_in_one_json_document(folder):
    return ["run", file(folder, json.dumps({"train": OBJECTS, "test": OBJECTS}), "tickets.json")]


@case("data", 2, "rows of data", "nothing in it")
def json_objects_without_keys(folder):
    return ["run", file(folder, "{}\n{}\n", "tickets.jsonl")]


@case("data", 2, "one row only of Dear customer 0", "task answer")
def free_answers_taken_for_labels(folder):
    rows = [
        {"instruction": "Answer.", "input": text, "output": f"Dear customer {i}, {text}"} for i, (text, _) in enumerate(ROWS)
    ]
    return ["run", file(folder, json.dumps(rows), "alpaca.json"), "--task", "classify"]


@case("input", 2, "chosen and rejected")
def preferences(folder):
    rows = [{"prompt": text, "chosen": f"yes {text}", "rejected": "no"} for text, _ in ROWS]
    return ["run", file(folder, json.dumps(rows), "pairs.json")]


# Parquet


@case("data", 2, "a whole Parquet file", "cut short")
def a_cut_parquet_file(folder):
    return ["run", file(folder, parquet()[:-30], "tickets.parquet")]


@case("data", 2, "a whole Parquet file")
def no_parquet_file(folder):
    return ["run", file(folder, GOOD, "tickets.parquet")]


@case("data", 2, "which is empty")
def an_empty_parquet_file(folder):
    return ["run", file(folder, b"", "tickets.parquet")]


@case("data", 2, "rows of data", "a header only")
def parquet_without_rows(folder):
    return [
        "run",
        file(folder, parquet(pa.table({"text": pa.array([], pa.string()), "label": pa.array([], pa.string())})), "t.parquet"),
    ]


@case("unknown_name", 2, "Did you mean 'label'")
def a_column_parquet_lacks(folder):
    return ["run", file(folder, parquet(), "tickets.parquet"), "--label", "labels"]


# Excel


@case("data", 2, "a whole Excel workbook", "damaged or none at all")
def a_cut_workbook(folder):
    return ["run", file(folder, book(s=table())[:-200], "tickets.xlsx")]


@case("data", 2, "a whole Excel workbook")
def a_zip_that_is_no_workbook(folder):
    return ["run", file(folder, zipped(a_txt="hello"), "tickets.xlsx")]


@case("data", 2, "which has a password")
def a_workbook_with_a_password(folder):
    return ["run", file(folder, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "tickets.xlsx")]


@case("data", 2, "one sheet", "May, June", "data.read.sheet='May'")
def a_workbook_with_two_sheets(folder):
    return ["run", file(folder, book(May=table(), June=table()), "tickets.xlsx")]


@case("unknown_name", 2, "a sheet among", "Did you mean 'Tickets'")
def a_sheet_that_is_not_there(folder):
    return ["run", file(folder, book(Tickets=table()), "tickets.xlsx"), "--set", "data.read.sheet=Ticket"]


@case("data", 2, "without any in a visible sheet")
def a_workbook_without_cells(folder):
    return ["run", file(folder, book(s=[]), "tickets.xlsx")]


@case("data", 2, "rows of data", "a header only")
def a_workbook_with_a_header_only(folder):
    return ["run", file(folder, book(s=[["text", "label"]]), "tickets.xlsx")]


# packed files


@case("data", 2, "a whole gzip file", "cut short")
def broken_gzip(folder):
    return ["run", file(folder, gzip.compress(GOOD.encode())[:-20], "tickets.csv.gz")]


@case("data", 2, "a whole gzip file", "damaged or not gzip")
def no_gzip(folder):
    return ["run", file(folder, GOOD, "tickets.csv.gz")]


@case("data", 2, "a whole bz2 file", "cut short")
def broken_bz2(folder):
    return ["run", file(folder, bz2.compress(GOOD.encode())[:-20], "tickets.csv.bz2")]


@case("data", 2, "a whole xz file", "cut short")
def broken_xz(folder):
    return ["run", file(folder, lzma.compress(GOOD.encode())[:-20], "tickets.jsonl.xz")]


@case("data", 2, "a whole zip file")
def broken_zip(folder):
    return ["run", file(folder, zipped(t_csv=GOOD)[:-20], "tickets.zip")]


@case("data", 2, "tickets.zip, which has a password")
def a_zip_with_a_password(folder):
    return ["run", file(folder, rewritten(zipped(t_csv=GOOD), 6, 1), "tickets.zip")]


@case("data", 2, "tickets.zip, which Python cannot unpack")
def a_zip_packed_in_an_unknown_way(folder):
    return ["run", file(folder, rewritten(zipped(t_csv=GOOD), 8, 97), "tickets.zip")]


@case("data", 2, "one data file in tickets.zip", "2 of them")
def a_zip_with_two_files(folder):
    return ["run", file(folder, zipped(a_csv=GOOD, b_csv=GOOD), "tickets.zip")]


@case("data", 2, "one data file in tickets.zip", "none among a.pdf")
def a_zip_without_data(folder):
    return ["run", file(folder, zipped(a_pdf="%PDF"), "tickets.zip")]


@pytest.mark.parametrize("name", CASES)
def test_a_file_that_cannot_be_used_is_answered(name, tmp_path, monkeypatch, capsys):
    assert hold(CASES[name], tmp_path, monkeypatch, capsys) == CASES[name][2]


def test_there_are_enough_of_them():
    from test_bad_inputs import CASES as OTHERS

    assert len(CASES) + len(OTHERS) >= 100
