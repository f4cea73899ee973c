"""Whether sentiment rises or falls: the slope of Theil and Sen, tested by Mann and Kendall with autocorrelation allowed for.

Neighbouring weeks resemble each other, and a plain test then finds trends where there are none. The variance of the statistic
is inflated by the first autocorrelation of the ranks around the slope (Hamed and Rao, Journal of Hydrology 1998), with
Kendall's correction for short series. It is not inflated by longer memory: a slow cycle can still look like a trend.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

LEAST_WEEKS = 6
LEVEL = 0.95


@dataclass(frozen=True)
class Trend:
    """Change per week with its 95 % interval, the two-sided p-value, and the factor by which the variance was inflated."""

    slope: float
    low: float
    high: float
    p: float
    inflation: float


def trend(weeks: np.ndarray, values: np.ndarray) -> Trend | None:
    """The trend of some weekly values; None where fewer than `LEAST_WEEKS` are there.

    Args:
        weeks: week numbers, (n,), increasing.
        values: one value a week, (n,).
    """
    n = len(weeks)
    if n < LEAST_WEEKS:
        return None
    first, second = np.triu_indices(n, 1)
    slopes = np.sort((values[second] - values[first]) / (weeks[second] - weeks[first]))
    slope = float(np.median(slopes))
    statistic = float(np.sign(values[second] - values[first]).sum())
    _, ties = np.unique(values, return_counts=True)
    variance = (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18
    inflation = _inflation(values - slope * weeks)
    spread = float(np.sqrt(max(variance, 1e-9) * inflation))
    z = max(abs(statistic) - 1.0, 0.0) / spread
    reach = NormalDist().inv_cdf(0.5 + LEVEL / 2) * spread
    ends = np.clip([(len(slopes) - reach) / 2 - 1, (len(slopes) + reach) / 2], 0, len(slopes) - 1)
    low, high = np.interp(ends, np.arange(len(slopes)), slopes)
    return Trend(slope, float(min(low, slope)), float(max(high, slope)), 2 * (1 - NormalDist().cdf(z)), inflation)


def _inflation(residuals: np.ndarray) -> float:
    """By how much the first autocorrelation of the ranks inflates the variance; 1 when it is not positive."""
    from scipy.stats import rankdata

    n = len(residuals)
    ranks = rankdata(residuals) - (n + 1) / 2
    if not (ranks @ ranks):
        return 1.0
    first = (n * float(ranks[1:] @ ranks[:-1]) / float(ranks @ ranks) + 1) / (n - 4)  # Kendall 1954: short series look too calm
    rho = min(max(first, 0.0), 0.9)
    return 1.0 + 2.0 * (n - 3) / n * rho
