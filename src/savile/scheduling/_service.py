"""Services: requests that come, wait, and are taken by replicas, in order; simulated, and what is said of them afterwards."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, nsmallest

import numpy as np

from savile.base.work import Job, Load

WINDOW_S = 300.0  # in which 99 of 100 requests must have been taken in time
SHARE = 0.99
RECENT = 200  # requests whose seconds are averaged


@dataclass(frozen=True)
class Requests:
    """Requests to one service, in order of time.

    Attributes:
        at: UTC seconds at which each comes, float64 (n,).
        busy_s: seconds for which each keeps its place in a replica, float64 (n,).
    """

    at: np.ndarray
    busy_s: np.ndarray


class Station:
    """One service in the simulator: a queue, first come first served, in front of replicas that come and go."""

    def __init__(self, job: Job, requests: Requests) -> None:
        self.job, self.requests = job, requests
        self.came = self.counted = 0  # requests that are in the queue or further; that were told in a load
        self.queue: deque[int] = deque()
        self.free: list[float] = []  # when each place of each replica is free next, a heap
        self.recent: deque[float] = deque(maxlen=RECENT)
        self.taken: list[tuple[float, float]] = []  # when each request came, and for how long it waited
        self.measured = False  # whether its load is measured by now

    def resize(self, now: float, replicas: int) -> None:
        """From now on there are so many; new ones are of use after the job's `restart_s`, old ones end what they have begun."""
        self.pass_time(now)
        more = replicas * self.job.at_once - len(self.free)
        for _ in range(more):
            heappush(self.free, now + self.job.restart_s)
        if more < 0:
            gone = nsmallest(-more, self.free)
            for each in gone:
                self.free.remove(each)
            heapify(self.free)

    def pass_time(self, now: float) -> None:
        """Requests come and are taken until now."""
        at, busy = self.requests.at, self.requests.busy_s
        until = int(np.searchsorted(at, now, side="right"))
        self.queue.extend(range(self.came, until))
        self.came = until
        while self.queue and self.free:
            i = self.queue[0]
            start = max(float(at[i]), self.free[0])
            if start > now:
                break
            self.queue.popleft()
            heappop(self.free)
            heappush(self.free, start + float(busy[i]))
            self.recent.append(float(busy[i]))
            self.taken.append((float(at[i]), start - float(at[i])))

    def load(self, now: float, every_s: float) -> Load:
        """What was asked since the last time."""
        self.pass_time(now)
        came, self.counted = self.came - self.counted, self.came
        busy = np.array(self.recent or [0.0])
        mean = float(busy.mean())
        return Load(came / every_s, mean, float(busy.var()) / mean**2 if mean else 1.0, len(self.queue))

    def rows(self, end: float) -> np.ndarray:
        """When each request came and how long it waited, float64 (n, 2); what still waits has waited until the end."""
        self.pass_time(end)
        left = [(float(self.requests.at[i]), end - float(self.requests.at[i])) for i in self.queue]
        return np.array(self.taken + left, dtype=np.float64).reshape(-1, 2)


def figures(jobs: Sequence[tuple[Job, np.ndarray]]) -> dict[str, float]:
    """How services kept what was promised: of requests, and of stretches of `WINDOW_S` in which any came."""
    rows = [(job, each) for job, each in jobs if len(each)]
    if not rows:
        return {}
    late = np.concatenate([each[:, 1] * 1000 > float(job.slo_ms or 0) for job, each in rows])
    waits = np.concatenate([each[:, 1] for _, each in rows])
    kept = [value for job, each in rows for value in _kept(each, float(job.slo_ms or 0) / 1000)]
    found = {"requests": float(len(waits)), "requests_in_time": 1.0 - float(late.mean())}
    found["target_kept"] = float(np.mean(kept))
    return found | {"request_wait_mean_s": float(waits.mean()), "request_wait_p99_s": float(np.quantile(waits, SHARE))}


def _kept(rows: np.ndarray, target_s: float) -> list[bool]:
    """Whether the target was kept in each stretch in which requests came."""
    window = (rows[:, 0] // WINDOW_S).astype(np.int64)
    _, place = np.unique(window, return_inverse=True)
    in_time = np.bincount(place, rows[:, 1] <= target_s + 1e-9) / np.bincount(place)
    kept: list[bool] = (in_time >= SHARE).tolist()
    return kept
