"""Numbers in the spellings of other countries and of spreadsheets: 1.234,56 and 1,234.56, 12 %, € 3,50, (1,200).

A column is read so only when every value is such a number and one at least shows which spelling it is. Where commas stand
before three digits only, they stand between thousands, unless a value begins with ``0,``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

PLAIN = r"^[+-]?\d+(\.\d+)?$"
SIGNS = r"[€$£¥￥%‰]|\bEUR\b|\bUSD\b|\bCNY\b|\bGBP\b|元"
COMMA = r"^[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?$"  # 1.234,56
POINT = r"^[+-]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?$"  # 1,234.56
GAPS = r"[ \x{00A0}\x{202F}']"
SPACE = rf"^[+-]?(\d{{1,3}}({GAPS}\d{{3}})+|\d+)([.,]\d{{1,2}})?$"  # 1 234,56 and 1'234.56
SURE_COMMA = r",\d{1,2}$|,\d{4,}$|\.\d{3},|\.\d{3}\.|^[+-]?0,"
SURE_POINT = r",\d{3}\.|,\d{3},|^[+-]?\d{1,3}(,\d{3})+$"
SURE_SPACE = rf"{GAPS}\d{{3}}[.,]\d{{1,2}}$"  # spaces alone may be those of a telephone number
SPELLINGS = (
    (COMMA, SURE_COMMA, r"\.", ",", "decimal commas"),
    (POINT, SURE_POINT, ",", ".", "commas between thousands"),
    (SPACE, SURE_SPACE, GAPS, ",", "spaces between thousands"),
)
NEGATIVE = r"^\((.*)\)$"
LEADING_ZERO = r"^[+-]?0\d"


def plain(values: pa.Array) -> tuple[pa.Array, str]:
    """The column with its numbers written plainly, and how they were written; else the column as it is, and nothing.

    Args:
        values: trimmed strings, null where missing.
    """
    import pyarrow.compute as pc

    present = values.drop_null()
    if not len(present) or not _all(present, r"\d") or _all(present, PLAIN):
        return values, ""
    bare = pc.replace_substring_regex(values, NEGATIVE, r"-\1")
    signed = _any(present, SIGNS)
    if signed:
        bare = pc.utf8_trim_whitespace(pc.replace_substring_regex(bare, SIGNS, ""))
    found = bare.drop_null()
    if _any(found, LEADING_ZERO):  # a code
        return values, ""
    if _all(found, PLAIN):
        return bare, "signs beside numbers" if signed else "brackets for what is below zero"
    for pattern, sure, thousands, decimal, said in SPELLINGS:
        if _all(found, pattern) and _any(found, sure):
            without = pc.replace_substring_regex(bare, thousands, "")
            return pc.replace_substring(without, decimal, "."), said
    return values, ""


def _all(values: pa.Array, pattern: str) -> bool:
    import pyarrow.compute as pc

    return bool(pc.all(pc.match_substring_regex(values, pattern)).as_py())


def _any(values: pa.Array, pattern: str) -> bool:
    import pyarrow.compute as pc

    return bool(pc.any(pc.match_substring_regex(values, pattern)).as_py())
