"""Delimited files of all habits: quotes, titles, missing headers, rows that do not fit; what is mended is said."""

import csv
import gzip
import itertools

import pytest

from savile.base.errors import DataError, InputError
from savile.data import Reading, _gather, sources


def read(folder, text, name="t.csv", **reading):
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return sources.read(path, Reading(**reading))


def rules(source):
    return [finding.rule for finding in source.findings]


def rows(count, template="where is parcel {i},{label}"):
    return [template.format(i=i, label="ab"[i % 2]) for i in range(count)]


def test_titles_above_the_table_are_left_out_and_said(tmp_path):
    source = read(
        tmp_path, "Report of tickets\n\n2024-01-31\nid,text,label\n" + "\n".join(f"{i},{row}" for i, row in enumerate(rows(9)))
    )
    assert source.table.column_names == ["id", "text", "label"]
    assert source.lines.tolist() == list(range(5, 14))
    assert "2 lines above the table" in source.findings[0].evidence


def test_the_first_line_of_a_spreadsheet_names_the_delimiter(tmp_path):
    source = read(tmp_path, "sep=;\ntext;label\nhello, you;a\nbye;b\n")
    assert source.table.to_pydict() == {"text": ["hello, you", "bye"], "label": ["a", "b"]}
    assert source.lines.tolist() == [3, 4]


@pytest.mark.parametrize(
    "first",
    ["7,where is parcel 99 now,a", "12.5,please cancel order 7 today,b"],
)
def test_a_file_without_a_header_is_known_by_numbers_or_labels_in_its_first_row(tmp_path, first):
    body = [f"{i},where is parcel {i} of mine,{'ab'[i % 2]}" for i in range(20)]
    source = read(tmp_path, "\n".join([first, *body]))
    assert source.table.column_names == ["column 1", "column 2", "column 3"]
    assert source.table.num_rows == 21
    assert "no header" in source.findings[0].evidence


@pytest.mark.parametrize(
    "header", ["0,1,2", "2019,2020,2021", "n,text,label", "Anzahl,Nachricht,Gruppe", "x1,what they said,kind"]
)
def test_a_header_is_no_data(tmp_path, header):
    body = [f"{i},where is parcel {i} of mine,{'ab'[i % 2]}" for i in range(20)]
    source = read(tmp_path, "\n".join([header, *body]))
    assert source.table.column_names == header.split(",")
    assert source.findings == ()


def test_whether_there_is_a_header_can_be_said(tmp_path):
    text = "text,label\nhello,a\nbye,b\n"
    assert read(tmp_path, text, header=False).table.num_rows == 3
    assert read(tmp_path, "1,a\n2,b\n3,a\n4,b\n5,a\n6,a\n", header=True).table.column_names == ["1", "a"]


def test_row_names_of_r_get_a_column(tmp_path):
    source = read(tmp_path, '"text","label"\n' + "\n".join(f'"{i}","hello {i}","a"' for i in range(1, 6)))
    assert source.table.column_names == ["row", "text", "label"]
    assert source.table.column("text")[0].as_py() == "hello 1"


def test_few_rows_of_another_length_are_left_out_and_said(tmp_path):
    lines = ["text,label", *rows(400)]
    lines[100], lines[200] = "one, two, three,a", "alone"
    source = read(tmp_path, "\n".join(lines))
    assert source.table.num_rows == 398
    (found,) = source.findings
    assert (found.rule, found.count, found.severity) == ("ragged", 2, "warning")
    assert "line 101, 201" in found.evidence


def test_many_rows_of_another_length_are_refused(tmp_path):
    lines = ["text,label", *rows(400)]
    for line in range(10, 30):
        lines[line] = "one, two, three,a"
    with pytest.raises(DataError, match=r"4 in line 11 of t\.csv, and 19 more"):
        read(tmp_path, "\n".join(lines))


def test_empty_cells_at_the_end_and_empty_rows_are_tolerated(tmp_path):
    source = read(tmp_path, "text,label\nhello,a,,\n,\nbye,b,\n,,,\n")
    assert source.table.to_pydict() == {"text": ["hello", "bye"], "label": ["a", "b"]}
    assert source.findings == ()


def test_backslashes_before_quotes(tmp_path):
    source = read(tmp_path, 'text,label\n"she said \\"no, thanks\\" and left",a\n"plain",b\n')
    assert source.table.column("text")[0].as_py() == 'she said "no, thanks" and left'
    assert rules(source) == ["quotes"]


def test_quotes_at_the_beginning_of_a_cell_that_are_plain_characters(tmp_path):
    source = read(tmp_path, 'text,label\n"Hello" he said,a\n' + "\n".join(rows(5)))
    assert source.table.column("text")[0].as_py() == '"Hello" he said'
    assert rules(source) == ["quotes"]


def test_a_stray_quote_that_swallows_rows_of_a_csv_is_seen(tmp_path):
    lines = ["text,label", *rows(60)]
    lines[10], lines[40] = '"where is it,a', 'gone",b'
    source = read(tmp_path, "\n".join(lines))
    assert source.table.num_rows == 60
    assert rules(source) == ["quotes"]


def test_long_texts_of_many_lines_swallow_nothing(tmp_path):
    text = "\n".join(f"line {i}, and more" for i in range(20))
    source = read(tmp_path, "text,label\n" + "\n".join(f'"{text}",{label}' for label in "abab"))
    assert source.table.column("text").to_pylist() == [text] * 4


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_any_line_end(tmp_path, ending):
    assert read(tmp_path, ending.join(["text,label", *rows(5)])).table.num_rows == 5


def test_decimal_commas_do_not_mislead_the_delimiter(tmp_path):
    source = read(tmp_path, "a;b;label\n" + "\n".join(f"{i},5;{i},25;{'xy'[i % 2]}" for i in range(20)))
    assert source.table.column_names == ["a", "b", "label"]


def test_free_text_with_commas_in_one_column_is_one_column(tmp_path):
    source = read(tmp_path, "text\n" + "\n".join("hello, you" if i % 3 else "a, b, c" for i in range(30)))
    assert source.table.column_names == ["text"]


def test_the_delimiter_can_be_said(tmp_path):
    assert read(tmp_path, "text,label;x\na,b;c\n", delimiter=";").table.column_names == ["text,label", "x"]
    assert read(tmp_path, "text\tlabel\na, b\tc\n", delimiter="tab").table.num_columns == 2
    with pytest.raises(InputError, match="one character"):
        read(tmp_path, "text,label\na,b\n", delimiter="::")


def test_thousands_of_columns(tmp_path):
    header = [f"x{i}" for i in range(3000)]
    source = read(tmp_path, "\n".join(",".join(line) for line in [header, *[[str(i) for i in range(3000)]] * 30]))
    assert (source.table.num_columns, source.table.num_rows) == (3000, 30)


def test_more_rows_than_memory_are_drawn_evenly_and_said(tmp_path, monkeypatch):
    monkeypatch.setattr(_gather, "working_memory", lambda: _gather.PROGRAM + _gather.NEEDS * 300_000)
    lines = ["text,label", *rows(40_000)]
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    source = sources.read(path)
    assert source.table.nbytes <= 300_000
    assert source.table.num_rows > 2_000
    assert rules(source) == ["sampled"]
    assert "40,000 rows" in source.findings[0].evidence
    place = source.lines - 2
    assert all(later > former for former, later in itertools.pairwise(place.tolist()))
    assert abs(place.mean() / 40_000 - 0.5) < 0.03
    assert source.table.column("text")[5].as_py() == f"where is parcel {place[5]}"
    assert sources.read(path).table.equals(source.table)


def test_a_long_cell_does_not_hide_the_delimiter(tmp_path):
    csv.field_size_limit(131_072)  # as Python sets it, before any file was read
    found = read(
        tmp_path, "text,label\n" + "\n".join(f"{'word ' * (40_000 if i == 3 else 4)},{'ab'[i % 2]}" for i in range(30))
    )
    assert found.table.column_names == ["text", "label"]
