"""The word `review`: the one queue of rows for people, its page, and answers from wherever they were given."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Unpack

from savile.base.errors import InputError, UnknownNameError
from savile.base.events import emit
from savile.base.queue import PICKED, WHY, Answer, Question, Queue
from savile.base.store import Store
from savile.flow import _picking
from savile.flow._erase import REVIEW_PAGE
from savile.flow._options import OnReview
from savile.flow._result import envelope

SHOWN = 20
LONGEST = 80


def review(
    answers: str | Path | None = None,
    *,
    export: str | Path | None = None,
    form: str = "label_studio",
    corrections: str | Path | None = None,
    who: str | None = None,
    **more: Unpack[OnReview],
) -> dict[str, Any]:
    """List the rows that wait for a person, write the page to answer them on, and take answers in.

    `govern --check-labels`, the step `ask` and `pick` fill the queue. What is answered becomes corrections for `improve` and
    `run`.

    Args:
        answers: JSON file of answers, of the page, of Label Studio or of Argilla; all of it is taken in, or nothing.
        export: JSON file to write for another tool: every question, with what is proposed and what was answered.
        form: of that file, label_studio (the default) or argilla.
        corrections: csv file to write, text and label of each question that was answered.
        who: who answered; default: SAVILE_ACTOR, else the user of this machine.
        pick: data file without labels, or with some; the rows that pay most to label are picked from it.
        rows: how many to pick, 50 when left out.
        by: gain (the default), what mends most other rows; uncertain, diverse, or even, at random.
        text: column of that file with the texts; inferred when left out.
        label: column of that file with the labels there are; inferred when left out.
        base: base whose embeddings rows are compared by; auto (the default) by language, words for none.
        settings: taken by every word; nothing here depends on them.

    Raises:
        InputError: the file holds no answers, answers to other questions, or a label that the data does not have.
    """
    store = Store.open()
    queue = Queue(store.home)
    changed = queue.answer(_checked(answers, store), who) if answers is not None else []
    if more.get("pick"):
        _picking.ask(store, more)
    questions = queue.list()
    if export is not None:
        from savile.data import _exchange

        _write(export, _exchange.written(form, questions))
    if corrections is not None:
        _write(corrections, _corrections(questions))
    return {**_told(store, questions), "changed": len(changed), "written": [str(one) for one in (export, corrections) if one]}


def plan(
    answers: str | Path | None = None,
    *,
    export: str | Path | None = None,
    form: str = "label_studio",
    corrections: str | Path | None = None,
    who: str | None = None,
    **more: Unpack[OnReview],
) -> dict[str, Any]:
    """What waits, and how many answers a file holds; writes nothing."""
    store = Store.open()
    said = len(_checked(answers, store)) if answers is not None else 0
    return {**envelope("review"), "verdict": "dry_run", **_counted(Queue(store.home).list()), "answers": said}


def _checked(path: str | Path, store: Store) -> list[Answer]:
    """The answers of a file, once each label is one of the data that its question is from."""
    from savile.data import _exchange

    answers = _exchange.read(path)
    known = {one.id: one for one in Queue(store.home).list()}
    allowed = _labels(store, list(known.values()))
    for one in answers:
        data = known[one.id].data if one.id in known else PICKED
        if one.label and not data.startswith(PICKED) and one.label not in allowed[data]:
            raise UnknownNameError("label", one.label, allowed[data])
    return answers


def _labels(store: Store, questions: Sequence[Question]) -> dict[str, list[str]]:
    """The labels of the data of each question, and those that its questions speak of."""
    found: dict[str, set[str]] = {}
    for one in questions:
        if one.data not in found:
            found[one.data] = set(Queue(store.home).labels(one.data))
            with suppress(UnknownNameError):  # no data yet, or gone from the store; its questions know their own labels
                found[one.data] |= set(store.get(one.data).body["labels"])
        found.setdefault(one.data, set()).update(label for label in (one.given, one.proposed) if label)
    return {data: sorted(labels) for data, labels in found.items()}


def _corrections(questions: Sequence[Question]) -> str:
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator="\n")
    writer.writerows([["text", "label"], *([one.text, one.answer] for one in questions if one.answer)])
    return written.getvalue()


def _write(path: str | Path, text: str) -> None:
    path = Path(path)
    if not path.parent.is_dir():
        raise InputError("a file in a folder that is there", str(path), f"Make the folder first: mkdir -p {path.parent}")
    path.write_text(text, encoding="utf-8", newline="")


def _counted(questions: Sequence[Question]) -> dict[str, Any]:
    counts = Counter(one.state for one in questions)
    return {"open": counts.pop("open", 0), "answered": dict(counts)}


def _told(store: Store, questions: Sequence[Question]) -> dict[str, Any]:
    """Tell the first questions that are open, and write their page."""
    waiting = [one for one in questions if one.state == "open"]
    if not waiting:
        filled = "savile govern FILE --check-labels auto, or savile review --pick FILE"
        emit("note", text=f"Nothing waits for a person. The queue is filled by: {filled}")
        return {**envelope("review"), **_counted(questions), "questions": []}
    from savile.data import _review_page

    page = str(store.page(REVIEW_PAGE, _review_page.html(waiting, _labels(store, waiting))))
    head = ["Question", "Label", "Rather", "Pays", "Why", "Text"]
    rows = [[one.id, one.given, one.proposed, f"{one.score:.0%}", WHY[one.why], one.text[:LONGEST]] for one in waiting[:SHOWN]]
    title = "1 row waits for a person" if len(waiting) == 1 else f"{len(waiting):,} rows wait for a person"
    emit("table", title=title, head=head, rows=rows)
    emit("note", text=f"Answer them in the browser, then: savile review ANSWERS.json. The page: {page}")
    listed = [{"id": one.id, **asdict(one)} for one in waiting]
    return {**envelope("review", None, [page]), **_counted(questions), "questions": listed}
