"""The section of the data page on what rows are worth, and the same in words for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from savile.base.page import Bar, Page, Point
from savile.base.records import Dataset

SHOWN_OWNERS = 30
METHODS = {
    "knn": "the exact Shapley value for a nearest-neighbour classifier",
    "influence": "the change of the loss through a classifier on frozen features",
    "shapley": "Shapley values of whole sources",
    "banzhaf": "Banzhaf values of whole sources",
}


def section(page: Page, data: Dataset, outcome: Mapping[str, Any]) -> None:
    """Owners, the curve and the least valuable rows."""
    page.heading("What the rows are worth")
    page.text(
        f"{outcome['different_rows']:,} different training rows, tried on {outcome['questions']:,} others; by "
        f"{METHODS[outcome['method']]}, rows compared by {outcome['compared_by']}. Copies share one value."
    )
    if outcome["owners"]:
        table = owners(outcome)
        page.table(table["head"], table["rows"], caption=table["title"])
        title = "Share of what all rows are worth, by owner"
        page.bars(title, [_bar(one) for one in outcome["owners"][:SHOWN_OWNERS]])
    curve = outcome["curve"]
    if curve:
        page.text(verdict(curve), tone="good" if curve["gain"]["low"] > 0 else "unsure")
        by_value = [Point(x, y) for x, y in zip(curve["dropped"], curve["least_valuable"], strict=True)]
        random = [Point(x, *drawn) for x, drawn in zip(curve["dropped"], curve["random"], strict=True)]
        axes = ("share of training rows dropped", f"accuracy on {curve['held']:,} held rows")
        page.line("Dropping rows", {"least valuable first": by_value, "at random": random}, axes)
    if outcome["lowest"]:
        rows = [(one["line"], one["label"], one["value"]) for one in outcome["lowest"]]
        page.table(["Line", "Label", "Value"], rows, caption="Least valuable rows", folded=True)


def owners(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """The table of owners: what they brought, what it is worth, and the price with its interval where there is a budget."""
    head = [str(outcome["owner_column"]), "Rows", "Different", "Value", "Share", "95 % of splits"]
    rows: list[list[Any]] = []
    for one in outcome["owners"]:
        value, share, price = one["value"]["value"], one["share"], one["price"]
        row = [one["owner"], one["rows"], one["different_rows"], round(value, 5), f"{share['value']:.1%}"]
        rows.append([*row, f"{share['low']:.1%} to {share['high']:.1%}"])
        if price:
            rows[-1] += [f"{price['value']:,.2f}", f"{price['low']:,.2f} to {price['high']:,.2f}"]
    if outcome["budget"]:
        head += ["Price", "95 % of prices"]
    return {"title": "What each owner's rows are worth", "head": head, "rows": rows}


def verdict(curve: Mapping[str, Any]) -> str:
    """What the removal curve shows, in a sentence."""
    gain = curve["gain"]
    interval = f"{100 * gain['value']:+.1f} points of accuracy ({100 * gain['low']:+.1f} to {100 * gain['high']:+.1f})"
    if gain["low"] > 0:
        return f"Dropping up to a fifth of the rows, the least valuable first, beats dropping at random: {interval}."
    return f"Dropping up to a fifth of the rows, the least valuable first, is not shown to beat dropping at random: {interval}."


def _bar(one: Mapping[str, Any]) -> Bar:
    share = one["share"]
    return Bar(one["owner"], share["value"], share["low"], share["high"])
