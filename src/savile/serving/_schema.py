"""What goes in and out over HTTP, as OpenAPI tells it; the limits are those that are checked."""

from __future__ import annotations

from typing import Any

MAX_BODY, MAX_TEXTS, MAX_LETTERS = 4 << 20, 256, 20_000


def _object(**properties: Any) -> dict[str, Any]:
    """Every property is required, and there are no others."""
    return {"type": "object", "required": list(properties), "additionalProperties": False, "properties": properties}


def _says(description: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema or {"type": "object"}}}}


TEXT = {"type": "string", "maxLength": MAX_LETTERS}
TEXTS = {"type": "array", "items": TEXT, "minItems": 1, "maxItems": MAX_TEXTS}
QUESTION = {
    "required": True,
    "content": {"application/json": {"schema": {"oneOf": [_object(text=TEXT), _object(texts=TEXTS)]}}},
}
ANSWER = _object(
    label={"type": "string"},
    probability={"type": "number", "minimum": 0, "maximum": 1, "description": "calibrated"},
    abstain={"type": "boolean", "description": "a person should decide"},
    release={"type": "string", "description": "digest of everything the answer depends on"},
)
ERROR = _object(error=_object(code={"type": "string"}, message={"type": "string"}))
_KEY: dict[int | str, dict[str, Any]] = {
    401: _says("no key, or one that does not open", ERROR),
    405: _says("another method is meant", ERROR),
}

ANSWERS: dict[int | str, dict[str, Any]] = {
    200: _says("one answer a text, in order", _object(answers={"type": "array", "items": ANSWER})),
    400: _says("no JSON", ERROR),
    408: _says("too slow", ERROR),
    413: _says("too large", ERROR),
    422: _says("JSON of another shape, or a text too long", ERROR),
    503: _says("busy, or not answering as released", ERROR),
    **_KEY,
}
MODELS: dict[int | str, dict[str, Any]] = {200: _says("what serves"), **_KEY}
PLAIN: dict[int | str, dict[str, Any]] = {200: _says("JSON"), **_KEY}
READY: dict[int | str, dict[str, Any]] = {200: _says("answers as released"), 503: _says("does not"), **_KEY}
METRICS: dict[int | str, dict[str, Any]] = {200: {"description": "figures", "content": {"text/plain": {}}}, **_KEY}
