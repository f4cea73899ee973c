"""Columns of a table become features: amounts, categories in or out of order, parts of dates, codes that mean something else.

What is learned of a column (its kind, its levels, its codes) is kept with the model, so a row served alone reads as it would in
the file. Missing values stay missing: every kind of model here treats them as something of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from savile.base import dates, media

if TYPE_CHECKING:
    import pyarrow as pa

NUMBER = r"^\s*[$€£¥￥]?\s*(?P<n>[+-]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)\s*[%元]?\s*$"
NUMERIC = 0.9  # share of a text column's values that must be numbers before the rest counts as missing
RARE = 5  # levels of fewer rows are one level together
LEVELS = 250  # of one column, the most frequent; the rest are one level together
CODES = frozenset((*range(-9, 0), -88, -96, -97, -98, -99, -777, -888, -999, -9999, -99999))  # habits of surveys and bureaus
WORDS = 3.0  # mean number of words from which different values are texts
DAY = 86_400.0
SCALES = (  # ordered levels that carry no number of their own
    ("none", "very low", "low", "medium low", "medium", "moderate", "medium high", "high", "very high", "extreme"),
    ("never", "rarely", "seldom", "sometimes", "often", "usually", "always"),
    ("very poor", "poor", "bad", "fair", "average", "good", "very good", "excellent"),
    ("xxs", "xs", "s", "m", "l", "xl", "xxl", "xxxl"),
    ("tiny", "small", "medium", "large", "huge"),
    ("很低", "低", "中", "高", "很高"),
    ("差", "一般", "良", "优"),
)


@dataclass(frozen=True)
class Feature:
    """One value a row.

    Attributes:
        column: of the table.
        kind: ``number``, ``category`` or ``text``; parts of dates are numbers.
        part: which part of a date (``year``, ``month``, ``weekday``, ``hour``, ``day``), or dimension of a text.
        levels: of a category, in their order when they have one; what is none of them is one level more.
        ordered: whether the order of the levels means something.
        codes: numbers that are no amounts, such as -9 for no record.
        spelling: pattern of dates and whether the month comes first.
    """

    column: str
    kind: Literal["number", "category", "text"]
    part: str = ""
    levels: tuple[str, ...] = ()
    ordered: bool = False
    codes: tuple[float, ...] = ()
    spelling: tuple[str, bool] | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.column} ({self.part})" if self.part and self.kind != "text" else self.column

    @property
    def nominal(self) -> bool:
        """Whether its values are names without an order."""
        return self.kind == "category" and not self.ordered


def of_json(entry: Mapping[str, Any]) -> Feature:
    """The feature of its JSON form, the dictionary of its fields."""
    spelling = entry.get("spelling")
    listed = {name: tuple(entry[name]) for name in ("levels", "codes")}
    return Feature(**{**entry, **listed, "spelling": tuple(spelling) if spelling else None})


def learn(table: pa.Table, declared: Mapping[str, tuple[float, ...]]) -> tuple[tuple[Feature, ...], tuple[str, ...]]:
    """The features of training rows, and the columns of texts, which are turned into features elsewhere.

    Args:
        table: the feature columns.
        declared: column -> its codes; other columns' codes are recognised (see `codes`).
    """
    features: list[Feature] = []
    texts: list[str] = []
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        if column.null_count == len(column) or media.kind_of(column):
            continue
        if is_text(column):
            texts.append(name)
        else:
            features.extend(_features(name, column, declared.get(name)))
    return tuple(features), tuple(texts)


def encode(features: tuple[Feature, ...], table: pa.Table) -> np.ndarray:
    """Rows as numbers, float64 (n, features): amounts, indices of levels, NaN where a value is missing; texts stay NaN."""
    matrix = np.full((table.num_rows, len(features)), np.nan)
    read: dict[str, np.ndarray] = {}
    for place, feature in enumerate(features):
        if feature.kind == "text" or feature.column not in table.column_names:
            continue
        column = table.column(feature.column).combine_chunks()
        if feature.kind == "category":
            matrix[:, place] = _levels(feature, column)
        elif feature.spelling is not None:
            if feature.column not in read:
                read[feature.column] = _seconds(column, dates.Spelling(*feature.spelling))
            matrix[:, place] = _part(read[feature.column], feature.part)
        else:
            matrix[:, place] = numbers(column)
    return matrix


def numbers(column: pa.Array) -> np.ndarray:
    """Amounts of a column, float64 (n,); NaN where there is none, as in blanks; ``$1,234.50`` and ``12 %`` are amounts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_temporal(column.type):
        column = pc.cast(pc.cast(column, pa.timestamp("s")), pa.int64())
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        found: np.ndarray = pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64)
        return np.where(np.isfinite(found), found, np.nan)
    bare = pc.replace_substring_regex(pc.struct_field(pc.extract_regex(column, NUMBER), "n"), r"[,+]", "")
    bare = pc.if_else(pc.fill_null(pc.equal(bare, ""), True), pa.scalar(None, pa.string()), bare)
    found = pc.cast(bare, pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
    return np.where(np.isfinite(found), found, np.nan)


def is_text(column: pa.Array) -> bool:
    """Whether a column holds sentences: nearly every value another, of several words, or of several Chinese characters."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_string(column.type):
        return False
    present = column.drop_null()
    if len(present) < 2 or pc.count_distinct(present).as_py() < 0.2 * len(present):
        return False
    words = pc.mean(pc.count_substring_regex(present, r"\s+")).as_py() + 1.0
    chinese = pc.mean(pc.match_substring_regex(present, r"\p{Han}{2}").cast("int8")).as_py()
    long = pc.mean(pc.utf8_length(present)).as_py() >= 4
    return bool(words >= WORDS or (chinese >= 0.3 and long))


def codes(values: np.ndarray) -> tuple[float, ...]:
    """Numbers that are no amounts: few negative whole numbers of the usual kind in a column that has no other negative ones.

    A bureau writes -9 for no record, -8 for no usable one, -7 for a condition not met; each means something of its own.
    """
    present = values[np.isfinite(values)]
    negative, counts = np.unique(present[present < 0], return_counts=True)
    usual = 0 < len(negative) <= 6 and all(value in CODES for value in negative.tolist())
    return tuple(negative[counts >= RARE].tolist()) if usual and (present >= 0).any() else ()


def _features(name: str, column: pa.Array, declared: tuple[float, ...] | None) -> Iterator[Feature]:
    """The features of one column that holds no texts."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_temporal(kind):
        yield from _parts(name, numbers(column), ("", False))
        return
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        present = column.drop_null()
        spelling = dates.spelling(present)
        if spelling is not None:
            yield from _parts(name, _seconds(column, spelling), (spelling.pattern, spelling.month_first))
            return
        read = numbers(present)
        if np.isfinite(read).mean() < NUMERIC or _coded(present):
            yield from _category(name, present)
            return
    values = numbers(column)
    yield Feature(name, "number", codes=codes(values) if declared is None else declared)


def _coded(present: pa.Array) -> bool:
    """Whether digits are names: some begin with a zero, as postcodes do."""
    import pyarrow.compute as pc

    return bool(pc.any(pc.match_substring_regex(present, r"^0\d")).as_py())


def _parts(name: str, seconds: np.ndarray, spelling: tuple[str, bool]) -> Iterator[Feature]:
    """The parts of dates that differ from row to row."""
    for part in ("day", "year", "month", "weekday", "hour"):
        values = _part(seconds, part)
        if len(np.unique(values[np.isfinite(values)])) > 1:
            yield Feature(name, "number", part, spelling=spelling)


def _part(seconds: np.ndarray, part: str) -> np.ndarray:
    """One part of moments, NaN where there is none; ``day`` counts the days since 1970."""
    days = np.floor(seconds / DAY)
    if part == "day":
        return days
    if part == "hour":
        return np.asarray(np.floor((seconds - days * DAY) / 3600))
    if part == "weekday":
        return np.asarray((days + 3) % 7)  # 1 January 1970 was a Thursday; Monday is 0
    moments = np.where(np.isfinite(days), days, 0).astype("datetime64[D]")
    year = moments.astype("datetime64[Y]").astype(np.int64) + 1970
    month = moments.astype("datetime64[M]").astype(np.int64) % 12 + 1
    return np.where(np.isfinite(days), year if part == "year" else month, np.nan)


def _seconds(column: pa.Array, spelling: dates.Spelling) -> np.ndarray:
    import pyarrow as pa

    if pa.types.is_temporal(column.type):
        return numbers(column)
    return dates.read(column.cast(pa.string()).fill_null(""), spelling) if spelling.pattern else numbers(column)


def _category(name: str, present: pa.Array) -> Iterator[Feature]:
    """Levels from the most frequent to the rarest that counts; nothing when every row has a level of its own."""
    import pyarrow.compute as pc

    counted = sorted(pc.value_counts(present).to_pylist(), key=lambda one: (-one["counts"], one["values"]))
    levels = [one["values"] for one in counted if one["counts"] >= min(RARE, max(1, len(present) // 20))][:LEVELS]
    if len(counted) > 0.9 * len(present) or not levels:
        return
    order = ordered(levels)
    yield Feature(name, "category", levels=tuple(order or levels), ordered=bool(order))


def ordered(levels: list[str]) -> list[str]:
    """The levels from low to high, by the number each begins with (``< 1 year``, ``1-4``) or a known scale; else none."""
    if len(levels) < 3:
        return []
    plain = {level: re.sub(r"[\s_-]+", " ", level).strip().casefold() for level in levels}
    for scale in SCALES:
        if all(name in scale for name in plain.values()) and len(set(plain.values())) == len(levels):
            return sorted(levels, key=lambda level: scale.index(plain[level]))
    found = {level: re.match(r"^\s*[<>≤≥=~$€£¥]{0,2}\s*(\d+(?:\.\d+)?)(?=$|\s|[-–~+%至到年个])", level) for level in levels}
    keys = {level: _low(level, match) for level, match in found.items() if match}
    return sorted(levels, key=keys.__getitem__) if len(keys) == len(set(keys.values())) == len(levels) else []


def _low(level: str, match: re.Match[str]) -> tuple[float, int]:
    """Where a range begins; what is below a number comes before what begins with it."""
    below = level.lstrip().startswith(("<", "≤", "=<"))
    return float(match[1]), -1 if below else 1 if level.lstrip().startswith((">", "≥")) else 0


def _levels(feature: Feature, column: pa.Array) -> np.ndarray:
    """Index of each value's level, float64 (n,): one more than the last for levels never seen, NaN for missing values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_boolean(column.type):
        column = pc.if_else(column, "true", "false")
    said = pc.cast(column, pa.string())
    if isinstance(said, pa.ChunkedArray):
        said = said.combine_chunks()
    index = pc.index_in(said, value_set=pa.array(feature.levels, pa.string()))
    found: np.ndarray = index.to_numpy(zero_copy_only=False).astype(np.float64)
    found[np.isnan(found)] = len(feature.levels)
    found[np.asarray(pc.or_(said.is_null(), pc.fill_null(pc.equal(pc.utf8_trim_whitespace(said), ""), True)))] = np.nan
    return found
