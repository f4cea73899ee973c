"""Residual risk: what could still point at a person once identifiers are masked; k-anonymity and l-diversity of the columns.

Rows that agree in every quasi-identifier (age, sex, post code …) form a class. The table is k-anonymous when each class has k
rows (Sweeney 2002), and l-diverse when each has l values of the sensitive column (Machanavajjhala et al. 2007). Of texts, a
sample is read for names, addresses and organisations by the tagger that ships; it quotes nothing and sends nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from pydantic import ConfigDict

from savile.base.errors import InputError, UnknownNameError
from savile.base.events import emit
from savile.base.page import Page
from savile.base.recipe import SECTION
from savile.data._draft import Draft, counted, finding

AFTER = "privacy"
QUASI = re.compile(
    r"(^|[ _.\-])(age|sex|gender|zip|zipcode|post(al)?[ _]?code|city|town|county|state|region|country|job|occupation|profession"
    r"|birth\w*|dob|education|marital|nationality|race|ethnicity|religion|household|employer|department)($|[ _.\-])"
    r"|年龄|性别|邮编|城市|省份|地区|职业|生日|出生|学历|婚姻|民族|国籍|部门",
    re.IGNORECASE,
)
SAMPLE = 500  # texts that are read for names
SHOWN = 10
HIGH, MEDIUM = 0.05, 0.0  # share of rows from which a risk is high, or medium


@dataclass(frozen=True)
class Settings:
    """What a stranger may know, and how many must be alike.

    Attributes:
        quasi: columns that a stranger may know of a person; inferred from their names when left out.
        sensitive: the column nobody should learn; the label of a table when left out.
        k: rows that must agree in every quasi-identifier.
        l: values of the sensitive column in each class.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    quasi: tuple[str, ...] = ()
    sensitive: str | None = None
    k: int = 5
    l: int = 2  # noqa: E741  (what the field calls it)


def apply(draft: Draft, settings: Settings) -> Draft:
    """Measure the table and a sample of its texts, and note what is at risk.

    Raises:
        UnknownNameError: a named column is not there.
        InputError: k or l is below 1.
    """
    if settings.k < 1 or settings.l < 1:
        raise InputError("k and l of 1 or more", f"k {settings.k}, l {settings.l}", "Raise it.")
    names = draft.table.column_names
    for name in (*settings.quasi, *([settings.sensitive] if settings.sensitive else [])):
        if name not in names:
            raise UnknownNameError("column", name, names)
    taken = set(draft.roles.values())
    quasi = settings.quasi or tuple(name for name in names if name not in taken and QUASI.search(name))
    sensitive = settings.sensitive or (draft.roles["label"] if draft.one_label else None)
    found = classes(draft, quasi, sensitive, settings) if quasi else None
    outcome = {"quasi": list(quasi), "sensitive": sensitive, "table": found and found["said"], "texts": _texts(draft)}
    draft = _noted(draft, found, settings)
    outcome["level"] = _level(outcome)
    return draft.telling("risk", outcome)


def classes(draft: Draft, quasi: Sequence[str], sensitive: str | None, settings: Settings) -> dict[str, Any]:
    """The classes of rows that agree in `quasi`: ``said``, what is JSON-able, ``alone`` and ``alike``, the rows at risk."""
    rows = np.flatnonzero(draft.kept)
    codes = [_codes(draft, name)[rows] for name in quasi]
    of, sizes = _grouped(codes)
    small = sizes[of] < settings.k
    said: dict[str, Any] = {
        "rows": len(rows),
        "classes": len(sizes),
        "k": int(sizes.min()) if len(sizes) else 0,
        "wanted_k": settings.k,
    }
    said |= {"unique": int((sizes == 1).sum()), "below_k": int(small.sum())}
    alike = np.zeros(len(rows), dtype=bool)
    if sensitive is not None and sensitive not in quasi:
        pairs = np.unique(np.stack([of, _codes(draft, sensitive)[rows]], axis=1), axis=0)
        values = np.bincount(pairs[:, 0], minlength=len(sizes))
        alike = values[of] < settings.l
        said |= {"l": int(values.min()) if len(values) else 0, "wanted_l": settings.l, "below_l": int(alike.sum())}
    without = {}
    for place, name in enumerate(quasi):
        rest, counts = _grouped([code for other, code in enumerate(codes) if other != place] or [np.zeros(len(rows), np.int64)])
        without[name] = int((counts[rest] < settings.k).sum())
    said["below_k_without"] = dict(sorted(without.items(), key=lambda one: one[1]))
    return {"said": said, "alone": rows[small], "alike": rows[alike]}


def tell(outcome: Mapping[str, Any]) -> None:
    """Say the level and why."""
    emit("note", text=f"Residual risk: {outcome['level']}. {_why(outcome)}")


def section(page: Page, data: Any, outcome: Mapping[str, Any]) -> None:
    """The level, the classes, and what a sample of the texts still holds."""
    page.heading("What could still point at a person")
    page.text(f"Residual risk: {outcome['level']}. {_why(outcome)}", tone="good" if outcome["level"] == "low" else "unsure")
    table, texts = outcome["table"], outcome["texts"]
    if table:
        page.table(
            ["Measure", "Found", "Wanted"],
            [
                ["rows that agree in every quasi-identifier, at least (k)", table["k"], table["wanted_k"]],
                ["rows in smaller classes", table["below_k"], 0],
                ["rows that nobody else agrees with", table["unique"], 0],
                *([["values of the sensitive column, at least (l)", table["l"], table["wanted_l"]]] if "l" in table else []),
            ],
            caption=f"Quasi-identifiers: {', '.join(outcome['quasi'])}",
        )
        rows = [[name, count] for name, count in list(table["below_k_without"].items())[:SHOWN]]
        page.table(["Left out", "Rows that would be left in smaller classes"], rows)
    if texts:
        rows = [[kind, one["rows"], one["spans"]] for kind, one in texts["kinds"].items()]
        page.table(["Kind", "Texts", "Places"], rows, caption=f"Found by a model in {texts['read']:,} texts; not all are real.")


def _why(outcome: Mapping[str, Any]) -> str:
    table, texts, said = outcome["table"], outcome["texts"], []
    if table:
        share = table["below_k"] / max(1, table["rows"])
        said.append(
            f"{share:.1%} of the rows agree with fewer than {table['wanted_k'] - 1} others in {', '.join(outcome['quasi'])}."
        )
    else:
        said.append("No column looks like a quasi-identifier; name them with data.steps.risk.quasi.")
    if texts:
        share = texts["any"] / max(1, texts["read"])
        said.append(f"A model sees names, addresses or organisations in {share:.1%} of the texts; pii: names replaces them.")
    return " ".join(said)


def _level(outcome: Mapping[str, Any]) -> str:
    """``high``, ``medium`` or ``low``, by the larger of the two shares of rows."""
    table, texts = outcome["table"], outcome["texts"]
    shares = [table["below_k"] / max(1, table["rows"])] if table else []
    shares += [table.get("below_l", 0) / max(1, table["rows"])] if table else []
    shares += [texts["any"] / max(1, texts["read"])] if texts else []
    worst = max(shares, default=0.0)
    return "high" if worst >= HIGH else "medium" if worst > MEDIUM else "low"


def _noted(draft: Draft, found: Mapping[str, Any] | None, settings: Settings) -> Draft:
    if found is None:
        return draft
    alone, alike = found["alone"], found["alike"]
    if len(alone):
        evidence = f"{counted(len(alone), 'row')} agree with fewer than {settings.k - 1} others in what a stranger may know."
        do = "Leave out or coarsen a column; the page says which one helps most."
        draft = draft.noting(finding("few_alike", "warning", alone, evidence, do))
    if len(alike):
        evidence = f"{counted(len(alike), 'row')} whose class has fewer than {settings.l} values of the sensitive column."
        draft = draft.noting(finding("no_diversity", "warning", alike, evidence, "Coarsen a quasi-identifier."))
    return draft


def _texts(draft: Draft) -> dict[str, Any] | None:
    """How many of a sample of texts hold names, addresses or organisations; None without texts."""
    from savile.base import _tagger

    if "text" not in draft.roles:
        return None
    texts = [text for text, kept in zip(draft.values("text"), draft.kept.tolist(), strict=True) if kept and text]
    chosen = np.linspace(0, max(0, len(texts) - 1), min(len(texts), SAMPLE)).astype(np.int64)
    tagger = _tagger.shipped()
    found = _tagger.spans(tagger, [texts[row] for row in chosen])
    kinds = {
        label: {
            "rows": sum(any(span.label == number for span in spans) for spans in found),
            "spans": sum(span.label == number for spans in found for span in spans),
        }
        for number, label in enumerate(tagger.labels)
    }
    return {"read": len(found), "any": sum(map(bool, found)), "kinds": kinds}


def _codes(draft: Draft, name: str) -> np.ndarray:
    """A number for each value of a column, int64 (n,); empty cells agree."""
    encoded = draft.table.column(name).combine_chunks().dictionary_encode(null_encoding="encode")
    codes: np.ndarray = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def _grouped(codes: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The class of each row, int64 (n,), and how many rows each has."""
    _, of, sizes = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True, return_counts=True)
    return of.reshape(-1), sizes
