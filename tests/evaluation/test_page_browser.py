"""The report page in a real browser: nothing fails, nothing is fetched, everything is drawn, tables sort."""

import os
from pathlib import Path

import pytest

from savile.evaluation import evaluate


@pytest.fixture
def report(room):
    data = room.data()
    history = [{"step": step, "loss": 2 / step, "valid_loss": 2 / step + 0.1} for step in range(1, 9)]
    rivals = {"linear": room.model(data, 1.5, "linear"), "base": room.model(data, 2.0, seed=2)}
    settings = {"floor": 0.9, "must_beat": "both", "value": {"right": 0.4, "wrong": -3.0, "person": -1.2}}
    return evaluate(room.model(data, history=history), data, "openvino-bf16", settings=settings, baselines=rivals)


@pytest.fixture(params=["light", "dark"])
def page(request, browser, report):
    context = browser.new_context(color_scheme=request.param, viewport={"width": 1100, "height": 900})
    page = context.new_page()
    page.problems, page.fetched = [], []
    page.on("console", lambda message: page.problems.append(message.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("request", lambda request: page.fetched.append(request.url))
    page.goto(Path(report.body["pages"][0]).as_uri())
    yield page
    context.close()


def test_the_page_stands_on_its_own(page, report):
    assert page.problems == []
    assert [url for url in page.fetched if not url.startswith("data:")] == [Path(report.body["pages"][0]).as_uri()]
    assert page.locator("h1").is_visible()
    assert page.locator("h1").count() == 1
    assert page.get_by_text(report.body["summary"][0]).is_visible()


def test_every_plot_is_drawn(page):
    plots = page.locator("svg")
    assert plots.count() >= 8
    for plot in plots.all():
        size = plot.bounding_box()
        assert size["width"] > 50
        assert size["height"] > 50
        assert plot.locator("desc").text_content()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_text_stands_out_from_the_ground(page):
    ink, ground = page.evaluate("[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]")
    one, other = (sum(map(int, colour[4:-1].split(","))) / 765 for colour in (ink, ground))
    assert abs(one - other) > 0.6


def test_tables_sort_by_a_click_and_back(page):
    table = page.locator("table", has=page.locator("th", has_text="recall")).first
    head = table.locator("th").nth(3)

    def column():
        return [float(cell) for cell in table.locator("tbody td:nth-child(4)").all_text_contents()]

    before = column()
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column() == sorted(before)
    head.locator("button").click()
    assert column() == sorted(before, reverse=True)


def test_a_narrow_screen_scrolls_plots_and_not_the_page(page):
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_screenshot_can_be_kept(page):
    shown = page.screenshot(full_page=True)
    assert len(shown) > 20_000
    if folder := os.environ.get("SAVILE_SCREENSHOTS"):
        Path(folder, "report.png").write_bytes(shown)
