"""Questions go to Label Studio and Argilla and come back as they were; a file that is something else gives one clear error."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from savile.base.errors import DataError, UnknownNameError
from savile.base.queue import Question
from savile.data import _exchange

words = st.text(min_size=1, max_size=12)
questions = st.builds(
    Question,
    data=words,
    row=st.integers(-1, 9),
    text=words,
    given=st.text(max_size=5),
    proposed=st.text(max_size=5),
    why=st.sampled_from(["label_error", "left"]),
    score=st.floats(0, 1),
)
answered = st.builds(
    lambda one, label: replace(one, state="open" if label is None else "answered" if label else "skipped", answer=label or ""),
    questions,
    st.none() | st.text(max_size=5),
)


@pytest.mark.parametrize("form", list(_exchange.FORMS))
@given(some=st.lists(answered, max_size=5))
def test_answers_survive_the_way_there_and_back(form, some, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "round.json"
    path.write_text(_exchange.written(form, some), encoding="utf-8")
    back = [(one.id, one.label) for one in _exchange.read(path)]
    assert back == [(one.id, one.answer) for one in some if one.state != "open"]


def test_what_other_tools_read_is_where_they_look():
    one = Question("data@0", 3, "money back", "login", "refund", "label_error", 0.9)
    (task,), (record,) = _exchange.label_studio([one]), _exchange.argilla([one])
    chosen = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": ["refund"]}}
    assert task["data"]["text"] == "money back"
    assert task["predictions"] == [{"model_version": "savile", "score": 0.9, "result": [chosen]}]
    assert task["annotations"] == []
    assert record["fields"] == {"text": "money back"}
    assert record["suggestions"] == {"label": {"value": "refund", "score": 0.9, "agent": "savile"}}
    assert record["responses"] == {}


def test_the_last_answer_counts_and_drafts_do_not(tmp_path):
    path = tmp_path / "answers.json"

    def said(label, **more):
        return {"result": [{"type": "choices", "value": {"choices": [label]}}], **more}

    tasks = [{"data": {"id": "q"}, "annotations": [said("a"), said("b"), said("c", was_cancelled=True)]}]
    path.write_text(json.dumps(tasks))
    assert [one.label for one in _exchange.read(path)] == ["b"]
    responses = [{"value": "a", "status": "submitted"}, {"value": "b", "status": "draft"}]
    path.write_text(json.dumps([{"id": "q", "fields": {}, "responses": {"label": responses}}]))
    assert [one.label for one in _exchange.read(path)] == ["a"]
    path.write_text(json.dumps([{"id": "q", "fields": {}, "responses": {"label": responses[1:]}}]))
    assert _exchange.read(path) == []


TWO = [{"type": "choices", "value": {"choices": ["a", "b"]}}]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"7",
        b"{}",
        b'{"answers": 3}',
        b"[3]",
        b"[[]]",
        b'[{"text": "no form"}]',
        b'[{"data": "text", "annotations": []}]',
        b'[{"data": {"text": "no id"}, "annotations": []}]',
        json.dumps([{"data": {"id": "q"}, "annotations": [{"result": TWO}]}]).encode(),
        b'[{"id": "q", "fields": {}, "responses": {"label": [{"value": 3}]}}]',
        b'[{"id": "q", "fields": {}, "responses": {"label": [{"value": null, "status": "submitted"}]}}]',
        b'{"answers": [{"id": "q"}]}',
        b"[" * 100_000,
    ],
)
def test_another_file_gives_one_clear_error(tmp_path, content):
    path = tmp_path / "answers.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"wanted answers as JSON .* received answers\.json with"):
        _exchange.read(path)


def test_no_file_and_no_form_are_said(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        _exchange.read(tmp_path / "none.json")
    with pytest.raises(UnknownNameError, match="label_studio"):
        _exchange.written("label_studo", [])
