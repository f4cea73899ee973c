"""Reads a file of which few rows or none have a label, and picks those a person should label next, see `_pick`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from savile.base.errors import InputError, UnknownNameError
from savile.data import _features, _held_out, _pick, _roles, _unlabelled
from savile.data._draft import Options
from savile.data.dedup import normal

ROWS = 50
MOST = 20_000  # different texts that are compared; of more an even sample


@dataclass(frozen=True)
class Next:
    """What to ask about a file.

    Attributes:
        questions: of each row picked its number, masked text, label proposed (empty for none) and how much it pays, 0 to 1.
        labels: those that are known.
        labelled: different texts with a label.
        open: different texts without.
    """

    questions: list[tuple[int, str, str, float]]
    labels: tuple[str, ...]
    labelled: int
    open: int


def of_file(source: Path, asked: Mapping[str, Any], policy: Mapping[str, Any], said: Mapping[str, str]) -> Next:
    """The rows to ask about.

    Args:
        source: any file that `govern` reads.
        asked: ``rows``, ``by``, ``text``, ``label``, ``base`` and ``seed``, each None or absent for what is usual.
        policy: how texts are masked.
        said: masked text -> label that a person gave it before.

    Raises:
        InputError: nothing is left to label, or a setting cannot be.
        UnknownNameError: there is no such column or way.
    """
    count, by = asked.get("rows") or ROWS, asked.get("by") or "gain"
    if by not in _pick.WAYS:
        raise UnknownNameError("way to pick rows", by, list(_pick.WAYS))
    if count < 1:
        raise InputError("one row or more to pick", f"{count}", "Say how many: --rows 50.")
    table, roles = _unlabelled.read(source, Options(text=asked.get("text"), label=asked.get("label")), policy)
    label = _label(table.column_names, asked.get("label"))
    texts = ["" if one is None else one for one in table.column(roles["text"]).to_pylist()]
    given = [None] * len(texts) if label is None else table.column(label).to_pylist()
    known = {normal(text): answer for text, answer in said.items()}
    first, found = dict[str, int](), dict[str, str]()
    for row, (text, name) in enumerate(zip(texts, given, strict=True)):
        plain = normal(text)
        if plain:
            first.setdefault(plain, row)
            if name or plain in known:
                found.setdefault(plain, name or known[plain])
    distinct = _sample(list(first), found, asked.get("seed") or 0)
    if not any(one not in found for one in distinct):
        do = "Give a file with texts that have no label yet."
        raise InputError("texts without a label", f"{len(first):,} different texts, each with one", do)
    labels = tuple(sorted(set(found.values())))
    number = np.array([labels.index(found[one]) if one in found else -1 for one in distinct])
    shown = [texts[first[one]] for one in distinct]
    base = _held_out.base_for(asked.get("base") or "auto", shown)
    picked = _pick.pick(_features.of_texts(shown, base or None), number, count, by, asked.get("seed") or 0)
    questions = [
        (first[distinct[row]], shown[row], labels[best] if best >= 0 else "", round(float(pays), 4))
        for row, best, pays in zip(picked.rows, picked.proposed, picked.pays, strict=True)
    ]
    return Next(questions, labels, len(found), len(first) - len(found))


def _label(names: list[str], asked: str | None) -> str | None:
    """The column with the labels there are, None where there is none."""
    if asked is not None and asked not in names:
        raise UnknownNameError("column", asked, names)
    return asked or next((name for name in names if name.casefold() in _roles.LABEL_NAMES), None)


def _sample(distinct: list[str], found: Mapping[str, str], seed: int) -> list[str]:
    """At most `MOST` texts, of which at most half have a label."""
    if len(distinct) <= MOST:
        return distinct
    order = np.random.default_rng(seed).permutation(len(distinct)).tolist()
    labelled = [i for i in order if distinct[i] in found][: MOST // 2]
    rest = [i for i in order if distinct[i] not in found][: MOST - len(labelled)]
    return [distinct[i] for i in sorted([*labelled, *rest])]
