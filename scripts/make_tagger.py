"""Make the tagger of names, addresses and organisations that ships: text composed from words of our own, then a linear model.

python scripts/make_tagger.py            writes src/savile/base/tagger.safetensors
python scripts/make_tagger.py --show 20  prints some of the text
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tagger_templates as templates
import tagger_words as words

from savile.base import _tagger
from savile.base.contracts import Rows
from savile.models import _linear_tags
from savile.tasks import tag

TARGET = Path(__file__).parents[1] / "src" / "savile" / "base" / "tagger.safetensors"
LABELS = ("address", "name", "organisation")
ENGLISH, CHINESE = 17_000, 11_000  # texts
KEPT = 300_000  # features

Piece = tuple[str, str]  # a text and its label, empty for none


class Composer:
    """Draws texts with spans."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def one(self, *choices: object) -> str:
        """One of several words, or of lists of them."""
        picked = self.rng.choice(choices)
        return picked if isinstance(picked, str) else self.rng.choice(picked)  # type: ignore[arg-type]

    def chance(self, share: float) -> bool:
        """True as often as asked."""
        return self.rng.random() < share

    def coined(self, least: int = 2, most: int = 4) -> str:
        """A word nobody has heard of."""
        word = "".join(self.rng.choice(words.SYLLABLES) for _ in range(self.rng.randint(least, most)))
        if self.chance(0.15):
            place = self.rng.randrange(len(word))
            word = word[:place] + self.rng.choice(words.ACCENTS.get(word[place], word[place])) + word[place + 1 :]
        return word.capitalize()

    def first(self) -> str:
        """A first name."""
        name = self.coined(2, 3) if self.chance(0.25) else self.rng.choice(words.FIRST)
        return name.lower() if self.chance(0.02) else name

    def last(self) -> str:
        """A family name."""
        if self.chance(0.3):
            return self.coined(2, 4) + self.one(
                "", "", "", "son", "sen", "ová", "ić", "ski", "ez", "er", "mann", "ov", "ova", "ini", "ães"
            )
        return self.rng.choice(words.LAST) + ("-" + self.rng.choice(words.LAST) if self.chance(0.03) else "")

    def person(self) -> str:
        """A whole name, or one half of it."""
        kind = self.rng.random()
        if kind < 0.16:
            return self.first()
        if kind < 0.2:
            return self.last()
        middle = f" {self.rng.choice('ABCDEFGHJKLMNPRSTVW')}{self.one('', '.')}" if self.chance(0.12) else ""
        middle = f" {self.last()}" if not middle and self.chance(0.05) else middle
        return f"{self.first()}{middle} {self.last()}{self.one(' Jr.', ' III', ' MD', ' PhD') if self.chance(0.02) else ''}"

    def organisation(self) -> str:
        """The name of a company or a body."""
        name = self.one(self.coined(2, 4), self.last(), self.rng.choice(words.ORG_WORDS))
        kind = self.rng.random()
        if kind < 0.22:
            return f"{name} {self.rng.choice(words.ORG_SUFFIX)}"
        if kind < 0.42:
            more = f" {self.rng.choice(words.ORG_NOUNS)}" if self.chance(0.3) else ""
            suffix = f" {self.rng.choice(words.ORG_SUFFIX)}" if self.chance(0.3) else ""
            return f"{name} {self.rng.choice(words.ORG_NOUNS)}{more}{suffix}"
        if kind < 0.52:
            return f"{self.last()}{self.one(', ', '-', ' & ', ' and ')}{self.last()}{self.one('', ' LLP', ' & Co', ' Group')}"
        if kind < 0.6:
            place, body = self.rng.choice(words.CITIES), self.rng.choice(words.ORG_NOUNS)
            return self.one(f"{place} {body}", f"University of {place}", f"Bank of {place}", f"The {name} {body}")
        if kind < 0.68:
            return "".join(self.rng.choice("ABCDEFGHIKLMNOPRSTUVW") for _ in range(self.rng.randint(2, 4)))
        if kind < 0.76:
            return f"{self.coined(1, 2)}{self.coined(1, 2)}"  # as in PayPal
        if kind < 0.8:
            return f"{self.coined(2, 3)}{self.one('.com', '.io', ' Labs', 'soft', 'tech', 'ify')}"
        return self.coined(2, 4) if kind < 0.95 else self.coined(2, 3).lower()

    def address(self) -> str:
        """A street with its number, often with a flat and a town, on one line or several."""
        number = (
            f"{self.rng.randint(1, 9999 if self.chance(0.4) else 200)}{self.one('a', 'B', '-3') if self.chance(0.05) else ''}"
        )
        name = self.one(words.STREETS, words.LAST, words.CITIES, words.FIRST) if self.chance(0.75) else self.coined(2, 4)
        kind = self.rng.random()
        if kind < 0.5:
            way = self.one("N.", "S.", "East", "West") + " " if self.chance(0.08) else ""
            street = f"{number} {way}{name} {self.rng.choice(words.STREET_KINDS)}"
        elif kind < 0.68:
            joined = name + self.one("", "s") + self.rng.choice(words.FOREIGN_STREETS)
            street = self.one(f"{joined} {number}", f"{number} {joined}", f"{joined} {number}")
        elif kind < 0.82:
            before = f"{self.rng.choice(words.BEFORE_STREETS)} {name}"
            street = self.one(f"{number} {before}", f"{before} {number}", f"{before}, {number}")
        elif kind < 0.92:
            street = self.one(f"{name} {number}", f"{number} {name}", f"{number} {name} {self.last()}")
        else:
            street = f"{self.one('P.O. Box', 'PO Box', 'Postbus')} {number}"
        unit = f"{self.rng.choice(words.UNITS)} {self.rng.randint(1, 999)}" if self.chance(0.3) else ""
        return self._town(street, unit) if self.chance(0.6) else ", ".join(part for part in (street, unit) if part)

    def _town(self, street: str, unit: str) -> str:
        """The street with the flat, the town, the country and the post code, in one of the orders people use."""
        city = self.one(words.CITIES) if self.chance(0.6) else self.coined(2, 4)
        city = city.upper() if self.chance(0.15) else city
        code = self.one(
            f"{self.rng.randint(1000, 99999)}",
            f"{self.rng.randint(100, 999)} {self.rng.randint(10, 99)}",
            "SW1A 2AA",
            "K1A 0B1",
        )
        state, country = self.rng.choice(words.STATES), self.rng.choice(words.COUNTRIES)
        gap = self.one(", ", "\n", ", ", " ", "\n ", "\n    ")
        parts = [street, unit] if self.chance(0.8) else [f"{street} {unit}".strip()]
        tail = self.one(
            [
                f"{city}, {state} {code}",
                f"{code} {city}",
                f"{city} {code}",
                f"{city}{gap}{country} {code}",
                city,
                f"{city}, {country}",
            ]
        )
        return gap.join(part for part in (*parts, tail) if part)

    def english(self) -> list[Piece]:
        """An English text in pieces."""
        fill: dict[str, Callable[[], Piece]] = {
            "P": lambda: (self.person(), "name"),
            "F": lambda: (self.first(), "name"),
            "L": lambda: (self.last(), "name"),
            "O": lambda: (self.organisation(), "organisation"),
            "A": lambda: (self.address(), "address"),
            "T": lambda: (self.rng.choice(words.TITLES), ""),
            "C": lambda: (self.one(words.CITIES, words.CITIES, words.COUNTRIES) if self.chance(0.8) else self.coined(), ""),
            "D": lambda: (
                self.one("Monday", "May 3", "3/5/2021", "June", "2019", "Friday", "12 March 2020", "the weekend", "next week"),
                "",
            ),
            "X": lambda: (self.rng.choice(words.PRODUCTS), ""),
            "l": lambda: (self.rng.choice(words.LOWER), ""),
            "U": lambda: (self.rng.choice(words.LOWER).upper(), ""),
            "n": lambda: (str(self.rng.randint(2, 2030)), ""),
            "N": lambda: (f"{self.rng.randint(200, 999)}-{self.rng.randint(200, 999)}-{self.rng.randint(1000, 9999)}", ""),
        }
        pieces = self._filled(self.rng.choice(templates.ENGLISH).replace("\\n", "\n"), fill)
        while self.chance(0.3):
            pieces += [
                (self.one(" ", "\n", " ", " - "), ""),
                *self._filled(self.rng.choice(templates.ENGLISH).replace("\\n", "\n"), fill),
            ]
        return pieces

    def chinese_name(self) -> str:
        """A Chinese name."""
        family = self.rng.choice(words.ZH_DOUBLE) if self.chance(0.03) else self.rng.choice(words.ZH_SURNAMES)
        return family + "".join(self.rng.choice(words.ZH_GIVEN) for _ in range(1 if self.chance(0.3) else 2))

    def chinese_organisation(self) -> str:
        """A Chinese company or body."""
        coined = (
            self.rng.choice(words.ZH_COINED) if self.chance(0.5) else "".join(self.rng.choice(words.ZH_GIVEN) for _ in range(2))
        )
        place = self.rng.choice(words.ZH_PLACES) if self.chance(0.55) else ""
        if self.chance(0.3):
            return (place or coined) + self.one("", "第一", "市", "师范", "人民", "商业") + self.rng.choice(words.ZH_BODIES)
        return (
            place
            + self.one("", "市" if place else "")
            + coined
            + self.rng.choice(words.ZH_INDUSTRIES)
            + self.rng.choice(words.ZH_COMPANY)
        )

    def chinese_address(self) -> str:
        """A Chinese address, from the province or only from the road."""
        province = self.rng.choice(words.ZH_PROVINCES) + "省" if self.chance(0.35) else ""
        city = self.rng.choice(words.ZH_PLACES) + "市" * self.chance(0.85) if province or self.chance(0.7) else ""
        district = self.rng.choice(words.ZH_DISTRICTS) + self.one("区", "区", "县") if self.chance(0.75) else ""
        start = self.rng.randrange(len(words.ZH_ROAD_CHARS) // 2) * 2
        road = words.ZH_ROAD_CHARS[start : start + 2] + self.rng.choice(words.ZH_ROADS) if self.chance(0.85) else ""
        number = f"{self.rng.randint(1, 999)}{self.one('号', '号', '弄')}" if road and self.chance(0.85) else ""
        estate = self.rng.choice(words.ZH_ESTATES) if self.chance(0.4) or not (district or road) else ""
        flat = f"{self.rng.randint(1, 30)}{self.one('号楼', '栋', '幢', '座')}" if estate or self.chance(0.3) else ""
        flat += (
            self.one("", f"{self.rng.randint(1, 6)}单元") + f"{self.rng.randint(101, 3305)}{self.one('室', '号', '')}"
            if flat
            else ""
        )
        return province + city + district + road + number + estate + flat

    def chinese(self) -> list[Piece]:
        """A Chinese text in pieces."""
        fill: dict[str, Callable[[], Piece]] = {
            "P": lambda: (self.chinese_name(), "name"),
            "S": lambda: (self.rng.choice(words.ZH_SURNAMES), "name"),
            "O": lambda: (self.chinese_organisation(), "organisation"),
            "A": lambda: (self.chinese_address(), "address"),
            "C": lambda: (self.rng.choice(words.ZH_PLACES), ""),
            "D": lambda: (self.one("周一", "明天", "5月3日", "2021年", "上个月", "下周"), ""),
            "l": lambda: (self.rng.choice(templates.CHINESE_THINGS), ""),
            "n": lambda: (str(self.rng.randint(2, 500)), ""),
            "N": lambda: (f"1{self.rng.randint(3000000000, 9999999999)}", ""),
        }
        pieces = self._filled(self.rng.choice(templates.CHINESE), fill)
        while self.chance(0.35):
            pieces += self._filled(self.rng.choice(templates.CHINESE), fill)
        return pieces

    def _filled(self, template: str, fill: dict[str, Callable[[], Piece]]) -> list[Piece]:
        parts = re.split(r"\{(\w)\}", template)
        return [(part, "") if place % 2 == 0 else fill[part]() for place, part in enumerate(parts)]


def joined(pieces: list[Piece]) -> tuple[str, list[tuple[int, int, str]]]:
    """Pieces as a text and its spans."""
    text, spans = "", []
    for piece, label in pieces:
        if label:
            spans.append((len(text), len(text) + len(piece), label))
        text += piece
    return text, spans


def composed(seed: int, english: int = ENGLISH, chinese: int = CHINESE) -> tuple[list[str], list[list[tuple[int, int, str]]]]:
    """Texts and their spans."""
    composer = Composer(seed)
    rows = [joined(composer.english()) for _ in range(english)] + [joined(composer.chinese()) for _ in range(chinese)]
    rows += [(text, []) for text in prose()] * 2
    composer.rng.shuffle(rows)
    return [text for text, _ in rows], [spans for _, spans in rows]


def prose() -> list[str]:
    """Sentences of this project's own pages, which name nobody."""
    root = Path(__file__).parents[1]
    lines = [
        line
        for page in (*sorted((root / "docs").glob("*.md")), *root.glob("README*.md"))
        for line in page.read_text().splitlines()
    ]
    plain = [re.sub(r"[`*#|\[\]()>]", " ", line).strip() for line in lines if not line.startswith(("$", "    ", "```"))]
    return [part.strip() for line in plain for part in re.split(r"(?<=[.。]) ", line) if len(part) > 12]


def main() -> None:
    """Compose, fit, prune, round, write."""
    if "--show" in sys.argv:
        for text, spans in zip(*composed(1, 20, 20), strict=True):
            sys.stdout.write(f"{text!r}\n    {[(text[a:b], label) for a, b, label in spans]}\n")
        return
    texts, cells = composed(0)
    rows = Rows(texts, tag.targets(cells, LABELS), LABELS)
    model = _linear_tags.fit(rows, 1 + 2 * len(LABELS))
    size = np.abs(model.weight).max(axis=0)
    kept = np.sort(np.argsort(-size)[:KEPT])
    tagger = _tagger.Tagger(model.columns[kept], model.weight[:, kept], model.bias, LABELS)
    TARGET.write_bytes(_tagger.rounded(tagger))
    sys.stdout.write(f"{TARGET.stat().st_size / 1e6:.2f} MB, {len(kept):,} of {len(size):,} features\n")


if __name__ == "__main__":
    main()
