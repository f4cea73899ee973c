"""What changes from hour to hour: a `Series` is what happened, a `Forecast` is what was expected of it.

The two are different types on purpose. A policy is given forecasts and nothing else, so it cannot read the truth by accident.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from savile.base.errors import InputError

HOUR = 3600.0
DAY_H, WEEK_H = 24, 168
DECAY = 0.9  # how much of today's surprise is left after one more hour


@dataclass(frozen=True)
class Steps:
    """A step function of time: value i holds in [start + i step, start + (i + 1) step); the ends hold on both sides.

    Attributes:
        start_s: UTC seconds of the first value.
        values: the values, one per step.
        step_s: seconds per step.
    """

    start_s: float
    values: tuple[float, ...]
    step_s: float = HOUR
    _sums: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.values or self.step_s <= 0:
            raise InputError("a series with at least one value and a positive step", f"{len(self.values)} values", "Fill it.")
        sums, total = [0.0], 0.0
        for value in self.values:
            total += value * self.step_s
            sums.append(total)
        object.__setattr__(self, "_sums", tuple(sums))

    def at(self, time_s: float) -> float:
        """The value at a time."""
        place = int((time_s - self.start_s) // self.step_s)
        return self.values[min(max(place, 0), len(self.values) - 1)]

    def integral(self, from_s: float, to_s: float) -> float:
        """The integral over [from_s, to_s], in value seconds; exact, and additive over disjoint intervals."""
        return self._until(to_s) - self._until(from_s)

    def mean(self, from_s: float, to_s: float) -> float:
        """The mean over [from_s, to_s]; the value at the time when the interval is empty."""
        return self.integral(from_s, to_s) / (to_s - from_s) if to_s > from_s else self.at(from_s)

    def means(self, times_s: np.ndarray) -> np.ndarray:
        """The means between one time and the next, float64 (n - 1,), of times that rise, float64 (n,)."""
        place, many = (times_s - self.start_s) / self.step_s, len(self.values)
        beyond = self.values[0] * np.minimum(place, 0.0) + self.values[-1] * np.maximum(place - many, 0.0)
        sums = np.interp(place, np.arange(many + 1), self._sums) + self.step_s * beyond
        return np.asarray(np.diff(sums) / np.diff(times_s))

    def _until(self, time_s: float) -> float:
        steps = (time_s - self.start_s) / self.step_s
        if steps <= 0:
            return self.values[0] * steps * self.step_s
        whole = int(steps)
        if whole >= len(self.values):
            return self._sums[-1] + self.values[-1] * (steps - len(self.values)) * self.step_s
        return self._sums[whole] + self.values[whole] * (steps - whole) * self.step_s


@dataclass(frozen=True)
class Series(Steps):
    """The truth, as it was measured or replayed. Kernels and ledgers read it; policies never see one.

    Attributes:
        published_h: hour of the day, counted from the time of day at which the series starts, from which all of the next day is
            public, as prices of a day-ahead market are; None: nothing is known before it happens.
    """

    published_h: float | None = None

    def known(self, now_s: float) -> int:
        """The number of the last step whose value is public."""
        here = min(max(int((now_s - self.start_s) // self.step_s), 0), len(self.values) - 1)
        if self.published_h is None:
            return here
        day, hour = divmod((now_s - self.start_s) / HOUR, DAY_H)
        end = (day + (2 if hour >= self.published_h else 1)) * DAY_H * HOUR / self.step_s
        return max(here, min(int(end), len(self.values)) - 1)

    @cached_property
    def scale(self) -> float:
        """Mean of the absolute values, for relative errors."""
        return sum(map(abs, self.values)) / len(self.values)


class Forecast(Steps):
    """What was expected at `start_s`: hour by hour, the first hour being the one that is known."""


@dataclass(frozen=True)
class Outlook:
    """What a policy may know of a region's coming hours: price in EUR/MWh and carbon in g/kWh; None where nobody measures."""

    price: Forecast | None = None
    carbon: Forecast | None = None


def forecast(truth: Series, now_s: float, hours: int = WEEK_H, days: int = 7) -> Forecast:
    """Expect each hour of the day to be as in the last `days` days, and today's surprise to fade.

    Only values that are public are read, those up to and including the current step and what was published ahead: a day's
    profile is the mean of past days, and the difference between the last public value and the profile decays by `DECAY` per
    hour. With less than a day of history the last public value is expected to stay.
    """
    step = truth.step_s
    here = min(max(int((now_s - truth.start_s) // step), 0), len(truth.values) - 1)
    last = truth.known(now_s)
    start, current = truth.start_s + here * step, truth.values[last]
    per_day = round(DAY_H * HOUR / step)
    count = round(hours * HOUR / step)
    public = truth.values[here : last + 1]
    if last < per_day:
        return Forecast(start, (*public, *(current,) * count)[:count], step)
    profile = [_profile(truth.values, last, ahead, per_day, days) for ahead in range(min(count, per_day))]
    surprise, fade = current - profile[0], DECAY ** (step / HOUR)
    expected = (profile[i % per_day] + surprise * fade**i for i in range(1, count))
    return Forecast(start, (*public, *expected)[:count], step)


def _profile(values: Sequence[float], here: int, ahead: int, per_day: int, days: int) -> float:
    """Mean of the past values at the time of day that is `ahead` steps from now; never a value after `here`."""
    past = [here + ahead - per_day * back for back in range(1, days + 1)]
    known = [values[i] for i in past if 0 <= i <= here]
    return sum(known) / len(known)
