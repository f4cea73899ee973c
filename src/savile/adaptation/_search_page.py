"""The page of a search: the best compromises, to pick one from, and everything that was tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from savile.base.page import Page, Point

UNITS = {
    "score": "validation score",
    "share": "share of weights that learn",
    "latency": "ms a text, trained form",
    "memory": "MB to train",
    "energy": "kWh to train (modelled)",
}


def html(entries: Sequence[Mapping[str, Any]], front: Sequence[int], goals: Sequence[str], kept: int) -> str:
    """The page, as HTML.

    Args:
        entries: what was tried: the model, its settings, and what came of each goal.
        front: places of those that no other beats.
        goals: those that were searched for, the score first.
        kept: the place of the one that is kept.
    """
    best = entries[kept]
    page = Page("What was tried, and what to pick from")
    page.text(
        f"{len(front)} of {len(entries)} trials are beaten by no other in {', '.join(UNITS[goal] for goal in goals)} together. "
        f"Kept: {_called(best)} with a score of {best['score']:.3f} ({best['low']:.3f} to {best['high']:.3f}).",
        "lead",
    )
    page.heading("The best compromises")
    head = ["method", "rate", "rank", *(UNITS[goal] for goal in UNITS), "take it"]
    page.table(head, [_row(entries[place], place == kept) for place in front])
    page.text("To take another one than was kept, name its model:")
    page.text("\n".join(f"savile compress {entries[place]['model']}" for place in front), "code")
    for goal in goals[1:]:
        page.line(
            f"Score against {UNITS[goal]}",
            {"beaten by no other": sorted((_point(entries[place], goal) for place in front), key=lambda point: point.x)},
            (UNITS[goal], UNITS["score"]),
        )
    page.heading("Everything that was tried")
    page.table(head, [_row(entry, place == kept) for place, entry in enumerate(entries)], folded=True)
    page.text("Seconds, memory and energy are of this machine; a cheap trial takes a third of the steps.", "note")
    return page.html()


def _called(entry: Mapping[str, Any]) -> str:
    return f"{entry['candidate']}, {entry['share']:.2%} of the weights"


def _row(entry: Mapping[str, Any], kept: bool) -> list[Any]:
    name = entry["candidate"] + (" (cheap)" if entry["cheap"] else "") + (" — kept" if kept else "")
    settings = entry["settings"]
    return [name, settings["rate"], settings.get("rank", "–"), *(entry[goal] for goal in UNITS), entry["model"]]


def _point(entry: Mapping[str, Any], goal: str) -> Point:
    return Point(float(entry[goal]), float(entry["score"]))
