"""Dynamic batching by tokens: what waits while every thread is busy goes next, together; nothing ever waits for company."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from savile.base.records import Outputs

BATCH_TOKENS = 2_048  # about 40 ms of a small encoder on two cores: what one request may have to wait for
WAITING_TEXTS = 8_192
ROW_TOKENS = 8  # a row of a table costs about as much as a short text
LETTERS_A_TOKEN = 4  # a guess that costs nothing; the engine counts for itself

Answer = Callable[[Sequence[Any]], Outputs]


class Busy(Exception):  # noqa: N818  (a state, not a fault)
    """More texts wait than will be answered in reasonable time."""


@dataclass
class _Asked:
    texts: Sequence[Any]  # texts, or rows by column name
    answered: asyncio.Future[tuple[Outputs, int]]
    since: float = field(default_factory=time.perf_counter)

    @property
    def tokens(self) -> int:
        return sum(2 + len(text) // LETTERS_A_TOKEN if isinstance(text, str) else ROW_TOKENS for text in self.texts)


class Batcher:
    """Collects texts of many requests and lets one thread answer them.

    Args:
        answer: answers texts; called from several threads at once.
        workers: how many threads answer.
        observe: told the texts of each batch and the seconds its oldest request waited.
    """

    def __init__(self, answer: Answer, workers: int, observe: Callable[[int, float], None]) -> None:
        self._answer, self._observe = answer, observe
        self._waiting: deque[_Asked] = deque()
        self._texts = 0
        self._idle, self._looking = workers, False
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="savile-engine")

    async def ask(self, texts: Sequence[Any]) -> tuple[Outputs, int]:
        """The outputs of the batch that the texts were in, and where in it they begin.

        Raises:
            Busy: too much is waiting already.
        """
        if self._texts + len(texts) > WAITING_TEXTS:
            raise Busy
        asked = _Asked(texts, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        self._texts += len(texts)
        self._soon()
        return await asked.answered

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=True)

    def _soon(self) -> None:
        """Look for work once everything that has arrived already is read: that takes no time and makes batches larger."""
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """Hand what waits to the threads that are idle."""
        self._looking = False
        while self._idle and (batch := self._take()):
            self._idle -= 1
            texts = [text for asked in batch for text in asked.texts]
            self._observe(len(texts), time.perf_counter() - batch[0].since)
            done = asyncio.get_running_loop().run_in_executor(self._threads, self._answer, texts)
            done.add_done_callback(partial(self._deliver, batch))

    def _take(self) -> list[_Asked]:
        """The requests that waited longest, up to the token budget, and at least one."""
        batch: list[_Asked] = []
        tokens = 0
        while self._waiting and (not batch or tokens + self._waiting[0].tokens <= BATCH_TOKENS):
            asked = self._waiting.popleft()
            self._texts -= len(asked.texts)
            if asked.answered.cancelled():  # the client is gone
                continue
            batch.append(asked)
            tokens += asked.tokens
        return batch

    def _deliver(self, batch: Sequence[_Asked], done: asyncio.Future[Outputs]) -> None:
        self._idle += 1
        self._soon()
        start, error = 0, done.exception()
        for asked in batch:
            if not asked.answered.done():
                if error is not None:
                    asked.answered.set_exception(error)
                else:
                    asked.answered.set_result((done.result(), start))
            start += len(asked.texts)
