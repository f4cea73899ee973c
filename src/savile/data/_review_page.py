"""The page on which a person answers the queue, with the keyboard and without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from savile.base.page import Card, Page
from savile.base.queue import PICKED, WHY, Question
from savile.data._draft import counted


def html(questions: Sequence[Question], labels: Mapping[str, Sequence[str]]) -> str:
    """The page.

    Args:
        questions: those that are open, in the order to be shown.
        labels: reference of the data -> its labels.
    """
    page = Page("Rows that wait for a person")
    page.text(f"{counted(len(questions), 'row')}, those first that pay most.", tone="lead")
    page.text(
        "Press A to accept the label proposed, 1 to 9 for the label with that number, L for the list of all, S to skip, "
        "B to go back, and N for a new label where any may be given. "
        "Then download the answers and take them in with: savile review answers.json",
        tone="note",
    )
    return page.deck([_card(one, labels[one.data]) for one in questions], "answers.json").html()


def _card(one: Question, labels: Sequence[str]) -> Card:
    first = [label for label in dict.fromkeys((one.given, one.proposed)) if label]
    about = f"{WHY[one.why]} ({one.score:.0%})"
    rest = [label for label in labels if label not in first]
    return Card(one.id, one.text, one.given, one.proposed, f"Because {about}", [*first, *rest], one.data.startswith(PICKED))
