"""A search tries what the base can carry, goes on where it stopped, and shows the best compromises."""

from pathlib import Path

import numpy as np
import pytest
from easy_data import dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from savile.adaptation import _folds, _front, _proposals, _search, adapt
from savile.base import catalogue
from savile.base.errors import InputError, UnknownNameError

pytest.importorskip("optuna")
SETTINGS = {"trials": 4, "epochs": 1.0, "least_steps": 12}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SAVILE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(_folds, "FOLDS", 2)
    monkeypatch.setattr(_search, "NOT_SEARCHED", (*_search.NOT_SEARCHED, "adalora", "peqa", "prefix", "prefix_propagation"))


def test_a_search_keeps_the_best_and_goes_on_where_it_stopped(tiny, monkeypatch):
    data, trained, real = dataset(60), [], _search.train
    monkeypatch.setattr(_search, "train", lambda data, recipe: trained.append(recipe) or real(data, recipe))
    model = adapt(data, tiny, "search", settings=SETTINGS)
    entries = model.facts["tried"]
    assert len(entries) == len(trained) == 4
    assert model.facts["valid"]["score"] == max(one["score"] for one in entries)
    assert [one["steps"] for one in entries[:2]] <= [one["steps"] for one in entries[2:]]
    front = model.facts["front"]
    assert front
    assert max(one["score"] for one in entries) == max(entries[place]["score"] for place in front)
    assert adapt(data, tiny, "search", settings=SETTINGS).ref == model.ref
    assert len(trained) == 4


def test_facts_that_changed_are_searched_with_again(tiny, tmp_path):
    facts, found = tmp_path / "facts.csv", []
    for known in ("late order", "stolen card"):
        facts.write_text(f"subject,relation,object\nparcel,is,{known}\n")
        found.append(adapt(dataset(60), tiny, "search", settings={"trials": 1, "least_steps": 2, "facts": str(facts)}))
    assert found[0].settings["network"]["facts"] != found[1].settings["network"]["facts"]


def test_good_enough_ends_it(tiny):
    model = adapt(dataset(60), tiny, "search", settings={**SETTINGS, "good_enough": 0.0})
    assert len(model.facts["tried"]) == 3


def test_the_front_is_a_page_to_pick_from(tiny, monkeypatch):
    monkeypatch.setattr(_search, "NOT_SEARCHED", tuple(set(catalogue.names("methods")) - {"lora", "bitfit", "full"}))
    goals = ["score", "share", "latency", "memory", "energy"]
    model = adapt(dataset(60), tiny, "search", settings={**SETTINGS, "goals": goals, "pick": "share"})
    entries, front = model.facts["tried"], model.facts["front"]
    assert all(entry[goal] > 0 for entry in entries for goal in goals[1:])
    picked = entries[model.facts["picked"]]
    assert picked["share"] == min(one["share"] for one in entries if one["score"] >= max(entries, key=_merit)["low"])
    html = Path(model.facts["pages"][0]).read_text()
    assert all(f"savile compress {entries[place]['model']}" in html for place in front)


def test_the_front_holds_what_no_other_beats():
    found = np.array([(0.9, -0.5), (0.8, -0.1), (0.7, -0.2), (0.95, -0.6), (0.8, -0.1)])
    assert _front.front(found).tolist() == [0, 1, 3, 4]


def _merit(entry):
    return entry["score"], -entry["log_loss"]


def test_what_cannot_be_searched_for_is_refused(tiny):
    for wrong, error in (({"goals": ["share", "score"]}, InputError), ({"goals": ["score", "speed"]}, UnknownNameError)):
        with pytest.raises(error):
            adapt(dataset(60), tiny, "search", settings={**SETTINGS, **wrong})
    with pytest.raises(UnknownNameError, match="pick"):
        adapt(dataset(60), tiny, "search", settings={**SETTINGS, "pick": "best"})


def made_up(params, cheap):
    """A score that depends on the method and its rate, a little less for cheap trials, and a share."""
    method = ("a", "b", "c", "d").index(params["method"])
    score = 0.6 + 0.1 * method - 0.05 * abs(params["rate"] - 1.0) - (0.05 if cheap else 0.0)
    return score, 10.0 ** (method - 4) * params.get("rank", 1)


RANKED = {"a": False, "b": True, "c": False, "d": True}


def test_cheap_trials_come_first_and_the_best_of_them_are_taken_further():
    asked = []
    trials = _search.explore(
        lambda trial: _search.proposed(trial, RANKED),
        lambda params, cheap: asked.append((params, cheap)) or made_up(params, cheap),
        _search.Plan(trials=16),
    )
    assert [trial.cheap for trial in trials] == [True] * 8 + [False] * 8
    assert len(asked) == len({str(one) for one in asked}) == 16
    cheap = np.array([trial.values for trial in trials[:8]])
    best = {str(trials[row].params) for row in _front.front(_search.goodness(cheap))}
    taken = [str(trial.params) for trial in trials[8:12]]
    assert set(taken) <= best or best <= set(taken)
    assert all("rank" in trial.params for trial in trials if RANKED[trial.params["method"]])


def test_the_same_seed_proposes_the_same_and_another_another():
    def run(seed):
        return [
            str(trial)
            for trial in _search.explore(lambda one: _search.proposed(one, RANKED), made_up, _search.Plan(trials=10), seed)
        ]

    assert run(0) == run(0) != run(1)


def test_a_small_space_ends_by_itself():
    trials = _search.explore(lambda one: _search.proposed(one, {"a": False}), made_up, _search.Plan(trials=40))
    assert len(trials) == 2 * len(_search.RATES)


def test_a_search_begins_with_each_method_once():
    pool = [{"method": method, "rate": rate} for method in "abc" for rate in _search.RATES]
    places = _proposals.spread(pool, 7, np.random.default_rng(0))
    assert [len({pool[place]["method"] for place in places[start : start + 3]}) for start in (0, 3)] == [3, 3]
    assert len(set(places)) == 7
    assert len(_proposals.spread(pool, 99, np.random.default_rng(0))) == len(pool)


def test_one_trial_of_a_method_tells_what_its_other_rates_cost():
    known = {"a": 3.0, "b": 2.2, "c": 1.1, "d": 0.0}
    tried = [{"method": method, "rate": 1.0} for method in known]
    pool = [{"method": method, "rate": rate} for method in known for rate in _search.RATES]
    points = _proposals._points([*tried, *pool], np.zeros(len(tried) + len(pool), dtype=bool), _proposals.FREE)
    process = _proposals._process(points[: len(tried)], np.array(list(known.values())), noise=1e-3)
    found = process.predict(points[len(tried) :])
    assert found == pytest.approx([known[one["method"]] for one in pool], abs=0.05)


rows = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=8)


@settings(deadline=None)
@given(rows)
def test_the_hypervolume_is_the_number_of_cells_that_are_covered(found):
    cells = {(a, b, c) for one in found for a in range(one[0]) for b in range(one[1]) for c in range(one[2])}
    assert _front.hypervolume(np.array(found, dtype=float), np.zeros(3)) == pytest.approx(len(cells))


@settings(deadline=None)
@given(rows)
def test_nothing_on_the_front_is_beaten_and_layers_hold_every_row(found):
    values = np.array(found)
    best = set(_front.front(values).tolist())
    for row, one in enumerate(values):
        beaten = any((other >= one).all() and (other > one).any() for other in values)
        assert (row in best) is not beaten
    assert sorted(row for layer in _front.layers(values) for row in layer.tolist()) == list(range(len(values)))
    assert _front.knee(values.astype(float)) in best


def test_a_family_without_a_base_is_refused():
    with pytest.raises(InputError, match="a base to search"):
        adapt(dataset(60), "linear", "search")
