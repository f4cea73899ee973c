"""Alarms: a company has more negative items in a few days than its own past explains, with a bound on false alarms.

Daily counts of negative items are taken as negative binomial: more spread than Poisson, as news is. Given how many negative
items window and history hold together, the number in the window then follows Pólya's distribution, in which the company's own
rate no longer occurs; for counts that are not over-dispersed this is the conditional test of Przyborowski and Wilenski
(Biometrika 1940). How dispersed counts are is learnt from all companies' past and averaged over, not picked. Sums of
probabilities vary less than the counts they stand for, so an unsure classifier costs power, not false alarms.

The chance of any false alarm in a stream without change, over all companies and all days, is held to `alpha`: each day may
spend ``alpha / horizon``, and within a day the procedure of Benjamini and Hochberg (1995) decides between companies. Nothing of
the future is used, so a day's alarm can be raised on that day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIZES = np.array([0.5, 1.0, 2.0, 4.0, 8.0, 32.0, 1e6])  # of the negative binomial a day; the last is Poisson
WEEKDAY_ITEMS = 20.0  # items of an even week that the weekday pattern is shrunken with


@dataclass(frozen=True)
class Rule:
    """When to raise an alarm.

    Attributes:
        alpha: chance of any false alarm in a stream without change, over the whole horizon.
        window: days that are looked at together.
        history: days before them that say what is usual.
        warmup: days of history there must be before a day is tested.
        horizon: days over which `alpha` is spent; 0 takes the days at hand.
        least: expected negative items in the window below which there is no alarm.
    """

    alpha: float = 0.05
    window: int = 3
    history: int = 42
    warmup: int = 14
    horizon: int = 0
    least: float = 3.0


@dataclass(frozen=True)
class Alarm:
    """One surge: days that were alarmed without a break, as the numbers of columns.

    Attributes:
        company: row number.
        first: first day of the first window that alarmed.
        last: last day that alarmed.
        raised: day on which it was raised first.
        p: smallest p-value of its days.
        found: expected negative items in the window of that smallest value.
        usual: expected negative items in as many days before.
        window: first and last day of that window.
    """

    company: int
    first: int
    last: int
    raised: int
    p: float
    found: float
    usual: float
    window: tuple[int, int]


def surges(negative: np.ndarray, items: np.ndarray, weekday: np.ndarray, rule: Rule) -> list[Alarm]:
    """The alarms of a stream.

    Args:
        negative: expected number of negative items, float64 (companies, days).
        items: number of items, (companies, days); says what a weekday is like.
        weekday: 0 to 6 of each day, int64 (days,).
        rule: when to raise an alarm.

    Returns:
        Alarms in the order in which they are raised.
    """
    days = negative.shape[1]
    begin = rule.warmup + rule.window - 1
    tested = max(days - begin, 0)
    spend = rule.alpha / max(rule.horizon, tested, 1)
    calm = np.ones(negative.shape, dtype=bool)  # days that may stand for what is usual: those of an alarm may not
    runs: dict[int, Alarm] = {}
    ended: list[Alarm] = []
    for day in range(begin, days):
        window = slice(day - rule.window + 1, day + 1)
        past = slice(max(0, window.start - rule.history), window.start)
        found = negative[:, window].sum(axis=1)
        asked = np.flatnonzero(found >= rule.least)
        if not len(asked):
            continue
        p, usual = np.ones(len(found)), np.zeros(len(found))  # what is not asked about counts as a hypothesis all the same
        rhythm = _rhythm(items, weekday, past, window)
        p[asked], usual[asked] = test(negative[:, window], negative[:, past], calm[:, past], rhythm, asked)
        for company in np.flatnonzero(rejected(p, spend)).tolist():
            now = Alarm(
                company,
                window.start,
                day,
                day,
                float(p[company]),
                float(found[company]),
                float(usual[company]),
                (window.start, day),
            )
            before = runs.get(company)
            if before is not None and before.last < day - 1:
                ended.append(before)
                before = None
            runs[company] = _joined(before, now)
            calm[company, window] = False
    return sorted([*ended, *runs.values()], key=lambda alarm: (alarm.raised, alarm.p))


def test(
    window: np.ndarray, past: np.ndarray, calm: np.ndarray, rhythm: tuple[np.ndarray, np.ndarray], asked: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One day's test of some companies, with the dispersion learnt from all.

    Args:
        window: expected negative items, (c, w).
        past: the same before, (c, h).
        calm: which past days may stand for what is usual, bool (c, h).
        rhythm: what share of an average day each day of past and window is, (h,) and (w,).
        asked: which companies are tested, int64 (a,).

    Returns:
        p-values (a,), and what was to be expected in the window (a,).
    """
    before, within = rhythm
    counts, exposure = np.where(calm, past, 0.0), np.where(calm, before, 0.0)
    weights = _size_weights(counts, exposure)
    k, seen, here, there = window[asked].sum(axis=1), counts[asked].sum(axis=1), within.sum(), exposure[asked].sum(axis=1)
    h = np.ceil(seen - 1e-9)
    low = np.floor(k + 1e-9)
    tails = [weights @ polya_tail(count, count + h, SIZES[:, None] * here, SIZES[:, None] * there) for count in (low, low + 1)]
    part = np.clip(k - low, 0.0, 1.0)
    p = np.exp((1 - part) * np.log(np.maximum(tails[0], 1e-300)) + part * np.log(np.maximum(tails[1], 1e-300)))
    return np.where(there > 0, p, 1.0), seen * here / np.maximum(there, 1e-9)


def polya_tail(k: np.ndarray, total: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Chance that at least `k` of `total` fall to the first of two when draws follow Pólya's urn with weights `a` and `b`.

    Args:
        k: whole numbers, (c,).
        total: whole numbers not below k, (c,).
        a: weights of the first, (s, 1) or (s, c), positive.
        b: weights of the second, (s, c).
    """
    from scipy.special import betaln, gammaln

    b = np.maximum(b, 1e-9)
    a = np.broadcast_to(a, b.shape)
    j = np.arange(int(total.max(initial=0)) + 1)
    n = total[:, None]
    inside = (j >= k[:, None]) & (j <= n)
    other = np.maximum(n - j, 0)
    ways = gammaln(n + 1) - gammaln(j + 1) - gammaln(other + 1)
    logs = ways + betaln(j + a[..., None], other + b[..., None]) - betaln(a, b)[..., None]
    tail: np.ndarray = np.minimum(np.where(inside, np.exp(np.where(inside, logs, 0.0)), 0.0).sum(axis=-1), 1.0)
    return tail


def rejected(p: np.ndarray, level: float) -> np.ndarray:
    """Which hypotheses the procedure of Benjamini and Hochberg rejects at a false discovery rate of `level`, bool (c,)."""
    order = np.argsort(p, kind="stable")
    passing = np.flatnonzero(p[order] <= level * np.arange(1, len(p) + 1) / max(len(p), 1))
    chosen = np.zeros(len(p), dtype=bool)
    chosen[order[: passing[-1] + 1 if len(passing) else 0]] = True
    return chosen


def _size_weights(counts: np.ndarray, exposure: np.ndarray) -> np.ndarray:
    """How likely each of `SIZES` is given past days (c, h), (s,), adding to 1; each company's total is taken as given."""
    from scipy.special import gammaln

    alpha = SIZES[:, None, None] * np.maximum(exposure, 1e-12)
    used = exposure > 0
    within = np.where(used, gammaln(counts + alpha) - gammaln(alpha), 0.0).sum(axis=(1, 2))
    whole = SIZES[:, None] * np.maximum(exposure.sum(axis=1), 1e-12)
    logs = within - (gammaln(counts.sum(axis=1) + whole) - gammaln(whole)).sum(axis=1)
    weights = np.exp(logs - logs.max())
    shares: np.ndarray = weights / weights.sum()
    return shares


def _rhythm(items: np.ndarray, weekday: np.ndarray, past: slice, window: slice) -> tuple[np.ndarray, np.ndarray]:
    """What share of an average day each day of past and window is, by its weekday, from the items of all companies before."""
    seen = np.bincount(weekday[past], weights=items[:, past].sum(axis=0), minlength=7)
    days = np.bincount(weekday[past], minlength=7)
    mean = seen.sum() / max(days.sum(), 1)
    if mean == 0:
        return np.ones(past.stop - past.start), np.ones(window.stop - window.start)
    share = (seen + WEEKDAY_ITEMS / 7) / (days * mean + WEEKDAY_ITEMS / 7)
    return share[weekday[past]], share[weekday[window]]


def _joined(before: Alarm | None, now: Alarm) -> Alarm:
    """The run of alarmed days so far with one day more."""
    if before is None:
        return now
    best = now if now.p < before.p else before
    return Alarm(before.company, before.first, now.last, before.raised, best.p, best.found, best.usual, best.window)
