"""Vectors over HTTP, asked for and answered as by OpenAI's route of the same name, so that clients made for it work here."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import FastAPI, Request, Response

from savile.base.errors import InputError
from savile.models._vectors import shortened
from savile.serving import _schema
from savile.serving._asked import Problem, checked
from savile.serving._schema import MAX_TEXTS

if TYPE_CHECKING:
    from savile.serving._http import Service

FORMATS = ("float", "base64")
KEYS = ("input", "model", "dimensions", "encoding_format", "user")
SHAPE = '{"input": "…" or ["…", …], "model": "…", "dimensions": 128}'


@dataclass(frozen=True)
class Asked:
    """What a client wants: texts, how long vectors are to be (None: as they are), and how they are written."""

    texts: list[str]
    dimensions: int | None
    form: str


def mount(api: FastAPI, service: Service, body: Callable[[Request], Awaitable[bytes]]) -> None:
    """Add the route."""
    given: Any = {"openapi_extra": {"requestBody": _schema.EMBED}, "responses": _schema.EMBEDDED}

    @api.post("/v1/embeddings", **given)
    async def embeddings(request: Request) -> Response:
        """A vector of each text."""
        wanted = asked(await body(request))
        service.refuse_unready()
        now, outputs = await service.place.ask(wanted.texts)
        service.metrics.answered(outputs.abstain)
        try:
            vectors = shortened(outputs.logits[:, : outputs.logits.shape[1] // 2], wanted.dimensions)
        except InputError as error:
            raise Problem(422, "dimensions", f"Wanted {error.wanted}; received {error.received}.") from None
        rows = [{"object": "embedding", "index": i, "embedding": written(one, wanted.form)} for i, one in enumerate(vectors)]
        read = sum(map(len, now.predictor.tokens(wanted.texts))) if now.predictor.engine else 0
        said = {"object": "list", "data": rows, "model": now.digest, "usage": {"prompt_tokens": read, "total_tokens": read}}
        return Response(json.dumps(said), media_type="application/json")


def asked(body: bytes) -> Asked:
    """What a request wants.

    Raises:
        Problem: it is no JSON, of another shape, or a text is too long or no Unicode.
    """
    try:
        question = json.loads(body)
    except (ValueError, RecursionError):
        raise Problem(400, "json", f"The body must be JSON: {SHAPE}.") from None
    if not isinstance(question, dict) or "input" not in question or not question.keys() <= set(KEYS):
        raise Problem(422, "shape", f"Send {SHAPE}; keys are {', '.join(KEYS)}.")
    texts = question["input"] if isinstance(question["input"], list) else [question["input"]]
    if not 0 < len(texts) <= MAX_TEXTS or not all(isinstance(text, str) for text in texts):
        raise Problem(422, "input", f"input is a string, or a list of 1 to {MAX_TEXTS} strings.")
    size, form = question.get("dimensions"), question.get("encoding_format", "float")
    if size is not None and (type(size) is not int or size < 1):
        raise Problem(422, "dimensions", "dimensions is a whole number from 1 on.")
    if form not in FORMATS:
        raise Problem(422, "encoding_format", f"encoding_format is {' or '.join(FORMATS)}.")
    return Asked(checked(texts), size, form)


def written(vector: np.ndarray, form: str) -> Any:
    """A vector as a list of numbers, or as the base64 of its float32 bytes, little-endian."""
    if form == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return [round(float(value), 7) for value in vector]
