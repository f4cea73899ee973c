"""Small programs that turn a wrong string into the right one, learnt from corrected cells, each kept as a line of words.

A program is one or two steps of a fixed library (keep the number, cut the last word, drop a letter …), or a composition of
pieces of the string and constants that holds for strings of one shape, as in FlashFill (Gulwani 2011). Which programs are tried
depends on the examples; which is used on how many it gets right, how many wrong, and how much of the string it keeps.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from savile.data._cell_values import shapes

Step = Callable[[str], str]
TOKEN = re.compile(r"\d+|[^\W\d_]+|.", re.DOTALL)
NUMBER = re.compile(r"[+-]?\d[\d,]*\.?\d*|[+-]?\.\d+")
PIECES = 40  # ways of composing one example that are looked at
LONGEST = 60  # characters up to which strings are composed
TRIED = 12  # different examples of a column


@dataclass(frozen=True)
class Program:
    """A learnt program.

    Attributes:
        words: what it does.
        run: what it makes of a string.
        shape: shape of the strings it is for; empty for any.
        right: corrected cells it gets right.
        wrong: corrected cells it changes and gets wrong.
        keeps: 0 to 1, how general it is thought before any example.
        column: number of the column it reads.
    """

    words: str
    run: Step
    shape: str = ""
    right: int = 0
    wrong: int = 0
    keeps: float = 0.5
    column: int = -1

    @property
    def trust(self) -> float:
        """Share of right answers expected."""
        return (self.right + 2 * self.keeps) / (self.right + self.wrong + 2)


def learn(pairs: Sequence[tuple[str, str]], column: int) -> list[Program]:
    """Programs that get at least one pair of (wrong, right) strings right, most trusted first."""
    different = list(dict.fromkeys(pairs))
    tried = different[:TRIED]
    found: dict[tuple[str, str], Program] = {}
    library = _library(tried)
    for old, new in tried:
        for words, run, keeps in library:
            if run(old) == new:
                found[words, ""] = Program(words, run, keeps=keeps, column=column)
        middle = {words: (run(old), keeps) for words, run, keeps in library}
        for (first, (half, keeps)), (second, run, also) in itertools.product(middle.items(), library):
            if half not in (old, new) and run(half) == new:
                found[f"{first}, {second}", ""] = Program(
                    f"{first}, {second}", _then(dict(_runs(library))[first], run), keeps=0.8 * keeps * also, column=column
                )
        for program in _composed(old, new, column):
            found.setdefault((program.words, program.shape), program)
    scored = [_scored(program, different) for program in found.values()]
    return sorted((one for one in scored if one.right), key=lambda one: (-one.trust, len(one.words)))[:20]


def _runs(library: Sequence[tuple[str, Step, float]]) -> list[tuple[str, Step]]:
    return [(words, run) for words, run, _ in library]


def _then(first: Step, second: Step) -> Step:
    return lambda value: second(first(value))


def _scored(program: Program, pairs: Sequence[tuple[str, str]]) -> Program:
    shaped = shapes([old for old, _ in pairs]) if program.shape else [""] * len(pairs)
    meant = [pair for pair, shape in zip(pairs, shaped, strict=True) if shape == program.shape]
    right = sum(program.run(old) == new for old, new in meant)
    wrong = sum(program.run(old) not in (old, new) for old, new in meant)
    return Program(program.words, program.run, program.shape, right, wrong, program.keeps, program.column)


def _library(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, Step, float]]:
    """Steps worth trying on these examples: words, function, how general it is thought."""
    steps: list[tuple[str, Step, float]] = [
        ("trim", str.strip, 0.9),
        ("lower case", str.lower, 0.8),
        ("upper case", str.upper, 0.8),
        ("title case", str.title, 0.8),
        ("single spaces", lambda value: " ".join(value.split()), 0.9),
        ("the number", _number, 0.9),
        ("the plain number", _plain, 0.85),
        ("no thousands signs", lambda value: re.sub(r"(?<=\d),(?=\d{3}\b)", "", value), 0.9),
        ("no leading zeros", lambda value: re.sub(r"^0+(?=\d)", "", value), 0.8),
        ("no zeros behind the point", lambda value: re.sub(r"\.0+$", "", value), 0.9),
        ("without the last word", lambda value: value.rpartition(" ")[0] or value, 0.6),
        ("without the first word", lambda value: value.partition(" ")[2] or value, 0.6),
        ("the last word", lambda value: value.rpartition(" ")[2], 0.5),
        ("the first word", lambda value: value.partition(" ")[0], 0.5),
        ("the last two words", lambda value: " ".join(value.split(" ")[-2:]), 0.5),
        ("letters only", lambda value: re.sub(r"[^\w\s]|\d", "", value), 0.5),
        ("no characters outside ASCII", lambda value: re.sub(r"[^\x00-\x7F]", "", value), 0.7),
        ("brackets out", lambda value: re.sub(r"\s*[\(\[].*?[\)\]]", "", value), 0.7),
    ]
    odd, swaps = dict[str, None](), dict[tuple[str, str], None]()
    for old, new in pairs:
        odd |= dict.fromkeys(letter for letter in dict.fromkeys(old) if old.count(letter) > new.count(letter))
        swap = _swap(old, new)
        if swap:
            swaps[swap] = None
    for letter in list(odd)[:16]:
        steps.append((f"without {letter!r}", _replacing(letter, ""), 0.6 if not letter.isalnum() else 0.3))
        steps.append((f"from {letter!r} on cut", _before(letter), 0.3))
    for old, new in list(swaps)[:16]:
        general = 0.05 if old.isalnum() and new.isalnum() else min(0.3 + 0.1 * len(old), 0.7)
        steps.append((f"{old!r} becomes {new!r}", _replacing(old, new), general))
    return steps


def _number(value: str) -> str:
    found = NUMBER.search(value)
    return found.group() if found else value


def _plain(value: str) -> str:
    """The first number in its shortest form."""
    found = NUMBER.search(value)
    if not found:
        return value
    number = found.group().replace(",", "")
    short = f"{float(number):.12f}".rstrip("0").rstrip(".")  # not 0.052000000000000005
    return short if "." in number else number


def _replacing(old: str, new: str) -> Step:
    return lambda value: value.replace(old, new)


def _before(letter: str) -> Step:
    return lambda value: value.partition(letter)[0].rstrip()


def _swap(old: str, new: str) -> tuple[str, str] | None:
    """The one stretch in which two strings differ, when something of it is there to be replaced."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    before, after = old[start : len(old) - end], new[start : len(new) - end]
    return (before, after) if before and len(before) < len(old) else None


def _composed(old: str, new: str, column: int) -> list[Program]:
    """Programs that build the right string from tokens of the wrong one; they hold for strings of the same shape."""
    if not old or not new or max(len(old), len(new)) > LONGEST:
        return []
    tokens, wanted = TOKEN.findall(old), TOKEN.findall(new)
    if len(wanted) > 12:
        return []
    choices = []
    for want in wanted:
        ways: list[tuple[int, str]] = []
        for place, token in enumerate(tokens):
            if not token.isalnum():
                continue
            if token == want:
                ways.append((place, ""))
            if token.isdigit() and want.isdigit():
                if token != want and token.lstrip("0") == want:
                    ways.append((place, "short"))
                if token != want and token.rjust(2, "0") == want:
                    ways.append((place, "long"))
                if token == want and not token.startswith("0"):
                    ways.append((place, "short"))
                if token == want and len(token) >= 2:
                    ways.append((place, "long"))
        if not ways or not want.isalnum():
            ways.append((-1, want))
        choices.append(ways)
    made = []
    for pieces in itertools.islice(itertools.product(*choices), PIECES):
        used = sum(place >= 0 for place, _ in pieces)
        if used and used >= 0.5 * sum(want.isalnum() for want in wanted):
            again = used - len({place for place, _ in pieces if place >= 0})
            constant = sum(want.isalnum() for want in wanted) - used
            keeps = 0.6 * 0.7**again * 0.8**constant * 0.9 ** sum(how == "long" for _, how in pieces)
            made.append(Program(_said(pieces), _composing(tuple(pieces)), shapes([old])[0], keeps=keeps, column=column))
    return made


def _said(pieces: Sequence[tuple[int, str]]) -> str:
    return "".join(f"<{place + 1}{how and ' ' + how}>" if place >= 0 else how for place, how in pieces)


def _composing(pieces: tuple[tuple[int, str], ...]) -> Step:
    def run(value: str) -> str:
        tokens, made = TOKEN.findall(value), []
        for place, how in pieces:
            if place >= len(tokens):
                return value
            token = tokens[place] if place >= 0 else how
            short = token.lstrip("0") or "0"
            made.append({"short": short, "long": token.rjust(2, "0")}.get(how, token) if place >= 0 else token)
        return "".join(made)

    return run
