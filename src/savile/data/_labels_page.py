"""The section of the data page on wrong labels, and the same in words for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from savile.base import mask
from savile.base.events import emit
from savile.base.page import Bar, Page
from savile.base.records import Dataset

SHOWN = 200
SHOWN_LABELS = 30
LONGEST = 140


def tell(outcome: Mapping[str, Any]) -> None:
    """Say how many labels are probably wrong, and the first of them."""
    emit("note", text=verdict(outcome))
    if outcome["listed"]:
        head = ["Line", "Label", "Rather", "Chance of being wrong"]
        rows = [[one["line"], one["label"], one["proposed"], f"{one['chance']:.0%}"] for one in outcome["listed"][:5]]
        emit("table", title="Labels to look at first", head=head, rows=rows)


def verdict(outcome: Mapping[str, Any]) -> str:
    """How many labels are wrong, in a sentence."""
    by = " and ".join(outcome["seen_by"])
    if not outcome.get("tells", True):
        return f"No label can be checked: by {by} they cannot be told apart better than by chance."
    about = f"About {outcome['expected']:,.0f} labels are wrong ({outcome['rate']:.1%} of what {by} can tell)"
    if not outcome["flagged"]:
        return f"{about}; none stands out enough to look at."
    rows = f"{outcome['flagged']:,} row{' is' if outcome['flagged'] == 1 else 's are'}"
    return f"{about}; {rows} to be looked at, and {outcome['right_flags']:.0%} of those should be."


def section(page: Page, data: Dataset, outcome: Mapping[str, Any]) -> None:
    """How many, in which labels, and the rows to look at."""
    page.heading("Labels that are probably wrong")
    page.text(verdict(outcome), tone="unsure" if outcome["flagged"] or not outcome.get("tells", True) else "good")
    page.text(
        "Every row was scored by models that did not see it. A row with an unusual but right label can stand here, too: decide "
        "by reading it. Test rows are shown and never changed.",
        tone="note",
    )
    if not outcome["listed"]:
        return
    worst = sorted((one for one in outcome["by_label"] if one["flagged"]), key=lambda one: -one["flagged"] / one["rows"])
    bars = [Bar(one["label"], one["flagged"] / one["rows"]) for one in worst[:SHOWN_LABELS]]
    page.bars("Share of each label's rows to look at", bars)
    pairs = [[one["label"], one["proposed"], one["rows"]] for one in outcome["pairs"]]
    page.table(["Label", "Rather", "Rows"], pairs, caption="What is taken for what")
    masker = mask.Masker(mask.policy(None))  # a page gets sent around, even of data that was kept as it came
    texts = data.table.column(data.roles["text"]) if "text" in data.roles else None
    head = ["Line", "Part", "Label", "Rather", "Wrong", *(["Text"] if texts is not None else [])]
    rows = []
    for one in outcome["listed"][:SHOWN]:
        text = [] if texts is None else [_cut(masker(str(texts[one["row"]].as_py() or "")))]
        rows.append([one["line"], one["part"], one["label"], one["proposed"], one["chance"], *text])
    page.table(head, rows, caption="Rows to look at, the most suspicious first", folded=len(rows) > 20)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
