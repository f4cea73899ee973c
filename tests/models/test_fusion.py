"""Models that answer together: weights that are worth having, answers that are the weighted sum, files that come back."""

import numpy as np
import pytest
from easy_rows import WORDS, rows

from savile.base.contracts import Rows
from savile.base.errors import CorruptError, InputError
from savile.base.records import Calibration, Model
from savile.models import fusion, linear
from savile.models._calibrate import log_loss
from savile.tasks import classify, score

LABELS = tuple(sorted(WORDS))


def member(folder, seed):
    texts, targets = rows(60, seed)
    files = linear.save(linear.fit(Rows(texts, targets, LABELS)))
    paths = {name: folder / f"{seed}-{name}" for name in files}
    for name, content in files.items():
        paths[name].write_bytes(content)
    return Model("linear", LABELS, forms={"linear": paths})


def fused(folder, weights=(0.25, 2.0)):
    members = [member(folder, seed) for seed in (0, 1)]
    files = fusion.fuse(members, np.array(weights))
    paths = {name: folder / f"fused-{name}" for name in files}
    for name, content in files.items():
        paths[name].write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    return members, Model("fusion", LABELS, forms={"fusion": paths})


def test_the_answer_is_the_weighted_sum_of_the_members(tmp_path):
    members, model = fused(tmp_path)
    texts, _ = rows(20, 5)
    each = [linear.predict(linear.load(one), texts) for one in members]
    found = fusion.predict(fusion.load(model), texts)
    assert np.allclose(found, 0.25 * each[0] + 2.0 * each[1], atol=1e-5)
    assert found.dtype == np.float32


def test_two_noisy_views_together_are_surer_than_either():
    rng = np.random.default_rng(0)
    truth = 2.0 * rng.normal(size=(2_000, 4))
    gold = (classify.softmax(truth).cumsum(axis=1) > rng.random((2_000, 1))).argmax(axis=1)
    views = [(truth + 2.0 * rng.normal(size=truth.shape)).astype(np.float32) for _ in range(2)]
    head, start = classify.head(4), Calibration()
    weights = fusion.best_weights(head, views, gold, start)
    alone = min(log_loss(head, weight * one, gold, start) for one in views for weight in (0.2, 0.4, 0.6, 0.8, 1.0))
    assert log_loss(head, fusion.together(views, weights), gold, start) < alone - 0.02
    assert weights[0] == pytest.approx(weights[1], rel=0.3)


def test_a_view_that_is_noise_gets_no_weight():
    rng = np.random.default_rng(0)
    gold = rng.normal(100.0, 20.0, size=1_000)
    good = ((gold - 100.0) / 20.0 + 0.3 * rng.normal(size=1_000)).astype(np.float32)[:, None]
    noise = rng.normal(size=(1_000, 1)).astype(np.float32)
    weights = fusion.best_weights(score.head(1), [noise, good], gold, Calibration(shift=100.0, scale=20.0))
    assert weights[0] < 0.05 < 0.8 < weights[1] < 1.1


def test_it_is_made_of_trained_models_only(tmp_path):
    with pytest.raises(InputError, match="trained models to fuse"):
        fusion.fit(Rows(["a"], np.array([0]), LABELS))
    _, model = fused(tmp_path)
    (tmp_path / "fused-fusion.json").write_text("[{}]")
    with pytest.raises(CorruptError, match="the files of a fusion"):
        fusion.load(model)
