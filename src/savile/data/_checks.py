"""Checks of values, each a small record that can be written down, read back and run over columns of strings.

Kinds: ``filled``, ``matches`` (a regular expression for the whole value), ``length`` (characters), ``one_of``, ``contains`` and
``lacks`` (a phrase, whatever its case), ``json`` (an object with some keys), ``range`` (a number), ``relation`` (to another
column).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict

from savile.base.recipe import SECTION

Kind = Literal["filled", "matches", "length", "one_of", "contains", "lacks", "json", "range", "relation"]
RELATIONS: dict[str, Callable[[float, float], bool]] = {"<=": lambda a, b: a <= b, ">=": lambda a, b: a >= b}


@dataclass(frozen=True)
class Check:
    """One check of a column.

    Attributes:
        kind: what is checked.
        column: the column.
        values: phrases, allowed values, keys, or the one pattern.
        least: smallest length or number.
        most: largest length or number.
        other: column that a relation is to.
        relation: ``<=`` or ``>=`` of numbers, ``equals``, or ``holds`` when the column's text holds the other's.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    kind: Kind
    column: str
    values: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    other: str | None = None
    relation: Literal["<=", ">=", "equals", "holds"] | None = None

    def plain(self) -> dict[str, Any]:
        """The JSON form, without what is not set."""
        said = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {name: value for name, value in said.items() if value not in (None, [])}

    def words(self) -> str:
        """The check as a sentence about the column."""
        listed = ", ".join(repr(value) for value in self.values[:6]) + (", …" if len(self.values) > 6 else "")
        bounds = " and ".join(
            f"{word} {bound:g}" for word, bound in (("at least", self.least), ("at most", self.most)) if bound is not None
        )
        said = {
            "filled": "is not empty",
            "matches": f"has the form {listed}",
            "length": f"has {bounds} characters",
            "one_of": f"is one of {listed}",
            "contains": f"says {listed}",
            "lacks": f"does not say {listed}",
            "json": f"is a JSON object with {listed or 'any keys'}",
            "range": f"is a number of {bounds}",
            "relation": f"{self.relation} {self.other}",
        }
        return f"{self.column} {said[self.kind]}"


def holds(check: Check, columns: Mapping[str, Sequence[str]]) -> np.ndarray:
    """Whether each row passes, bool (n,); an empty value fails only ``filled``, ``contains``, ``json`` and ``one_of``."""
    values = columns[check.column]
    test = _TESTS[check.kind](check)
    if check.kind == "relation":
        return np.array(
            [test((value, other)) for value, other in zip(values, columns[str(check.other)], strict=True)], dtype=bool
        )
    return np.array([test(value) for value in values], dtype=bool)


def number(value: str) -> float | None:
    """The number a string is, or None."""
    try:
        return float(value)
    except ValueError:
        return None


def _within(check: Check, value: float | None) -> bool:
    low, high = check.least, check.most
    return value is not None and (low is None or value >= low) and (high is None or value <= high)


def _matches(check: Check) -> Callable[[str], bool]:
    pattern = re.compile(check.values[0])
    return lambda value: not value or pattern.fullmatch(value) is not None


def _json(check: Check) -> Callable[[str], bool]:
    def test(value: str) -> bool:
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return False
        return isinstance(found, dict) and set(check.values) <= set(found)

    return test


def _relation(check: Check) -> Callable[[tuple[str, str]], bool]:
    def test(pair: tuple[str, str]) -> bool:
        if check.relation == "equals":
            return pair[0] == pair[1]
        if check.relation == "holds":
            return pair[1].casefold() in pair[0].casefold()
        first, second = number(pair[0]), number(pair[1])
        return first is None or second is None or RELATIONS[str(check.relation)](first, second)

    return test


_TESTS: dict[str, Callable[[Check], Callable[[Any], bool]]] = {
    "filled": lambda check: lambda value: bool(value.strip()),
    "matches": _matches,
    "length": lambda check: lambda value: not value or _within(check, len(value)),
    "one_of": lambda check: frozenset(check.values).__contains__,
    "contains": lambda check: lambda value: all(phrase.casefold() in value.casefold() for phrase in check.values),
    "lacks": lambda check: lambda value: not any(phrase.casefold() in value.casefold() for phrase in check.values),
    "json": _json,
    "range": lambda check: lambda value: not value or _within(check, number(value)),
    "relation": _relation,
}
