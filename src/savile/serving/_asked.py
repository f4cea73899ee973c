"""What clients ask: texts, pairs or rows in JSON, checked before a model sees them, and what is wrong with them otherwise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse

from savile.base import answers, media
from savile.base.errors import SavileError
from savile.models._predict import tabled
from savile.serving._schema import MAX_LETTERS, MAX_TEXTS

SHAPES: dict[type, str] = {
    dict: '{"row": {…}} or {"rows": [{…}, …]}',
    list: '{"pair": ["…", "…"]} or {"pairs": [["…", "…"], …]}',
    str: '{"text": "…"} or {"texts": ["…", …]}',
}


class Problem(Exception):  # noqa: N818  (becomes an answer)
    """What a client did wrong: status, code, and what to do."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status, self.code, self.message = status, code, message

    def response(self) -> Response:
        """Its JSON."""
        headers = {"retry-after": "1"} if self.status == 503 else {}
        return JSONResponse({"error": {"code": self.code, "message": self.message}}, self.status, headers)


def asked_rows(body: bytes, columns: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rows of a request to a model that reads tables.

    Raises:
        Problem: it is no JSON, of another shape, or names columns or values the model does not know.
    """
    rows = _several(body, "row", "rows", dict)
    said = [(name, value) for row in rows for name, value in row.items() if isinstance(value, str)]
    letters = [value for name, value in said if columns.get(name) not in media.KINDS]
    checked(letters)
    try:
        tabled(rows, columns)
    except SavileError as error:
        raise Problem(422, "row", f"Wanted {error.wanted}; received {error.received}.") from None
    return rows


def asked_pairs(body: bytes) -> list[str]:
    """The pairs of a request, each as one text.

    Raises:
        Problem: it is no JSON, of another shape, or a text is too long or no Unicode.
    """
    pairs = _several(body, "pair", "pairs", list)
    if not all(len(pair) == 2 and all(isinstance(text, str) for text in pair) for pair in pairs):
        raise Problem(422, "shape", 'A pair is two strings: ["…", "…"].')
    checked([text for pair in pairs for text in pair])
    return [answers.pair(*pair) for pair in pairs]


def asked(body: bytes) -> list[str]:
    """The texts of a request.

    Raises:
        Problem: it is no JSON, of another shape, or a text is too long or no Unicode.
    """
    return checked(_several(body, "text", "texts", str))


def _several(body: bytes, one: str, many: str, kind: type) -> list[Any]:
    """What is asked, a list of one or more."""
    shape = SHAPES[kind]
    try:
        question = json.loads(body)
    except (ValueError, RecursionError):
        raise Problem(400, "json", f"The body must be JSON: {shape}.") from None
    if not isinstance(question, dict) or len(question) != 1 or not question.keys() <= {one, many}:
        raise Problem(422, "shape", f"Send {shape}, and nothing else.")
    texts = [question[one]] if one in question else question[many]
    if not isinstance(texts, list) or not all(isinstance(text, kind) for text in texts):
        kinds: dict[type, str] = {dict: "an object", list: "a list", str: "a string"}
        what = kinds[kind]
        raise Problem(422, "shape", f"{one} is {what}, {many} a list of {what.partition(' ')[2]}s.")
    if not 0 < len(texts) <= MAX_TEXTS:
        raise Problem(422, "count", f"Send between 1 and {MAX_TEXTS} {many}.")
    return texts


def checked(texts: list[str]) -> list[str]:
    """The texts, when a model can read them.

    Raises:
        Problem: one is too long or no Unicode.
    """
    if any(len(text) > MAX_LETTERS for text in texts):
        raise Problem(422, "length", f"A text has at most {MAX_LETTERS} characters.")
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:  # a lone surrogate: JSON can write it, Unicode has no such text
        raise Problem(422, "unicode", "A text contains half of a surrogate pair.") from None
    return texts
