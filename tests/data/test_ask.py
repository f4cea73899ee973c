"""Rows without labels get them from rules, a small model and an endpoint over HTTP; texts are masked on the way."""

import json
from pathlib import Path

import numpy as np
import pytest

from savile import data
from savile.base.errors import InputError, MachineError, UnknownNameError
from savile.data import Options, _endpoint

WORDS = {
    "refund": "money back refund bank amount paid invoice price",
    "delivery": "parcel courier late door address box truck street",
    "login": "password screen login account phone code browser locked",
}


def right(text):
    return max(WORDS, key=lambda name: sum(word in WORDS[name].split() for word in text.split()))


@pytest.fixture
def endpoint(language_model):
    """A server on this machine that answers like a language model and is wrong once in twenty times."""

    def answer(prompt):
        text = prompt.partition("Text: ")[2].partition("\nAnswer")[0]
        label = right(text)
        if sum(map(ord, text)) % 20 == 0:
            label = next(name for name in WORDS if name != label)
        return {"message": {"content": f"<think>hm, login?</think> {label.title()}."}}

    return language_model(answer)


def texts(rows=600, seed=0):
    rng, names = np.random.default_rng(seed), list(WORDS)
    return [
        " ".join(
            [*rng.choice(WORDS[names[i % 3]].split(), 5), f"n{i}", "write to ann@example.com"[: 24 * (i % 7 == 0)]]
        ).strip()
        for i in range(rows)
    ]


def ask(path, url, **settings):
    return data.prepare(path, Options(steps={"ask": {"url": url, "labels": list(WORDS), "base": "words", **settings}}))


def test_few_questions_label_every_row(home, write, endpoint):
    url, seen = endpoint
    found = ask(write({"text": texts()}), url)
    outcome = found.settings["steps"]["ask"]
    assert outcome["asked"] == len(seen) < 0.4 * 600
    assert outcome["ways"]["small model"] > 300
    labels = dict(zip(found.column("text"), found.column("label"), strict=True))
    assert np.mean([right(text) == label for text, label in labels.items()]) > 0.96
    assert not any("ann@example.com" in prompt for prompt, _ in seen)


def test_labels_that_are_there_stay_and_rules_come_first(home, write, endpoint):
    url, seen = endpoint
    given = ["login" if i < 6 else "" for i in range(200)]
    found = ask(write({"text": texts(200), "label": given}), url, rules={"refund": ["money back", "invoice"]}, people=10)
    ways = found.settings["steps"]["ask"]["ways"]
    assert ways["given"] == 6
    assert ways["rule"] > 10
    assert ways["nobody"] == 10
    left = json.loads(Path(found.files["ask/left.json"]).read_bytes())
    assert len(left) == 10
    assert all(one["proposed"] in WORDS for one in left)
    assert not any("ann@example.com" in one["text"] for one in left)
    assert found.table.num_rows == 190
    assert found.column("label")[:6] == ["login"] * 6
    assert not any("invoice" in prompt.partition("Text: ")[2] for prompt, _ in seen)


def test_what_cannot_work_is_said(home, write, monkeypatch):
    path = write({"text": texts(60)})
    monkeypatch.setattr(_endpoint, "PAUSE", 0.0)
    with pytest.raises(MachineError, match="an answer from"):
        ask(path, "http://127.0.0.1:9/v1")
    with pytest.raises(InputError, match="address"):
        ask(path, "not an address")
    with pytest.raises(InputError, match="NO_SUCH_KEY"):
        ask(path, "http://127.0.0.1:9/v1", key="NO_SUCH_KEY")
    with pytest.raises(UnknownNameError, match="label"):
        ask(path, "http://127.0.0.1:9/v1", rules={"refnd": ["money"]})


@pytest.mark.parametrize(
    ("answer", "number"), [("Refund", 0), ("The label is refund.", 0), ("refund or login", -1), ("", -1), ("refund now", 1)]
)
def test_answers_name_one_label_or_none(answer, number):
    assert _endpoint.chosen(answer, ("refund", "refund now", "login")) == number
