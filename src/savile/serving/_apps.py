"""Routes of apps, mounted by catalogue name: JSON is checked against what a route asks for, and the served model answers.

An app's function runs on a thread of its own, so the hot route never waits for it; the texts it asks about go through the same
batches as everybody's, and are answered by the very model that was tested.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import FastAPI, Request, Response
from pydantic import TypeAdapter, ValidationError

from savile.base import catalogue
from savile.base.contracts import App, Route
from savile.base.errors import InputError
from savile.base.records import Outputs
from savile.models import Predictor
from savile.serving import _schema
from savile.serving._batching import Batcher

if TYPE_CHECKING:
    from savile.serving._http import Service

CHUNK = _schema.MAX_TEXTS  # texts an app has waiting at once, so that it does not crowd out others


def found(names: Sequence[str], predictor: Predictor) -> dict[str, App]:
    """name -> app that works with the served model.

    Raises:
        UnknownNameError: there is no such app.
        InputError: it is for another task.
    """
    apps = {}
    for name in names:
        app: App = catalogue.get("apps", name)
        task = predictor.model.task
        if app.task != task:
            do = "Serve another model, or leave the app out."
            raise InputError(f"a model for the task {app.task}, as the app {name} is", f"one for {task}", do)
        apps[name] = app
    return apps


class Asking:
    """The served model as an app's function meets it, on a thread of its own."""

    def __init__(self, batcher: Batcher, labels: tuple[str, ...], loop: asyncio.AbstractEventLoop) -> None:
        self._batcher, self.labels, self._loop = batcher, labels, loop

    def __call__(self, texts: Sequence[str]) -> Outputs:
        """Texts -> answers, in the order given.

        Raises:
            Busy: too many texts are waiting.
        """
        parts = [self._chunk(texts[i : i + CHUNK]) for i in range(0, max(len(texts), 1), CHUNK)]
        given = [name for name, array in vars(parts[0]).items() if array is not None]
        return Outputs(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in given})

    def _chunk(self, texts: Sequence[str]) -> Outputs:
        outputs, start = asyncio.run_coroutine_threadsafe(self._batcher.ask(texts), self._loop).result()
        return outputs.rows(slice(start, start + len(texts)))


def mount(api: FastAPI, service: Service, body: Callable[[Request], Awaitable[bytes]], problem: type[Exception]) -> None:
    """Add the routes of a service's apps.

    Args:
        api: what they are added to.
        service: whose apps and model they are.
        body: reads a request, within the limits.
        problem: status, code, message -> what a client did wrong.
    """
    for app in service.apps.values():
        for route in app.routes:
            _add(api, service, route, body, problem)


def _add(
    api: FastAPI, service: Service, route: Route, body: Callable[[Request], Awaitable[bytes]], problem: type[Exception]
) -> None:
    door: TypeAdapter[Any] = TypeAdapter(route.asks)
    asks = {"required": True, "content": {"application/json": {"schema": _inline(door.json_schema())}}}

    async def answer(request: Request) -> Response:
        asked = _checked(door, await body(request), problem)
        service.refuse_unready()
        loop, now = asyncio.get_running_loop(), service.now
        try:
            said = await loop.run_in_executor(None, route.answer, asked, Asking(now.batcher, now.predictor.labels, loop))
        except InputError as error:
            raise problem(422, error.code, f"Wanted {error.wanted}; received {error.received}. {error.do}") from None
        content = json.dumps({**said, "release": now.digest}, ensure_ascii=False, allow_nan=False)
        return Response(content, media_type="application/json")

    answer.__doc__ = route.summary
    extra = {"requestBody": asks, "x-access": route.access}
    name = route.path.strip("/").replace("/", "_")
    api.post(route.path, name=name, summary=route.summary, openapi_extra=extra, responses=_schema.APP)(answer)


def _checked(door: TypeAdapter[Any], raw: bytes, problem: type[Exception]) -> Any:
    """What a client sent, as the route asks for it; what was sent is not repeated in the refusal."""
    try:
        return door.validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise problem(400, "json", "The body must be JSON, as the API's description says.") from None
        where = ".".join(map(str, first["loc"]))
        raise problem(422, "shape", f"{where}: {first['msg']}.") from None


def _inline(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON schema without references, as one place of the API's description needs it."""
    definitions = schema.get("$defs", {})

    def resolved(node: Any) -> Any:
        if isinstance(node, list):
            return [resolved(one) for one in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            rest = {key: value for key, value in node.items() if key != "$ref"}
            return resolved({**definitions[node["$ref"].rpartition("/")[2]], **rest})
        return {key: resolved(value) for key, value in node.items() if key != "$defs"}

    whole: dict[str, Any] = resolved(dict(schema))
    return whole
