"""Columns of paths become columns of files, or the run ends with the line that is wrong."""

import csv

import numpy as np
import pytest

from savile._made_up import picture, recording
from savile.base import media
from savile.base.errors import DataError, UnknownNameError
from savile.data import Options, prepare


def written(folder, change=None):
    """Sixty rows with a picture and a recording each; the texts are few, so only the files tell rows apart."""
    rng = np.random.default_rng(0)
    (folder / "files").mkdir()
    rows = []
    for row in range(60):
        (folder / "files" / f"p-{row}.png").write_bytes(picture(rng.integers(0, 256, (6, 6, 3)).astype(np.uint8)))
        (folder / "files" / f"c-{row}.wav").write_bytes(recording(rng.normal(size=50) * 0.1))
        said = ("my parcel came too late", "please give my money back")[row % 2]
        rows.append([said, f"files/p-{row}.png", f"files/c-{row}.wav", ("late", "refund")[row % 2]])
    if change:
        change(rows, folder)
    path = folder / "tickets.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["text", "photo", "call", "label"], *rows])
    return path


def governed(path, **settings):
    asked = {"image": ("photo",), "audio": ("call",), **settings}
    return prepare(path, Options(text="text", label="label", steps={"media": asked}))


def test_files_take_the_place_of_their_paths(tmp_path):
    path = written(tmp_path, lambda rows, folder: rows[3].__setitem__(1, ""))
    data = governed(path)
    table = data.features()
    assert {media.kind_of(table.column(name)) for name in ("photo", "call")} == {"image", "audio"}
    assert table.column("photo")[3].as_py() is None
    assert media.unpacked(table.column("photo")[5].as_py(), "image") == (tmp_path / "files" / "p-5.png").read_bytes()
    assert sum(map(len, data.parts.values())) == 60  # one text on two pictures is two rows
    assert governed(path).ref == data.ref
    (tmp_path / "files" / "p-5.png").write_bytes(picture(np.zeros((6, 6, 3), np.uint8)))
    assert governed(path).ref != data.ref


def gone(rows, folder):
    (folder / "files" / "p-7.png").unlink()


def broken(rows, folder):
    (folder / "files" / "p-7.png").write_bytes((folder / "files" / "p-7.png").read_bytes()[:50])


def other(rows, folder):
    (folder / "files" / "p-7.png").write_bytes(b"<html>")


def outside(rows, folder):
    rows[7][1] = "../../etc/passwd"


@pytest.mark.parametrize(
    ("change", "reason"), [(gone, "no file"), (broken, "damaged"), (other, "something else"), (outside, "within")]
)
def test_a_file_that_cannot_be_used_is_named_by_its_line(tmp_path, change, reason):
    with pytest.raises(DataError, match=reason) as error:
        governed(written(tmp_path, change))
    assert "line 9 of tickets.csv, column 'photo'" in str(error.value)


def test_columns_must_be_there(tmp_path):
    with pytest.raises(UnknownNameError, match="photo"):
        governed(written(tmp_path), image=("foto",))
