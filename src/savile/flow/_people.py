"""What people are asked about governed data: labels that are probably wrong, and rows that nobody was sure enough to label."""

from __future__ import annotations

import json
from pathlib import Path

from savile.base import mask
from savile.base.events import emit
from savile.base.queue import Question, Queue
from savile.base.records import Dataset
from savile.base.store import Store

LEFT = "ask/left.json"


def ask(found: Dataset) -> None:
    """Put into the queue what the steps of a stored data set left for people; what was put before is not put again."""
    if "text" not in found.roles or "second" in found.roles:
        return  # an answer comes back as a text and its label
    store = Store.open()
    new = Queue(store.home).put([*_suspicious(found, store), *_left(found)])
    if new:
        emit("note", text=f"{new:,} row{' waits' if new == 1 else 's wait'} for a person: savile review")


def _suspicious(found: Dataset, store: Store) -> list[Question]:
    """Rows whose label is probably wrong; of the test part none, for an answer would change nothing."""
    listed = found.settings.get("steps", {}).get("labels", {}).get("listed", ())
    kept = found.mask.get("pii") == "keep"  # such texts are masked here, for a queue gets passed on
    masker = mask.Masker(mask.policy(store.keys) if kept else {}, store.keys) if listed else None
    texts = found.table.column(found.roles["text"])
    return [
        Question(
            found.ref, one["row"], masker(str(texts[one["row"]])), one["label"], one["proposed"], "label_error", one["chance"]
        )
        for one in listed
        if masker is not None and one["part"] != "test" and one["proposed"] != one["label"]
    ]


def _left(found: Dataset) -> list[Question]:
    file = found.files.get(LEFT)
    if file is None:
        return []
    rows = json.loads(file if isinstance(file, bytes) else Path(file).read_bytes())
    return [Question(found.ref, -1, one["text"], "", one["proposed"], "left", one["score"]) for one in rows]
