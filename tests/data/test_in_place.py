"""A mended copy is the file but for the cells and rows that change, whatever it is written in."""

import codecs
import csv
import gzip
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from savile.data import Reading, sources
from savile.data._in_place import mended, writable

LETTERS = {
    "cp1252": "aZ9 éßñ€",
    "gb18030": "aZ9 收货ß",
    "shift_jis": "aZ9 表ソ",
    "utf-8": "aZ9 é收🙂",
    "utf-8-sig": "aZ9 é收🙂",
    "utf-16": "aZ9 é收🙂ਊ",
    "utf-16-le": "aZ9 é收",
    "utf-32": "aZ9 é🙂",
}
HEADER = ["city", "note", "price"]


@st.composite
def files(draw):
    """Bytes of a table, its encoding and its delimiter: cells in quotes or not, some with line ends; odd lines between."""
    encoding, delimiter = draw(st.sampled_from(sorted(LETTERS))), draw(st.sampled_from(",;\t|"))
    ending = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    plain = st.text(LETTERS[encoding], min_size=1, max_size=6).map(lambda cell: f"x{cell}")
    quoted = st.text(LETTERS[encoding] + '",;\t|\r\n', max_size=8).map(lambda cell: '"' + cell.replace('"', '""') + '"')
    cell = st.one_of(plain, quoted)
    rows = draw(st.lists(st.lists(cell, min_size=3, max_size=3), min_size=1, max_size=12))
    lines = [delimiter.join(row) for row in rows + [["xa", "xb", "xc"]] * 120]
    odd = draw(
        st.sampled_from(["", "", f"only{delimiter}two", delimiter * 2, f"a{delimiter}b{delimiter}c{delimiter}{delimiter}"])
    )
    if odd or draw(st.booleans()):
        lines.insert(draw(st.integers(0, len(lines))), odd)
    lead = draw(st.sampled_from(["", f"sep={delimiter}{ending}"]))
    text = lead + ending.join([delimiter.join(HEADER), *lines]) + draw(st.sampled_from(["", ending, ending * 2]))
    return text.encode(encoding), encoding, delimiter


def table_of(path, encoding, delimiter):
    return sources.read(path, Reading(encoding=encoding, delimiter=delimiter, header=True))


def written(path, form, changes):
    return b"".join(mended(path, form, changes))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(files(), st.data())
def test_all_bytes_stay_but_those_of_what_changes(tmp_path, made, data):
    content, encoding, delimiter = made
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    read = table_of(path, encoding, delimiter)
    assert read.form.encoding == codecs.lookup(encoding).name
    assert written(path, read.form, {}) == content
    rows = read.table.to_pylist()
    row, column = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.sampled_from(HEADER))
    new = data.draw(st.text(LETTERS[encoding] + '",;\t|\n', max_size=5))
    again = tmp_path / "again.csv"
    again.write_bytes(written(path, read.form, {int(read.lines[row]): {column: new}}))
    rows[row][column] = new
    there = table_of(again, encoding, delimiter).table.to_pylist()
    assert there == [one for one in rows if any(one.values())]  # a row without a cell left is none
    same = written(path, read.form, {int(read.lines[row]): {column: read.table.column(column)[row].as_py()}})
    assert len(same) == len(content)
    out = data.draw(st.integers(0, len(rows) - 1))
    again.write_bytes(written(path, read.form, {int(read.lines[out]): None}))
    assert table_of(again, encoding, delimiter).table.num_rows == len(rows) - 1


def test_backslashes_before_quotes_stay(tmp_path):
    lines = ["city;note"] + [f'"Ulm {i}";"so \\"said\\" {i}"' for i in range(30)] + ["Bonn;a\\;b"]
    path = tmp_path / "table.csv"
    path.write_bytes("\r\n".join(lines).encode())
    read = sources.read(path)
    assert read.form.dialect.quotes == "escaped"
    assert written(path, read.form, {}) == path.read_bytes()
    changes = {2: {"note": 'a "b" \\ c'}, 32: {"city": "Köln"}}
    path.write_bytes(written(path, read.form, changes))
    assert b'"Ulm 0";"a \\"b\\" \\\\ c"\r\n' in path.read_bytes()
    assert path.read_bytes().endswith("Köln;a\\;b".encode())
    assert sources.read(path).table.column("note")[0].as_py() == 'a "b" \\ c'


def test_quotes_that_are_plain_characters_stay_and_hold_no_delimiter(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text("".join(["size\tnote\n", *(f'{i}" wide\tas it "is {i}\n' for i in range(30)), '"open\tend\n']))
    read = sources.read(path)
    assert read.form.dialect.quotes == "plain"
    assert written(path, read.form, {}) == path.read_bytes()
    assert writable(read.form, '5" "x"')
    assert not writable(read.form, "a\tb")
    assert not writable(read.form, "a\nb")
    assert b'0" wide\t"now\n' in written(path, read.form, {2: {"note": '"now'}})


def test_what_an_encoding_has_no_letter_for_is_not_writable(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes("\r\n".join(["city;note", *(f"Köln;grün {i}" for i in range(20))]).encode("cp1252"))
    form = sources.read(path).form
    assert form.encoding == "cp1252"
    assert writable(form, "Öl")
    assert not writable(form, "收")


def test_bytes_that_an_encoding_would_spell_otherwise_stay(tmp_path):
    path = tmp_path / "table.csv"
    odd = b"\xfa\x4a"  # cp932 reads it as the character that it writes as 0x8754
    assert odd.decode("cp932").encode("cp932") != odd
    path.write_bytes(b"city,note\n" + b"".join(b"Ulm %d,%s\n" % (i, odd) for i in range(20)))
    form = sources.read(path, Reading(encoding="cp932")).form
    assert written(path, form, {}) == path.read_bytes()
    changed = written(path, form, {3: {"city": "Bonn"}})
    assert changed.count(odd) >= 19
    assert b"Bonn," in changed


def test_packed_files_are_unpacked_and_lists_of_one_column_keep_their_empty_rows(tmp_path):
    path = tmp_path / "table.csv.gz"
    text = "city\n" + "".join(f"Ulm {i}\n" for i in range(20))
    path.write_bytes(gzip.compress(text.encode()))
    read = sources.read(path, Reading(header=True))
    assert written(path, read.form, {}) == text.encode()
    emptied = written(path, read.form, {2: {"city": ""}}).decode()
    assert list(csv.reader(io.StringIO(emptied)))[1] == [""]


@pytest.mark.parametrize("name", ["rows.json", "rows.xlsx"])
def test_other_formats_have_no_form(tmp_path, name):
    from openpyxl import Workbook

    path = tmp_path / name
    rows = [{"city": f"Ulm {i}", "note": "x"} for i in range(20)]
    if name.endswith("json"):
        import json

        path.write_text(json.dumps(rows))
    else:
        book = Workbook()
        for row in (["city", "note"], *(list(one.values()) for one in rows)):
            book.active.append(row)
        book.save(path)
    assert sources.read(path).form is None
    one = tmp_path / "folder"
    one.mkdir()
    (one / "a.csv").write_text("city,note\n" + "Ulm,x\n" * 20)
    assert sources.read(one).form is None
