"""The queue for people: asked once, answered once, all or nothing, and nothing written by looking."""

import pytest

from savile.base.audit import AuditLog
from savile.base.errors import InputError
from savile.base.queue import Answer, Question, Queue


def question(row=0, score=0.5, **other):
    said = {"text": f"text {row}", "given": "login", "proposed": "refund", "why": "label_error"}
    return Question("data@0", row, **{**said, **other}, score=score)


def test_questions_are_asked_once_and_the_best_comes_first(tmp_path):
    queue = Queue(tmp_path / "home")
    assert queue.list() == []
    assert not queue.home.exists()
    low, high = question(1, 0.2), question(2, 0.9)
    assert queue.put([low, high, question(3, text="text 1")]) == 2
    assert queue.put([low]) == 0
    assert queue.list() == [high, low]
    assert queue.list(data="data@1") == []


def test_answers_accept_relabel_or_skip_and_are_written_down(tmp_path):
    queue = Queue(tmp_path)
    asked = [question(row) for row in range(3)]
    queue.put(asked)
    said = [Answer(one.id, label) for one, label in zip(asked, ("refund", "delivery", ""), strict=True)]
    assert {one.row: one.state for one in queue.answer(said, "anna")} == {0: "accepted", 1: "relabelled", 2: "skipped"}
    assert queue.answer(said, "ben") == []
    assert queue.list("open") == []
    assert {one.who for one in queue.list()} == {"anna"}
    queue.put(asked)
    assert queue.list("open") == []
    assert [act["facts"]["accepted"] for act in AuditLog(tmp_path).acts("review")] == [1]


def test_one_strange_answer_refuses_all(tmp_path):
    queue, asked = Queue(tmp_path), question()
    queue.put([asked])
    with pytest.raises(InputError, match="questions of this queue"):
        queue.answer([Answer(asked.id, "refund"), Answer("strange", "refund")])
    assert queue.list("open") == [asked]


def test_data_that_is_erased_is_no_longer_asked_about(tmp_path):
    queue = Queue(tmp_path)
    queue.put([question(), question(1)])
    queue.forget("data@0")
    assert queue.list() == []
