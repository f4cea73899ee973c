"""The app support: samples written one by one, a contract that holds, and the demonstration."""

import json
from collections import Counter

import pytest

from savile import testing
from savile.apps import support

LARGEST_SHARE, RECIPE = 0.03, support.recipe


def rows(language):
    return [json.loads(line) for line in support.sample(language).read_text(encoding="utf-8").splitlines()]


def grams(text, language):
    """The 5-grams of a text: of words, or of characters where words are not set apart."""
    units = [letter for letter in text if letter.isalnum()] if language == "zh" else text.lower().split()
    return {tuple(units[i : i + 5]) for i in range(len(units) - 4)}


@pytest.mark.parametrize("language", support.languages)
def test_the_sample_has_25_messages_of_each_of_12_intents(language):
    found = rows(language)
    assert all(set(row) == {"text", "label"} and row["text"].strip() for row in found)
    assert Counter(row["label"] for row in found) == dict.fromkeys(support.INTENTS, 25)
    assert len({row["text"] for row in found}) == 300


@pytest.mark.parametrize("language", support.languages)
def test_no_five_gram_is_in_more_than_three_of_a_hundred_messages(language):
    found = rows(language)
    counts = Counter(gram for row in found for gram in grams(row["text"], language))
    assert counts.most_common(1)[0][1] <= LARGEST_SHARE * len(found)


def test_templates_would_be_noticed():
    made = [f"I would like to return the {thing} please" for thing in ("hat", "lamp", "book") * 4]
    counts = Counter(gram for text in made for gram in grams(text, "en"))
    assert counts.most_common(1)[0][1] > LARGEST_SHARE * 300


@pytest.mark.parametrize("language", support.languages)
def test_messages_vary_in_length(language):
    lengths = sorted(len(row["text"]) for row in rows(language))
    assert lengths[-15] > 4 * lengths[15]


def test_the_contract_holds():
    testing.check_app("support")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"gates": lambda: {}}, "must set bars"),
        ({"recipe": lambda language: {**RECIPE(language), "evaluate.floor": 0.1}}, "hold the bars"),
        ({"languages": ("en",)}, "two languages"),
        ({"pages": lambda language: {"guide": "<html>"}}, "say its language"),
        ({"reply": lambda label, probability, abstain, language: "Thank you."}, "tell apart"),
        ({"questions": lambda language: ("one",)}, "three texts"),
    ],
)
def test_an_app_that_breaks_its_contract_is_caught(changes, sentence, monkeypatch):
    for name, change in changes.items():
        monkeypatch.setattr(support, name, change)
    with pytest.raises(AssertionError, match=sentence):
        testing.check_app(support)


def test_a_person_answers_what_the_model_does_not_know():
    assert "colleague" in support.reply("complaint", 0.2, True, "en")
    assert "colleague" in support.reply("no such intent", 0.9, False, "en")
    assert "a complaint" in support.reply("complaint", 0.9, False, "en")
    assert "投诉" in support.reply("complaint", 0.9, False, "zh")
