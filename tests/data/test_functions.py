"""Labelling functions: what each says, how they are put together, and what is told of them."""

import json

import numpy as np
import pytest
from test_ask import WORDS, endpoint, right, texts

from savile import data
from savile.base.errors import DataError, InputError, UnknownNameError
from savile.data import Options, _held_out, _label_model, _votes

__all__ = ["endpoint"]
FUNCTIONS = [
    {"label": "refund", "words": ["money", "invoice"]},
    {"label": "refund", "pattern": r"\bpaid\b"},
    {"label": "delivery", "words": ["parcel", "courier"]},
    {"label": "delivery", "words": ["door", "phone"], "name": "door or phone"},
    {"label": "login", "words": ["password", "screen"]},
    {"label": "login", "words": ["browser", "locked"]},
]


def label(path, **settings):
    return data.prepare(path, Options(steps={"functions": {"functions": FUNCTIONS, **settings}}))


def test_rows_are_labelled_and_the_table_tells_of_conflicts(home, write):
    found = label(write({"text": texts()}))
    outcome = found.settings["steps"]["functions"]
    assert outcome["guard"]["by"] == "votes"
    assert outcome["guard"]["model"] >= outcome["guard"]["majority"] > 0.8
    said = dict(zip(found.column("text"), found.column("label"), strict=True))
    assert np.mean([right(text) == name for text, name in said.items()]) > 0.95
    functions = {one["name"]: one for one in outcome["functions"]}
    assert functions["door or phone"]["right"] < functions["parcel"]["right"]
    assert functions["door or phone"]["conflicts"] > 0.0
    assert "door or phone" in (outcome["pairs"][0]["one"], outcome["pairs"][0]["other"])
    assert 0.5 < outcome["covered"] < 1.0
    assert found.table.num_rows == round(outcome["covered"] * 600)
    shares = [json.loads(cell) for cell in found.column("shares")]
    assert all(abs(sum(one.values()) - 1.0) < 1e-2 for one in shares)


def test_rows_nobody_speaks_of_may_have_what_models_say(home, write):
    found = label(write({"text": texts()}), uncovered="model", soft=False)
    assert found.table.num_rows == 600
    assert "shares" not in found.roles
    said = zip(found.column("text"), found.column("label"), strict=True)
    assert np.mean([right(text) == name for text, name in said]) > 0.9


def test_given_labels_stay_and_decide_between_model_and_majority(home, write):
    rows = texts()
    given = [right(text) if i % 6 == 0 else "" for i, text in enumerate(rows)]
    given[0] = "login"
    found = label(write({"text": rows, "label": given}))
    assert found.column("label")[0] == "login"
    guard = found.settings["steps"]["functions"]["guard"]
    assert guard["rows"] > 50
    assert guard["model"] >= guard["majority"]


def test_columns_an_endpoint_and_a_model_speak(home, write, endpoint):
    url, seen = endpoint
    rows = texts(90)
    spoken = [right(text) if i % 2 else "" for i, text in enumerate(rows)]
    some = ["x" if "parcel" in text else "y" for text in rows]
    functions = [{"column": "anna"}, {"column": "kind", "equals": "x", "label": "delivery"}, {"url": url}]
    steps = {"functions": {"functions": functions, "labels": list(WORDS), "method": "majority"}}
    path = write({"text": rows, "anna": spoken, "kind": some})
    found = data.prepare(path, Options(steps=steps))
    assert len(seen) == 90
    assert not any("ann@example.com" in prompt for prompt in seen)
    assert np.mean([right(t) == n for t, n in zip(found.column("text"), found.column("label"), strict=True)]) > 0.9
    import savile

    model = savile.adapt(found, model="linear")
    functions = [{"model": model.ref, "sure": 0.5}, *FUNCTIONS[:2]]
    steps = {"functions": {"functions": functions, "method": "majority", "soft": False}}
    taught = data.prepare(write({"text": texts(120, seed=1)}, "more.csv"), Options(steps=steps))
    assert np.mean([right(t) == n for t, n in zip(taught.column("text"), taught.column("label"), strict=True)]) > 0.8


def test_what_cannot_work_is_said(home, write):
    path = write({"text": texts(60)})
    for functions, error, said in (
        ([FUNCTIONS[0]], InputError, "two labelling functions"),
        ([FUNCTIONS[0], {"label": "login"}], InputError, "a labelling function"),
        ([FUNCTIONS[0], {"label": "login", "pattern": "("}], InputError, "regular expression"),
        ([FUNCTIONS[0], {"column": "ana"}], UnknownNameError, "column"),
        ([{"label": "a", "words": ["zzz"]}, {"label": "b", "words": ["yyy"]}], DataError, "speak of some rows"),
    ):
        with pytest.raises(error, match=said):
            data.prepare(path, Options(steps={"functions": {"functions": functions}}))


def test_the_majority_is_kept_where_known_rows_say_it_is_better():
    rng = np.random.default_rng(0)
    rows = [" ".join(rng.choice(["alpha", "beta", "gamma", "delta"], 4)) for _ in range(400)]  # words say nothing
    true = rng.integers(2, size=400)
    votes = np.stack([np.where(rng.random(400) < 0.9, true, 1 - true) for _ in range(3)], axis=1)
    known = np.where(np.arange(400) < 60, true, -1)
    views = _held_out.of_texts(rows, known, 2, "")
    found = _label_model.fit(votes, views, 2, known)
    assert found.method == "majority"
    assert (found.chance.argmax(axis=1) == np.where(known >= 0, true, _votes.counts(votes, 2).argmax(axis=1))).all()


def phrases(seed=0):
    """600 texts of a topic's words, and what the topic is."""
    rng, words = np.random.default_rng(seed), [[f"{letter}{i}" for i in range(12)] for letter in "xy"]
    true = rng.integers(2, size=600)
    return [" ".join([*rng.choice(words[topic], 5), *rng.choice(words[1 - topic], 1)]) for topic in true], true


def test_models_answer_where_they_foretell_votes_left_out_better_than_the_majority():
    rows, true = phrases()
    rng, none = np.random.default_rng(1), np.full(600, -1)
    said = np.where(rng.random((600, 6)) < 0.75, true[:, None], 1 - true[:, None])
    votes = np.where(rng.random((600, 6)) < 0.4, said, -1)
    found, voted = _label_model.fit(votes, _held_out.of_texts(rows, none, 2, ""), 2, none), _votes.counts(votes, 2)
    assert (found.method, found.guard.by) == ("model", "votes")
    assert found.guard.model > found.guard.majority
    tied = (votes >= 0).any(axis=1) & (voted[:, 0] == voted[:, 1])
    assert (found.chance.argmax(axis=1) == true)[tied].mean() > 0.85
    assert (found.chance.argmax(axis=1) == true).mean() > 0.9 > (voted.argmax(axis=1) == true).mean()


def test_words_that_functions_look_at_are_left_out_of_the_quiet_view():
    rows, _ = phrases()
    votes = np.array([[0 if "x0" in row.split() else -1, 1 if "y0" in row.split() else -1] for row in rows])
    view = _held_out.of_texts(rows, np.full(600, -1), 2, "")[0]
    quiet = _label_model._quiet(view, votes)
    held = [row for row in range(600) if "x0" in rows[row].split()]
    assert quiet.rows.shape[1] < view.rows.shape[1]
    assert quiet.rows[held].sum() < view.rows[held].sum()
    assert _label_model._quiet(_held_out.View("minilm", np.zeros((600, 3)), view.learn), votes) is None


def test_functions_of_one_label_are_left_out_in_turn():
    votes = np.array([[0, 0, 0, 1, 1, -1], [0, 0, -1, 1, 1, 1]])
    groups = _label_model._groups(votes, 2, seed=0)
    assert sorted(np.concatenate(groups).tolist()) == list(range(6))
    assert [len(group) for group in groups] == [2, 2, 2]
    assert all({0, 1, 2} & set(group.tolist()) and {3, 4, 5} & set(group.tolist()) for group in groups)


def test_a_function_that_speaks_of_every_row_looks_at_no_word():
    rows, true = phrases()
    rng, none = np.random.default_rng(1), np.full(600, -1)
    said = np.where(rng.random((600, 5)) < 0.75, true[:, None], 1 - true[:, None])
    votes = np.where(rng.random((600, 5)) < 0.4, said, -1)
    votes[:, 4] = said[:, 4]  # such as a model
    views = _held_out.of_texts(rows, none, 2, "")
    assert _label_model._quiet(views[0], votes).rows.shape[1] > 0
    assert (_label_model.fit(votes, views, 2, none).chance.argmax(axis=1) == true).mean() > 0.9


def test_few_votes_left_out_decide_nothing():
    rows, true = phrases()
    votes = np.full((600, 3), -1)
    votes[:, 0] = true
    votes[:5, 1:] = true[:5, None]
    guard = _label_model._by_votes(votes, _held_out.of_texts(rows, np.full(600, -1), 2, ""), 2, seed=0)
    assert guard.rows < 20
    assert guard.model == guard.majority == 0.0


def test_only_a_function_with_one_label_says_little_when_it_speaks_everywhere(home, write):
    columns = {"text": texts(), "old": [right(text) for text in texts()]}
    broad = {"label": "refund", "pattern": "."}
    found = data.prepare(write(columns), Options(steps={"functions": {"functions": [{"column": "old"}, broad]}}))
    said = [one.evidence for one in found.findings if one.rule == "labelling_function"]
    assert len(said) == 1
    assert "says little" in said[0]
    assert "'old'" not in said[0]
