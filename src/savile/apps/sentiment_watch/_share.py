"""Shares of negative and positive items with intervals, from probabilities rather than from hard labels.

A classifier that is honest at the shares it was calibrated on leans towards them where the shares are others. Expectation and
maximisation (Saerens, Latinne and Decaestecker, Neural Computation 2002) re-weighs each answer by the shares at hand until both
agree; a Dirichlet prior around the shares of all companies, as strong as the data say, keeps small counts from extremes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from savile.base.contracts import Value

STRENGTHS = (1.0, 2.0, 4.0, 8.0, 16.0)  # of the prior, in items; more would hide what a few dozen say
ROUNDS, CLOSE = 500, 1e-9
SETTLED = 30  # labelled rows from which their own shares stand for those the classifier was calibrated on
LEVEL = 0.95


@dataclass(frozen=True)
class Prior:
    """What is known before looking at a company.

    Attributes:
        learnt: shares the classifier was calibrated on, (k,).
        pooled: shares over all items, (k,).
        strength: how many items the pooled shares weigh.
    """

    learnt: np.ndarray
    pooled: np.ndarray
    strength: float


def prior(probabilities: np.ndarray, known: np.ndarray, groups: list[np.ndarray]) -> Prior:
    """The prior of a stream.

    Args:
        probabilities: calibrated, float64 (n, k); one-hot where people have labelled.
        known: whether people have labelled the row, bool (n,).
        groups: row numbers of each company.
    """
    learnt = probabilities[known if known.sum() >= SETTLED else slice(None)].mean(axis=0)
    learnt = np.maximum(learnt, 1e-3) / np.maximum(learnt, 1e-3).sum()
    pooled = settle(probabilities, known, learnt, learnt, 1.0).mean(axis=0)
    counts = np.array([probabilities[rows].sum(axis=0) for rows in groups if len(rows)])
    return Prior(learnt, pooled, _strength(counts, pooled))


def settle(probabilities: np.ndarray, known: np.ndarray, learnt: np.ndarray, pooled: np.ndarray, strength: float) -> np.ndarray:
    """Probabilities (n, k) re-weighed to the shares of these rows; what people have labelled stays."""
    if not len(probabilities):
        return probabilities
    shares, settled = pooled, probabilities
    for _ in range(ROUNDS):
        weighed = probabilities * (shares / learnt)
        settled = np.where(known[:, None], probabilities, weighed / weighed.sum(axis=1, keepdims=True))
        after = (settled.sum(axis=0) + strength * pooled) / (len(settled) + strength)
        if np.abs(after - shares).max() < CLOSE:
            break
        shares = after
    return settled


def shares(probabilities: np.ndarray, known: np.ndarray, about: Prior) -> list[Value]:
    """The share of each class among some rows, shrunken towards the pooled one, with its 95 % interval.

    The interval is that of a beta distribution with the variance of a mixture's share: of rows that the classifier is unsure
    about it takes more to be as sure.
    """
    from scipy.stats import beta

    settled = settle(probabilities, known, about.learnt, about.pooled, about.strength)
    n = len(settled)
    mean = np.clip((settled.sum(axis=0) + about.strength * about.pooled) / (n + about.strength), 1e-6, 1 - 1e-6)
    told = ((settled / mean - (1 - settled) / (1 - mean)) ** 2).sum(axis=0)  # observed information of a mixture's share
    spread = 1 / (told + (about.strength + 1) / (mean * (1 - mean)))
    size = mean * (1 - mean) / spread - 1
    ends = beta.ppf([[0.5 - LEVEL / 2], [0.5 + LEVEL / 2]], mean * size, (1 - mean) * size)
    return [Value(float(m), float(low), float(high), n) for m, low, high in zip(mean, *ends, strict=True)]


def _strength(counts: np.ndarray, pooled: np.ndarray) -> float:
    """How alike the companies are: the strength with the highest likelihood of their counts (c, k), Dirichlet-multinomial."""
    from scipy.special import gammaln

    if len(counts) < 3:
        return STRENGTHS[2]
    totals = counts.sum(axis=1)
    scores = []
    for strength in STRENGTHS:
        alpha = strength * pooled
        scores.append(
            float((gammaln(counts + alpha) - gammaln(alpha)).sum() - (gammaln(totals + strength) - gammaln(strength)).sum())
        )
    return STRENGTHS[int(np.argmax(scores))]
