"""Adapt: what is kept and why, calibrated on rows not learned from, done once."""

import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
import torch
from easy_data import dataset
from hypothesis import given
from hypothesis import strategies as st

from savile.adaptation import _auto, _folds, _learners, adapt
from savile.base.errors import InputError, UnknownNameError
from savile.base.events import listening
from savile.base.records import Dataset
from savile.base.store import Store
from savile.data import govern
from savile.models import Predictor, _seen, _source, decoder, encoder
from savile.models._network import TextEncoder
from savile.models._rows import embed

QUICK = {"precision": "fp32", "learning_rate": 3e-3, "epochs": 3}
VALUE = {"right": 1.0, "wrong": -10.0, "person": -0.5}


@pytest.mark.parametrize("method", ["head", "full", "lora"])
def test_each_method_makes_a_model_that_answers(tiny, method):
    data = dataset(120, held=30)
    settings = {} if method == "head" else QUICK
    model = adapt(data, tiny, method, settings=settings)
    answers = Predictor(model, "torch")(data.texts("test"))
    assert (answers.choice == data.targets("test")).mean() > 0.8
    assert model.facts["chosen_on"] == "validation rows"
    assert model.facts["valid"]["rows"] == 30
    assert 0 < model.facts["trainable_share"] < 1
    assert model.calibrations["torch"].temperature > 0


def test_the_same_call_returns_what_is_stored(tiny):
    data, said = dataset(60, held=15), []
    first = adapt(data, tiny, "full", settings=QUICK)
    with listening(lambda event: said.append(event.facts.get("text", ""))):
        assert adapt(data, tiny, "full", settings=QUICK).ref == first.ref
    assert said == [f"Nothing has changed since {first.ref} was trained."]
    assert adapt(data, tiny, "full", settings={**QUICK, "epochs": 1}).ref != first.ref
    assert adapt(dataset(60, held=15, seed=1), tiny, "full", settings=QUICK).ref != first.ref


def test_auto_keeps_the_best_and_says_why(tiny):
    data = dataset(90, held=30)
    model = adapt(data, tiny, settings=QUICK)
    tried = {row["candidate"]: row for row in model.facts["tried"]}
    assert list(tried) == ["linear", "head", "full"]
    best = max(tried.values(), key=lambda row: (row["score"], -row["log_loss"]))
    assert best["model"] in model.parents
    assert model.facts["why"].startswith(f"{best['candidate']} scores best on 30 validation rows")
    assert model.facts["seconds"] >= sum(row["seconds"] for row in tried.values()) * 0.9
    assert adapt(data, tiny, settings=QUICK).ref == model.ref
    assert adapt(data, tiny, "head").ref == tried["head"]["model"]  # a baseline that costs nothing more


def test_auto_skips_what_the_budget_has_no_time_for(tiny):
    model = adapt(dataset(60, held=15), tiny, minutes=0.001)
    assert [row["candidate"] for row in model.facts["tried"] if row["candidate"] != "fusion"] == ["linear", "head"]
    assert "full was not tried: the budget of 0.001 min was used up." in model.facts["why"]


def test_auto_may_honestly_keep_linear(tiny, monkeypatch):
    monkeypatch.setattr(_auto, "LEAST_SECONDS", float("inf"))
    model = adapt(dataset(90, held=30), tiny, minutes=1.0)
    scores = {row["candidate"]: (row["score"], -row["log_loss"]) for row in model.facts["tried"]}
    assert (model.method or model.family) == max(scores, key=scores.get)


@pytest.mark.parametrize(("method", "last"), [("lora", [50]), ("full", [])])
def test_small_data_is_answered_out_of_fold_and_learned_whole(tiny, monkeypatch, method, last):
    learned, weights = [], []
    fit = _learners.LoopLearner.fit

    def noted(self, rows, *rest):
        learned.append(list(rows.inputs))
        network, notes = fit(self, rows, *rest)
        weights.append({name: p.detach().clone() for name, p in network.trainable()})
        return network, notes

    monkeypatch.setattr(_learners.LoopLearner, "fit", noted)
    data = dataset(50)
    model = adapt(data, tiny, method, settings=QUICK)
    rows = data.texts("train")
    assert [len(part) for part in learned] == [40, 40, 40, 40, 40, *last]
    kept = dict(encoder.load(model).trainable())
    if last:
        assert learned[-1] == rows
    else:  # the mean of five models, each row in four of them
        assert model.facts["folds_joined"] == 5
        assert all(torch.allclose(p, sum(one[name] for one in weights) / 5, atol=1e-6) for name, p in kept.items())
        assert not all(torch.allclose(p, weights[0][name], atol=1e-4) for name, p in kept.items())
    folds = [Counter(rows) - Counter(part) for part in learned[:5]]  # what each of the five had not seen
    assert sum(folds, Counter()) == Counter(rows)
    assert model.facts["valid"]["rows"] == 50
    assert model.facts["chosen_on"] == "out-of-fold answers to the training rows"


@pytest.mark.parametrize("method", ["prompt", "lora"])
def test_a_language_model_answers_in_words_where_rows_are_few(tiny_decoder, method):
    model = adapt(dataset(30), tiny_decoder, method, settings={} if method == "prompt" else {"steps": 1})
    assert model.facts["chosen_on"].startswith("out-of-fold")
    assert decoder.load(model).speaks


def test_models_of_too_few_rows_join_nothing(tiny):
    model = adapt(dataset(60, groups=3), tiny, "full", settings=QUICK)  # a fold is a third of the rows, or more
    assert "folds_joined" not in model.facts


@pytest.mark.parametrize("minutes", [None, 10.0])
def test_a_trunk_that_learns_nothing_reads_small_data_once(tiny, monkeypatch, tmp_path, minutes):
    read = []
    pooled = TextEncoder.pooled

    def noted(self, ids, mask):
        read.append(len(ids))
        return pooled(self, ids, mask)

    monkeypatch.setattr(TextEncoder, "pooled", noted)
    data = dataset(60)
    exact = {"precision": "fp32"}  # in bf16, what a row comes to depends on the rows beside it
    once = adapt(data, tiny, "head", minutes, settings=exact)
    rows = len({*data.texts("train"), "card lost", "order late", "refund"})
    assert sum(read) == rows + 2 * 8  # and eight of them twice, to time them
    read.clear()
    monkeypatch.setattr(_learners.LoopLearner, "look", lambda *_: None)
    monkeypatch.setenv("SAVILE_HOME", str(tmp_path / "other"))
    again = adapt(data, tiny, "head", minutes, settings=exact)
    assert sum(read) > 5 * rows
    for name in ("score", "rows"):
        assert once.facts["valid"][name] == again.facts["valid"][name]
    assert once.facts["valid"]["log_loss"] == pytest.approx(again.facts["valid"]["log_loss"], rel=0.02)
    answers = [Predictor(model, "torch")(data.texts("test")).logits for model in (once, again)]
    np.testing.assert_allclose(*answers, rtol=0, atol=2e-3)


@pytest.mark.parametrize("settings", [{"freeze": 1}, {"freeze": 0}])
def test_frozen_layers_pass_small_data_once(tiny, monkeypatch, tmp_path, settings):
    passed = []

    def noted(network, tokens, depth, precision):
        passed.append((len(tokens), depth))
        return embed(network, tokens, depth, precision)

    for module in (_seen, _source):
        monkeypatch.setattr(module, "embed", noted)
    data = dataset(60)
    once = adapt(data, tiny, "full", settings=QUICK | settings)
    rows = len({*data.texts("train"), "card lost", "order late", "refund"})
    assert passed == [(rows, settings["freeze"])]
    passed.clear()
    monkeypatch.setattr(_learners.LoopLearner, "look", lambda *_: None)
    monkeypatch.setenv("SAVILE_HOME", str(tmp_path / "other"))
    again = adapt(data, tiny, "full", settings=QUICK | settings)
    assert len(passed) == 5
    assert once.facts["steps"] == again.facts["steps"]
    assert once.facts["valid"]["log_loss"] == pytest.approx(again.facts["valid"]["log_loss"], rel=0.02)
    answers = [Predictor(model, "torch")(data.texts("test")).logits for model in (once, again)]
    np.testing.assert_allclose(*answers, rtol=0, atol=2e-3)


def test_a_threshold_comes_with_the_worth_of_answers(tiny):
    noisy = dataset(90, held=60)
    wrong = np.arange(noisy.table.num_rows) % 4 == 0
    labels = ["refund" if flip else label for flip, label in zip(wrong, noisy.column("label"), strict=True)]
    noisy = type(noisy)(noisy.table.set_column(1, "label", [labels]), noisy.roles, noisy.parts, labels=noisy.labels)
    plain, careful = (adapt(noisy, "linear", settings=chosen) for chosen in ({}, {"value": VALUE}))
    assert plain.calibrations["linear"].threshold == 0.0
    assert careful.calibrations["linear"].threshold > 0.0
    assert careful.calibrations["linear"].temperature == plain.calibrations["linear"].temperature


@pytest.mark.parametrize(
    ("method", "settings", "said"),
    [
        ("full", {"optimizer": "adamm"}, "optimizer: 'adamw' or 'sgd'; received 'adamm' in adapt.settings"),
        ("full", {"learning_rate": "fast"}, "learning_rate: a valid number"),
        ("full", {"epochs": -1}, "setting epochs above 0; received -1"),
        ("full", {"batch_rows": 0}, "setting batch_rows of 1 or more; received 0"),
        ("full", {"label_smoothing": 2}, "setting label_smoothing from 0 to 1; received 2"),
        ("full", {"max_length": -4}, "max_length -4"),
        ("full", {"ensemble": "three"}, "ensemble: a valid integer"),
        ("full", {"teacher": {"model": "model@1", "most": "all"}}, "most: a valid number.*in adapt.settings.teacher"),
        ("full", {"fair": "sex"}, "adapt.settings.fair with keys and values; received 'sex'"),
        ("full", {"value": {"rigt": 1.0}}, "Did you mean 'right'"),
        ("lora", {"dora": "perhaps"}, "dora: a valid boolean"),
        ("lora", {"rank": 0}, "rank of 1 or more"),
        ("lora", {"ranks": {"query": -2}}, "0 or more in ranks"),
        ("search", {"trials": "many"}, "trials: a valid integer"),
        ("search", {"trials": 0}, "one trial of a search or more"),
        ("lora", {"alpha": 0}, "alpha above 0"),
        ("adalora", {"alpha": 0}, "alpha above 0"),
        ("lora", {"lora_dropout": 2.0}, "lora_dropout from 0"),
        ("lora", {"lora_dropout": -0.5}, "lora_dropout from 0"),
        ("autolora", {"rows": 0}, "a row a batch or more"),
        ("lora", {"fair": {"column": "text", "good": "refund", "most": -1}}, "most from 0 to 1"),
    ],
)
def test_a_setting_of_another_kind_or_out_of_its_range_is_said(tiny, method, settings, said):
    with pytest.raises(InputError, match=said):
        adapt(dataset(10), tiny, method, settings=settings)


@pytest.mark.parametrize(("family", "taken"), [("joint", 2), ("linear", None)])
def test_workers_reach_a_family_that_learns_in_a_loop_and_no_other(family, taken):
    recipe = _learners.Recipe(family, "", {"workers": 2}, 0, None)
    assert getattr(_learners.learner(dataset(10), recipe).settings, "workers", None) == taken


@pytest.mark.parametrize(
    ("method", "settings", "idle"),
    [
        ("head", {"epochs": 3, "dropout": 0.5, "class_weights": "balanced"}, ["dropout", "epochs"]),
        ("full", {"strength": 2.0, "sizes": [4], "patience": 2, "epochs": 1}, ["patience", "sizes", "strength"]),
        ("full", {"epochs": 1, "label_smoothing": 0.1}, []),
    ],
)
def test_a_setting_that_changes_nothing_is_told_once(tiny, method, settings, idle):
    said = []
    with listening(lambda event: said.append(event.facts["text"]) if event.kind == "warning" else None):
        adapt(dataset(40), tiny, method, settings=settings)
    told = [text.removeprefix("Settings that change nothing here: ") for text in said if "change nothing" in text]
    assert [text.partition(":")[0].removesuffix(".").split(", ") for text in told] == ([idle] if idle else [])


def test_wrong_settings_are_said(tiny):
    data = dataset(60, held=15)
    with pytest.raises(UnknownNameError, match="learning_rate"):
        adapt(data, tiny, "full", settings={"learning_rat": 1e-3})
    with pytest.raises(UnknownNameError, match="full"):
        adapt(data, tiny, "ful")
    with pytest.raises(UnknownNameError, match="minilm"):
        adapt(data, "minilmm")
    with pytest.raises(InputError, match="two labels"):
        adapt(type(data)(data.table, data.roles, data.parts, labels=("refund",)), "linear")
    assert Store.open().list("model") == []


@given(st.lists(st.integers(0, 4), min_size=2, max_size=60), st.integers(0, 3))
def test_folds_spread_every_label(targets, seed):
    targets = np.array(targets)
    number = _folds.assign(targets, np.arange(len(targets)), seed)
    counts = np.bincount(number)
    assert counts.max() - counts.min() <= 1
    for label in np.unique(targets):
        inside = np.bincount(number[targets == label], minlength=counts.size)
        assert inside.max() - inside.min() <= 1


def test_groups_stay_whole():
    data = dataset(60, groups=12)
    groups = data.column("group", "train")
    number = _folds.assign(data.targets("train"), _folds.together(data), 0)
    assert len(set(number)) == 5
    assert all(len({fold for fold, group in zip(number, groups, strict=True) if group == one}) == 1 for one in set(groups))


def test_near_copies_are_never_both_learned_from_and_judged(tmp_path):
    """Labels drawn at random cannot be told; with a near copy of each row among those learned from, they could."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghijklmnoprstuvw"), 6)) for _ in range(400)]
    rows = []
    for _ in range(120):
        text, label = " ".join(rng.choice(words, 12)), rng.choice(["one", "two"])
        rows += [f"{text},{label}", f"{text}!,{label}"]
    (tmp_path / "copies.csv").write_text("\n".join(["message,kind", *rows]), encoding="utf-8")
    data = govern(tmp_path / "copies.csv")
    number = _folds.assign(data.targets("train"), _folds.together(data), 0)
    families = {}
    for fold, text in zip(number, data.texts("train"), strict=True):
        families.setdefault(text.rstrip("!"), set()).add(fold)
    assert len(families) < len(number)
    assert all(len(folds) == 1 for folds in families.values())
    assert adapt(data, "linear").facts["valid"]["score"] < 0.7


def test_rows_that_all_belong_together_are_divided_all_the_same():
    assert len(set(_folds.assign(np.zeros(20, dtype=np.int64), np.zeros(20, dtype=np.int64), 0))) == 5


class StoppedError(Exception):
    """Ends a run in the middle, as a kill would."""


@pytest.mark.parametrize("minutes", [None, 10.0])
def test_small_data_goes_on_fold_by_fold_after_a_stop(tiny, monkeypatch, tmp_path, minutes):
    data, settings = dataset(50), {**QUICK, "checkpoint_seconds": 0.0, "least_steps": 8, "batch_rows": 16}
    whole = adapt(data, tiny, "full", minutes=minutes, settings=settings)
    monkeypatch.setenv("SAVILE_HOME", str(tmp_path / "stopped"))
    steps = []

    def stop_at(number):
        def heard(event):
            if event.kind == "progress" and event.facts["stage"] == "train":
                steps.append(event.facts["done"])
                if len(steps) == number:
                    raise StoppedError

        return heard

    for number in (13, 30):  # in the second fold; then, with what was kept, in a later one
        with pytest.raises(StoppedError), listening(stop_at(number)):
            adapt(data, tiny, "full", minutes=minutes, settings=settings)
    with listening(stop_at(10_000)):
        resumed = adapt(data, tiny, "full", minutes=minutes, settings=settings)
    assert len(steps) <= whole.facts["steps"] + 2  # a step is lost at each stop, and no more
    for name, path in whole.forms["torch"].items():
        assert path.read_bytes() == resumed.forms["torch"][name].read_bytes()
    assert resumed.calibrations == whole.calibrations
    assert resumed.facts["valid"] == whole.facts["valid"]
    assert resumed.facts["tokens"] == whole.facts["tokens"]
    assert not list((tmp_path / "stopped" / "training").iterdir())


def test_one_probe_settles_the_steps_of_every_fold(tiny):
    said = []
    with listening(lambda event: said.append(event.facts.get("text", ""))):
        model = adapt(dataset(50), tiny, "full", minutes=1e-5, settings=QUICK)
    assert sum("fit the budget" in text for text in said) == 1
    assert model.facts["steps"] == 5  # one a fold


def test_label_names_become_rows_when_they_are_words():
    texts, targets = _folds.with_label_names(["a b"], np.array([0]), ("card_lost", "7", "x", "re-fund"))
    assert texts == ["a b", "card lost", "re fund"]
    assert targets.tolist() == [0, 0, 3]


def test_a_head_that_starts_at_random_does_so_from_the_seed(tiny):
    table = pa.table({"text": ["my card"] * 30, "label": [json.dumps([[3, 7, "thing"]])] * 30})
    parts = {"train": np.arange(20), "valid": np.arange(20, 30), "calib": np.arange(0), "test": np.arange(0)}
    data = Dataset(table, {"text": "text", "label": "label"}, parts, task="tag", labels=("thing",))
    heads = [_learners.learner(data, _learners.Recipe(tiny, "head", {}, seed)).network().head.project for seed in (0, 0, 1)]
    assert torch.equal(heads[0].weight, heads[1].weight)
    assert not torch.equal(heads[0].weight, heads[2].weight)
