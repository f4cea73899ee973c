"""The page of the watch in a real browser, in both languages: nothing fails, nothing is fetched, alarms and rows are seen."""

import os
from pathlib import Path

import pytest
from test_sentiment_watch import TROUBLES, Reader, items, settings

from savile.apps import sentiment_watch


@pytest.fixture(params=["en", "zh"])
def page(request, browser, tmp_path):
    language = request.param
    work = sentiment_watch.apply(items(language), Reader(language, 1.0), language, settings(language))
    path = tmp_path / "watch.html"
    path.write_text(work.pages["watch"], encoding="utf-8")
    shown = browser.new_page(viewport={"width": 1100, "height": 900})
    shown.problems, shown.fetched, shown.language, shown.summary = [], [], language, work.summary
    shown.on("console", lambda message: shown.problems.append(message.text))
    shown.on("pageerror", lambda error: shown.problems.append(str(error)))
    shown.on("request", lambda request: shown.fetched.append(request.url))
    shown.goto(path.as_uri())
    yield shown
    shown.close()


def test_the_page_stands_on_its_own_and_says_its_language(page):
    assert page.problems == []
    assert [url for url in page.fetched if not url.startswith(("data:", "file:"))] == []
    assert page.locator("html").get_attribute("lang") == page.language
    assert all(page.get_by_text(line).first.is_visible() for line in page.summary)
    if folder := os.environ.get("SAVILE_SCREENSHOTS"):
        page.screenshot(path=Path(folder, f"watch_{page.language}.png"), full_page=True)


def test_each_alarm_has_a_plot_with_its_days_marked_and_its_rows(page):
    for company in TROUBLES[page.language]:
        assert page.locator("h2", has_text=company).is_visible()
    plots = page.locator("svg")
    assert plots.count() == 3
    for plot in plots.all()[:2]:
        assert plot.bounding_box()["width"] > 500
        assert plot.locator("rect.c1").count() >= 3
        assert plot.locator("desc").text_content()
    tables = page.locator("table")
    assert tables.count() == 4
    assert tables.first.locator("tbody tr").count() >= 8


def test_neither_wide_nor_narrow_screens_scroll_sideways(page):
    for width in (1100, 390):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
