"""The front of a live service: one address; requests wait here, in order, until a replica has a place for them.

It measures what policies follow: how many requests come, how long each keeps its place in a replica, and how many wait.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from savile.base.errors import MachineError, MissingExtraError
from savile.base.work import Load
from savile.scheduling._service import RECENT

PATIENCE_S = 60.0  # a request waits no longer for a replica
LARGEST = 32 * 2**20  # bytes of a request's body
STARTS_S = 10.0
OWN = frozenset(
    {b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"proxy-connection", b"te", b"trailer", b"expect"}
)


class Front:
    """Listens on one address of this machine and passes requests on to replicas.

    Args:
        port: 0 takes a free one.
        at_once: requests that a replica answers at a time.
        clock: gives the time that `rows` are in.

    Raises:
        MissingExtraError: the extra serve is not installed.
        MachineError: the port is taken.
    """

    def __init__(self, port: int, at_once: int, clock: Callable[[], float]) -> None:
        self.at_once, self.clock = at_once, clock
        self.free: dict[tuple[str, int], int] = {}  # replica -> places that are free
        self.waiting: deque[asyncio.Future[tuple[str, int]]] = deque()
        self.recent: deque[float] = deque(maxlen=RECENT)
        self.taken: list[tuple[float, float]] = []
        self.came, self.told, self.told_at = 0, 0, clock()
        try:
            import uvicorn
        except ImportError:
            raise MissingExtraError("uvicorn", "serve") from None
        config = uvicorn.Config(self._app, "127.0.0.1", port, interface="asgi3", log_config=None, lifespan="off")
        config.timeout_graceful_shutdown = 5
        self.server, self.loop = uvicorn.Server(config), asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._serve, name="savile-front", daemon=True)
        self.thread.start()
        until = threading.Event()
        for _ in range(int(STARTS_S / 0.02)):
            if self.server.started or not self.thread.is_alive():
                break
            until.wait(0.02)
        if not self.server.started:
            raise MachineError(f"port {port} for a service", "one that is taken", "Name another, or 0 for a free one.")
        self.url = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"

    def add(self, host: str, port: int) -> None:
        """A replica answers from now on."""
        self.loop.call_soon_threadsafe(self._added, (host, port))

    def remove(self, host: str, port: int) -> None:
        """A replica is asked nothing any more; what it has begun goes on."""
        self.loop.call_soon_threadsafe(self.free.pop, (host, port), None)

    def load(self) -> Load:
        """What was asked since the last time."""
        now, came = self.clock(), self.came
        rate, self.told, self.told_at = (came - self.told) / max(now - self.told_at, 1e-3), came, now
        busy = np.array(list(self.recent) or [0.0])
        mean = float(busy.mean())
        return Load(round(rate, 4), round(mean, 5), round(float(busy.var()) / mean**2, 3) if mean else 1.0, len(self.waiting))

    def rows(self) -> np.ndarray:
        """When each request came and how long it waited for a replica, float64 (n, 2)."""
        return np.array(self.taken, dtype=np.float64).reshape(-1, 2)

    def close(self) -> None:
        """Listen no more; what was begun is answered."""
        self.server.should_exit = True
        self.thread.join(STARTS_S)

    def _serve(self) -> None:
        # SystemExit is what uvicorn raises when the port is taken; the runner ends what is still waited for, and the loop
        with suppress(SystemExit), asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self.server.serve())

    def _added(self, replica: tuple[str, int]) -> None:
        self.free[replica] = 0
        for _ in range(self.at_once):
            self._freed(replica)

    def _freed(self, replica: tuple[str, int]) -> None:
        """A place of a replica is free, if it was not removed: whoever waits longest takes it."""
        if replica not in self.free:
            return
        while self.waiting:
            if not (first := self.waiting.popleft()).done():
                first.set_result(replica)
                return
        self.free[replica] += 1

    async def _take(self) -> tuple[str, int] | None:
        """A place in the replica that has most of them free; None when none came free in time."""
        best = max(self.free, key=lambda each: self.free[each], default=None)
        if best is not None and self.free[best]:
            self.free[best] -= 1
            return best
        turn: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        try:
            return await asyncio.wait_for(turn, PATIENCE_S)
        except TimeoutError:
            return None
        finally:
            with suppress(ValueError):
                self.waiting.remove(turn)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        """One request, as ASGI has it."""
        if scope["type"] != "http":
            return
        came, body = self.clock(), bytearray()
        self.came += 1
        while (part := await receive())["type"] == "http.request":
            body += part.get("body", b"")
            if len(body) > LARGEST or not part.get("more_body"):
                break
        if len(body) > LARGEST:
            return await _say(send, 413, f"A request may have {LARGEST} bytes.")
        link = None
        while link is None and (replica := await self._take()) is not None:
            try:
                link = await asyncio.open_connection(*replica)
            except OSError:  # it has died; whoever tends the service brings another
                self.free.pop(replica, None)
        self.taken.append((came, self.clock() - came))
        if replica is None or link is None:
            return await _say(send, 503, "No replica was free in time.")
        began = self.clock()
        try:
            await _pass_on(link, scope, bytes(body), send)
        finally:
            self.recent.append(self.clock() - began)
            self._freed(replica)


async def _pass_on(link: tuple[asyncio.StreamReader, asyncio.StreamWriter], scope: Any, body: bytes, send: Any) -> None:
    """Ask a replica and give its answer back as it comes."""
    import h11

    path = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    headers = [(k, v) for k, v in scope["headers"] if k not in OWN and k != b"content-length"]
    headers += [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    begun, (reader, writer) = False, link
    try:
        talk = h11.Connection(h11.CLIENT)
        asked = h11.Request(method=scope["method"], target=path, headers=headers)
        said = (h11.Data(data=body), h11.EndOfMessage()) if body else (h11.EndOfMessage(),)
        writer.write(b"".join(talk.send(each) or b"" for each in (asked, *said)))
        while not isinstance(event := talk.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                talk.receive_data(await reader.read(65_536))
            elif isinstance(event, h11.Response):
                begun, kept = True, [(k, v) for k, v in event.headers if k not in OWN]
                await send({"type": "http.response.start", "status": event.status_code, "headers": kept})
            elif isinstance(event, h11.Data):
                await send({"type": "http.response.body", "body": bytes(event.data), "more_body": True})
        await send({"type": "http.response.body"})
    except (OSError, h11.ProtocolError):
        if begun:
            raise
        await _say(send, 502, "The replica did not answer.")
    finally:
        writer.close()


async def _say(send: Any, status: int, text: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
