"""The simulator: a heap of events in front of the same kernel that drives live clusters."""

from __future__ import annotations

import gc
import heapq
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from savile.base.work import Event, Job
from savile.scheduling._kernel import Kernel
from savile.scheduling._service import Station
from savile.scheduling._session import Session
from savile.scheduling._world import World

# at the same time, room is freed before it is asked for
ORDER = {
    "finish": 0,
    "fail": 0,
    "up": 1,
    "down": 2,
    "arrive": 3,
    "load": 4,
    "round": 5,
}
STALL_S = 30 * 86_400.0  # rounds go on for so long while jobs wait and nothing else happens


@dataclass
class SimBackend:
    """Runs a policy in a world, faster than the clock.

    Args:
        world: machines, jobs and the truth.
        round_s: seconds between rounds, for policies that decide in rounds or wait for a better hour; None has no rounds.
        until_s: stop then (UTC seconds); None runs until every job has ended or nothing more can happen.
        load_s: seconds between measurements of what services are asked.
    """

    world: World
    round_s: float | None = None
    until_s: float | None = None
    load_s: float = 5.0
    served: dict[str, np.ndarray] = field(default_factory=dict, init=False)

    mark = "modelled"

    def kernel(self) -> Kernel:
        """An empty cluster of this world."""
        options = {"round_s": self.round_s} if self.round_s else {}
        return Kernel(self.world.nodes, self.world.regions, self.world.items, options)

    def drive(self, session: Session) -> None:
        """Let everything happen that happens."""
        kernel, future = session.kernel, Future(self.world, session.kernel, self.round_s, self.load_s)
        with _uncollected():
            for event, job in future:
                if self.until_s is not None and event.at > self.until_s:
                    break
                future.follow(event, session.step(event, job))
        end = kernel.state.now if self.until_s is None else self.until_s
        kernel.state.now = end
        kernel.ledger.close(end)
        self.served = {name: station.rows(end) for name, station in future.stations.items()}


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector: a run only adds to its log and books, and going through them takes a third of it."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class Future:
    """What will happen, in order of time; what a decision changes is told to `follow`."""

    def __init__(self, world: World, kernel: Kernel, round_s: float | None, load_s: float) -> None:
        self.world, self.kernel, self.round_s, self.load_s = world, kernel, round_s, load_s
        services = {job.id: job for job in world.jobs if job.service and job.id in world.requests}
        self.stations = {name: Station(job, world.requests[name]) for name, job in services.items()}
        self.jobs = sorted(world.jobs, key=lambda job: (job.release_s, job.id))
        self.start = self.jobs[0].release_s
        self.heap: list[tuple[float, int, int, Event, int]] = []
        self.epochs: dict[int, int] = {}  # number -> which of its starts counts
        self.count, self.moved = 0, self.start
        for node, down, up in world.outages:
            self._push(Event("down", down, node=node))
            self._push(Event("up", up, node=node))
        if round_s:
            self._push(Event("round", self.start))

    def __iter__(self) -> Iterator[tuple[Event, Job | None]]:
        """Arrivals and the heap, merged."""
        kernel, heap, place = self.kernel, self.heap, 0
        while True:
            job = self.jobs[place] if place < len(self.jobs) else None
            if job is not None and (not heap or (job.release_s, ORDER["arrive"]) < heap[0][:2]):
                place += 1
                yield Event("arrive", job.release_s, job.id), job
            elif heap:
                event, epoch = heapq.heappop(heap)[3:]
                if event.kind == "load":
                    if kernel.numbers[event.job] in kernel.running:
                        yield replace(event, load=self.stations[event.job].load(event.at, self.load_s)), None
                        self._push(replace(event, at=event.at + self.load_s))
                    continue
                if event.kind == "finish" and self.epochs[kernel.numbers[event.job]] != epoch:
                    continue  # it was moved or stopped in the meantime
                if job is not None or kernel.running or kernel.waits:
                    yield event, None
                    if event.kind == "round":
                        self._round_after(event.at, job)
            elif kernel.waits and self.round_s is None and self.moved >= kernel.state.now:
                self.moved = float("-inf")  # one last look at what waits; `follow` notes when it moved something
                yield Event("round", kernel.state.now), None
            else:
                return

    def follow(self, event: Event, changed: Iterable[int]) -> None:
        """Jobs were started, moved or stopped: when they will finish."""
        kernel = self.kernel
        if event.kind in ("arrive", "finish"):
            self.moved = event.at
        for number in changed:
            self.moved = event.at
            epoch = self.epochs[number] = self.epochs.get(number, 0) + 1
            run, real = kernel.running.get(number), self.world.real_s(kernel.jobs[number])
            if (station := self.stations.get(kernel.jobs[number].id)) is not None:
                station.resize(event.at, len(run.places) if run else 0)
                if not station.measured and run:
                    station.measured = True
                    self._push(Event("load", event.at + self.load_s, kernel.jobs[number].id))
            if run is not None and real is not None and run.rate > 0:
                at = run.begins + max(0.0, real - run.done_s) / run.rate
                self._push(Event("finish", at, kernel.jobs[number].id), epoch)

    def _round_after(self, at: float, coming: Job | None) -> None:
        """The next round, unless nothing is left that could need one."""
        step = float(self.round_s or 0)
        if self.kernel.running or (self.kernel.waits and at - self.moved < STALL_S):
            self._push(Event("round", at + step))
        elif coming is not None:
            self._push(Event("round", at + step * max(1.0, -(-(coming.release_s - at) // step))))

    def _push(self, event: Event, epoch: int = 0) -> None:
        self.count += 1
        heapq.heappush(self.heap, (event.at, ORDER[event.kind], self.count, event, epoch))
