"""What dropping rows does: accuracy on held rows when the least valuable go first, beside rows that go at random."""

from __future__ import annotations

from typing import Any

import numpy as np

from savile.base import stats
from savile.data import _features, _games

SHARES = (0.0, 0.05, 0.10, 0.15, 0.20, 0.30, 0.40, 0.50)
USUAL = 0.20  # drop lists are rarely longer; up to here the gain is averaged
DRAWS = 5
WIDEST = 384


def curve(
    features: np.ndarray,
    labels: np.ndarray,
    rows: np.ndarray,
    parts: tuple[np.ndarray, np.ndarray],
    values: np.ndarray,
    seed: int = 0,
) -> dict[str, Any]:
    """Accuracy of ridge regression after dropping shares of the rows it learns from.

    Args:
        features: of every row, (n, d).
        labels: label number of every row, (n,).
        rows: row of each player, (p,).
        parts: players that are learnt from, and rows the accuracy is measured on.
        values: value of each player, (p,).
        seed: of the random drops.

    Returns:
        ``dropped`` shares, ``least_valuable`` accuracies, ``random`` their mean with the lowest and highest draw, ``held``
        rows, and
        ``gain``: accuracy of dropping by value less that at random, the mean over shares up to a fifth, with its bootstrap
            interval.
    """
    learners, held = parts
    small, classes = _features.compact(features, WIDEST), int(labels.max()) + 1
    order = learners[np.argsort(values[learners], kind="stable")]
    rng = np.random.default_rng(seed)
    random = [rng.permutation(learners) for _ in range(DRAWS)]

    def right(sequence: np.ndarray, share: float) -> np.ndarray:
        kept = rows[sequence[round(share * len(sequence)) :]]
        return _games.right((small[kept], labels[kept]), (small[held], labels[held]), classes)

    by_value = np.stack([right(order, share) for share in SHARES])
    at_random = np.stack([[right(draw, share) for draw in random] for share in SHARES])  # (shares, draws, held)
    drawn = at_random.mean(axis=2)
    usual = np.array([0.0 < share <= USUAL for share in SHARES])
    gain = stats.mean((by_value - at_random.mean(axis=1))[usual].mean(axis=0), seed=seed)
    return {
        "dropped": list(SHARES),
        "least_valuable": [float(one) for one in by_value.mean(axis=1)],
        "random": [[float(one.mean()), float(one.min()), float(one.max())] for one in drawn],
        "held": len(held),
        "gain": gain.as_dict(),
    }
