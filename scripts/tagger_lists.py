"""Names of people, towns, countries and streets, job titles and ordinary words, as the package Faker lists them (MIT License).

The tagger's training text is filled from them, and which of them a word is in are features of the tagger; see `make_tagger`.
Names in another script than the Latin one are left out, for such words stand alone in English text.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

try:
    import faker.providers.address as address
    import faker.providers.person as person
    from faker.providers.job.en_US import Provider as Jobs
    from faker.providers.lorem.en_US import Provider as Lorem
except ModuleNotFoundError:
    raise SystemExit("The tagger is made with the package Faker: pip install faker==40.63.0") from None

LATIN = re.compile(r"[A-ZÀ-ÖØ-ÞĀ-Ž][A-Za-zÀ-ÖØ-öø-ÿĀ-ž'’\-. ]+")
BY_SEX = ("", "_male", "_female", "_nonbinary")


def listed(package: ModuleType, names: tuple[str, ...], words: int) -> list[str]:
    """What the providers of all languages list under some names, sorted; of at most so many words."""
    found = {value for values in _values(package, names) for value in values if isinstance(value, str)}
    return sorted(value for value in found if LATIN.fullmatch(value) and len(value.split()) <= words)


def _values(package: ModuleType, names: tuple[str, ...]) -> Iterator[list[object]]:
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        provider = import_module(module.name).Provider
        for name in names:
            values = getattr(provider, name, ())
            if not isinstance(values, property):  # computed from others that are listed, too
                yield list(values or ())


FIRST = listed(person, tuple(f"first_names{sex}" for sex in BY_SEX), 2)
LAST = listed(person, tuple(f"last_names{sex}" for sex in BY_SEX), 2)
TOWNS = listed(address, ("cities", "city_names", "towns", "municipalities"), 3)
COUNTRIES = listed(address, ("countries",), 3)
STREETS = listed(address, ("street_names", "streets"), 3)
JOBS = sorted(Jobs.jobs)
ORDINARY = sorted(
    {word.lower() for word in Lorem.word_list} | {word.lower() for job in JOBS for word in re.findall(r"\w+", job)}
)
KINDS = {"f": FIRST, "l": LAST, "t": TOWNS, "c": COUNTRIES, "o": ORDINARY}  # letters of the tagger's lists
