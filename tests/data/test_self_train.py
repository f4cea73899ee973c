"""Self-training: rows without a label get one where that is sure and helps, and are in no part but the one learnt from."""

import csv

import numpy as np
import pytest

import savile
from savile import data
from savile.base.errors import DataError, InputError
from savile.data import Options

LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))
DRAWN = np.random.default_rng(1).choice(LETTERS, (3, 150, 6))
WORDS = {name: ["".join(word) for word in some] for name, some in zip(("refund", "delivery", "login"), DRAWN, strict=True)}


def rows(labelled, unlabelled, seed=0, each=3):
    """Texts of a few of the 150 words of a label, and those labels, the first of which are known."""
    rng, names = np.random.default_rng(seed), list(WORDS)
    kinds = [names[i % 3] for i in range(labelled + unlabelled)]
    return [" ".join(rng.choice(WORDS[name], each, replace=False)) for name in kinds], kinds


def trained(path, texts, given, **settings):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["text", "label"], *zip(texts, given, strict=True)])
    return data.prepare(path, Options(label="label", text="text", steps={"self_train": {"base": "words", **settings}}))


def test_rows_without_a_label_help_and_are_only_learnt_from(home, tmp_path):
    texts, kinds = rows(75, 600, seed=2)
    given = [name if i < 75 else "" for i, name in enumerate(kinds)]
    found = trained(tmp_path / "few.csv", texts, given, sure=0.8)
    outcome = found.settings["steps"]["self_train"]
    assert outcome["open"] > 350
    assert outcome["made"] > 20
    assert outcome["gain"] > 0
    made = np.array([one is not None for one in found.column("made")])
    assert made.sum() == outcome["made"]
    assert set(np.flatnonzero(made)) <= set(found.parts["train"].tolist())
    assert not made[found.parts["test"]].any()
    truth = dict(zip(texts, kinds, strict=True))
    right = [
        truth[text] == label
        for text, label, some in zip(found.column("text"), found.column("label"), made, strict=True)
        if some
    ]
    assert np.mean(right) > 0.9
    counts = np.unique([label for label, some in zip(found.column("label"), made, strict=True) if some], return_counts=True)[1]
    assert counts.max() <= 2 * counts.min() + 4  # no label drowns another
    model = savile.adapt(found, model="linear")
    assert model.facts["valid"]["rows"] == len(found.parts["train"]) - made.sum()  # judged by what people labelled
    assert "made by" not in found.features().column_names


def test_nothing_is_added_where_it_does_not_help(home, tmp_path):
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice([f"w{i}" for i in range(40)], 6)) + f" n{i}" for i in range(300)]  # words say nothing
    given = [["yes", "no"][int(rng.integers(2))] if i < 60 else "" for i in range(300)]
    found = trained(tmp_path / "noise.csv", texts, given)
    outcome = found.settings["steps"]["self_train"]
    assert outcome["made"] == 0 or outcome["gain"] > 0
    assert outcome["effect"]
    full, kinds = rows(60, 0)
    none = trained(tmp_path / "full.csv", full, kinds)
    assert none.settings["steps"]["self_train"] == {"open": 0, "made": 0, "rounds": 0, "effect": "", "gain": 0.0}


def test_copies_of_test_rows_are_not_learnt_from(home, tmp_path):
    texts, kinds = rows(60, 60)
    whole = trained(tmp_path / "whole.csv", texts, [name if i < 60 else "" for i, name in enumerate(kinds)])
    tested = {whole.column("text")[row] for row in whole.parts["test"]}
    again = [*texts, *tested]
    found = trained(
        tmp_path / "again.csv",
        again,
        [name if i < 60 else "" for i, name in enumerate([*kinds, *["x"] * len(tested)])],
        sure=0.51,
    )
    learnt = [found.column("text")[row] for row in found.parts["train"]]
    assert not set(learnt) & {found.column("text")[row] for row in found.parts["test"]}


def test_what_cannot_work_is_said(home, tmp_path):
    texts, _ = rows(60, 60)
    path = tmp_path / "few.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["text", "label"], *((text, i * 1.37 if i < 110 else "") for i, text in enumerate(texts))])
    with pytest.raises(InputError, match="one label each"):
        data.prepare(path, Options(label="label", text="text", task="score", steps={"self_train": {}}))
    with pytest.raises(DataError, match="label in nearly every row"):
        data.prepare(path, Options(label="label", text="text"))
