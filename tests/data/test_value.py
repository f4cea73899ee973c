"""Rows and owners are valued exactly where it can be checked, copies do not pay twice, and prices add up."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from savile import data
from savile.base.errors import InputError, RecipeError, UnknownNameError
from savile.base.store import Store
from savile.cli import main
from savile.data import Options, _games, _influence, _price, _shapley
from savile.data._shapley import Points

WORDS = {"refund": "money back refund bank amount paid", "delivery": "parcel courier late door address box"}
WORDS["login"] = "password screen login account phone code"


def utility(rows, question, label, k, soft):
    order = np.argsort(((rows.features - question) ** 2).sum(axis=1), kind="stable")
    rank = {int(row): place for place, row in enumerate(order)}

    def worth(coalition):
        near = sorted(coalition, key=rank.__getitem__)[:k]
        right = sum(rows.labels[row] == label for row in near)
        if not near:
            return 1 / soft if soft else 0.0
        return right / (len(near) if soft else k)

    return worth


def by_definition(players, worth):
    """Shapley values from every coalition."""
    values = np.zeros(players)
    for one in range(players):
        others = [other for other in range(players) if other != one]
        for size in range(players):
            weight = math.factorial(size) * math.factorial(players - size - 1) / math.factorial(players)
            for some in itertools.combinations(others, size):
                values[one] += weight * (worth((*some, one)) - worth(some))
    return values


def points(rng, n, classes=3, width=3):
    return Points(rng.normal(size=(n, width)), rng.integers(classes, size=n))


@pytest.mark.parametrize("soft", [0, 3])
@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 3), (5, 2), (8, 1), (8, 3), (8, 10)])
def test_values_are_those_of_the_definition(n, k, soft):
    rng = np.random.default_rng(n * 100 + k)
    rows, questions = points(rng, n), points(rng, 3)
    worths = [utility(rows, q, y, k, soft) for q, y in zip(questions.features, questions.labels, strict=True)]
    expected = np.mean([by_definition(n, worth) for worth in worths], axis=0)
    assert np.abs(_shapley.values(rows, questions, k, soft) - expected).max() < 1e-12


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 50), st.sampled_from([0, 4]), st.integers(0, 10_000))
def test_values_of_rows_add_up_to_what_all_are_worth(n, k, soft, seed):
    rng = np.random.default_rng(seed)
    rows, questions = points(rng, n, 4), points(rng, 5, 4)
    worths = [utility(rows, q, y, k, soft) for q, y in zip(questions.features, questions.labels, strict=True)]
    expected = np.mean([worth(range(n)) - worth(()) for worth in worths])
    assert _shapley.values(rows, questions, k, soft).sum() == pytest.approx(expected, abs=1e-9)


def test_blocks_give_what_one_pass_gives(monkeypatch):
    rng = np.random.default_rng(0)
    rows, questions = points(rng, 50), points(rng, 20)
    whole = _shapley.values(rows, questions, 5)
    monkeypatch.setattr(_shapley, "CELLS", 150)
    assert np.allclose(_shapley.values(rows, questions, 5), whole, atol=1e-12)


def game(seed=0, sources=4):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(60, 5)).astype(np.float32)
    labels = (features[:, 0] + 0.5 * rng.normal(size=60) > 0).astype(np.int64)
    owners = [frozenset({int(rng.integers(sources))} | ({0} if i % 7 == 0 else set())) for i in range(60)]
    asked = rng.normal(size=(40, 5)).astype(np.float32)
    return _games.Ridge(features, labels, owners, (asked, (asked[:, 0] > 0).astype(np.int64)), 2)


def test_sources_have_the_values_of_the_definition():
    worth = game()
    expected = by_definition(4, lambda some: worth(sum(1 << one for one in some)).mean())
    assert np.allclose(_games.shapley(worth, 4, 0, 0).mean(axis=1), expected, atol=1e-12)
    banzhaf = [
        np.mean([worth(mask | 1 << one).mean() - worth(mask).mean() for mask in range(16) if not mask >> one & 1])
        for one in range(4)
    ]
    assert np.allclose(_games.banzhaf(worth, 4, 0, 0).mean(axis=1), banzhaf, atol=1e-12)


def test_sampled_values_come_near_the_exact_ones(monkeypatch):
    worth = game(1, 8)
    exact = [way(worth, 8, 0, 0).mean(axis=1) for way in (_games.shapley, _games.banzhaf)]
    monkeypatch.setattr(_games, "EXACT", 0)
    assert np.abs(_games.shapley(worth, 8, 400, 0).mean(axis=1) - exact[0]).max() < 0.02
    assert np.abs(_games.banzhaf(worth, 8, 3000, 0).mean(axis=1) - exact[1]).max() < 0.03
    walks = _games.shapley(worth, 8, 50, 0)
    assert walks.mean(axis=1).sum() == pytest.approx(worth(255).mean() - worth(0).mean(), abs=1e-12)


def test_influence_is_what_leaving_a_row_out_does():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(120, 4)).astype(np.float32)
    labels = np.argmax(features[:, :3] + 0.7 * rng.normal(size=(120, 3)), axis=1)
    asked, gold = features[90:], labels[90:]

    def loss(rows):
        head = _influence.fit(features[rows], labels[rows], 3)
        logits = np.c_[asked, np.ones(30)] @ head.weights
        return np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(30), gold])

    everything = np.arange(90)
    retrained = np.array([loss(np.delete(everything, row)) for row in range(90)]) - loss(everything)
    head = _influence.fit(features[:90], labels[:90], 3)
    values = _influence.values(head, asked, gold)
    assert np.corrcoef(values, retrained)[0, 1] > 0.98
    assert 0.8 < np.polyfit(values, retrained, 1)[0] < 1.4
    groups = np.repeat(np.eye(3), 30, axis=1)
    assert np.allclose(_influence.of_groups(head, groups, asked, gold).mean(axis=1), groups @ values, atol=1e-7)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=7), st.integers(0, 10**7))
def test_prices_add_up_to_the_budget_to_the_cent(values, cents):
    shares = _price.split(np.array(values)[:, None] + np.zeros((1, 4)), cents / 100)
    total = sum(round(one.price.value * 100) for one in shares)
    assert total == (cents if max(values) > 0 else 0)
    assert all(one.price.value == 0 for one, value in zip(shares, values, strict=True) if value <= 0)
    assert all(one.price.low <= one.price.value <= one.price.high for one in shares)


@pytest.fixture
def owned(write):
    """300 tickets of three labels; ``wild`` writes labels at random, ``late`` only repeats what ``ann`` brought."""

    def make(late=0, wild=True, again=0):
        rng = np.random.default_rng(0)
        rows = []
        for i in range(360):
            label = list(WORDS)[i % 3]
            words = rng.choice(WORDS[label].split(), 5).tolist() + rng.choice(list("abcdefghij"), 6).tolist()
            owner = ("ann", "bob", "wild" if wild else "bob")[int(rng.integers(3))]
            shown = list(WORDS)[int(rng.integers(3))] if owner == "wild" else label
            rows.append((" ".join(map(str, words)) + f" number {i}", shown, owner))
        mine = [row for row in rows if row[2] == "ann"]
        rows += [(text, label, "late") for text, label, _ in mine[:late]] + mine[:again]
        return write(dict(zip(("text", "label", "seller"), zip(*rows, strict=True), strict=True)))

    return make


def outcome(path, **given):
    steps = {"value": {"owner": "seller", **given}}
    return data.prepare(path, Options(steps=steps)).settings["steps"]["value"]


@pytest.mark.parametrize("method", ["knn", "influence", "shapley", "banzhaf"])
def test_an_owner_of_labels_at_random_is_paid_least(home, owned, method):
    found = outcome(owned(), method=method, budget=1000)
    by_owner = {one["owner"]: one for one in found["owners"]}
    assert [one["owner"] for one in found["owners"]][-1] == "wild"
    assert by_owner["wild"]["price"]["value"] < 0.5 * by_owner["ann"]["price"]["value"]
    assert sum(one["price"]["value"] for one in found["owners"]) == pytest.approx(1000)


@pytest.mark.parametrize("method", ["knn", "shapley"])
def test_copies_do_not_pay_twice(home, owned, method):
    plain = outcome(owned(wild=False), method=method)
    own = outcome(owned(wild=False, again=60), method=method)
    assert [one["value"] for one in own["owners"]] == [one["value"] for one in plain["owners"]]
    copied = {one["owner"]: one["value"]["value"] for one in outcome(owned(late=60, wild=False), method=method)["owners"]}
    before = {one["owner"]: one["value"]["value"] for one in plain["owners"]}
    assert copied["bob"] == pytest.approx(before["bob"], abs=0.02)
    assert copied["ann"] + copied["late"] == pytest.approx(before["ann"], abs=0.02)
    assert copied["late"] < copied["ann"]


def test_rows_with_wrong_labels_are_at_the_end(home, owned):
    made = data.prepare(owned(), Options(steps={"value": {}}))
    from safetensors.numpy import load_file

    values = load_file(made.files["value/rows.safetensors"])["rows"]
    train = made.parts["train"]
    assert np.isfinite(values[train]).all()
    assert np.isnan(values[made.parts["test"]]).all()
    texts = made.column("text")
    true = np.array(
        [max(WORDS, key=lambda label: sum(word in WORDS[label].split() for word in text.split())) for text in texts]
    )
    wrong = true != np.array(made.column("label"))
    lowest = train[np.argsort(values[train])[: round(0.2 * len(train))]]
    assert wrong[lowest].sum() / wrong[train].sum() > 0.6
    negative = next(one for one in made.findings if one.rule == "negative_value")
    assert wrong[list(negative.rows[:10])].mean() > 0.8
    curve = made.settings["steps"]["value"]["curve"]
    assert len(curve["dropped"]) == len(curve["least_valuable"]) == len(curve["random"])


def test_the_least_valuable_rows_are_left_out_when_asked(home, owned):
    path = owned()
    whole, less = (data.prepare(path, Options(steps={"value": {"drop": drop}})) for drop in (0.0, 0.1))
    gone = len(whole.parts["train"]) - len(less.parts["train"])
    assert gone == pytest.approx(0.1 * len(whole.parts["train"]), abs=1)
    assert np.array_equal(whole.parts["test"], less.parts["test"])
    assert any(one.rule == "dropped_by_value" for one in less.findings)
    assert set(less.labels) == set(whole.labels)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"owner": "selller"}, UnknownNameError),
        ({"method": "shapley"}, InputError),
        ({"methd": "knn"}, RecipeError),
        ({"budget": -1}, RecipeError),
        ({"method": "banzhaf", "owner": "seller", "drop": 0.1}, InputError),
    ],
)
def test_what_cannot_be_valued_is_refused_in_words(home, owned, given, error):
    with pytest.raises(error):
        data.prepare(owned(), Options(steps={"value": given}))
    assert not Store.open().list("data")


def test_the_command_prints_owners_and_repeats_them(home, owned, capsys):
    path = str(owned())
    assert main(["govern", path, "--value", "seller", "--budget", "500", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    prices = {one["owner"]: one["price"]["value"] for one in said["steps"]["value"]["owners"]}
    assert sum(prices.values()) == pytest.approx(500)
    assert main(["govern", path, "--value", "seller", "--budget", "500"]) == 0
    told = capsys.readouterr()
    assert "What each owner's rows are worth" in told.err
    assert said["id"] in told.out
    page = (home / "pages" / f"{said['id'].replace('@', '-')}.html").read_text(encoding="utf-8")
    assert "What the rows are worth" in page
    assert "at random" in page
