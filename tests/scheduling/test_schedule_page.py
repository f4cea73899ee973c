"""The page of a run in a real browser: nothing is fetched, everything is drawn, the table of reasons is there."""

from dataclasses import replace

import numpy as np
import pytest

from savile import scheduling
from savile._testing import small_world
from savile.base.series import HOUR
from savile.base.work import Job, Pod
from savile.scheduling import Requests


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    world = small_world(1)
    device, first = Pod(4000, 4096, 1000, frozenset({"small"})), min(job.release_s for job in world.jobs)
    service = Job("web", device, first, 12 * HOUR, 1, 3, tenant="t0", kind="serve", slo_ms=2000.0, restart_s=5.0)
    rng = np.random.default_rng(0)
    asked = Requests(first + np.sort(rng.uniform(0, 12 * HOUR, 40_000)), rng.exponential(1.0, 40_000))
    world = replace(world, jobs=(service, *world.jobs), requests={"web": asked})
    outcome = scheduling.run("tide", scheduling.SimBackend(world, round_s=900.0, load_s=60.0))
    path = tmp_path_factory.mktemp("page") / "schedule.html"
    path.write_text(scheduling.page(outcome), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_stands_on_its_own(path, scheme, browser):
    page = browser.new_context(color_scheme=scheme, viewport={"width": 1100, "height": 900}).new_page()
    problems, fetched = [], []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(path.as_uri())
    assert problems == []
    assert [url for url in fetched if not url.startswith("data:")] == [path.as_uri()]
    for heading in ("By node", "By region", "Load and price", "What it cost", "Service web", "Why this node", "All figures"):
        assert page.get_by_role("heading", name=heading).is_visible()
    plots = page.locator("svg").all()
    assert len(plots) >= 7
    assert all(plot.bounding_box()["width"] > 50 for plot in plots)
    assert page.locator("rect.c1").count() > 5
    assert page.get_by_text("room that no service needs").first.is_visible()
    assert page.get_by_text("waited no longer than 2000 ms").is_visible()
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


@pytest.mark.slow
def test_a_queue_says_whose_turn_it_was(tmp_path, browser):
    path = tmp_path / "queue.html"
    outcome = scheduling.run("queue", scheduling.SimBackend(small_world(1), round_s=900.0))
    path.write_text(scheduling.page(outcome), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    assert page.get_by_text("has used least for its weight").first.is_visible()
