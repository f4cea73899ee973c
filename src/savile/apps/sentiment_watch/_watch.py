"""From items with probabilities to what is known of each company: shares, trend, alarms, and the rows behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np

from savile.apps.sentiment_watch import _share, _surge, _trend
from savile.base.contracts import Value

BEHIND = 12  # rows shown behind an alarm
DISCOVERIES = 0.05  # share of trends told that may be none


@dataclass(frozen=True)
class Stream:
    """Items in the order of their file.

    Attributes:
        numbers: how each row is called, 1 for the first.
        texts: masked.
        days: days since 1970, int64 (n,).
        probabilities: of negative, neutral and positive, float64 (n, 3); one-hot where people have labelled.
        known: whether people have labelled the row, bool (n,).
        about: the companies each item names.
    """

    numbers: Sequence[int]
    texts: Sequence[str]
    days: np.ndarray
    probabilities: np.ndarray
    known: np.ndarray
    about: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Company:
    """One company over the whole stream; `weeks` has (week number, share of positive less share of negative, items)."""

    name: str
    items: int
    negative: Value
    positive: Value
    trend: _trend.Trend | None
    stands_out: bool
    weeks: tuple[tuple[int, float, int], ...]

    @property
    def net(self) -> float:
        """Share of positive less share of negative items, in [-1, 1]."""
        return self.positive.value - self.negative.value


@dataclass(frozen=True)
class Surge:
    """One alarm in words: whom, when, how much, and the rows behind it, the surest first."""

    company: str
    first: date
    last: date
    raised: date
    window: tuple[date, date]
    found: float
    usual: float
    p: float
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Watch:
    """What a stream came to.

    Attributes:
        first: first day.
        last: last day.
        items: how many items.
        known: how many of them people had labelled.
        nobody: how many name no company of the list.
        shares: negative, neutral and positive share over all.
        companies: the most negative first.
        surges: in the order in which they were raised.
        daily: expected number of negative items, company -> one value a day.
        rule: when an alarm is raised.
        tested: days on which an alarm could be raised.
    """

    first: date
    last: date
    items: int
    known: int
    nobody: int
    shares: tuple[Value, Value, Value]
    companies: tuple[Company, ...]
    surges: tuple[Surge, ...]
    daily: Mapping[str, np.ndarray]
    rule: _surge.Rule
    tested: int

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "items": self.items,
            "labelled_by_people": self.known,
            "without_company": self.nobody,
            "negative": self.shares[0].as_dict(),
            "positive": self.shares[2].as_dict(),
            "companies": [_company(one) for one in self.companies],
            "alarms": [_alarm(one) for one in self.surges],
            "alpha": self.rule.alpha,
            "days_tested": self.tested,
        }


def watch(stream: Stream, names: Sequence[str], rule: _surge.Rule) -> Watch:
    """Everything about a stream.

    Args:
        stream: at least one item.
        names: companies to report, in any order; those no item names are left out.
        rule: when to raise an alarm.
    """
    start = int(stream.days.min())
    span = int(stream.days.max()) - start + 1
    day = stream.days - start
    present = set().union(*stream.about)
    rows = {name: np.flatnonzero([name in about for about in stream.about]) for name in names if name in present}
    grid = {name: np.bincount(day[mine], stream.probabilities[mine, 0], span) for name, mine in rows.items()}
    items = [np.bincount(day[mine], minlength=span) for mine in rows.values()]
    weekday = (start + 3 + np.arange(span)) % 7  # 1 January 1970 was a Thursday
    negative = np.array(list(grid.values())).reshape(len(rows), span)
    alarms = _surge.surges(negative, np.array(items).reshape(len(rows), span), weekday, rule)
    about = _share.prior(stream.probabilities, stream.known, list(rows.values()))
    everything = _share.shares(stream.probabilities, stream.known, _share.Prior(about.learnt, about.pooled, 0.5))
    return Watch(
        first=on(start),
        last=on(start + span - 1),
        items=len(day),
        known=int(stream.known.sum()),
        nobody=sum(not about for about in stream.about),
        shares=(everything[0], everything[1], everything[2]),
        companies=_companies(stream, rows, about, start),
        surges=tuple(_told(alarm, list(rows), rows, stream, start) for alarm in alarms),
        daily=grid,
        rule=rule,
        tested=max(span - rule.warmup - rule.window + 1, 0),
    )


def _companies(stream: Stream, rows: Mapping[str, np.ndarray], about: _share.Prior, start: int) -> tuple[Company, ...]:
    found = []
    for name, mine in rows.items():
        shares = _share.shares(stream.probabilities[mine], stream.known[mine], about)
        weeks = _weeks(stream, mine, about, start)
        numbers, net = np.array([week[0] for week in weeks]), np.array([week[1] for week in weeks])
        found.append((name, len(mine), shares[0], shares[2], _trend.trend(numbers, net), weeks))
    p = np.array([one[4].p if one[4] else 1.0 for one in found])
    out = _surge.rejected(p, DISCOVERIES)
    companies = [
        Company(name, n, negative, positive, trend, bool(stands), weeks)
        for (name, n, negative, positive, trend, weeks), stands in zip(found, out, strict=True)
    ]
    return tuple(sorted(companies, key=lambda one: (-one.negative.value, one.name)))


def _weeks(stream: Stream, mine: np.ndarray, about: _share.Prior, start: int) -> tuple[tuple[int, float, int], ...]:
    """Net sentiment of each week that has items; hardly drawn to the rest, which would flatten every slope."""
    number = (stream.days[mine] - start) // 7
    weeks = []
    for week in np.unique(number).tolist():
        rows = mine[number == week]
        negative, _, positive = _share.shares(stream.probabilities[rows], stream.known[rows], replace(about, strength=1.0))
        weeks.append((week, positive.value - negative.value, len(rows)))
    return tuple(weeks)


def _told(alarm: _surge.Alarm, names: list[str], rows: Mapping[str, np.ndarray], stream: Stream, start: int) -> Surge:
    """An alarm with dates and the rows that are more likely negative than not, the surest first."""
    name = names[alarm.company]
    mine = rows[name]
    within = mine[(stream.days[mine] >= start + alarm.first) & (stream.days[mine] <= start + alarm.last)]
    likely = within[stream.probabilities[within, 0] >= 0.5]
    order = likely[np.lexsort((likely, -stream.probabilities[likely, 0]))][:BEHIND]
    first = stream.days[order].min() if len(order) else start + alarm.first
    ends = (on(start + alarm.window[0]), on(start + alarm.window[1]))
    behind = tuple(stream.numbers[i] for i in order.tolist())
    days = (on(int(first)), on(start + alarm.last), on(start + alarm.raised))
    return Surge(name, *days, ends, alarm.found, alarm.usual, alarm.p, behind)


def on(day: int) -> date:
    """The date of a day counted from 1970."""
    return date(1970, 1, 1) + timedelta(days=day)


def _company(one: Company) -> dict[str, Any]:
    trend = None if one.trend is None else {**vars(one.trend), "stands_out": one.stands_out}
    shares = {"negative": one.negative.as_dict(), "positive": one.positive.as_dict(), "net": one.net}
    return {"company": one.name, "items": one.items, **shares, "trend_per_week": trend}


def _alarm(one: Surge) -> dict[str, Any]:
    return {
        "company": one.company,
        "from": one.first.isoformat(),
        "to": one.last.isoformat(),
        "raised": one.raised.isoformat(),
        "window": [day.isoformat() for day in one.window],
        "negative_found": one.found,
        "negative_usual": one.usual,
        "p": one.p,
        "rows": list(one.rows),
    }
