"""A light load generator, run as a process of its own: raw asyncio, one prepared request for each text.

    python _load.py URL PATH closed CLIENTS SECONDS < requests.json      each client asks again as soon as it is answered
    python _load.py URL PATH open RATE SECONDS < requests.json           requests come when they come (Poisson), answered or not

Prints requests a second and latencies in ms; in the open loop a latency counts from the moment a request was due.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from urllib.parse import urlsplit

import uvloop

LONGEST_IDLE = 2.0  # seconds; servers close connections after five


class Load:
    """Connections to one server, kept open."""

    def __init__(self, url: str, path: str, texts: list[str], seconds: float) -> None:
        self.host, self.port = urlsplit(url).hostname, urlsplit(url).port
        bodies = [json.dumps({"text": text}).encode() for text in texts]
        lines = (f"POST {path} HTTP/1.1", f"host: {self.host}", "content-type: application/json", "content-length: %d", "", "")
        head = "\r\n".join(lines).encode()
        self.requests = [head % len(body) + body for body in bodies]
        self.sent, self.seconds = 0, seconds
        self.latencies: list[float] = []
        self.idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, due: float) -> None:
        """One request, on a connection that is free or a new one."""
        reader, writer = await self.connection()
        writer.write(self.requests[self.sent % len(self.requests)])
        self.sent += 1
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b" 200 " not in head[:15]:
            raise SystemExit(f"answered {head[:100]!r}")
        await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        self.latencies.append(time.perf_counter() - due)
        self.idle.append((time.perf_counter(), reader, writer))

    async def connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The connection used last, or a new one where that is so old that the server may be closing it."""
        while self.idle:
            since, reader, writer = self.idle.pop()
            if time.perf_counter() - since < LONGEST_IDLE:
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self.host, self.port)

    async def closed(self, clients: int) -> None:
        """So many clients, each with one request at a time."""
        end = time.perf_counter() + self.seconds

        async def client() -> None:
            while (now := time.perf_counter()) < end:
                await self.ask(now)

        await asyncio.gather(*(client() for _ in range(clients)))

    async def open(self, rate: float) -> None:
        """So many requests a second on average, at random moments."""
        rng, due, tasks = random.Random(0), time.perf_counter(), []
        end = due + self.seconds
        while due < end:
            due += rng.expovariate(rate)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(self.ask(due)))
        await asyncio.gather(*tasks)


def main() -> None:
    url, path, kind, amount, seconds = sys.argv[1:]
    load = Load(url, path, json.load(sys.stdin), float(seconds))
    started = time.perf_counter()
    uvloop.run(load.closed(int(amount)) if kind == "closed" else load.open(float(amount)))
    took, ordered = time.perf_counter() - started, sorted(load.latencies)
    at = {f"p{share}": 1000 * ordered[int(len(ordered) * share / 100)] for share in (50, 95, 99)}
    print(json.dumps({"rate": len(ordered) / took, "requests": len(ordered), **at, "max": 1000 * ordered[-1]}))


if __name__ == "__main__":
    main()
