"""Trials of candidates: what they say grows as it should, stops at the budget, and can be told again without a trial."""

import numpy as np
import pyarrow as pa
import pytest

from savile import testing
from savile.adaptation import _probe
from savile.adaptation._learners import Recipe
from savile.base.records import Dataset

KINDS = {"cancel": "please cancel my order", "status": "where is my parcel", "refund": "when do I get my money back"}


def rows(count, few=False):
    """So many messages, divided or too few to be."""
    texts = [f"{text} number {i}" for i in range(count // 3) for text in KINDS.values()]
    labels = [label for _ in range(count // 3) for label in KINDS]
    order, held = np.arange(len(texts)), 0 if few else len(texts) // 10
    parts = {"valid": order[:held], "calib": order[held : 2 * held], "test": order[2 * held : 4 * held or 6]}
    parts["train"] = order[4 * held or 6 :]
    table = pa.table({"text": texts, "label": labels})
    return Dataset(table, {"text": "text", "label": "label"}, parts, labels=tuple(sorted(KINDS)))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return str(testing.tiny_encoder(tmp_path_factory.mktemp("base"), list(KINDS.values())))


def test_a_family_that_fits_itself_is_tried_on_few_rows_and_takes_longer_for_more():
    small, large = (_probe.Prober(rows(count)).cost(Recipe("linear", "", {}, 0), None) for count in (600, 6000))
    assert 0 < small.seconds < large.seconds
    assert 0 < small.disk < large.disk
    assert not large.loop
    assert 0 < large.least < large.seconds  # a budget cuts the rows


@pytest.mark.parametrize("method", ["head", "full", "lora"])
def test_a_network_is_tried_with_real_steps(base, method):
    cost = _probe.Prober(rows(900)).cost(Recipe(base, method, {}, 0), None)
    assert cost.loop
    assert cost.seconds > cost.least > 0
    assert (cost.rates["step"] > 0) == (method != "head")
    assert cost.peak > cost.weights > cost.disk > 0
    assert cost.answer > 0


def test_more_rows_cost_more_and_a_budget_stops_it(base):
    tried = _probe.Prober(rows(900))
    recipe = Recipe(base, "full", {}, 0)
    first = tried.cost(recipe, None)
    more = _probe.Prober(rows(9000), {first.key: first.rates})
    assert more.cost(recipe, None).seconds > 3 * first.seconds
    short, long = (more.cost(recipe, minutes).seconds for minutes in (1e-3, 1e6))
    assert short < long
    assert long == pytest.approx(more.cost(recipe, None).seconds, rel=0.5)


def test_folds_cost_what_as_many_fits_do(base):
    recipe = Recipe(base, "full", {"epochs": 1.0, "least_steps": 0}, 0)
    alone = _probe.Prober(rows(300)).cost(recipe, None)
    folded = _probe.Prober(rows(300, few=True), {alone.key: alone.rates, _key(recipe): alone.rates}).cost(recipe, None)
    assert folded.seconds > 3 * alone.seconds


def _key(recipe):
    return _probe.named(_probe.learner(rows(300, few=True), recipe))


def test_auto_is_all_its_candidates_and_leaves_out_what_the_budget_does_not_hold(base):
    prober = _probe.Prober(rows(900))
    names = [cost.name for cost in prober.costs(Recipe(base, "auto", {}, 0))]
    assert names == ["linear", "head", "full"]
    assert [cost.name for cost in prober.costs(Recipe(base, "auto", {}, 0, 1e-6))] == ["linear", "head"]


def test_what_was_tried_once_is_told_again_without_a_trial(base, monkeypatch):
    recipe, data = Recipe(base, "head", {}, 0), rows(900)
    first = _probe.Prober(data).cost(recipe, None)
    monkeypatch.setattr("savile.models._probe.probe", None)
    again = _probe.Prober(data, {first.key: first.rates}).cost(recipe, None)
    assert again.seconds == pytest.approx(first.seconds, rel=0.2)  # the sample's rows are not quite as long as all rows
    with pytest.raises(KeyError):
        _probe.Prober(data, {}).cost(recipe, None)
