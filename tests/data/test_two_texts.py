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


def test_pairs_to_make_vectors_of_need_no_label(tmp_path, monkeypatch):
    monkeypatch.setenv("SAVILE_HOME", str(tmp_path / "home"))
    path = tmp_path / "faq.csv"
    path.write_text("question,answer\n" + "".join(f"where is my order {i},order {i} is on its way\n" for i in range(40)))
    found = data.govern(path, task="embed")
    assert found.roles["label"] == "related"
    gold = found.targets("train")
    assert gold.shape == (len(found.parts["train"]), 3)
    assert set(gold[:, 0]) == {1.0}
    assert len(set(gold[:, 1])) == len(gold)


def test_scores_of_pairs_are_read_and_rows_of_one_text_stay_together(tmp_path, monkeypatch):
    monkeypatch.setenv("SAVILE_HOME", str(tmp_path / "home"))
    path = tmp_path / "pairs.csv"
    rows = [f"where is my order {i // 4},answer {i} to it,{i % 4 / 3:.2f}" for i in range(160)]
    path.write_text("text_a,text_b,score\n" + "\n".join(rows) + "\n")
    found = data.govern(path, task="embed")
    assert found.roles["label"] == "score"
    asked = {part: {answers.parted(text)[0] for text in found.texts(part)} for part in ("train", "test")}
    assert not asked["train"] & asked["test"]
    assert len(set(found.targets("train")[:, 0])) == 4
