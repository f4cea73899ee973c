"""A budget shared out by value, with intervals from the questions that the values rest on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from savile.base import stats
from savile.base.contracts import Value


@dataclass(frozen=True)
class Share:
    """What one owner's rows are worth, their share of all that is worth anything, and the price, each with its interval."""

    value: Value
    share: Value
    price: Value


def split(contributions: np.ndarray, budget: float, seed: int = 0) -> list[Share]:
    """Share a budget out: to each in proportion to the value where it is positive, nothing where it is not.

    Intervals are percentile bootstraps over questions; they say how far the split would move with other validation rows.

    Args:
        contributions: value of each owner for each question, float64 (owners, questions).
        budget: the sum to share; prices add up to it to the cent, unless nobody's rows are worth anything.
        seed: of the resamples.
    """
    owners, questions = contributions.shape

    def figures(counts: np.ndarray) -> np.ndarray:
        value = counts @ contributions.T / counts.sum(axis=1, keepdims=True)
        paid = np.maximum(value, 0.0)
        total = paid.sum(axis=1, keepdims=True)
        share = np.divide(paid, total, out=np.zeros_like(paid), where=total > 0)
        return np.concatenate([value, share], axis=1)

    found = stats.bootstrap(np.ones(questions), figures, seed=seed)
    values, shares = found[:owners], found[owners:]
    prices = _to_the_cent(np.array([share.value for share in shares]), budget)
    return [
        Share(value, share, Value(price, min(share.low * budget, price), max(share.high * budget, price), questions))
        for value, share, price in zip(values, shares, prices, strict=True)
    ]


def _to_the_cent(shares: np.ndarray, budget: float) -> list[float]:
    """Whole cents that add up to the budget: those cut off most get one more."""
    cents = shares * round(budget * 100)
    whole = np.floor(cents).astype(np.int64)
    left = round(float(cents.sum())) - int(whole.sum())
    whole[np.argsort(-(cents - whole), kind="stable")[: max(left, 0)]] += 1
    return [round(int(one) / 100, 2) for one in whole]
