"""Figures for Prometheus; no label ever carries a text, a caller or a path somebody made up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 5.0)
TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


@dataclass
class Seen:
    """One request as it ended."""

    code: int = 499  # no answer was begun: the client went away


class Metrics:
    """One registry a service, so that two in one process do not add up."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        given = {"registry": self._registry}
        self._requests = Counter("savile_requests", "Requests", ["route", "code"], **given)
        self._duration = Histogram(
            "http_server_request_duration_seconds", "From header to answer", ["route"], buckets=SECONDS, **given
        )
        self._in_flight = Gauge("savile_requests_in_flight", "Begun and not yet answered", **given)
        self._texts = Histogram("savile_batch_texts", "Texts a batch", buckets=TEXTS, **given)
        self._queue = Histogram("savile_queue_seconds", "Wait of a batch's oldest request", buckets=SECONDS, **given)
        self._answers = Counter("savile_answers", "Texts answered, or left to a person", ["abstain"], **given)
        self._by_flag = [self._answers.labels("false"), self._answers.labels("true")]
        self.ready = Gauge("savile_ready", "1 while the model answers as released", **given)

    @contextmanager
    def request(self, route: str) -> Iterator[Seen]:
        """Count one request and its time."""
        seen, started = Seen(), time.perf_counter()
        self._in_flight.inc()
        try:
            yield seen
        finally:
            self._in_flight.dec()
            self._duration.labels(route).observe(time.perf_counter() - started)
            self._requests.labels(route, str(seen.code)).inc()

    def batch(self, texts: int, waited: float) -> None:
        """Count one batch."""
        self._texts.observe(texts)
        self._queue.observe(waited)

    def answered(self, abstain: np.ndarray) -> None:
        """Count answers."""
        left = int(abstain.sum())
        self._by_flag[0].inc(len(abstain) - left)
        self._by_flag[1].inc(left)

    def text(self) -> bytes:
        """The text format of Prometheus."""
        page: bytes = generate_latest(self._registry)
        return page
