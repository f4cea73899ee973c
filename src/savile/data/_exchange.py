"""Questions for people as other tools read them, and answers as they write them: Label Studio, Argilla, our own page.

A Label Studio project needs ``<Text name="text" value="$text"/>`` and ``<Choices name="label" toName="text">``, an Argilla data
set a field ``text`` and a label question ``label``. Formats: https://labelstud.io/guide/task_format (JSON) and the records of
Argilla 2 (``dataset.records.to_json``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from savile.base.errors import DataError, UnknownNameError
from savile.base.queue import Answer, Question

FIELD, CHOICE, AGENT = "text", "label", "savile"
PAGE = "answers"


def label_studio(questions: Sequence[Question]) -> list[dict[str, Any]]:
    """Tasks with what is proposed as a prediction, and what was answered as an annotation; a skipped one is cancelled."""
    tasks = []
    for one in questions:
        proposed = [{"model_version": AGENT, "score": one.score, "result": _choices(one.proposed)}] if one.proposed else []
        said = [{"result": _choices(one.answer), "was_cancelled": not one.answer}] if one.state != "open" else []
        data = {FIELD: one.text, "id": one.id, "given": one.given, "why": one.why, "data": one.data, "row": one.row}
        tasks.append({"data": data, "predictions": proposed, "annotations": said})
    return tasks


def argilla(questions: Sequence[Question]) -> list[dict[str, Any]]:
    """Records with what is proposed as a suggestion, and what was answered as a response; a skipped one is discarded."""
    records = []
    for one in questions:
        suggested = {CHOICE: {"value": one.proposed, "score": one.score, "agent": AGENT}} if one.proposed else {}
        status = "submitted" if one.answer else "discarded"
        said = {CHOICE: [{"value": one.answer or None, "user_id": None, "status": status}]} if one.state != "open" else {}
        metadata = {"given": one.given, "why": one.why, "data": one.data, "row": one.row}
        record = {"id": one.id, "fields": {FIELD: one.text}, "metadata": metadata}
        records.append({**record, "suggestions": suggested, "responses": said})
    return records


FORMS: dict[str, Callable[[Sequence[Question]], list[dict[str, Any]]]] = {"label_studio": label_studio, "argilla": argilla}


def written(form: str, questions: Sequence[Question]) -> str:
    """Questions as a JSON file of a form.

    Raises:
        UnknownNameError: there is no such form.
    """
    if form not in FORMS:
        raise UnknownNameError("form", form, FORMS)
    return json.dumps(FORMS[form](questions), ensure_ascii=False, indent=1)


def read(path: str | Path) -> list[Answer]:
    """The answers in a file of any of the forms, or of the review page; questions nobody answered are passed over.

    Raises:
        DataError: it is no such file, or an entry of it is not as it should be.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise _wrong(path, str(error)) from error
    entries = content.get(PAGE) if isinstance(content, Mapping) else content
    if not isinstance(entries, list):
        raise _wrong(path, f"a {type(entries).__name__} instead of a list")
    found = []
    for number, entry in enumerate(entries, 1):
        try:
            answer = (_of_page if entries is not content else _of_task)(entry)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise _wrong(path, f"entry {number}: {_what(error)}") from error
        found += [answer] if answer else []
    return found


def _choices(label: str) -> list[dict[str, Any]]:
    return [{"from_name": CHOICE, "to_name": FIELD, "type": "choices", "value": {"choices": [label]}}] if label else []


def _of_page(entry: Mapping[str, Any]) -> Answer:
    return Answer(_text(entry["id"]), _text(entry["label"]) if entry["label"] else "")


def _of_task(entry: Mapping[str, Any]) -> Answer | None:
    return _of_label_studio(entry) if "data" in entry else _of_argilla(entry)


def _of_label_studio(task: Mapping[str, Any]) -> Answer | None:
    """The last annotation that was not cancelled; skipped when all were."""
    id, said = _text(task["data"]["id"]), task.get("annotations") or []
    given = [one for one in said if not one.get("was_cancelled")]
    if not given:
        return Answer(id, "") if said else None
    chosen = [one["value"]["choices"] for one in given[-1]["result"] if one["type"] == "choices"]
    return Answer(id, _single(chosen[0])) if chosen else None


def _of_argilla(record: Mapping[str, Any]) -> Answer | None:
    """The last response that was submitted; skipped when all were discarded. A draft is no answer."""
    id, _ = _text(record["id"]), record["fields"]
    said = (record.get("responses") or {}).get(CHOICE) or []
    given = [one["value"] for one in said if one.get("status", "submitted") == "submitted"]
    if given:
        return Answer(id, _text(given[-1]))
    return Answer(id, "") if any(one["status"] == "discarded" for one in said) else None


def _single(choices: Sequence[Any]) -> str:
    if len(choices) != 1:
        raise ValueError(f"{len(choices)} choices instead of one")
    return _text(choices[0])


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"{value!r} instead of a text")
    return value


def _what(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)


def _wrong(path: Path, received: str) -> DataError:
    wanted = "answers as JSON of Label Studio, of Argilla, or of the review page"
    return DataError(wanted, f"{path.name} with {received}", "Export the answers again as JSON, whole.")
