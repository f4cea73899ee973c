"""Votes of several people become labels and shares; who can be relied on and what was a mistake is told."""

import json
from pathlib import Path

import numpy as np
import pytest

import savile
from savile import data
from savile.base.errors import DataError, InputError, UnknownNameError
from savile.data import Options, _votes

NAMES = ["delivery", "login", "refund"]


def panel(rows=300, skills=(0.9, 0.85, 0.25, 0.25, 0.25), seed=0, classes=3):
    """Votes of annotators who are right so often and else say anything; a third of the votes are missing."""
    rng = np.random.default_rng(seed)
    true = rng.integers(classes, size=rows)
    votes = np.stack([np.where(rng.random(rows) < skill, true, rng.integers(classes, size=rows)) for skill in skills], axis=1)
    votes[rng.random(votes.shape) < 1 / 3] = -1
    return true, votes


def test_dawid_and_skene_know_whom_to_trust():
    rights = {"majority": [], "weighted": [], "dawid_skene": []}
    for seed in range(4):
        true, votes = panel(seed=seed)
        rights["majority"].append((_votes.majority(_votes.counts(votes, 3)).argmax(1) == true).mean())
        rights["weighted"].append((_votes.weighted(votes, 3).argmax(1) == true).mean())
        chance, confusion = _votes.dawid_skene(votes, 3)
        rights["dawid_skene"].append((chance.argmax(1) == true).mean())
        skill = confusion[:, range(3), range(3)].mean(axis=1)
        assert skill[:2].min() > skill[2:].max()
    assert np.mean(rights["dawid_skene"]) > np.mean(rights["majority"]) + 0.03
    assert np.mean(rights["weighted"]) > np.mean(rights["majority"]) + 0.03


def test_agreement_is_that_of_the_textbooks():
    rows = (
        "0 0 0 0 14",
        "0 2 6 4 2",
        "0 0 3 5 6",
        "0 3 9 2 0",
        "2 2 8 1 1",
        "7 7 0 0 0",
        "3 2 6 3 0",
        "2 5 3 2 2",
        "6 5 2 1 0",
    )
    fleiss = np.array([[float(one) for one in row.split()] for row in (*rows, "0 2 2 3 7")])
    assert _votes.fleiss(fleiss) == pytest.approx(0.210, abs=5e-4)
    coders = np.array([list(map(int, one)) for one in ("123321412000", "123322412503", "033323422510", "123324412510")])
    assert _votes.krippendorff(_votes.counts(coders.T - 1, 5)) == pytest.approx(0.743, abs=5e-4)
    assert np.isnan(_votes.krippendorff(np.array([[1.0, 0.0]])))
    assert _votes.krippendorff(np.array([[2.0, 0.0], [3.0, 0.0]])) == 1.0


def test_shares_come_nearer_to_everybody_than_few_votes_do():
    rng = np.random.default_rng(0)
    lean = np.where(rng.random((800, 1)) < 0.5, [[6.0, 1.0, 0.5]], [[0.5, 2.0, 2.0]])
    people = np.stack([rng.dirichlet(one) for one in lean])
    counted = np.stack([rng.multinomial(8, one) for one in people]).astype(float)
    error = {"raw": np.abs(counted / 8 - people).mean(), "shares": np.abs(_votes.shares(counted) - people).mean()}
    assert error["shares"] < 0.85 * error["raw"]
    assert np.allclose(_votes.shares(counted).sum(axis=1), 1.0)


def test_mistakes_stand_above_honest_disagreement():
    rng = np.random.default_rng(0)
    disputed = rng.random(500) < 0.4
    people = np.where(disputed[:, None], [[0.5, 0.5, 0.0]], [[1.0, 0.0, 0.0]])
    votes = np.stack([[rng.choice(3, p=one) for _ in range(6)] for one in people])
    planted = (rng.random(votes.shape) < 0.04) & (votes != 2)
    votes[planted] = 2
    slip = _votes.slips(votes, 3)
    honest = disputed[:, None] & ~planted
    assert (slip[planted][:, None] > slip[honest][None]).mean() > 0.95


@pytest.fixture
def voted(write):
    """Tickets with five annotators, as columns, as counts in a cell, or a row for each vote."""

    def make(form, rows=120):
        true, votes = panel(rows)
        words = {"delivery": "parcel courier late", "login": "password screen locked", "refund": "money back invoice"}
        texts = [f"{words[NAMES[one]]} number {i} of {i * 13}" for i, one in enumerate(true)]
        said = [[NAMES[one] if one >= 0 else "" for one in row] for row in votes]
        if form == "columns":
            return write({"text": texts, **{f"a{j}": [row[j] for row in said] for j in range(5)}})
        if form == "counts":
            counted = _votes.counts(votes, 3).astype(int).tolist()
            return write({"text": texts, "votes": [json.dumps(dict(zip(NAMES, row, strict=True))) for row in counted]})
        if form == "list":
            return write({"text": texts, "votes": ["|".join(filter(None, row)) for row in said]})
        long = [(i, texts[i], f"a{j}", one) for i, row in enumerate(said) for j, one in enumerate(row) if one]
        return write(dict(zip(("item", "text", "who", "vote"), zip(*long, strict=True), strict=True)))

    return make


FORMS = {
    "columns": {"columns": ["a0", "a1", "a2", "a3", "a4"]},
    "counts": {"columns": ["votes"]},
    "list": {"columns": ["votes"]},
    "long": {"columns": ["vote"], "item": "item", "annotator": "who"},
}


@pytest.mark.parametrize("form", FORMS)
def test_votes_are_read_in_every_form(home, voted, form):
    found = data.prepare(voted(form), Options(steps={"votes": FORMS[form]}))
    outcome = found.settings["steps"]["votes"]
    assert outcome["method"] == ("dawid_skene" if form in ("columns", "long") else "majority")
    assert found.roles["shares"] == "label shares"
    assert not {"a0", "votes", "vote", "who"} & set(found.table.column_names)
    shares = found.shares("train")
    assert shares.shape == (len(found.parts["train"]), 3)
    assert np.allclose(shares.sum(axis=1), 1.0, atol=1e-5)
    assert (shares.max(axis=1) < 0.8).mean() > 0.15
    assert "label shares" not in found.features().column_names


def test_both_forms_say_the_same(home, voted):
    one, other = (data.prepare(voted(form), Options(steps={"votes": FORMS[form]})) for form in ("columns", "long"))
    said = [dict(zip(found.column("text"), found.column("label"), strict=True)) for found in (one, other)]
    assert {text: label for text, label in said[0].items() if label} == said[1]


def test_what_does_not_fit_is_refused(home, voted, write):
    with pytest.raises(UnknownNameError, match="a9"):
        data.prepare(voted("columns"), Options(steps={"votes": {"columns": ["a9"]}}))
    with pytest.raises(InputError, match="known by name"):
        data.prepare(voted("counts"), Options(steps={"votes": {"columns": ["votes"], "method": "dawid_skene"}}))
    broken = write({"text": ["some words here"] * 12, "votes": ['{"a": -1, "b": 2}'] * 12})
    with pytest.raises(DataError, match="votes in a cell"):
        data.prepare(broken, Options(steps={"votes": {"columns": ["votes"]}}))
    taken = write({"text": ["some words here"] * 12, "votes": ["a|b"] * 12, "label": ["a"] * 12})
    with pytest.raises(InputError, match="into"):
        data.prepare(taken, Options(steps={"votes": {"columns": ["votes"]}}))


def test_shares_flow_into_training(home, voted):
    soft, hard = (
        data.prepare(voted("columns"), Options(steps={"votes": {**FORMS["columns"], "soft": soft}})) for soft in (True, False)
    )
    models = [savile.adapt(one, model="linear") for one in (soft, hard)]
    weights = [Path(one.forms["linear"]["linear.safetensors"]).read_bytes() for one in models]
    assert weights[0] != weights[1]
