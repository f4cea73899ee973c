"""The app sentiment_watch: samples written one by one, a contract that holds, and planted troubles that are found."""

import csv
from collections import Counter
from datetime import date

import numpy as np
import pytest

from savile import testing
from savile.apps import sentiment_watch as app
from savile.base.contracts import Items
from savile.base.errors import DataError, InputError, UnknownNameError
from savile.base.records import Outputs

LARGEST_SHARE = 0.03
TROUBLES = {
    "en": {"Brightkettle": "2026-03-24", "Pellapay": "2026-04-16"},
    "zh": {"极岸汽车": "2026-03-25", "拾光优选": "2026-04-15"},
}
LABELS = ("negative", "neutral", "positive")


def rows(language):
    with app.sample(language).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def settings(language, **more):
    return app.Settings(companies=app.recipe(language)["app.settings"]["companies"], **more)


def grams(row, language):
    """The 5-grams of a text: of words, or of characters without the company's own name where words are not set apart."""
    text = row["text"].lower() if language == "en" else row["text"].replace(row["company"], "")
    units = [letter for letter in text if letter.isalnum()] if language == "zh" else text.split()
    return {tuple(units[i : i + 5]) for i in range(len(units) - 4)}


def items(language, labelled=True):
    found = rows(language)
    times = np.array([(date.fromisoformat(row["date"]) - date(1970, 1, 1)).days * 86_400.0 for row in found])
    labels = [row["sentiment"] if labelled else None for row in found]
    return Items(range(1, len(found) + 1), [row["text"] for row in found], labels, times)


class Reader:
    """Answers as sure and as right as told: `right` is the probability of the label people gave."""

    labels = LABELS

    def __init__(self, language, right):
        self.gold = {row["text"]: LABELS.index(row["sentiment"]) for row in rows(language)}
        self.right, self.asked = right, []

    def __call__(self, texts):
        self.asked += texts
        probabilities = np.full((len(texts), 3), (1 - self.right) / 2)
        probabilities[np.arange(len(texts)), [self.gold[text] for text in texts]] = self.right
        choice = probabilities.argmax(axis=1)
        return Outputs(np.log(probabilities + 1e-9), probabilities, choice, probabilities.max(axis=1), choice < 0)


@pytest.mark.parametrize("language", app.languages)
def test_the_sample_has_240_items_of_eight_weeks_about_ten_companies(language):
    found = rows(language)
    assert len({row["text"] for row in found}) == len(found) == 240
    assert min(Counter(row["sentiment"] for row in found).values()) >= 60
    assert min(Counter(row["company"] for row in found).values()) >= 20
    days = [date.fromisoformat(row["date"]) for row in found]
    assert days == sorted(days)
    assert 53 <= (days[-1] - days[0]).days <= 56


@pytest.mark.parametrize("language", app.languages)
def test_no_five_gram_is_in_more_than_three_of_a_hundred_items(language):
    found = rows(language)
    counts = Counter(gram for row in found for gram in grams(row, language))
    assert counts.most_common(1)[0][1] <= LARGEST_SHARE * len(found)


@pytest.mark.parametrize("language", app.languages)
def test_each_company_is_found_in_each_of_its_items_and_no_other(language):
    companies = app._companies.read(app.sample(language).with_name(f"companies_{language}.csv"))
    assert [companies.find(row["text"]) for row in rows(language)] == [(row["company"],) for row in rows(language)]


def test_the_contract_holds():
    testing.check_app("sentiment_watch")


@pytest.mark.parametrize("language", app.languages)
@pytest.mark.parametrize("right", [1.0, 0.8])
def test_the_planted_troubles_are_found_and_nothing_else(language, right):
    reader = Reader(language, right)
    found = app.apply(items(language, labelled=right == 1.0), reader, language, settings(language))
    assert bool(reader.asked) == (right < 1.0)
    alarms = {alarm["company"]: alarm for alarm in found.facts["alarms"]}
    assert alarms.keys() == TROUBLES[language].keys()
    for company, day in TROUBLES[language].items():
        assert 0 <= (date.fromisoformat(alarms[company]["raised"]) - date.fromisoformat(day)).days <= 3


@pytest.mark.parametrize("language", app.languages)
def test_the_rows_behind_an_alarm_are_negative_and_about_that_company_and_cited_in_the_brief(language):
    found, source = app.apply(items(language), Reader(language, 1.0), language, settings(language)), rows(language)
    told = "\n".join(found.summary)
    for alarm in found.facts["alarms"]:
        behind = [source[number - 1] for number in alarm["rows"]]
        assert len(behind) >= 8
        assert {(row["company"], row["sentiment"]) for row in behind} == {(alarm["company"], "negative")}
        assert all(alarm["from"] <= row["date"] <= alarm["to"] for row in behind)
        assert alarm["company"] in told
        assert behind[0]["text"] in told
        listed = (", " if language == "en" else "、").join(map(str, sorted(alarm["rows"])))
        assert listed in told


def test_a_brief_claims_no_more_than_the_figures():
    found = app.apply(items("en"), Reader("en", 1.0), "en", settings("en"))
    told = "\n".join(found.summary)
    share = found.facts["negative"]
    assert f"{share['value']:.0%} ({share['low']:.0%} to {share['high']:.0%}) negative" in told
    assert "People labelled 240 of them; the other 0 were read by the model." in told
    assert "at most 5%" in told


def test_without_trouble_the_brief_says_that_nothing_stands_out():
    calm = [row for row in rows("en") if row["company"] not in TROUBLES["en"]]
    times = np.array([(date.fromisoformat(row["date"]) - date(1970, 1, 1)).days * 86_400.0 for row in calm])
    given = Items(range(1, len(calm) + 1), [row["text"] for row in calm], [row["sentiment"] for row in calm], times)
    found = app.apply(given, Reader("en", 1.0), "en", settings("en"))
    assert found.facts["alarms"] == []
    assert any(line.startswith("No alarm: on none of") for line in found.summary)


def test_the_same_text_twice_counts_once():
    given = items("en")
    twice = Items(range(1, 481), [*given.texts] * 2, [*given.labels] * 2, np.tile(given.times, 2))
    one, other = (app.apply(each, Reader("en", 1.0), "en", settings("en")).facts for each in (given, twice))
    assert one == other


def test_companies_come_from_a_column_when_there_is_no_list():
    given, column = items("en"), [row["company"] for row in rows("en")]
    given = Items(given.numbers, given.texts, given.labels, given.times, {"company": column})
    found = app.apply(given, Reader("en", 1.0), "en", app.Settings())
    assert {one["company"] for one in found.facts["companies"]} == set(column)
    assert found.facts["without_company"] == 0


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"times": None}, DataError, "no date in any row"),
        ({"times": np.full(240, np.nan)}, DataError, "no date in any row"),
        ({"texts": ["Nobody is named here"] * 240}, DataError, "name companies of the list"),
    ],
)
def test_items_that_cannot_be_watched_are_refused(change, error, sentence):
    given = items("en")
    with pytest.raises(error, match=sentence):
        app.apply(Items(**{**vars(given), **change}), Reader("en", 1.0), "en", settings("en"))


def test_labels_that_mean_nothing_are_refused_and_may_be_named():
    reader = Reader("en", 1.0)
    reader.labels = ("gloomy", "neutral", "sunny")
    assert "gloomy" in app.accepts(reader.labels, settings("en"))
    assert app.accepts(LABELS, settings("en")) is None
    with pytest.raises(InputError, match="a label that means negative"):
        app.apply(items("en", labelled=False), reader, "en", settings("en"))
    with pytest.raises(UnknownNameError):
        app.apply(items("en", labelled=False), reader, "en", settings("en", negative="gloom"))
    named = settings("en", negative="gloomy", positive="sunny")
    assert len(app.apply(items("en", labelled=False), reader, "en", named).facts["alarms"]) == 2


def test_no_list_and_no_column_is_refused():
    with pytest.raises(InputError, match="a list of companies"):
        app.apply(items("en"), Reader("en", 1.0), "en", app.Settings())
