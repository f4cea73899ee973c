"""The head alone: the same minimum as scikit-learn's logistic regression."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from savile.models._head import STRENGTHS, best_strength, convex_head


def features(seed=0, rows=240, classes=4, width=16):
    rng = np.random.default_rng(seed)
    targets = rng.integers(classes, size=rows)
    centres = rng.normal(size=(classes, width))
    made = torch.from_numpy((centres[targets] + 1.5 * rng.normal(size=(rows, width))).astype(np.float32))
    return torch.nn.functional.normalize(made, dim=-1), torch.from_numpy(targets)


def test_it_finds_the_minimum_of_scikit_learn():
    x, y = features()
    weight, bias = convex_head(x, y, 4, strength=10.0)
    reference = LogisticRegression(C=10.0, tol=1e-8, max_iter=5000).fit(x.numpy(), y.numpy())
    ours = (x @ weight.T + bias).softmax(1).numpy()
    assert np.abs(ours - reference.predict_proba(x.numpy())).max() < 2e-3


def test_weights_of_classes_count_as_copies_of_rows():
    x, y = features()
    weight, bias = convex_head(x, y, 4, 10.0, weights=torch.tensor([2.0, 1.0, 1.0, 1.0]))
    reference = LogisticRegression(C=10.0, tol=1e-8, max_iter=5000, class_weight={0: 2.0}).fit(x.numpy(), y.numpy())
    assert (((x @ weight.T + bias).argmax(1)).numpy() == reference.predict(x.numpy())).mean() > 0.97


def test_noise_asks_for_a_stronger_penalty_than_order():
    x, y = features()
    noise = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(0))]
    assert best_strength(x, noise, 4, seed=0) == STRENGTHS[0]
    assert best_strength(x, y, 4, seed=0) > STRENGTHS[0] or best_strength(x, y, 4, seed=0) == STRENGTHS[0]
