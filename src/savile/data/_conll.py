"""Reads CoNLL files: a token and its label a line, sentences divided by empty lines; labels in BIO, BIOES, BILOU or IO."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from savile.base.errors import DataError
from savile.data._reading import Batch, File, Report, batch_of
from savile.data._spans import written

SENTENCES = 2_000  # in a batch
WIDE = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]")
LABEL = re.compile(r"^(?:([BIOESLUM])(?:[-_](.+))?)$")
DO = "Write a token, a space and its label a line, as in `London B-place`, and an empty line between sentences."


def read(file: File, report: Report) -> Iterator[Batch | None]:
    """Sentences as rows with the columns ``text`` and ``spans``; tokens are joined by spaces, Chinese ones by nothing.

    Raises:
        DataError: a line has no label.
    """
    rows, lines, tokens, begun = list[tuple[str, str]](), list[int](), list[tuple[str, str]](), 0
    with file.text(report.encoding(file)) as text:
        for number, line in enumerate([*text, ""], start=1):
            cells = line.split()
            if cells and cells[0] != "-DOCSTART-":
                if len(cells) < 2 or not LABEL.match(cells[-1]):
                    raise DataError("a token and its label in every line", f"line {number} of {file.name}", DO)
                begun = begun if tokens else number
                tokens.append((cells[0], cells[-1]))
            elif tokens:
                rows.append(sentence(tokens))
                lines.append(begun)
                tokens = []
            if len(rows) >= SENTENCES:
                yield batch_of(("text", "spans"), rows, lines)
                rows, lines = [], []
    if rows:
        yield batch_of(("text", "spans"), rows, lines)


def sentence(tokens: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Tokens with labels -> the text, and its spans as a cell."""
    text, spans, open_ = "", list[tuple[int, int, str]](), ""
    for token, label in tokens:
        if text and not (WIDE.match(text[-1]) or WIDE.match(token)):
            text += " "
        start = len(text)
        text += token
        found = LABEL.match(label)
        mark, kind = (found[1], found[2] or "entity") if found and found[1] != "O" else ("O", "")
        if mark == "O":
            open_ = ""
        elif mark in "ILEM" and open_ == kind:
            spans[-1] = (spans[-1][0], len(text), kind)
            open_ = kind
        else:
            spans.append((start, len(text), kind))
            open_ = kind
        if mark in "ESLU":
            open_ = ""
    return text, written(spans)
