"""What goes in and out over HTTP, as OpenAPI tells it; the limits are those that are checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from savile.base import media

MAX_BODY, MAX_TEXTS, MAX_LETTERS = 4 << 20, 256, 20_000
MAX_REASONS, MAX_EXPLAINED = 50, 16
MAX_TURNS = 64


def _object(**properties: Any) -> dict[str, Any]:
    """Every property is required, and there are no others."""
    return {"type": "object", "required": list(properties), "additionalProperties": False, "properties": properties}


def _says(description: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema or {"type": "object"}}}}


TEXT = {"type": "string", "maxLength": MAX_LETTERS}
TEXTS = {"type": "array", "items": TEXT, "minItems": 1, "maxItems": MAX_TEXTS}
PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1, "description": "calibrated"}
ABSTAIN = {"type": "boolean", "description": "a person should decide"}
RELEASE = {"type": "string", "description": "digest of everything the answer depends on"}
LABEL = {"type": "string"}
_KINDS: dict[str, dict[str, Any]] = {
    "cross_entropy": {"label": LABEL, "probability": PROBABILITY},
    "binary_cross_entropy": {
        "labels": {"type": "array", "items": _object(label=LABEL, probability=PROBABILITY)},
        "probability": {**PROBABILITY, "description": "of the label that is least surely given or left out"},
    },
    "token_cross_entropy": {
        "spans": {
            "type": "array",
            "items": _object(
                start={
                    "type": "integer",
                    "minimum": 0,
                    "description": "of the first character, counted in Unicode code points",
                },
                end={"type": "integer", "minimum": 1, "description": "behind the last character"},
                label=LABEL,
                text={"type": "string"},
                probability=PROBABILITY,
            ),
        },
        "probability": {**PROBABILITY, "description": "of the span or token that is least surely given or left out"},
    },
    "next_token": {"answer": {"type": "string"}},
    "contrastive": {"similarity": {"type": "number", "description": "cosine of both texts"}},
    "squared_error": {
        "value": {"type": "number"},
        "low": {"type": "number", "description": "nine in ten lie between low and high"},
        "high": {"type": "number"},
    },
}
REASONS = {
    "name": "reasons",
    "in": "query",
    "required": False,
    "description": "how many reasons come with each answer",
    "schema": {"type": "integer", "minimum": 0, "maximum": MAX_REASONS, "default": 0},
}
WHY: dict[str, Any] = {
    "reasons": {
        "type": "array",
        "description": "columns or words, the weightiest first",
        "items": _object(what={"type": "string"}, value={"type": "string"}, weight={"type": "number"}),
    },
    "score": {"type": "number", "description": "of the answer, in log-odds before calibration; of a number, the number"},
    "base": {
        "type": ["number", "null"],
        "description": "and all weights sum to the score; null if they do not",
    },
}
_TYPES = {"string": ["string", "null"], "bool": ["boolean", "null"]}
_MEDIA = {
    kind: {"type": ["string", "null"], "description": f"the bytes of a file: data:{kind}/…;base64,…"} for kind in media.KINDS
}
ERROR = _object(error=_object(code={"type": "string"}, message={"type": "string"}))
_KEY: dict[int | str, dict[str, Any]] = {
    401: _says("no key, or one that does not open", ERROR),
    405: _says("another method is meant", ERROR),
}


def question(columns: Mapping[str, str], pairs: bool = False) -> dict[str, Any]:
    """What is asked: texts, pairs of texts, or rows with some of the columns, given with their Arrow types."""
    one, many, item, several = "text", "texts", TEXT, TEXTS
    if pairs:
        one, many, item = "pair", "pairs", {"type": "array", "items": TEXT, "minItems": 2, "maxItems": 2}
        several = {**TEXTS, "items": item}
    if columns:
        kinds = {name: _MEDIA.get(kind, {"type": _TYPES.get(kind, ["number", "null"])}) for name, kind in columns.items()}
        one, many, item = "row", "rows", {"type": "object", "additionalProperties": False, "properties": kinds}
        several = {**TEXTS, "items": item}
    schema = {"oneOf": [_object(**{one: item}), _object(**{many: several})]}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def answers(loss: str) -> dict[int | str, dict[str, Any]]:
    """What comes back, by the kind of answer."""
    answer = _object(**_KINDS[loss], abstain=ABSTAIN, release=RELEASE)
    answer["properties"] |= WHY  # only when asked for
    return {200: _says("one answer each, in order", _object(answers={"type": "array", "items": answer})), **_REFUSALS}


_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: _says("no JSON", ERROR),
    408: _says("too slow", ERROR),
    413: _says("too large", ERROR),
    422: _says("JSON of another shape, or a text too long", ERROR),
    503: _says("busy, or not answering as released", ERROR),
    **_KEY,
}
EMBED: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["input"],
                "additionalProperties": False,
                "properties": {
                    "input": {"oneOf": [TEXT, TEXTS]},
                    "model": {"description": "of no meaning: one model serves here"},
                    "dimensions": {"type": "integer", "minimum": 1, "description": "the first so many numbers of each vector"},
                    "encoding_format": {"enum": ["float", "base64"], "default": "float"},
                    "user": {"description": "of no meaning"},
                },
            }
        }
    },
}
EMBEDDED: dict[int | str, dict[str, Any]] = {**_REFUSALS, 200: _says("a vector of unit length for each text, in order")}
CHAT: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["messages"],
                "additionalProperties": False,
                "properties": {
                    "messages": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": MAX_TURNS,
                        "items": {
                            "type": "object",
                            "required": ["role", "content"],
                            "properties": {
                                "role": {"enum": ["system", "user", "assistant"]},
                                "content": {"oneOf": [TEXT, {"type": "array", "items": {"type": "object"}}]},
                            },
                        },
                    },
                    "max_tokens": {"type": ["integer", "null"], "minimum": 1, "description": "the first so many tokens"},
                    "max_completion_tokens": {"type": ["integer", "null"], "minimum": 1, "description": "the same"},
                    "temperature": {"description": "0, or left out: the likeliest tokens are written, as was tested"},
                    "n": {"enum": [1, None]},
                    "stream": {"enum": [False, None]},
                    "model": {"description": "of no meaning: one model serves here"},
                    "user": {"description": "of no meaning"},
                    "seed": {"description": "of no meaning: nothing is drawn"},
                },
            }
        }
    },
}
CHATTED: dict[int | str, dict[str, Any]] = {**_REFUSALS, 200: _says("a completion as OpenAI's route of the same name gives it")}
APP: dict[int | str, dict[str, Any]] = {**_REFUSALS, 200: _says("what the app came to, with the digest of the release")}
MODELS: dict[int | str, dict[str, Any]] = {200: _says("what serves"), **_KEY}
PLAIN: dict[int | str, dict[str, Any]] = {200: _says("JSON"), **_KEY}
READY: dict[int | str, dict[str, Any]] = {200: _says("answers as released"), 503: _says("does not"), **_KEY}
METRICS: dict[int | str, dict[str, Any]] = {200: {"description": "figures", "content": {"text/plain": {}}}, **_KEY}
