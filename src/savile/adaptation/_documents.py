"""What a company has written: files of text, tables with a column of texts, and facts as triples, put into sentences."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from savile.base.errors import DataError, InputError

TEXTS, ROWS = (".txt", ".md"), (".csv", ".jsonl")
FACT = ("subject", "relation", "object")
HOPS = 2  # from a thing to its facts, and on to the facts on what those name
BEHIND = 3  # facts at most that follow a thing's own
COLUMN = "text"
LEAST = 20  # letters of a passage
LONGEST = 1_200  # letters; longer passages are cut between sentences
Fact = tuple[str, str, str]
SENTENCE = re.compile(r"(?<=[.!?。！？])\s*")


def read(path: str | Path) -> list[str]:
    """The passages of a file or of every file in a folder, each once, in order.

    Text files are cut at blank lines. A csv or JSON lines file has a column ``text``, or ``subject``, ``relation`` and
    ``object``.

    Raises:
        InputError: there is no such file, or none of a kind that is read.
        DataError: a table without those columns, or nothing to learn from.
    """
    path = Path(path)
    if not path.exists():
        raise InputError("documents", f"nothing at {path}", "Name a file or a folder of .txt, .md, .csv or .jsonl files.")
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    files = [one for one in files if _kind(one) in (*TEXTS, *ROWS)]
    if not files:
        raise InputError(f"files ending in {', '.join((*TEXTS, *ROWS))}", f"none at {path}", "Convert them to text first.")
    found = dict.fromkeys(passage for one in files for passage in (_written(one) if _kind(one) in TEXTS else _rows(one)))
    if not found:
        raise DataError("passages of text", f"none at {path}", "Give documents with sentences.")
    return list(found)


def sentence(fact: Sequence[str]) -> str:
    """``("Nova card", "has_fee", "12 EUR")`` -> ``Nova card has fee 12 EUR.``"""
    subject, relation, thing = (" ".join(str(one).replace("_", " ").split()) for one in fact)
    if any("\u3040" <= letter <= "\u9fff" for letter in subject + relation):
        return f"{subject}{relation}{thing}。"
    return f"{subject} {relation} {thing}."


def facts(path: str | Path) -> list[Fact]:
    """The triples of a csv or JSON lines file.

    Raises:
        InputError: there is no such file.
        DataError: it has no columns subject, relation and object.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("a file of facts", f"nothing at {path}", "Name a .csv or .jsonl file.")
    rows = list(_table(path))
    if not rows or not set(FACT) <= set(rows[0]):
        raise DataError(f"the columns {', '.join(FACT)}", f"{', '.join(map(str, rows[0])) if rows else 'no rows'}", "Add them.")
    return [(str(row["subject"]), str(row["relation"]), str(row["object"])) for row in rows if all(row[name] for name in FACT)]


def known_facts(path: str | Path, hops: int = HOPS) -> dict[str, str]:
    """The facts of a file by what they are about: subject -> its facts in sentences, then those on what they name.

    Args:
        path: see `facts`.
        hops: 1 for a thing's own facts; with 2 the first `BEHIND` facts on their objects follow, breadth first.

    Raises:
        InputError: a number of hops that is not 1 or more.
    """
    if hops < 1:
        raise InputError("one hop or more, from a thing to its facts", str(hops), "Correct adapt.settings.hops.")
    of: dict[str, list[Fact]] = {}
    for fact in facts(path):
        of.setdefault(_same(fact[0]), []).append(fact)
    found: dict[str, str] = {}
    for several in of.values():
        said = [sentence(fact) for fact in [*several, *_behind(several, of, hops)]]
        found |= {subject: " ".join(said) for subject in dict.fromkeys(fact[0] for fact in several)}
    return found


def _behind(first: Sequence[Fact], of: Mapping[str, Sequence[Fact]], hops: int) -> list[Fact]:
    """The first facts on what facts name, and on what these name, without coming back to what was said."""
    seen, found, last = {_same(first[0][0])}, list[Fact](), list(first)
    for _ in range(hops - 1):
        names = [name for name in dict.fromkeys(_same(fact[2]) for fact in last) if name in of and name not in seen]
        seen |= set(names)
        last = [fact for name in names for fact in of[name]]
        found += last
    return found[:BEHIND]


def _same(name: str) -> str:
    """A name as it is compared."""
    return " ".join(name.replace("_", " ").split()).casefold()


def _kind(path: Path) -> str:
    return path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix


def _opened(path: Path) -> Any:
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8-sig", newline="")


def _written(path: Path) -> Iterator[str]:
    try:
        with _opened(path) as file:
            text = file.read()
    except UnicodeDecodeError as error:
        raise DataError("text in UTF-8", f"{path.name}, byte {error.start}", "Save it as UTF-8.") from None
    for passage in re.split(r"\n\s*\n", text):
        yield from _cut(" ".join(passage.split()))


def _rows(path: Path) -> Iterator[str]:
    for row in _table(path):
        if set(FACT) <= set(row):
            yield sentence([row[name] for name in FACT])
        elif COLUMN in row:
            yield from _cut(" ".join(str(row[COLUMN] or "").split()))
        else:
            do = "Name the columns so."
            raise DataError(f"a column {COLUMN}, or {', '.join(FACT)}", f"{path.name} with {', '.join(map(str, row))}", do)


def _table(path: Path) -> Iterator[dict[str, Any]]:
    with _opened(path) as file:
        if _kind(path) == ".csv":
            yield from csv.DictReader(file)
            return
        for number, line in enumerate(filter(str.strip, file), 1):
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                raise DataError("a JSON object a line", f"line {number} of {path.name}", "Mend that line.")
            yield row


def _cut(text: str) -> Iterator[str]:
    """A passage in pieces that are not too long."""
    piece = ""
    for part in SENTENCE.split(text):
        if piece and len(piece) + len(part) >= LONGEST:
            yield piece
            piece = ""
        piece = f"{piece} {part}".strip()[: LONGEST * 2]
    if len(piece) >= LEAST:
        yield piece
