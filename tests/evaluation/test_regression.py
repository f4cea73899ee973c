"""Measures of numbers against scipy and scikit-learn, intervals, and what a served form may move them by."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn import metrics

from savile.base.contracts import Predictions
from savile.base.records import Calibration
from savile.evaluation import _kept, _measure, _words, parity, regression
from savile.models._calibrate import decide
from savile.tasks import score

UNITS = {"shift": 1_000.0, "scale": 50.0}


def answers(noise=0.5, rows=500, spread=60.0, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(7).normal(size=rows)
    logits = (truth + noise * rng.normal(size=rows)).astype(np.float32)[:, None]
    outputs = decide(score.head(1), logits, Calibration(**UNITS, spread=spread))
    return Predictions(1_000.0 + 50.0 * truth, outputs, ("value",))


def test_figures_are_the_usual_ones():
    found = answers()
    gold, said = found.gold, found.outputs.choice
    measured = regression.measure(found)
    assert measured["mae"].value == pytest.approx(metrics.mean_absolute_error(gold, said))
    assert measured["rmse"].value == pytest.approx(metrics.root_mean_squared_error(gold, said))
    assert measured["r2"].value == pytest.approx(metrics.r2_score(gold, said))
    assert measured["pearson"].value == pytest.approx(pearsonr(gold, said).statistic)
    assert measured["coverage90"].value == pytest.approx((np.abs(gold - said) <= 60.0).mean())
    assert all(value.low <= value.value <= value.high for name, value in measured.items() if name != "interval_width")
    assert measured["interval_width"] == pytest.approx(120.0)


def test_numbers_or_answers_that_do_not_vary_correlate_with_nothing():
    flat = answers(noise=0.0)
    still = decide(score.head(1), np.zeros((500, 1), np.float32), Calibration(**UNITS))
    assert regression.measure(Predictions(flat.gold, still, ("value",)))["pearson"].value == 0.0
    measured = regression.measure(Predictions(np.full(500, 7.0), flat.outputs, ("value",)))
    assert (measured["pearson"].value, measured["r2"].value) == (0.0, 0.0)


def test_smaller_errors_are_better_beyond_doubt():
    difference = regression.compare(answers(noise=0.1), answers(noise=2.0, seed=1))
    assert difference["mae"].high < 0 < difference["pearson"].low


@pytest.mark.parametrize(("moved", "flips", "wide"), [(0.04, 0, 0), (0.1, 1, 0), (0.3, 1, 1)])
def test_a_number_that_moves_by_a_twentieth_of_a_deviation_is_a_flip(moved, flips, wide):
    trained = answers().outputs
    logits = trained.logits.copy()
    logits[3] += moved
    served = decide(score.head(1), logits, Calibration(**UNITS))
    found = parity.parity({"openvino-bf16": lambda _: served}, [""], lambda _: trained)["openvino-bf16"]
    assert (found["flips"], found["wide_flips"]) == (flips, wide)


@pytest.mark.parametrize(("noise", "passed"), [(0.5025, True), (0.51, False)])
def test_an_update_may_lose_a_share_of_an_error_in_units(monkeypatch, noise, passed):
    before, now = answers(0.5), answers(noise)
    monkeypatch.setattr(_measure, "stages", lambda data: dict.fromkeys(("old", "new"), np.arange(500)))
    kept = _measure.kept(SimpleNamespace(task="score"), now, {_measure.AGAINST: before}, {}, "mae")
    assert kept["old"]["gain"] == pytest.approx(1 - kept["old"]["now"] / kept["old"]["before"])
    first = _kept.checks(kept, "mae", _kept.Budget(lose=0.01))[0]
    assert first["passed"] is passed
    assert _words._failure(first, {}).endswith("%, wanted at least -1.0 %)")
