"""A search tries what the base can carry, goes on where it stopped, and shows the best compromises."""

import pytest
from easy_data import dataset

from savile.adaptation import _folds, _search, adapt
from savile.base.errors import InputError

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


def test_good_enough_ends_it(tiny):
    model = adapt(dataset(60), tiny, "search", settings={**SETTINGS, "good_enough": 0.0})
    assert len(model.facts["tried"]) == 3


def test_the_front_holds_what_no_other_beats():
    found = [{"score": s, "share": p} for s, p in ((0.9, 0.5), (0.8, 0.1), (0.7, 0.2), (0.95, 0.6), (0.8, 0.1))]
    assert _search.front(found) == [1, 4, 0, 3]


def test_a_family_without_a_base_is_refused():
    with pytest.raises(InputError, match="a base to search"):
        adapt(dataset(60), "linear", "search")
