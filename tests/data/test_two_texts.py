"""Two columns of texts become one, where the task reads two or the caller names two."""

import pytest

from savile import data
from savile.base import answers
from savile.base.errors import InputError

HEAD = "sentence1,sentence2,label\n"


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("SAVILE_HOME", str(tmp_path / "home"))
    path = tmp_path / "pairs.csv"
    words = ["card", "order", "refund", "parcel", "money", "courier", "pin", "late", "blocked", "twice"]
    lines = [
        f"where is my {words[i % 10]} number {i},tell me of {words[(i * (1 + i % 2)) % 10]} {i},{i % 2}" for i in range(60)
    ]
    path.write_text(HEAD + "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("settings", [{"task": "match"}, {"text": "sentence1,sentence2"}])
def test_two_columns_become_one(file, settings):
    found = data.govern(file, **settings)
    assert found.task == "match"
    assert found.roles["text"] == "sentence1,sentence2"
    first, second = answers.parted(found.texts("train")[0])
    assert first.startswith("where is my")
    assert second.startswith("tell me of")
    assert "sentence1" not in found.table.column_names


def test_columns_that_are_not_clear_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("SAVILE_HOME", str(tmp_path / "home"))
    path = tmp_path / "unclear.csv"
    path.write_text("one,other,label\n" + "".join(f"some words {i},more words {i},{i % 2}\n" for i in range(40)))
    with pytest.raises(InputError, match="two columns of texts"):
        data.govern(path, task="match")
    assert data.govern(path, text="one,other").task == "match"
