"""What auto tries: the base of the language, candidates with scores and intervals, two of them together when that is better."""

import types
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from easy_data import dataset

from savile.adaptation import _held, _learners, adapt
from savile.adaptation._auto import language_base
from savile.base.contracts import Rows
from savile.base.events import listening
from savile.base.records import Dataset
from savile.base.store import Store


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SAVILE_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    ("texts", "base"),
    [
        (["my card was stolen", "où est mon colis ?"], "minilm"),
        (["退款什么时候到账？", "order 12345 什么时候发货"], "use-m"),
        (["где моя посылка", "верните деньги"], "use-m"),
        (["12345", "!!!"], "minilm"),
    ],
)
def test_the_base_is_that_of_the_letters(texts, base):
    parts = {"train": np.arange(2), "test": np.arange(0)}
    assert language_base(Dataset(pa.table({"text": texts}), {"text": "text"}, parts)) == base


def test_every_candidate_has_a_score_and_an_interval(tiny):
    model = adapt(dataset(90, held=30), tiny, minutes=1.0)
    for row in model.facts["tried"]:
        assert row["low"] <= row["score"] <= row["high"]
        assert row["rows"] == 30
    assert "its interval is" in model.facts["why"]
    assert {"linear", "head", "full"} <= {row["candidate"] for row in model.facts["tried"]}


def test_what_was_answered_on_held_out_rows_is_kept_beside_the_store(tiny):
    data = dataset(60, held=15)
    model = adapt(data, "linear")
    chosen, calibrated = _held.kept(Store.open(), model)
    assert np.array_equal(chosen.gold, data.targets("valid"))
    assert np.array_equal(calibrated.gold, np.concatenate([data.targets("valid"), data.targets("calib")]))
    assert chosen.logits.shape == (15, 3)


def test_a_family_that_fits_itself_takes_as_many_rows_as_the_budget_allows(home):
    notes = []
    with listening(lambda event: notes.append(event.facts.get("text", ""))):
        adapt(dataset(900, held=60), model="linear", minutes=1e-6)
    assert "99 of 900 rows are learned from by linear: no more fit the budget." in notes


def test_a_slow_fit_is_tried_on_few_rows_and_a_quick_one_on_more(monkeypatch):
    clock, fitted = [0.0], []

    def fit(rows, *_):
        fitted.append(len(rows.targets))
        clock[0] += 0.1 * len(rows.targets)

    monkeypatch.setattr(_learners.time, "perf_counter", lambda: clock[0])
    data = dataset(900, held=60)
    for minutes, tried in ((0.5, [99, 99, 210]), (5.0, [99, 99, 399, 900])):
        one = _learners.learner(data, _learners.Recipe("linear", "", {}, 0, minutes))
        one.plugin = types.SimpleNamespace(fit=fit)
        one.fit(Rows(list(data.texts("train")), data.targets("train"), data.labels, minutes=minutes), Path())
        assert fitted == tried
        fitted.clear()


def test_facts_or_a_teacher_that_changed_are_not_taken_for_those_of_before(tiny, tmp_path):
    facts, data = tmp_path / "facts.csv", dataset(60, held=15)
    kept = []
    for known in ("late order", "stolen card"):
        facts.write_text(f"subject,relation,object\nparcel,is,{known}\n")
        tried = adapt(data, tiny, settings={"facts": str(facts), "steps": 2, "runs": 1}).facts["tried"]
        kept.append(next(one["model"] for one in tried if one["candidate"] == "full"))
    assert kept[0] != kept[1]
    teachers, kept = [adapt(data, tiny, method, settings={"steps": 2}) for method in ("lora", "bitfit")], []
    for teacher in teachers:
        Store.open().alias("house", teacher.ref)
        tried = adapt(data, tiny, settings={"teacher": "house", "steps": 2, "runs": 1}).facts["tried"]
        kept.append(next(one["model"] for one in tried if one["candidate"] == "full"))
    assert kept[0] != kept[1]
