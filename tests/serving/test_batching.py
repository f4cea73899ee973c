"""Batches: nothing waits while a thread is idle, what waits goes together, a client that left is not answered."""

import asyncio
import threading

import numpy as np
import pytest

from savile.base.records import Outputs
from savile.serving import _batching
from savile.serving._batching import Batcher, Busy


def outputs(texts):
    """Answers whose choice is the number a text is."""
    rows = np.array([[float(text)] for text in texts], dtype=np.float32)
    return Outputs(rows, rows.astype(float), rows[:, 0].astype(int), rows[:, 0], rows[:, 0] < 0)


class Engine:
    """Answers when it is let, and remembers what it was asked."""

    def __init__(self):
        self.asked, self.gate = [], threading.Semaphore(0)

    def __call__(self, texts):
        self.asked.append(list(texts))
        self.gate.acquire()
        return outputs(texts)


async def until(holds):
    while not holds():
        await asyncio.sleep(0)


async def answered(batcher, texts):
    found, start = await batcher.ask(texts)
    return found.choice[start : start + len(texts)].tolist()


def run(scenario, workers=1):
    async def wrapped():
        engine, seen = Engine(), []
        batcher = Batcher(engine, workers, lambda texts, waited: seen.append(texts))
        try:
            async with asyncio.timeout(30):
                return await scenario(batcher, engine, seen)
        finally:
            engine.gate.release(100)
            batcher.close()

    return asyncio.run(wrapped())


def test_the_first_text_does_not_wait_and_the_rest_goes_together():
    async def scenario(batcher, engine, seen):
        first = asyncio.create_task(answered(batcher, ["0"]))
        await until(lambda: engine.asked == [["0"]])
        others = [asyncio.create_task(answered(batcher, [str(i), str(i + 100)])) for i in range(1, 6)]
        await until(lambda: len(batcher._waiting) == 5)
        engine.gate.release(2)
        assert await first == [0]
        assert await asyncio.gather(*others) == [[i, i + 100] for i in range(1, 6)]
        assert seen == [1, 10]

    run(scenario)


def test_idle_threads_share_the_work():
    async def scenario(batcher, engine, seen):
        first = asyncio.create_task(answered(batcher, ["1"]))
        await until(lambda: len(engine.asked) == 1)
        second = asyncio.create_task(answered(batcher, ["2"]))
        await until(lambda: len(engine.asked) == 2)
        engine.gate.release(2)
        assert await asyncio.gather(first, second) == [[1], [2]]

    run(scenario, workers=2)


def test_a_batch_keeps_to_its_tokens(monkeypatch):
    monkeypatch.setattr(_batching, "BATCH_TOKENS", 9)

    async def scenario(batcher, engine, seen):
        first = asyncio.create_task(answered(batcher, ["0"]))
        await until(lambda: engine.asked)
        others = [asyncio.create_task(answered(batcher, [f"{i:04d}"])) for i in range(1, 8)]  # three tokens each
        await until(lambda: len(batcher._waiting) == 7)
        engine.gate.release(10)
        assert await asyncio.gather(first, *others) == [[i] for i in range(8)]
        assert seen == [1, 3, 3, 1]

    run(scenario)


def test_one_request_larger_than_a_batch_goes_alone(monkeypatch):
    monkeypatch.setattr(_batching, "BATCH_TOKENS", 4)

    async def scenario(batcher, engine, seen):
        engine.gate.release(3)
        assert await answered(batcher, [str(i) for i in range(50)]) == list(range(50))

    run(scenario)


def test_too_much_waiting_is_refused(monkeypatch):
    monkeypatch.setattr(_batching, "WAITING_TEXTS", 3)

    async def scenario(batcher, engine, seen):
        first = asyncio.create_task(answered(batcher, ["0"]))
        await until(lambda: engine.asked)
        second = asyncio.create_task(answered(batcher, ["1", "2"]))
        await until(lambda: batcher._waiting)
        with pytest.raises(Busy):
            await batcher.ask(["3", "4"])
        engine.gate.release(5)
        assert await asyncio.gather(first, second) == [[0], [1, 2]]
        assert await answered(batcher, ["3", "4"]) == [3, 4]

    run(scenario)


def test_who_left_is_not_answered():
    async def scenario(batcher, engine, seen):
        first = asyncio.create_task(answered(batcher, ["0"]))
        await until(lambda: engine.asked)
        left, stayed = (asyncio.create_task(answered(batcher, [text])) for text in ("1", "2"))
        await until(lambda: len(batcher._waiting) == 2)
        left.cancel()
        engine.gate.release(5)
        assert await asyncio.gather(first, stayed) == [[0], [2]]
        assert engine.asked == [["0"], ["2"]]

    run(scenario)


def test_an_error_reaches_those_it_concerns_and_nobody_else():
    async def scenario(batcher, engine, seen):
        engine.gate.release(5)
        with pytest.raises(ValueError, match="could not convert"):
            await batcher.ask(["no number"])
        assert await answered(batcher, ["7"]) == [7]

    run(scenario)
