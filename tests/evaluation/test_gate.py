"""Every kind of bar, both ways; the verdict follows the words of the house; a bar on nothing is an error."""

import pytest

from savile.base.errors import InputError, UnknownNameError
from savile.evaluation import gate
from savile.evaluation._gate import verdict


def figure(value, low=None, high=None, n=3_080):
    return {"value": value, "low": value - 0.01 if low is None else low, "high": value + 0.01 if high is None else high, "n": n}


def body(difference=(0.02, 0.01, 0.03), n=3_080, metric="accuracy", **more):
    found = {"accuracy": figure(0.93, n=n), "macro_f1": figure(0.92, n=n), "ece": figure(0.02, n=n)}
    linear = {"accuracy": figure(*difference, n), "ece": figure(*difference, n)}
    sliced = {"region": {"north": {"accuracy": figure(0.88)}, "south": {"accuracy": figure(0.95)}}}
    return {"metric": metric, "metrics": found, "differences": {"linear": linear}, "sliced": sliced, "parity": None, **more}


@pytest.mark.parametrize(("bar", "passed"), [(0.93, True), (0.9301, False), (0.0, True)])
def test_the_floor_is_a_bar_on_the_point(bar, passed):
    found = gate(body(), {"floor": bar})
    assert found["passed"] is passed
    (check,) = found["checks"]
    assert {key: check[key] for key in ("name", "value", "bar", "passed")} == {
        "name": "floor",
        "value": 0.93,
        "bar": bar,
        "passed": passed,
    }


@pytest.mark.parametrize(("bar", "passed"), [(0.03, True), (0.01, False)])
def test_the_floor_of_a_metric_that_is_better_when_less_is_a_ceiling(bar, passed):
    assert gate(body(metric="ece"), {"floor": bar})["passed"] is passed


@pytest.mark.parametrize(
    ("difference", "n", "passed"),
    [
        ((0.02, 0.001, 0.03), 500, True),
        ((0.02, 0.0, 0.03), 500, False),
        ((0.02, -0.01, 0.05), 499, True),
        ((0.0, -0.01, 0.01), 499, True),
        ((-0.001, -0.01, 0.01), 499, False),
    ],
)
def test_to_beat_is_an_interval_above_zero_or_with_few_rows_a_point_not_below(difference, n, passed):
    (check,) = gate(body(difference, n), {"must_beat": "linear"})["checks"]
    assert (check["name"], check["value"], check["bar"], check["passed"]) == ("beat linear", difference[0], 0.0, passed)
    assert (check["low"], check["high"]) == difference[1:]


def test_to_beat_in_a_metric_that_is_better_when_less_is_to_have_less():
    assert not gate(body((0.02, 0.01, 0.03), metric="ece"), {"must_beat": "linear"})["passed"]
    (check,) = gate(body((-0.02, -0.03, -0.01), metric="ece"), {"must_beat": "linear"})["checks"]
    assert (check["value"], check["low"], check["high"], check["passed"]) == (0.02, 0.01, 0.03, True)


def test_both_means_both():
    found = body()
    found["differences"]["base"] = {"accuracy": figure(0.0, -0.01, 0.01)}
    checks = gate(found, {"must_beat": "both"})["checks"]
    assert [(check["name"], check["passed"]) for check in checks] == [("beat base", False), ("beat linear", True)]


@pytest.mark.parametrize(
    ("bar", "passed"),
    [
        ({"metric": "macro_f1", "min": 0.9}, [True]),
        ({"metric": "macro_f1", "min": 0.95}, [False]),
        ({"metric": "ece", "max": 0.03}, [True]),
        ({"metric": "ece", "max": 0.01}, [False]),
        ({"min": 0.9}, [True]),
        ({"slice": "region=south", "min": 0.9}, [True]),
        ({"metric": "accuracy", "slice": "region", "min": 0.9}, [False, True]),
    ],
)
def test_gates_hold_any_metric_in_any_slice(bar, passed):
    found = gate(body(), {"gates": [bar]})
    assert [check["passed"] for check in found["checks"]] == passed
    assert found["passed"] is all(passed)


def test_several_bars_are_all_listed():
    found = gate(body(), {"floor": 0.99, "must_beat": "linear", "gates": [{"metric": "ece", "max": 0.03}]})
    assert [check["name"] for check in found["checks"]] == ["floor", "beat linear", "ece"]
    assert not found["passed"]


def test_a_failed_proof_fails_the_gate():
    proof = {"share": 0.01, "allowed": 0.005, "passed": False, "reason": "10 of 1000 answers changed"}
    (check,) = gate(body(parity={"onnx-int8": proof}))["checks"]
    assert (check["name"], check["value"], check["bar"], check["passed"]) == ("parity", 0.01, 0.005, False)


def test_no_bars_are_passed():
    assert gate(body()) == {"passed": True, "checks": []}


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"gates": [{"metric": "acuracy", "min": 1}]}, UnknownNameError, "Did you mean 'accuracy'?"),
        ({"gates": [{"slice": "region=nort", "min": 1}]}, UnknownNameError, "Did you mean 'region=north'?"),
        ({"gates": [{"metric": "ece"}]}, InputError, "one bar: min or max"),
        ({"gates": [{"metric": "ece", "min": 0, "max": 1}]}, InputError, "one bar: min or max"),
        ({"must_beat": "base"}, InputError, "Hand over the baseline"),
    ],
)
def test_a_bar_on_nothing_is_an_error(settings, error, says):
    with pytest.raises(error, match=says.replace("?", r"\?")):
        gate(body(), settings)


@pytest.mark.parametrize(
    ("differences", "n", "passed", "said"),
    [
        ([(0.02, 0.01, 0.03)], 500, True, "better"),
        ([(0.02, 0.01, 0.03)], 499, True, "not_proven"),
        ([(0.02, 0.01, 0.03), (0.01, -0.01, 0.02)], 500, True, "not_proven"),
        ([(0.02, 0.01, 0.03), (-0.02, -0.03, -0.01)], 500, True, "worse"),
        ([(-0.02, -0.03, -0.01)], 60, True, "worse"),
        ([(0.0, 0.0, 0.0)], 500, True, "not_proven"),
        ([], 500, True, "not_proven"),
        ([(0.02, 0.01, 0.03)], 500, False, "refused"),
    ],
)
def test_the_verdict(differences, n, passed, said):
    found = body(n=n, gate={"passed": passed})
    found["differences"] = {str(i): {"accuracy": figure(*one, n)} for i, one in enumerate(differences)}
    assert verdict(found) == said


def test_of_models_made_one_each_is_held_against_its_own_and_none_has_to_gain():
    from savile.evaluation import _kept

    kept = {
        "cards": {"before": 0.9, "now": 0.88, "gain": -0.02, "n": 50},
        "orders": {"before": 0.8, "now": 0.795, "gain": -0.005, "n": 50},
    }
    budget = _kept.Budget(lose=0.01, own={"cards": "model@1", "orders": "model@2"})
    found = _kept.checks(kept, "accuracy", budget)
    assert [(one["name"], one["passed"]) for one in found] == [("keeps cards", False), ("keeps orders", True)]
    grown = _kept.checks(kept, "accuracy", _kept.Budget(lose=0.01))
    assert [(one["name"], one["passed"]) for one in grown] == [("keeps cards", False), ("learns orders", False)]


def test_what_a_table_did_not_beat_is_no_keyword_model():
    from savile.evaluation import _words

    failed = {"name": "beat linear", "passed": False, "metric": "accuracy", "value": -0.01, "low": -0.02, "high": 0.0}
    found = {"verdict": "refused", "gate": {"checks": [failed]}, "reads": "table"}
    assert "better than a plain regression" in _words._verdict(found)
    assert "better than the keyword model (TF-IDF)" in _words._verdict({**found, "reads": "text"})


def test_a_stage_that_a_metric_says_nothing_of_is_held_by_the_first(monkeypatch, outputs_of):
    from types import SimpleNamespace

    import numpy as np

    from savile.base.contracts import Predictions
    from savile.evaluation import _measure

    given = Predictions(np.ones(4, dtype=np.int64), outputs_of([[0.0, 2.0]] * 4), ("no", "yes"))
    monkeypatch.setattr(_measure, "stages", lambda data: {"fixes": np.arange(4)})
    kept = _measure.kept(SimpleNamespace(task="classify"), given, {_measure.AGAINST: given}, {}, "auc")
    assert (kept["fixes"]["metric"], kept["fixes"]["now"]) == ("accuracy", 1.0)
