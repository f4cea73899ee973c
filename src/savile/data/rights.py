"""Rights to the rows: sources matched, rules held against the use that is meant, forbidden rows refused or left out.

What may not be used is not even stored. The rules stay with the data and are asked again by whatever uses it later; see
`savile.base.rights`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date
from typing import Any

import numpy as np

from savile.base import rights as rules
from savile.base.errors import InputError, RefusalError, UnknownNameError
from savile.base.events import emit
from savile.base.page import Page
from savile.base.records import Dataset, Finding
from savile.base.rights import Rights, Source
from savile.data._draft import Draft, counted, finding

AFTER = "sources"
Settings = Rights


def apply(draft: Draft, settings: Rights) -> Draft:
    """Match rows with their sources, and keep those that may be used.

    Raises:
        UnknownNameError: a source names a column that is not there.
        InputError: no source is named, or rows belong to none.
        RefusalError: a source may not be used so.
    """
    if not settings.sources:
        do = "List them under `sources:`, each with a name and its rights."
        raise InputError("sources in the rights", "none", do)
    belongs = {source.name: _rows(draft, source) for source in settings.sources}
    _check_cover(draft, belongs)
    broken = [one for one in rules.breaches(settings, "govern", date.today()) if belongs[one.source].any()]
    barred = sorted({one.source for one in broken})
    if broken and (settings.on_breach == "refuse" or any(belongs[name].all() for name in barred)):
        raise refusal("govern", broken)
    rest = tuple(source for source in settings.sources if source.name not in barred)
    outcome: dict[str, Any] = {
        "rules": _plain(replace(settings, sources=rest)),
        "sources": [{**_plain_source(source), "rows": int(belongs[source.name].sum())} for source in rest],
        "left_out": {name: int(belongs[name].sum()) for name in barred},
        "gaps": [asdict(gap) for gap in rules.gaps(replace(settings, sources=rest))],
    }
    for one in broken:
        count = int(belongs[one.source].sum())
        evidence = f"{counted(count, 'row')} of {one.source} left out and not stored: {one.why}."
        draft = draft.noting(Finding("right_missing", "warning", count, evidence))
    barred_rows = np.any([np.zeros(len(draft.lines), dtype=bool), *(belongs[name] for name in barred)], axis=0)
    for gap in outcome["gaps"]:
        rows = np.flatnonzero(belongs[gap["source"]][~barred_rows])
        repair = "Ask the owner, and write it into the rights."
        draft = draft.noting(finding("right_unclear", "warning", rows, f"Of {gap['source']} {gap['why']}.", repair))
    tell(outcome)
    return _without(draft, barred_rows).telling("rights", outcome)


def refusal(stage: str, broken: list[rules.Breach]) -> RefusalError:
    """The error that names every rule a use would break."""
    why = "; ".join(f"{one.source}: {one.why}" for one in broken)
    do = "Change the use (purpose, region), ask the owner, or leave these rows out with on_breach: leave_out."
    return RefusalError(f"the right to {stage} this data", why, do)


def tell(outcome: Mapping[str, Any]) -> None:
    """Say whose data may be used, and what is not written down."""
    emit("table", **_table(outcome))


def section(page: Page, data: Dataset, outcome: Mapping[str, Any]) -> None:
    """Sources with their rights."""
    page.heading("Who has the rights")
    use = outcome["rules"]
    page.text(f"Purpose: {use['purpose'] or 'not named'}. Region: {use['region'] or 'not named'}.")
    table = _table(outcome)
    page.table(table["head"], table["rows"], caption=table["title"])
    for name, rows in outcome["left_out"].items():
        page.text(f"{counted(rows, 'row')} of {name} may not be used and were not stored.", tone="bad")
    for gap in outcome["gaps"]:
        page.text(f"{gap['source']}: {gap['why']}.", tone="unsure")


def _table(outcome: Mapping[str, Any]) -> dict[str, Any]:
    head = ["Source", "Rows", "Owner", "Licence", "Consent", "Purposes", "Regions", "Until"]
    rows = [
        [
            *(one["name"], one["rows"], one["owner"] or None, one["licence"] or None, one["consent"] or None),
            *(", ".join(one["purposes"]) or "any", ", ".join(one["regions"]) or "any", one["expires"]),
        ]
        for one in outcome["sources"]
    ]
    return {"title": "Rights to the data", "head": head, "rows": rows}


def _rows(draft: Draft, source: Source) -> np.ndarray:
    """Which rows are of a source, bool (n,)."""
    if source.column is None:
        return np.ones(len(draft.lines), dtype=bool)
    if source.column not in draft.table.column_names:
        raise UnknownNameError("column", source.column, draft.table.column_names)
    values = draft.table.column(source.column).to_pylist()
    return np.array([str(value or "").strip() == (source.value or "") for value in values], dtype=bool)


def _check_cover(draft: Draft, belongs: Mapping[str, np.ndarray]) -> None:
    """Every row has a source: what nobody spoke for may not slip in."""
    lost = ~np.any(list(belongs.values()), axis=0)
    if lost.any():
        rows = np.flatnonzero(lost)
        do = "Add their source, or one without a column for the whole file."
        raise InputError("a source for every row", f"none for {counted(len(rows), 'row')}, {draft.where(rows)}", do)


def _without(draft: Draft, rows: np.ndarray) -> Draft:
    """The draft as if some rows had never been in the file."""
    if not rows.any():
        return draft
    keep = np.flatnonzero(~rows)
    arrays = {name: getattr(draft, name)[keep] for name in ("lines", "file_of", "given", "kept", "units")}
    return replace(draft, table=draft.table.take(keep), **arrays)


def _plain(rights: Rights) -> dict[str, Any]:
    return {**asdict(rights), "sources": [_plain_source(source) for source in rights.sources]}


def _plain_source(source: Source) -> dict[str, Any]:
    """A source as JSON has it: days as text."""
    plain = asdict(source)
    plain["expires"] = None if source.expires is None else source.expires.isoformat()
    plain["terms"] = [{**term, "after": term["after"] and term["after"].isoformat()} for term in plain["terms"]]
    return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}
