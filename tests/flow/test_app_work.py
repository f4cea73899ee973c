"""Apps on files of one's own: a labelled one that is learnt from, and one that nobody labelled, read by what was released."""

import csv
import json
from pathlib import Path

import pytest

from savile import cli
from savile.apps import sentiment_watch
from savile.base.errors import InputError, RecipeError, UnknownNameError
from savile.base.store import Store
from savile.flow import run as word

KEYWORDS = {"model.family": "linear", "evaluate.must_beat": None, "evaluate.floor": 0.3}
ALARMS = {"Brightkettle", "Pellapay"}


@pytest.fixture
def news(tmp_path):
    """The app's English sample as a user's own file, with names of its own and a list of companies."""
    with sentiment_watch.sample("en").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with (tmp_path / "news.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, delimiter=";")
        out.writerow(["published_at", "headline", "tone", "mail", "desk"])
        out.writerows(
            [row["date"], row["text"], row["sentiment"], f"desk{i}@example.com", row["source"]] for i, row in enumerate(rows)
        )
    with (tmp_path / "today.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["when", "text", "company"])
        out.writerows([row["date"], row["text"], row["company"]] for row in rows)
        out.writerow(["2026-04-26", "", "Pellapay"])
    listed = sentiment_watch.sample("en").with_name("companies_en.csv")
    (tmp_path / "companies.csv").write_text(listed.read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


@pytest.fixture
def ran(news, no_bases):
    settings = {**KEYWORDS, "app.settings.companies": str(news / "companies.csv")}
    return word.run(news / "news.csv", label="tone", text="headline", app="sentiment_watch", settings=settings)


def test_a_labelled_file_is_learnt_from_and_watched(ran, news):
    work = ran.json["app"]
    assert ran.passed
    assert {alarm["company"] for alarm in work["alarms"]} >= {"Brightkettle"}
    assert work["items"] == 240
    assert 0 < work["labelled_by_people"] < 240
    page = next(page for page in ran.json["pages"] if page.endswith("watch.html"))
    assert "Brightkettle" in Path(page).read_text(encoding="utf-8")
    recipe = (news / "news.savile.yaml").read_text(encoding="utf-8")
    assert "app: {name: sentiment_watch" in recipe
    assert "desk0@example.com" not in Path(page).read_text(encoding="utf-8")
    assert Store.open().load(ran.json["release"]).serve["apps"] == ["sentiment_watch"]


def test_the_recipe_that_was_written_does_it_again(ran, news):
    again = word.run(news / "news.savile.yaml")
    assert again.json["app"] == ran.json["app"]
    assert again.json["release"] == ran.json["release"]


def test_a_file_that_nobody_labelled_is_read_by_what_was_released(ran, news):
    before = len(Store.open().list("model"))
    found = word.run(news / "today.csv", app="sentiment_watch", release="champion")
    assert found.json["verdict"] is None
    assert found.json["release"] == ran.json["release"]
    assert found.json["app"]["labelled_by_people"] == 0
    assert found.json["app"]["items"] == 240
    assert len(Store.open().list("model")) == before
    assert not (news / "today.savile.yaml").exists()


def test_the_shell_says_the_same(ran, news, capsys):
    assert cli.main(["run", str(news / "today.csv"), "--app", "sentiment_watch", "--release", "champion", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["verdict"] is None
    assert said["app"]["summary"]
    assert cli.main(["run", str(news / "today.csv"), "--app", "sentiment_watch", "--release", "champion"]) == 0
    assert "items about 10 companies" in capsys.readouterr().out


def test_what_is_wrong_is_told_before_anything_is_trained(news, no_bases):
    where, columns = news / "news.csv", {"label": "tone", "text": "headline"}
    with pytest.raises(UnknownNameError, match="sentiment_watch"):
        word.run(where, **columns, app="sentiment_wach")
    with pytest.raises(RecipeError, match="alpha"):
        word.run(where, **columns, app="sentiment_watch", settings={"app.settings.alpha": 3})
    with pytest.raises(InputError, match="list of companies"):
        word.run(where, **columns, app="sentiment_watch", settings={"app.settings.companies": "nowhere.csv"})
    with pytest.raises(UnknownNameError, match="language"):
        word.run(where, **columns, app="sentiment_watch", settings={"app.language": "de", "evaluate.floor": 0.3})
    with pytest.raises(InputError, match="negative"):
        word.run(where, label="desk", text="headline", app="sentiment_watch", settings=KEYWORDS)
    assert not Store.open().list("model")


def test_a_release_needs_an_app_and_must_be_one(ran, news):
    with pytest.raises(InputError, match="an app to put to work"):
        word.run(news / "today.csv", release="champion")
    with pytest.raises(InputError, match="a release"):
        word.run(news / "today.csv", app="sentiment_watch", release=ran.json["model"])
    (news / "numbers.csv").write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(InputError, match="a column with texts"):
        word.run(news / "numbers.csv", app="sentiment_watch", release="champion")


def test_support_sorts_an_inbox(tmp_path, no_bases):
    from savile.apps import support

    lines = support.sample("en").read_text(encoding="utf-8")
    (tmp_path / "mail.jsonl").write_text(lines, encoding="utf-8")
    found = word.run(tmp_path / "mail.jsonl", app="support", settings={**KEYWORDS, "evaluate.floor": 0.2})
    assert found.passed
    work = found.json["app"]
    assert work["answered"] + work["to_a_person"] == len(work["answers"]) == 300
    assert [row["person"] for row in work["answers"]] == sorted((row["person"] for row in work["answers"]), reverse=True)
