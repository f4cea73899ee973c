"""The service over HTTP: routes, who may call them, limits, figures, and an end that drops nothing.

The hot route reads and writes JSON by hand, and its schema in OpenAPI is written beside it; nothing a client sends may end in
status 500. A key is asked for everywhere but on `OPEN`; there are no pages that load scripts from elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from savile.base import answers, catalogue, machine
from savile.base.contracts import App
from savile.base.events import emit
from savile.base.records import Release
from savile.models import Predictor
from savile.serving import _apps, _bundle, _chat, _embeddings, _schema
from savile.serving._asked import Problem, asked, asked_pairs, asked_rows
from savile.serving._batching import Busy
from savile.serving._follow import Follower
from savile.serving._keys import Keys
from savile.serving._metrics import Metrics
from savile.serving._schema import MAX_BODY, MAX_EXPLAINED, MAX_REASONS
from savile.serving._standing import Place, Standing

OPEN = frozenset({"/healthz", "/readyz"})
BODY_SECONDS, DRAIN_SECONDS = 30, 30
Asgi = Callable[[Any, Any, Any], Awaitable[None]]


class Service:
    """What the routes need.

    Args:
        predictor: answers.
        release: what it answers for.
        proof: the replay of the golden inputs at the start.
        keys: who may call; None lets everybody.
        apps: name -> app whose routes are added.
    """

    def __init__(
        self,
        predictor: Predictor,
        release: Release,
        proof: Mapping[str, Any],
        keys: Keys | None,
        apps: Mapping[str, App] | None = None,
    ) -> None:
        self.keys, self.apps, self.metrics = keys, apps or {}, Metrics()
        self.place = Place(Standing(predictor, release, proof, self.metrics.batch))
        self.open = OPEN | {route.path for app in self.apps.values() for route in app.routes if route.access == "open"}
        self.metrics.ready.set(int(proof["passed"]))
        self._explaining = ThreadPoolExecutor(1, thread_name_prefix="savile-reasons")  # reasons never hold up answers

    @property
    def now(self) -> Standing:
        """What answers."""
        return self.place.now

    def follower(self, alias: str) -> Follower:
        """What keeps the service on the release that an alias stands for."""
        ready = self.metrics.ready
        return Follower(self.place, alias, self.metrics.batch, lambda: ready.set(int(self.now.proof["passed"])))

    def close(self) -> None:
        """Let the threads end."""
        for one in (self.place.now, self.place.before):
            if one is not None:
                one.batcher.close()
        self._explaining.shutdown(wait=True)

    async def answer(self, texts: Sequence[Any]) -> bytes:
        """The JSON of the answers to some texts or rows."""
        now, outputs = await self.place.ask(texts)
        self.metrics.answered(outputs.abstain)
        if now.predictor.head.loss != "cross_entropy":
            said = _bundle.said(now.predictor, outputs, texts)
            return json.dumps({"answers": [one | {"release": now.digest} for one in said]}, ensure_ascii=False).encode()
        given = zip(outputs.choice.tolist(), outputs.confidence.tolist(), outputs.abstain.tolist(), strict=True)
        answers = (f'{{"label":{now.labels[c]},"probability":{p:.6f}{now.endings[a]}' for c, p, a in given)
        return f'{{"answers":[{",".join(answers)}]}}'.encode()

    async def explained(self, texts: Sequence[Any], count: int) -> bytes:
        """The JSON of the answers to some texts or rows, each with its `count` weightiest reasons."""
        now, outputs = await self.place.ask(texts)
        self.metrics.answered(outputs.abstain)
        loop = asyncio.get_running_loop()
        why = await loop.run_in_executor(self._explaining, now.predictor.reasons, texts)
        said = _bundle.said(now.predictor, outputs, texts)
        answers = [
            one | {"reasons": [vars(each) for each in reasons.reasons[:count]], "score": reasons.score, "base": reasons.base}
            for one, reasons in zip(said, why, strict=True)
        ]
        return json.dumps({"answers": [one | {"release": now.digest} for one in answers]}, ensure_ascii=False).encode()

    def refuse_unready(self) -> None:
        """Nothing is answered by a model that does not answer as it was released.

        Raises:
            Problem: it does not.
        """
        if not self.now.proof["passed"]:
            raise Problem(503, "not_ready", f"The model does not answer as it was released: {self.now.proof['reason']}.")

    async def replay(self) -> Mapping[str, Any]:
        """Replay the golden inputs; on excess nothing is answered any more."""
        now = self.now
        now.proof = await asyncio.to_thread(_bundle.replay, now.predictor, now.release)
        self.metrics.ready.set(int(self.now.proof["passed"]))
        return now.proof

    def facts(self) -> dict[str, Any]:
        """What serves."""
        now, release = self.now, self.now.release
        about = {"id": now.digest, "object": "model", "release": release.ref, "model": release.model, "report": release.report}
        served = {"form": release.form, "engine": release.engine, "forced": release.forced}
        served["apps"] = list(self.apps)
        return {**about, **served, "labels": list(now.predictor.labels), "threshold": now.predictor.calibration.threshold}


def app(service: Service) -> Asgi:
    """The ASGI application."""
    silent: Any = {
        "tracing": False,
        "metrics": False,
        "logs": False,
        "auto_configure": False,
    }  # nothing is exported behind our back
    api = FastAPI(title="Savile", version=version("savile"), docs_url=None, redoc_url=None, telemetry=silent)
    _answers(api, service)
    if service.now.predictor.head.loss == "contrastive" and service.now.predictor.model.base:
        _embeddings.mount(api, service, _body)
    if answers.in_words(service.now.predictor.model.task):
        _chat.mount(api, service, _body)
    _health(api, service)
    _apps.mount(api, service, _body, Problem)

    @api.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        response = Problem(error.status_code, "http", str(error.detail)).response()
        response.headers.update(error.headers or {})
        return response

    @api.exception_handler(Busy)
    async def busy(request: Request, error: Busy) -> Response:
        return Problem(503, "busy", "Too many texts are waiting. Try again in a second.").response()

    @api.exception_handler(Problem)
    async def wrong(request: Request, error: Problem) -> Response:
        return error.response()

    return _guarded(api, service, {route.path for route in api.routes if hasattr(route, "path")})


def _answers(api: FastAPI, service: Service) -> None:
    predictor = service.now.predictor  # whatever takes its place has the same task, labels and columns
    columns = predictor.model.columns
    about = (
        f"What the task {predictor.model.task} asks of each text or row, how sure that is, and whether a person should decide."
    )
    pairs: bool = getattr(catalogue.get("tasks", predictor.model.task), "PAIRS", False)
    given: Any = {
        "openapi_extra": {"requestBody": _schema.question(columns, pairs), "parameters": [_schema.REASONS]},
        "responses": _schema.answers(predictor.head.loss),
    }

    @api.post(f"/v1/{predictor.model.task}", description=about, **given)
    async def answer(request: Request) -> Response:
        """Answer by the served model."""
        body = await _body(request)
        texts = asked_rows(body, columns) if columns else asked_pairs(body) if pairs else asked(body)
        service.refuse_unready()
        count = reasons_asked(request, service.now.predictor, len(texts))
        said = await (service.explained(texts, count) if count else service.answer(texts))
        return Response(said, media_type="application/json")

    @api.get("/v1/models", responses=_schema.MODELS)
    async def models() -> Response:
        """What serves here."""
        return JSONResponse({"object": "list", "data": [service.facts()]})


def _health(api: FastAPI, service: Service) -> None:
    @api.get("/healthz", responses=_schema.PLAIN)
    async def healthz() -> Response:
        """Whether the process is alive."""
        return JSONResponse({"status": "alive"})

    @api.get("/readyz", responses=_schema.READY)
    async def readyz() -> Response:
        """Whether the model answered the golden inputs as released, when they were last replayed."""
        return _readiness(service.now.proof)

    @api.post("/readyz/replay", responses=_schema.READY)
    async def replay() -> Response:
        """Replay the golden inputs now."""
        return _readiness(await service.replay())

    @api.get("/version", responses=_schema.PLAIN)
    async def versions() -> Response:
        """Versions of the program, the release and the packages that answer."""
        used = {"version": version("savile"), "release": service.now.digest, "packages": machine.packages()}
        return JSONResponse({**used, "flags": list(machine.cpu_flags()), "released_with": list(service.now.release.cpu_flags)})

    @api.get("/metrics", responses=_schema.METRICS)
    async def metrics() -> Response:
        """Figures in the text format of Prometheus."""
        return Response(service.metrics.text(), media_type=service.metrics.media_type)


def _readiness(proof: Mapping[str, Any]) -> Response:
    state = {"status": "ready" if proof["passed"] else "refused", "proof": dict(proof)}
    return JSONResponse(state, 200 if proof["passed"] else 503)


async def _body(request: Request) -> bytes:
    """The body, up to `MAX_BODY` bytes and `BODY_SECONDS`."""
    chunks, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > MAX_BODY:
                    raise Problem(413, "too_large", f"A request has at most {MAX_BODY} bytes. Send fewer texts at once.")
                chunks.append(chunk)
    except ClientDisconnect:
        raise Problem(400, "disconnected", "The request ended early.") from None
    except TimeoutError:
        raise Problem(408, "timeout", f"A request is sent within {BODY_SECONDS} s.") from None
    return b"".join(chunks)


def reasons_asked(request: Request, predictor: Predictor, texts: int) -> int:
    """How many reasons a request wants with each answer, ``?reasons=3``; 0 without.

    Raises:
        Problem: no such number, or too many texts for a model that must be asked again without each word.
    """
    given = request.query_params.get("reasons", "0")
    if not (given.isascii() and given.isdigit() and len(given) < 4 and int(given) <= MAX_REASONS):
        raise Problem(422, "reasons", f"reasons is a number from 0 to {MAX_REASONS}.")
    if int(given) and not predictor.exact and texts > MAX_EXPLAINED:
        raise Problem(422, "reasons", f"This model explains at most {MAX_EXPLAINED} texts at once.")
    return int(given)


def _guarded(api: Asgi, service: Service, routes: set[str]) -> Asgi:
    """Ask for keys and count, around the application."""
    keys = service.keys

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await api(scope, receive, send)
        path = scope["path"]
        with service.metrics.request(path if path in routes else "other") as seen:

            async def observed(message: Any) -> None:
                if message["type"] == "http.response.start":
                    seen.code = message["status"]
                await send(message)

            given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
            if keys is None or path in service.open or keys.admit(given):
                return await api(scope, receive, observed)
            refusal = Problem(401, "key", "Send a key: Authorization: Bearer sv_…").response()
            refusal.headers["www-authenticate"] = "Bearer"
            return await refusal(scope, receive, observed)

    return guarded


class _Server(uvicorn.Server):
    """Uvicorn that says when it is ready and ends with exit code 0 when told to stop."""

    announce: Callable[[], None] = staticmethod(lambda: None)
    follower: Follower | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.following = asyncio.create_task(self.follower.run()) if self.follower else None
            self.announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.follower and self.following:
            self.following.cancel()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {}
        with suppress(ValueError):  # only the main thread has signals
            before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run(service: Service, listener: socket.socket, ready: Callable[[str], None] | None, alias: str | None = None) -> None:
    """Serve on a listening socket until told to stop, following an alias; requests in flight are finished."""
    server = _Server(
        uvicorn.Config(
            app(service),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
    )
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def announce() -> None:
        emit("note", text=f"Serving {service.now.release.ref} at {url}")
        if ready is not None:
            ready(url)

    server.follower = service.follower(alias) if alias else None
    server.announce = announce  # type: ignore[method-assign]
    try:
        server.run(sockets=[listener])
    finally:
        service.close()
    emit("note", text="Stopped; every request that was begun has been answered.")
