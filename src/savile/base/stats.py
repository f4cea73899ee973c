"""Intervals and paired comparisons for measured figures, all seeded and vectorised.

Rows that are alike are counted together: a bootstrap (Efron 1979) of n rows of k distinct kinds draws how often each kind
occurs, so a statistic works on all resamples at once and cannot depend on the order of the rows. It takes counts, float64
(resamples, k), and gives one figure per resample, (resamples,), or m of them, (resamples, m).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist

import numpy as np

from savile.base.contracts import Value

RESAMPLES = 1_000
LEVEL = 0.95
_CELLS = 4_000_000  # counts held in memory at once: 32 MB
_ARRAYS = 7  # of so many float64 that the costliest figure, an AUC, holds at once

Statistic = Callable[[np.ndarray], np.ndarray]


def wilson(successes: int, n: int, level: float = LEVEL) -> Value:
    """A share with its score interval (Wilson 1927), which stays inside [0, 1] and holds for shares near the ends.

    Raises:
        ValueError: when there are no rows, or more successes than rows.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"wanted 0 <= successes <= n and n >= 1; received {successes} of {n}")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = successes / n
    spread = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    return Value(share, float(max(0.0, centre - spread)), float(min(1.0, centre + spread)), n)


def bootstrap(
    multiplicity: np.ndarray, statistic: Statistic, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL
) -> list[Value]:
    """Percentile bootstrap of one or more figures over rows.

    The interval is widened to hold the figure itself where the bootstrap is biased away from it, as for ECE.

    Args:
        multiplicity: how many rows there are of each kind, (k,); ones when every row is its own kind.
        statistic: counts (r, k) -> (r,) or (r, m); NaN where a resample does not define it.
        resamples: number of resamples.
        seed: seed of the draws.
        level: coverage of the interval.

    Returns:
        One `Value` per figure.
    """
    multiplicity = np.asarray(multiplicity, dtype=np.int64)
    n = int(multiplicity.sum())
    point = statistic(multiplicity[None, :].astype(np.float64)).reshape(-1)
    drawn = np.concatenate([statistic(counts).reshape(len(counts), -1) for counts in _draws(multiplicity, resamples, seed)])
    low, high = np.nanquantile(drawn, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    bounds = zip(point, np.minimum(low, point), np.maximum(high, point), strict=True)
    return [Value(float(value), float(lower), float(upper), n) for value, lower, upper in bounds]


def mean(values: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> Value:
    """The mean of row values (n,) with its bootstrap interval; of a difference when `values` are paired differences."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    return bootstrap(np.ones(len(ordered)), lambda counts: counts @ ordered / len(ordered), resamples, seed)[0]


def paired(ours: np.ndarray, theirs: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> Value:
    """Mean of ours minus theirs on the same rows, (n,) each: the difference and its paired bootstrap interval."""
    return mean(np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64), resamples, seed)


def ordered(rows: np.ndarray) -> np.ndarray:
    """Rows (n, m) in an order of their own, so that the order they came in is nothing."""
    sorted_rows: np.ndarray = rows[np.lexsort(rows.T)]
    return sorted_rows


def compared(
    ours: np.ndarray, theirs: np.ndarray, scores: Callable[[np.ndarray, np.ndarray], np.ndarray], names: Sequence[str]
) -> dict[str, Value]:
    """Ours minus theirs on the same rows, each figure with its paired bootstrap interval.

    Args:
        ours, theirs: what each row contributes to the figures, (n, m).
        scores: counts (r, n) and contributions -> figures, (r, k).
        names: of the k figures.
    """
    mine, other = np.split(ordered(np.concatenate([ours, theirs], axis=1)), 2, axis=1)
    figures = bootstrap(np.ones(len(mine)), lambda counts: scores(counts, mine) - scores(counts, other))
    return dict(zip(names, figures, strict=True))


def kinds(*columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows of integer columns (n,) each, sorted: rows (k, columns) and how often each occurs (k,)."""
    rows, multiplicity = np.unique(np.stack(columns, axis=1), axis=0, return_counts=True)
    return rows, multiplicity


def held(n: int) -> int:
    """Bytes that the bootstrap of a figure over n rows holds at most."""
    return 8 * _ARRAYS * n * min(RESAMPLES, _block(n))


def _block(n: int) -> int:
    """Resamples of n rows that are drawn at once."""
    return max(1, _CELLS // max(1, n))


def _draws(multiplicity: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Counts per kind (r, k) of n rows drawn with replacement, in blocks that fit in memory."""
    rng = np.random.default_rng(seed)
    kind = np.repeat(np.arange(len(multiplicity)), multiplicity)
    block = _block(len(kind))
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        drawn = kind[rng.integers(len(kind), size=(size, len(kind)), dtype=np.int32)]
        drawn += np.arange(size)[:, None] * len(multiplicity)
        yield np.bincount(drawn.ravel(), minlength=size * len(multiplicity)).reshape(size, -1).astype(np.float64)
