"""Candidate checks: what good rows have in common, where bad rows differ, and what a new version of a prompt asks for."""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from savile.data._checks import Check, holds, number

FEW = 20  # different values that may be an enumeration
FORMS = 3  # different forms that may be one format
PHRASES = 40
COMMON = 0.9  # share of good rows that say a phrase which may be required
QUANTILES = (0.0, 0.01, 0.05, 0.95, 0.99, 1.0)
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|[一-鿿]{2}")
_RULES: tuple[tuple[str, str], ...] = (
    ("lacks", r"(?:never|do not|don't|avoid|must not)\s+(?:say|mention|include|use|write|using|saying)\s+[\"“'](.+?)[\"”']"),
    ("lacks", r"(?:不要|不得|禁止|请勿)(?:说|提及|出现|使用)?[“\"「](.+?)[”\"」]"),
    (
        "contains",
        r"(?<!not )(?<!n't )(?:must|always|should)?\s*(?:include|mention|end with|start with)\s+[\"“'](.+?)[\"”']",
    ),
    ("contains", r"(?:必须|务必|请)(?:包含|说明|写明|提及)[“\"「](.+?)[”\"」]"),
    ("most", r"(?:at most|no more than|under|within|maximum of)\s+(\d+)\s+characters"),
    ("most", r"(?:不超过|最多|至多)\s*(\d+)\s*(?:个)?字"),
    ("one_of", r"(?:one of|either)[:\s]+((?:[\"“'][^\"”']+[\"”'](?:,\s*|\s+or\s+|\s*、\s*)?){2,})"),
    ("json", r"\b(?:json|JSON)\b.*?(?:keys?|fields?|字段)[:：\s]+((?:[\"“'][^\"”']+[\"”'](?:,\s*|\s+and\s+|\s*、\s*)?)+)"),
)


def candidates(columns: Mapping[str, Sequence[str]], good: np.ndarray) -> list[Check]:
    """Checks that rows suggest.

    Args:
        columns: strings of each column, empty where there is no value.
        good: which rows are good, bool (n,).
    """
    found: dict[Check, None] = {}
    for name, values in columns.items():
        well, bad = (
            [value for value, is_good in zip(values, good, strict=True) if is_good == which] for which in (True, False)
        )
        if any(value.strip() for value in well):
            found.update(dict.fromkeys(_of_column(name, well, bad)))
    found.update(dict.fromkeys(_relations(columns, good)))
    return list(found)


def from_versions(before: str, after: str, column: str) -> list[Check]:
    """Checks that a new version of a prompt asks for and the old one did not; of JSON schemas, what the new one requires."""
    try:
        old, new = json.loads(before), json.loads(after)
    except ValueError:
        pass
    else:
        keys = tuple(key for key in new.get("required", ()) if key not in old.get("required", ()))
        return [Check("json", column, keys)] if keys else []
    lines = difflib.ndiff(_sentences(before), _sentences(after))
    added = "\n".join(line[2:] for line in lines if line.startswith("+ "))
    found: dict[Check, None] = {}
    for kind, pattern in _RULES:
        for match in re.finditer(pattern, added, re.IGNORECASE):
            quoted = tuple(re.findall(r"[\"“']([^\"”']+)[\"”']", match[1])) or (match[1],)
            check = Check("length", column, most=float(match[1])) if kind == "most" else Check(kind, column, quoted)  # type: ignore[arg-type]
            found[check] = None
    return list(found)


def failures(checks: Sequence[Check], columns: Mapping[str, Sequence[str]]) -> np.ndarray:
    """Whether each row fails each check, bool (rows, checks)."""
    rows = len(next(iter(columns.values())))
    return np.stack([~holds(check, columns) for check in checks], axis=1) if checks else np.zeros((rows, 0), dtype=bool)


def _of_column(name: str, well: list[str], bad: list[str]) -> Iterator[Check]:
    present = [value for value in well if value]
    if len(present) == len(well):
        yield Check("filled", name)
    distinct = sorted(set(present))
    if len(distinct) <= FEW and len(present) >= 3 * len(distinct):
        yield Check("one_of", name, tuple(sorted(set(well))))
    forms = Counter(_form(value) for value in present)
    if len(forms) <= FORMS and max(map(len, forms)) <= 200:
        yield Check("matches", name, ("|".join(sorted(forms)),))
    yield from _bounds("length", name, [float(len(value)) for value in present], [float(len(value)) for value in bad if value])
    numbers = [number(value) for value in present]
    if all(one is not None for one in numbers):
        wrong = [one for value in bad if (one := number(value)) is not None]
        yield from _bounds("range", name, [one for one in numbers if one is not None], wrong)
    objects = [_object(value) for value in present]
    if objects and all(one is not None for one in objects):
        shared = set.intersection(*(set(one or {}) for one in objects))
        yield Check("json", name, tuple(sorted(shared)))
    yield from _phrases(name, present, [value for value in bad if value])


def _bounds(kind: str, name: str, well: list[float], bad: list[float]) -> Iterator[Check]:
    """Bounds at quantiles of the good values, and just beside the bad ones."""
    cuts = [float(one) for one in np.quantile(well, QUANTILES)]
    for least in cuts[:3]:
        yield Check(kind, name, least=float(np.floor(least)))  # type: ignore[arg-type]
    for most in cuts[3:]:
        yield Check(kind, name, most=float(np.ceil(most)))  # type: ignore[arg-type]


def _phrases(name: str, well: list[str], bad: list[str]) -> Iterator[Check]:
    """Words that nearly all good rows say, and words that bad rows say more often than good ones."""
    good_words = Counter(word for value in well for word in _terms(value))
    bad_words = Counter(word for value in bad for word in _terms(value))
    for word, count in good_words.most_common(PHRASES):
        if count >= COMMON * len(well):
            yield Check("contains", name, (word,))
    rated = {word: count / max(len(bad), 1) - good_words[word] / max(len(well), 1) for word, count in bad_words.items()}
    for word in sorted(rated, key=lambda one: (-rated[one], one))[:PHRASES]:
        if rated[word] > 0 and bad_words[word] > 1:
            yield Check("lacks", name, (word,))


def _relations(columns: Mapping[str, Sequence[str]], good: np.ndarray) -> Iterator[Check]:
    """Relations between two columns that hold in every good row with both values."""
    rows = np.flatnonzero(good).tolist()
    for name, values in columns.items():
        for other, others in columns.items():
            pairs = [(values[row], others[row]) for row in rows if values[row] and others[row]]
            if name == other or len(pairs) < 5:
                continue
            kinds = (
                ("<=", ">=") if all(number(a) is not None and number(b) is not None for a, b in pairs) else ("holds", "equals")
            )
            for kind in kinds:
                check = Check("relation", name, other=other, relation=kind)  # type: ignore[arg-type]
                if holds(check, {name: [a for a, _ in pairs], other: [b for _, b in pairs]}).all():
                    yield check


def _terms(value: str) -> list[str]:
    """Different words and pairs of them, in an order that is the same in every process."""
    words = [word.casefold() for word in _WORD.findall(value)]
    return list(dict.fromkeys([*words, *(f"{a} {b}" for a, b in pairwise(words) if f"{a} {b}" in value.casefold())]))


def _form(value: str) -> str:
    """The value with runs of digits and letters generalised, as a regular expression."""
    pieces = re.findall(r"[0-9]+|[^\W\d_]+|\s+|.", value, re.DOTALL)
    return "".join(
        r"\d+"
        if piece[0] in "0123456789"
        else r"[^\W\d_]+"
        if piece[0].isalpha()
        else r"\s+"
        if piece.isspace()
        else re.escape(piece)
        for piece in pieces
    )


def _object(value: str) -> dict[str, object] | None:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _sentences(text: str) -> list[str]:
    return [one.strip() for one in re.split(r"(?<=[.!?。！？])\s*|\n+", text) if one.strip()]
