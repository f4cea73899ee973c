"""Maps to honest probabilities and thresholds: each mends what it is for, and what is promised holds on new rows."""

import numpy as np
import pytest
from scipy.special import softmax

from savile.base.outputs import Calibration
from savile.models import _maps
from savile.models._calibrate import calibrate, decide
from savile.models._thresholds import accuracy_threshold
from savile.tasks import classify


def drawn(probabilities, rng):
    return (probabilities.cumsum(axis=1) > rng.random((len(probabilities), 1))).argmax(axis=1)


def loss(probabilities, gold):
    return float(-np.log(probabilities[np.arange(len(gold)), gold]).mean())


def biased(rows, seed=0):
    """Logits whose third label is overrated: one temperature cannot mend it."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(size=(rows, 3)) * 2
    return (honest + np.array([0.0, 0.0, 1.5])).astype(np.float32), drawn(softmax(honest, axis=1), rng)


def bent(rows, seed=0):
    """Two labels; the probability is a step of the logit: no line mends it."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows) * 2
    p = np.where(x < 0.5, 0.1, 0.9)
    return np.column_stack([-x / 2, x / 2]).astype(np.float32), (rng.random(rows) < p).astype(np.int64)


@pytest.mark.parametrize(("made", "kind"), [(biased, "slopes"), (bent, "steps")])
def test_the_map_that_mends_it_is_chosen(made, kind):
    logits, gold = made(2_000)
    found = _maps.choose(logits, gold)
    assert getattr(found, kind)
    new, truth = made(4_000, seed=1)
    assert (
        loss(_maps.probabilities(new, found), truth)
        < loss(_maps.probabilities(new, _maps.temperature(logits, gold)), truth) - 0.02
    )


@pytest.mark.parametrize("rows", [60, 300, 2_000])
def test_where_the_temperature_is_right_it_is_kept(rows):
    rng = np.random.default_rng(0)
    honest = rng.normal(size=(rows, 4)) * 2
    gold = drawn(softmax(honest, axis=1), rng)
    found = _maps.choose((honest * 3).astype(np.float32), gold)
    assert not found.slopes
    assert not found.steps
    assert found.temperature == pytest.approx(3, rel=0.3)


@pytest.mark.parametrize("labels", [2, 6])
def test_a_curve_keeps_the_order_and_stays_off_the_ends(labels):
    rng = np.random.default_rng(0)
    honest = rng.normal(size=(500, labels)) * 2
    gold = drawn(softmax(honest, axis=1), rng)
    logits = (honest * 2).astype(np.float32)
    found = _maps.isotonic(logits, gold)
    plain, bent = _maps.probabilities(logits, _maps.temperature(logits, gold)), _maps.probabilities(logits, found)
    np.testing.assert_allclose(bent.sum(axis=1), 1)
    assert 0 < bent.min() < bent.max() < 1
    order = np.argsort(plain[:, 1]) if labels == 2 else None
    if order is not None:
        assert (np.diff(bent[order, 1]) >= -1e-12).all()
    else:
        assert (bent.argmax(axis=1) == plain.argmax(axis=1)).mean() > 0.99


def test_a_calibration_survives_json():
    found = Calibration(1.5, 0.2, thresholds=(0.5, 0.9), steps=(0.0, 1.0), levels=(0.1, 0.9))
    assert Calibration.of_json(found.as_dict()) == found
    assert Calibration().as_dict() == {"temperature": 1.0, "threshold": 0.0}


@pytest.mark.parametrize("rows", [200, 600])
def test_the_accuracy_asked_for_is_reached_on_new_rows(rows):
    """300 draws of calibration rows: the true accuracy above the threshold falls short no more often than was promised."""
    rng = np.random.default_rng(0)
    population = np.sort(rng.beta(4, 1, 200_000))
    right = np.cumsum(population[::-1]) / np.arange(
        1, len(population) + 1
    )  # mean confidence, which is the accuracy, from above
    short = 0
    for _ in range(300):
        sure = rng.choice(population, rows)
        threshold = accuracy_threshold(sure, rng.random(rows) < sure, 0.9)
        above = len(population) - np.searchsorted(population, threshold)
        short += bool(above and right[above - 1] < 0.9)
    assert short / 300 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


def test_more_is_answered_with_more_rows_and_nothing_where_nothing_can_be_promised():
    rng = np.random.default_rng(0)
    shares = []
    for rows in (50, 500, 5_000):
        sure = rng.beta(6, 1, rows)
        shares.append(float((sure >= accuracy_threshold(sure, rng.random(rows) < sure, 0.95)).mean()))
    assert shares[0] == 0.0
    assert shares[1] <= shares[2]
    assert shares[2] > 0.2
    assert accuracy_threshold(np.array([]), np.array([], dtype=bool), 0.9) > 1
    assert accuracy_threshold(np.full(400, 0.9), np.ones(400, dtype=bool), 0.9) == 0.0
    assert accuracy_threshold(np.full(400, 0.9), np.zeros(400, dtype=bool), 0.9) > 1


def test_every_label_can_have_a_threshold_of_its_own():
    rng = np.random.default_rng(0)
    honest = np.column_stack([rng.normal(size=4_000) * 3, np.zeros(4_000)])
    honest[honest[:, 0] > 0, 0] += 4  # the first label is always sure, the second often wrong
    gold = drawn(softmax(honest, axis=1), rng)
    found = calibrate(classify.head(2), honest.astype(np.float32), gold, {"accuracy": 0.95, "per_label": True})
    assert len(found.thresholds) == 2
    assert found.thresholds[0] < found.thresholds[1]
    answers = decide(classify.head(2), honest.astype(np.float32), found)
    for label in (0, 1):
        kept = (answers.choice == label) & ~answers.abstain
        assert not kept.any() or (gold[kept] == label).mean() > 0.94


def test_an_accuracy_and_costs_together_ask_for_both():
    logits, gold = biased(2_000)
    value = {"right": 1.0, "wrong": -1.0, "person": -0.2}
    head = classify.head(3)
    costs, both = (calibrate(head, logits, gold, asked) for asked in (value, value | {"accuracy": 0.9}))
    assert both.threshold > costs.threshold
    answers = decide(head, logits, both)
    assert (answers.choice == gold)[~answers.abstain].mean() > 0.9
