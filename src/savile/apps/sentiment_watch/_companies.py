"""Finds companies in texts by a list of names and aliases: whole words in alphabets, the longest name in Chinese.

A name counts where it stands alone: ``Orbit`` is not in ``orbital``, and neither is ``Northwind`` in ``Northwind Bank`` when
both are on the list. Chinese has no spaces, so there a name counts wherever it stands, the longest first. Upper and lower case
are the same, but for tickers of up to five capitals: ``ACE`` is not ``ace``.
"""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from savile.base.errors import DataError, InputError

# letters and digits of writing that sets words apart; Chinese, Japanese kana and Korean do not end a name
_LETTER = r"[^\W\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]"
_TICKER = re.compile(r"[A-Z][A-Z0-9&.]{0,4}")
_SUFFIXES = (".csv", ".txt", ".json")


class Companies:
    """A list of companies that can be found in texts.

    Args:
        aliases: name -> what else the company is called; the name itself always counts.

    Raises:
        InputError: the list is empty, an alias belongs to two companies, or is too short to mean anything.
    """

    def __init__(self, aliases: Mapping[str, Sequence[str]]) -> None:
        self.names = tuple(aliases)
        self._owner: dict[str, str] = {}
        for name, others in aliases.items():
            for alias in (name, *others):
                self._own(_plain(alias), name)
        if not self._owner:
            raise InputError("a list of companies", "an empty one", "Name at least one company.")
        spellings = sorted(self._owner, key=lambda alias: (-len(alias), alias))
        self._pattern = re.compile("|".join(map(_expression, spellings)))

    def find(self, text: str) -> tuple[str, ...]:
        """The companies a text names, each once, in the order of the list."""
        found = {self._owner_of(match) for match in self._pattern.findall(_plain(text))}
        return tuple(name for name in self.names if name in found)

    def _own(self, alias: str, name: str) -> None:
        letters = sum(map(str.isalnum, alias))
        if letters < 2 and name and alias:
            do = "Leave it out, or write a longer one."
            raise InputError("aliases of two letters or more", f"{alias!r} of {name!r}", do)
        if not alias:
            raise InputError("companies with names", f"an empty name or alias of {name!r}", "Leave it out.")
        key = alias if _TICKER.fullmatch(alias) else alias.casefold()
        if self._owner.setdefault(key, name) != name:
            received = f"{alias!r} for {self._owner[key]!r} and {name!r}"
            raise InputError("an alias for each company of its own", received, "Give it to one of them.")

    def _owner_of(self, spelling: str) -> str:
        spelling = " ".join(spelling.split())
        return self._owner.get(spelling) or self._owner[spelling.casefold()]


def named(names: Iterable[str]) -> Companies:
    """Companies known by their names alone."""
    return Companies(dict.fromkeys(sorted(set(names)), ()))


def read(path: Path) -> Companies:
    """The list in a file: one company a line, the name first and its aliases after it, with commas between; or JSON.

    JSON is an object of lists: ``{"Halvorsen Grid": ["Halvorsen", "HVG"]}``.

    Raises:
        DataError: there is no such file, or it cannot be read.
        InputError: the list cannot be used.
    """
    do = "Write one company a line: its name, then its aliases, with commas between."
    if path.suffix not in _SUFFIXES or not path.is_file():
        raise DataError(f"a list of companies in {', '.join(_SUFFIXES)}", str(path), do)
    try:
        content = path.read_text(encoding="utf-8-sig")
        if path.suffix != ".json":
            lines = [[cell.strip() for cell in line if cell.strip()] for line in csv.reader(content.splitlines())]
            return Companies({line[0]: line[1:] for line in lines if line})
        found = json.loads(content)
    except (UnicodeDecodeError, ValueError, csv.Error) as error:
        raise DataError(f"a list of companies in {path.name}, in UTF-8", str(error), do) from None
    if not isinstance(found, dict) or not all(
        isinstance(others, list) and all(isinstance(one, str) for one in others) for others in found.values()
    ):
        raise DataError(f"an object of lists in {path.name}", type(found).__name__, 'Write {"name": ["alias", …], …}.')
    return Companies(found)


def _plain(text: str) -> str:
    """One spelling for wide and narrow letters, one space between words."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _expression(alias: str) -> str:
    """A pattern for one alias, with borders where it begins or ends with a letter of an alphabet."""
    before = rf"(?<!{_LETTER})" if re.match(_LETTER, alias) else ""
    after = rf"(?!{_LETTER})" if re.match(_LETTER, alias[-1]) else ""
    body = re.escape(alias)
    return f"{before}{body if _TICKER.fullmatch(alias) else f'(?i:{body})'}{after}"
