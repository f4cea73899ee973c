"""Looks at the values of each column: what kind they are, how many differ, how many are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from savile.base import dates
from savile.data._draft import Column

if TYPE_CHECKING:
    import pyarrow as pa

MISSING = ("", "nan", "NaN", "NAN", "null", "NULL", "n/a", "N/A", "#N/A", "<NA>", "NaT")  # not "None": it is a fine label
INTEGER = r"^[+-]?(0|[1-9]\d{0,17})$"  # a leading zero belongs to a code, not to a number
REAL = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
LEADING_ZERO = r"^[+-]?0\d"


def trimmed(values: pa.ChunkedArray) -> pa.Array:
    """The strings without surrounding space; null where a value is missing in one of its spellings."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = pc.utf8_trim_whitespace(values)
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    missing = pc.is_in(values, value_set=pa.array(MISSING))
    return pc.if_else(missing, pa.scalar(None, pa.string()), values)


def describe(name: str, values: pa.Array) -> Column:
    """Kind, number of distinct and missing values and mean length of a column of trimmed strings."""
    import pyarrow.compute as pc

    present = values.drop_null()
    length = pc.mean(pc.utf8_length(present)).as_py() or 0.0
    return Column(name, kind(present), pc.count_distinct(present).as_py(), values.null_count, length)


def kind(present: pa.Array) -> str:
    """``integer`` or ``real`` when every value is such a number, ``time`` when nearly every one is a date, else ``string``."""
    if not len(present):
        return "string"
    if _all(present, INTEGER):
        return "integer"
    if _all(present, REAL) and not _any(present, LEADING_ZERO):
        return "real"
    return "time" if dates.parse(present) is not None else "string"


def shares(present: pa.Array) -> tuple[float, float]:
    """How much like sentences the values are: mean number of words, share of values with Chinese characters."""
    import pyarrow.compute as pc

    if not len(present):
        return 0.0, 0.0
    words = pc.mean(pc.count_substring_regex(present, r"\s+")).as_py() + 1.0
    return words, pc.mean(pc.match_substring_regex(present, r"\p{Han}").cast("int8")).as_py()


def share_of_letters(present: pa.Array) -> float:
    """Letters among all characters but spaces, of any script."""
    import pyarrow.compute as pc

    if not len(present):
        return 0.0
    letters = pc.sum(pc.count_substring_regex(present, r"\p{L}")).as_py()
    return float(letters / max(pc.sum(pc.count_substring_regex(present, r"\S")).as_py(), 1))


def rising(present: pa.Array) -> bool:
    """Whether whole numbers only rise from row to row, as a running number does."""
    import pyarrow.compute as pc

    numbers = pc.cast(pc.replace_substring_regex(present, r"^\+", ""), "int64").to_numpy()
    return bool(np.all(np.diff(numbers) > 0))


def _all(values: pa.Array, pattern: str) -> bool:
    import pyarrow.compute as pc

    return bool(pc.all(pc.match_substring_regex(values, pattern)).as_py())


def _any(values: pa.Array, pattern: str) -> bool:
    import pyarrow.compute as pc

    return bool(pc.any(pc.match_substring_regex(values, pattern)).as_py())
