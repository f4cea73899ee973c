"""Alarms of the app sentiment_watch: how many streams without change raise a false one, and how many surges are found in time.

Streams are simulated: companies of unequal fame, negative items that come at a constant rate (Poisson), in clumps (negative
binomial of size 1 a day), or read by a calibrated classifier that is right on 82 % of the items. A surge adds negative items
to one company on three days. Nominal is 5 % of whole streams with any alarm, over all companies and days. Beside it stand
two rules of thumb with the same window: more than the mean and two standard deviations of the company's own past windows,
and five negative items or more.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from _report import cached, report
from savile.apps.sentiment_watch._surge import Rule, surges

COMPANIES, DAYS, RATE, SURGE_DAY = 15, 84, 0.3, 60
STREAMS, PLANTED, EXTRA = 400, 200, (8, 12)
IN_TIME = 3  # days from the first of a surge, that one included
SEPARATION = 1.8  # of the classifier's scores, in standard deviations: 82 % right at equal shares
FIXED = 5.0
RULE = Rule()

Raised = list[tuple[int, int]]  # company and day of each alarm
Rules = dict[str, Callable[[np.ndarray, np.ndarray], Raised]]


def main() -> None:
    for kind in ("poisson", "clumped", "classified"):
        wrong = {rule: share_of_streams(kind, rule) for rule in RULES}
        for peer in ("two_sigma", "fixed"):
            more = {"baseline": peer, "baseline_value": wrong[peer], "seeds": STREAMS}
            report(f"watch_false_alarms_{kind}", wrong["watch"], "share of streams", bar=0.05, higher=False, **more)
    for extra in EXTRA:
        found = {rule: power("classified", extra, rule) for rule in RULES}
        for peer in ("two_sigma", "fixed"):
            more = {"seeds": PLANTED, "baseline": peer}
            report(f"watch_found_{extra}", found["watch"][0], "share in time", baseline_value=found[peer][0], **more)
            report(f"watch_delay_{extra}", found["watch"][1], "days", higher=False, baseline_value=found[peer][1], **more)


def stream(kind: str, seed: int, extra: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Expected negative items and items, (companies, days) each; a surge of `extra` negative items in company 0 when asked."""
    rng = np.random.default_rng(seed)
    rates = np.repeat(RATE * rng.gamma(3, 1 / 3, COMPANIES)[:, None], DAYS, axis=1)
    clumps = rng.gamma(1.0, 1.0, rates.shape) if kind == "clumped" else 1.0
    bad = rng.poisson(rates * clumps)
    if extra:
        bad[0, SURGE_DAY : SURGE_DAY + 3] += rng.multinomial(extra, [1 / 3] * 3)
    other = rng.poisson(2 * rates)
    if kind != "classified":
        return bad.astype(float), bad + other
    return read(rng, bad, 1.0) + read(rng, other, 0.0), bad + other


def read(rng: np.random.Generator, counts: np.ndarray, truth: float) -> np.ndarray:
    """Sums of calibrated probabilities that items are negative, where a third of them are."""
    scores = rng.normal(SEPARATION * (truth - 0.5), 1.0, counts.sum())
    chances = 1 / (1 + np.exp(-(SEPARATION * scores + np.log(0.5))))
    return np.bincount(np.repeat(np.arange(counts.size), counts.ravel()), chances, counts.size).reshape(counts.shape)


def ours(negative: np.ndarray, items: np.ndarray) -> Raised:
    return [(alarm.company, alarm.raised) for alarm in surges(negative, items, np.arange(DAYS) % 7, RULE)]


def two_sigma(negative: np.ndarray, items: np.ndarray) -> Raised:
    windows = _windows(negative)
    raised = []
    for day in range(RULE.warmup + RULE.window - 1, DAYS):
        past = windows[:, max(0, day - RULE.history) : day - RULE.window + 1]
        over = windows[:, day] > past.mean(axis=1) + 2 * past.std(axis=1)
        raised += [(company, day) for company in np.flatnonzero(over & (windows[:, day] >= RULE.least)).tolist()]
    return raised


def fixed(negative: np.ndarray, items: np.ndarray) -> Raised:
    begin = RULE.warmup + RULE.window - 1
    return [(c, d + begin) for c, d in np.argwhere(_windows(negative)[:, begin:] >= FIXED).tolist()]


def _windows(negative: np.ndarray) -> np.ndarray:
    """The sum of each day and the days of the window before it."""
    total = np.cumsum(np.pad(negative, ((0, 0), (1, 0))), axis=1)
    return total[:, 1:] - total[:, np.maximum(np.arange(negative.shape[1]) + 1 - RULE.window, 0)]


RULES: Rules = {"watch": ours, "two_sigma": two_sigma, "fixed": fixed}


def share_of_streams(kind: str, rule: str) -> float:
    """Share of streams without change that raise any alarm."""
    key = {"benchmark": "watch_null", "kind": kind, "rule": rule, "streams": STREAMS}
    return cached(key, lambda: {"share": float(np.mean([bool(RULES[rule](*stream(kind, s))) for s in range(STREAMS)]))})[
        "share"
    ]


def power(kind: str, extra: int, rule: str) -> tuple[float, float]:
    """Share of surges whose company is alarmed in time, and the mean number of days until then of those that are."""

    def measure() -> dict[str, float]:
        delays = []
        for seed in range(PLANTED):
            raised = RULES[rule](*stream(kind, 10_000 + seed, extra))
            days = [day - SURGE_DAY for company, day in raised if company == 0 and 0 <= day - SURGE_DAY < IN_TIME]
            delays += [min(days)] if days else []
        return {"share": len(delays) / PLANTED, "delay": float(np.mean(delays)) if delays else float(IN_TIME)}

    found = cached({"benchmark": "watch_power", "kind": kind, "extra": extra, "rule": rule, "streams": PLANTED}, measure)
    return found["share"], found["delay"]


if __name__ == "__main__":
    main()
