"""Reads dates and times in the spellings files hold: ISO 8601, day or month first, month names, Chinese, Unix seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

PARSED = 0.98  # share of the values that must read as dates before a column counts as time
SAMPLE = 200
CLOCK = r"(?:[T ,]+(?P<H>\d{1,2})[:.时](?P<M>\d{2})(?:[:.分](?P<S>\d{2})秒?(?:[.,]\d+)?)?\s*(?P<half>[AaPp][Mm])?)?"
ZONE = r"\s*(?:Z|UTC|GMT)?(?P<zone>[+-]\d{2}:?\d{2})?"
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
YEAR_FIRST = r"^(?P<y>(?:19|20)\d{2})\s*[-/.年]\s*(?P<m>\d{1,2})\s*[-/.月]\s*(?P<d>\d{1,2})日?" + CLOCK + ZONE + "$"
YEAR_LAST = r"^(?P<a>\d{1,2})[-/.](?P<b>\d{1,2})[-/.](?P<y>(?:19|20)\d{2})" + CLOCK + ZONE + "$"
NAMED_MONTH = r"^(?P<d>\d{1,2})[- ]?(?P<name>[A-Za-z]{3})[a-z]*[-, ]*(?P<y>(?:19|20)\d{2})" + CLOCK + ZONE + "$"
UNIX = r"^(?P<u>1\d{9})(?:\d{3})?(?:\.\d+)?$"  # seconds or milliseconds, 2001 to 2033


@dataclass(frozen=True)
class Spelling:
    """How the dates of a column are written: the pattern they fit, and whether the month stands before the day."""

    pattern: str
    month_first: bool = False


def seconds(values: pa.Array) -> np.ndarray | None:
    """Seconds since 1970 of each value (n,), NaN where it is missing or no date; None when the column holds no dates."""
    present = values.drop_null()
    dates = parse(present)
    if dates is None:
        dates = unix(present)
    if dates is None:
        return None
    filled = np.full(len(values), np.nan)
    filled[np.asarray(values.is_valid())] = dates
    return filled


def parse(present: pa.Array) -> np.ndarray | None:
    """Seconds since 1970 of each value, float64, NaN where a value is no date; None when the column is no time column."""
    found = spelling(present)
    if found is None:
        return None
    seconds = read(present, found)
    return seconds if np.isfinite(seconds).mean() >= PARSED else None


def spelling(present: pa.Array) -> Spelling | None:
    """How nearly all values are written as dates; None when they are none."""
    if not len(present):
        return None
    for pattern in (YEAR_FIRST, YEAR_LAST, NAMED_MONTH):
        if _share(present[:SAMPLE], pattern) >= PARSED and _share(present, pattern) >= PARSED:
            return Spelling(pattern, pattern == YEAR_LAST and _month_first(_fields(present, pattern)))
    return None


def read(present: pa.Array, spelling: Spelling) -> np.ndarray:
    """Seconds since 1970 of each value, float64, NaN where it is not written that way."""
    return _seconds(_fields(present, spelling.pattern), spelling.month_first)


def unix(present: pa.Array) -> np.ndarray | None:
    """Seconds since 1970 of whole numbers that may be Unix time; whether they are, only the column's name can tell."""
    import pyarrow.compute as pc

    if not len(present) or _share(present, UNIX) < 1.0:
        return None
    seconds: np.ndarray = pc.cast(pc.struct_field(pc.extract_regex(present, UNIX), "u"), "float64").to_numpy()
    return seconds


def _share(values: pa.Array, pattern: str) -> float:
    import pyarrow.compute as pc

    share: float = pc.mean(pc.match_substring_regex(values, pattern).cast("int8")).as_py()
    return share


def _fields(values: pa.Array, pattern: str) -> dict[str, list[str]]:
    """The named groups of a pattern, a list each; empty strings where a value does not match."""
    import pyarrow.compute as pc

    found = pc.extract_regex(values, pattern)
    names = [found.type.field(i).name for i in range(found.type.num_fields)]
    return {name: [value or "" for value in pc.struct_field(found, name).to_pylist()] for name in names}


def _month_first(fields: dict[str, list[str]]) -> bool:
    """12/31/2024: what cannot be a month is the day."""
    first, second = _numbers(fields["a"]), _numbers(fields["b"])
    return bool(np.nanmax(second) > 12 >= np.nanmax(first))


def _seconds(fields: dict[str, list[str]], month_first: bool) -> np.ndarray:
    """Seconds since 1970, in UTC where a zone is given; NaN for impossible dates."""
    year = _numbers(fields["y"])
    if "name" in fields:
        index = {name: float(place) for place, name in enumerate(MONTHS, start=1)}
        month, day = np.array([index.get(name.lower(), np.nan) for name in fields["name"]]), _numbers(fields["d"])
    elif "a" in fields:
        day, month = _numbers(fields["a"]), _numbers(fields["b"])
        if month_first:
            day, month = month, day
    else:
        month, day = _numbers(fields["m"]), _numbers(fields["d"])
    hour, minute, second = (np.nan_to_num(_numbers(fields[name])) for name in "HMS")
    half = np.array([value.lower() for value in fields["half"]])
    hour = np.where(half == "pm", hour % 12 + 12, np.where(half == "am", hour % 12, hour))
    possible = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31) & (hour < 25) & (minute < 60)
    whole = [np.where(possible, part, 1.0).astype(np.int64) for part in (year, month, day)]
    months = (whole[0] - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (whole[1] - 1)
    days = months.astype("datetime64[D]").astype(np.int64) + whole[2] - 1
    clock = hour * 3600 + minute * 60 + second - np.array([_offset(zone) for zone in fields["zone"]])
    return np.where(possible, days * 86_400.0 + clock, np.nan)


def _offset(zone: str) -> float:
    """Seconds east of Greenwich of ``+02:00``; 0 without a zone."""
    if not zone:
        return 0.0
    sign = -1.0 if zone[0] == "-" else 1.0
    return sign * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60)


def _numbers(values: list[str]) -> np.ndarray:
    return np.array([float(value) if value else np.nan for value in values])
