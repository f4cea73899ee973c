"""Picks the rows of a file that a person should label next, and puts them into the queue."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from savile.base import mask
from savile.base.events import emit
from savile.base.queue import PICKED, Question, Queue
from savile.base.store import Store


def ask(store: Store, more: Mapping[str, Any]) -> None:
    """Put the rows that pay most into the queue; what people answered before counts as labelled.

    Args:
        store: whose queue it is.
        more: ``pick``, the file, and the other options of `savile.review`.
    """
    from savile.data import _next, sources

    source, queue = Path(more["pick"]), Queue(store.home)
    said = {one.text: one.answer for one in queue.list() if one.answer}
    found = _next.of_file(source, more, mask.policy(store.keys), said)
    data = PICKED + sources.sha256(source)[:12]
    why = more.get("by") or "gain"
    questions = [Question(data, row, text, "", proposed, why, pays) for row, text, proposed, pays in found.questions]
    new = queue.put(questions, found.labels)
    emit(
        "note",
        text=f"{new:,} of {found.open:,} texts without a label were picked to be labelled next; {found.labelled:,} have one "
        f"of {len(found.labels)} labels.",
    )
