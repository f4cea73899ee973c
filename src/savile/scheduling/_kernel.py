"""The kernel: the one place where a decision becomes so, after it was held against capacity, residency and gangs.

Simulator and live backends share it. It knows what was observed, never the truth about what is to come; a decision that does
not hold raises `ViolationError` and is never repaired.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from savile.base.cluster import Room, Run
from savile.base.errors import InputError, ViolationError
from savile.base.work import (
    WHOLE,
    DataItem,
    Decision,
    Event,
    Job,
    Load,
    Migrate,
    Node,
    Place,
    Power,
    Predicted,
    Preempt,
    Price,
    Region,
    Reject,
    Replicate,
    Resize,
    Start,
)
from savile.scheduling._ledger import HOUR_S, JOULES, Ledger, idle_w
from savile.scheduling._view import FIELDS, Kinds, View

INFINITE = float("inf")
ENDS = {"finish": "finished", "fail": "failed"}
Numbered = list[tuple[int, tuple[int, ...]]]


class Kernel:
    """A cluster with its queue.

    Args:
        nodes: machines; the order is the order of their numbers.
        regions: every region a node names.
        items: data items that jobs read.
        options: facts for policies, such as ``round_s``.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        regions: Sequence[Region] = (),
        items: Sequence[DataItem] = (),
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.nodes = tuple(nodes)
        self.index = {node.id: n for n, node in enumerate(self.nodes)}
        self.regions = {region.id: region for region in regions}
        if len(self.index) < len(self.nodes):
            raise InputError("nodes with distinct ids", "an id that occurs twice", "Rename one.")
        for node in self.nodes:
            self.regions.setdefault(node.region, Region(node.region))
        self.items = {item.id: item for item in items}
        self.options = dict(options or {})
        self.room = Room.of(self.nodes)
        self.up, self.on = np.ones(len(self.nodes), dtype=bool), np.ones(len(self.nodes), dtype=bool)
        self.all_live = True
        self.boots: dict[str, float] = {}
        self.kinds = Kinds(self.nodes, self.regions)
        self.jobs: list[Job] = []
        self.numbers: dict[str, int] = {}
        self.rows = np.zeros((len(FIELDS), 1024))
        self.kind_of = np.zeros(1024, dtype=np.int64)
        self.waiting, self.waits = np.zeros(1024, dtype=np.int64), 0
        self.running: dict[int, Run] = {}
        self.placed: dict[int, Numbered] = {}
        self.done_s: dict[int, float] = {}
        self.started: dict[int, float] = {}  # number -> when it ran first
        self.ended: dict[int, tuple[float, str]] = {}  # number -> when and how it left for good
        self.preempted = self.lost = 0
        self.changed: list[int] = []  # numbers that were started, moved or stopped since the backend last looked
        self.loose: dict[int, None] = {}  # numbers of the nodes on which decisions have freed room since the last event
        self.served: dict[int, dict[str, float]] = {}
        self.loads: dict[int, list[tuple[float, Load]]] = {}
        self.ledger = Ledger(self.nodes, self.regions)
        self.state = View(self)
        self._do: dict[type, Callable[[Any], Predicted | None]] = {
            Start: self._start,
            Preempt: self._preempt,
            Resize: self._move,
            Migrate: self._move,
            Replicate: self._replicate,
            Reject: self._reject,
            Price: self._price,
            Power: self._power,
        }

    def happen(self, event: Event, job: Job | None = None) -> None:
        """Take note of an event: the queue grows, a job gives back what it held, a node goes or comes."""
        state = self.state
        state.now, state.freed = event.at, tuple(self.loose)
        self.loose.clear()
        if not self.ledger.accounts:
            self.ledger.open(event.at)
        if event.kind == "arrive":
            if job is None:
                raise InputError("the job that arrived", "none", "Pass it along with its event.")
            self._arrive(job)
        elif event.kind in ENDS:
            number, how = self.numbers[event.job], ENDS[event.kind]
            state.freed += self._stop(number, how)
            self.ended[number] = (event.at, how)
        elif event.kind == "load" and event.load is not None:
            self.loads.setdefault(self.numbers[event.job], []).append((event.at, event.load))
        elif event.kind == "down":
            self._lose(self.index[event.node])
        elif event.kind == "up":
            n = self.index[event.node]
            if not self.up[n]:
                self.up[n] = True
                self._watts(n, idle_w(self.nodes[n]) if self.on[n] else 0.0)
            self.all_live = bool(self.up.all() and self.on.all())
            state.freed += (n,)

    def apply(self, decision: Decision) -> Predicted | None:
        """Make one decision so.

        Returns:
            What a start or a move is expected to bring.

        Raises:
            ViolationError: when it does not hold; nothing has changed then.
        """
        return self._do[type(decision)](decision)

    def _arrive(self, job: Job) -> None:
        if job.id in self.numbers:
            raise InputError("jobs with distinct ids", f"{job.id!r} twice", "Rename one.")
        number = len(self.jobs)
        if number == self.rows.shape[1]:
            self.rows = np.concatenate([self.rows, np.zeros_like(self.rows)], axis=1)
            self.kind_of = np.concatenate([self.kind_of, np.zeros_like(self.kind_of)])
        work = INFINITE if job.work_s is None else job.work_s
        deadline = INFINITE if job.deadline_s is None else job.deadline_s
        self.rows[:, number] = (job.release_s, work, deadline, job.value, job.pods, job.pod.gpu_milli)
        self.kind_of[number] = self.kinds.number(job)
        self.jobs.append(job)
        self.numbers[job.id] = number
        self._queue(number)

    def _queue(self, number: int) -> None:
        """Into the queue, which stays in order of arrival."""
        if self.waits == len(self.waiting):
            self.waiting = np.concatenate([self.waiting, np.zeros_like(self.waiting)])
        w, waits = self.waiting, self.waits
        if waits and w[waits - 1] > number:
            at = int(w[:waits].searchsorted(number))
            w[at + 1 : waits + 1] = w[at:waits].copy()
            w[at] = number
        else:
            w[waits] = number
        self.waits += 1

    def _unqueue(self, job: str) -> int:
        number = self._place_in_queue(job)[0]
        at = int(self.waiting[: self.waits].searchsorted(number))
        self.waiting[at : self.waits - 1] = self.waiting[at + 1 : self.waits].copy()
        self.waits -= 1
        return number

    def _place_in_queue(self, job: str) -> tuple[int, Job]:
        number = self.numbers.get(job, -1)
        if number < 0 or number in self.running or number in self.ended:
            raise _violation("a job that waits", f"{job!r}, which does not")
        return number, self.jobs[number]

    def _runs(self, job: str) -> int:
        number = self.numbers.get(job, -1)
        if number not in self.running:
            raise _violation("a job that runs", f"{job!r}, which does not")
        return number

    def _start(self, decision: Start) -> Predicted:
        number, job = self._place_in_queue(decision.job)
        numbers = self._take(job, decision.places)
        self._unqueue(decision.job)
        return self._go(number, decision.places, numbers, decision.keep)

    def _go(self, number: int, places: tuple[Place, ...], numbers: Numbered, keep: bool = False) -> Predicted:
        """A job holds places from now on; a service that is moved goes on in the replicas that stay."""
        job, state, now = self.jobs[number], self.state, self.state.now
        begins = now if job.service and number in self.started else state.begins(number, places)
        run = Run(number, places, now, begins, state.rate(job, places), self.done_s.get(number, 0.0))
        region = self.nodes[numbers[0][0]].region
        if job.data:
            self._fetch(job, region, keep)
        self.running[number], self.placed[number] = run, numbers
        self.started.setdefault(number, now)
        watts = self.ledger.dynamic_w(job, numbers)
        if watts:
            self.ledger.accounts[region].change(now, watts)
        self.changed.append(number)
        return self._predict(job, run, numbers, watts)

    def _predict(self, job: Job, run: Run, numbers: Numbered, watts: float) -> Predicted:
        """What a run is expected to bring, by the job's own estimate and the region's outlook."""
        if job.work_s is None or not run.rate:
            return Predicted(None)
        now = self.state.now
        end = run.begins + max(0.0, job.work_s - run.done_s) / run.rate
        name = self.nodes[numbers[0][0]].region
        eur = self.ledger.rent_h(job, numbers) * (end - now) / HOUR_S
        kwh = watts * self.regions[name].pue * (end - now) / JOULES
        if not kwh:
            return Predicted(end, 0.0, eur)
        ahead = self.state.outlook(name)
        price = ahead.price.mean(now, end) if ahead.price else 0.0
        carbon = ahead.carbon.mean(now, end) if ahead.carbon else 0.0
        return Predicted(end, kwh, eur + kwh / 1000 * price, kwh * carbon)

    def _take(self, job: Job, places: Sequence[Place]) -> Numbered:
        """Reserve places, or raise and leave everything as it was."""
        if not job.pods <= len(places) <= max(job.pods, job.most):
            raise _violation(f"{job.pods} pods of {job.id!r} started together", f"{len(places)} places")
        allowed, numbers = self.state.allowed(job), Numbered()
        try:
            for node, devices in places:
                n = self.index.get(node, -1)
                if n < 0 or not allowed[n]:
                    raise _violation(f"a node that is up and that {job.id!r} may use", repr(node))
                if self.nodes[n].region != self.nodes[self.index[places[0][0]]].region:
                    raise _violation(f"the pods of {job.id!r} in one region", f"{places[0][0]!r} and {node!r}")
                self._check(job, n, devices)
                self.room.take(job.pod, n, devices)
                numbers.append((n, devices))
        except ViolationError:
            self._give(job, numbers)
            raise
        return numbers

    def _check(self, job: Job, n: int, devices: tuple[int, ...]) -> None:
        pod, room = job.pod, self.room
        if room.cpu[n] < pod.cpu_milli or room.mem[n] < pod.mem_mib:
            raise _violation(
                f"CPU and memory for {job.id!r} on {self.nodes[n].id!r}", f"{room.cpu[n]} milli, {room.mem[n]} MiB"
            )
        wants = -(-pod.gpu_milli // WHOLE)
        if len(devices) != wants or len(set(devices)) != wants:
            raise _violation(f"{wants} distinct devices for {job.id!r}", f"{devices}")
        for d in devices:
            if not 0 <= d < self.nodes[n].devices or room.gpu[n, d] < min(pod.gpu_milli, WHOLE):
                raise _violation(f"device {d} of {self.nodes[n].id!r} free for {job.id!r}", "one that is not")

    def _give(self, job: Job, numbers: Numbered) -> None:
        for n, devices in numbers:
            self.room.give(job.pod, n, devices)

    def _stop(self, number: int, how: str) -> tuple[int, ...]:
        """A job gives its places back; the numbers of the nodes."""
        run, numbers, job = self.running.pop(number), self.placed.pop(number), self.jobs[number]
        self._give(job, numbers)
        self.ledger.stop(job, run, numbers, self.state.now, how)
        held, device = self.served.setdefault(number, {}), self.nodes[numbers[0][0]].device.type
        held[device] = held.get(device, 0.0) + self.state.now - run.since
        self.changed.append(number)
        return tuple(dict.fromkeys([n for n, _ in numbers]))

    def _checkpoint(self, number: int) -> None:
        """Write a checkpoint: what was done stays done, less the seconds that writing took."""
        run, job = self.running[number], self.jobs[number]
        if job.service:
            self.done_s[number] = run.progress(self.state.now)
            return
        self.done_s[number] = max(run.done_s, run.progress(self.state.now - job.ckpt_s))
        self.preempted += 1

    def _preempt(self, decision: Preempt) -> None:
        number = self._runs(decision.job)
        self._checkpoint(number)
        self.loose.update(dict.fromkeys(self._stop(number, "preempted")))
        self._queue(number)

    def _move(self, decision: Resize | Migrate) -> Predicted:
        number = self._runs(decision.job)
        job, before = self.jobs[number], self.placed[number]
        self._give(job, before)
        try:
            numbers = self._take(job, decision.places)
        except ViolationError:
            for n, devices in before:
                self.room.take(job.pod, n, devices)
            raise
        self._checkpoint(number)
        for n, devices in before:  # `_stop` gives back what `_give` above gave already
            self.room.take(job.pod, n, devices)
        self.loose.update(dict.fromkeys(self._stop(number, "moved")))
        return self._go(number, decision.places, numbers)

    def _lose(self, n: int) -> None:
        """A node goes: its jobs fall back to their last checkpoints."""
        freed: list[int] = []
        for number in [number for number, numbers in self.placed.items() if any(at == n for at, _ in numbers)]:
            run, job = self.running[number], self.jobs[number]
            ran = max(0.0, self.state.now - run.begins)
            kept = ran if job.service else ran // job.ckpt_every_s * job.ckpt_every_s
            self.done_s[number] = run.done_s + kept * run.rate
            self.ledger.lost_s += (ran - kept) * max(1.0, job.pod.gpu_milli / WHOLE) * len(run.places)
            self.lost += 1
            freed += self._stop(number, "lost")
            self._queue(number)
        if self.up[n]:
            self.up[n] = self.all_live = False
            self._watts(n, -idle_w(self.nodes[n]) if self.on[n] else 0.0)
        self.state.freed += tuple(dict.fromkeys(at for at in freed if at != n))

    def _power(self, decision: Power) -> None:
        n = self.index.get(decision.node, -1)
        if n < 0 or (not decision.on and any(at == n for numbers in self.placed.values() for at, _ in numbers)):
            raise _violation("an empty node to switch", repr(decision.node))
        if self.on[n] != decision.on:
            node = self.nodes[n]
            self.on[n] = decision.on
            if self.up[n]:
                self._watts(n, idle_w(node) if decision.on else -idle_w(node))
            if decision.on:
                self.boots[node.id] = self.state.now + node.boot_s
        self.all_live = bool(self.up.all() and self.on.all())

    def _watts(self, n: int, watts: float) -> None:
        if watts:
            self.ledger.accounts[self.nodes[n].region].change(self.state.now, watts)

    def _fetch(self, job: Job, region: str, keep: bool) -> None:
        """Bring what a job reads into a region, from where leaving is cheapest."""
        for name in job.data:
            item = self.items[name]
            if region in item.replicas:
                continue
            self._residency(item, region)
            self._copy(item, region)
            if keep:
                self.items[name] = replace(item, replicas=item.replicas | {region})

    def _copy(self, item: DataItem, region: str) -> None:
        sources = [self.regions[name] for name in sorted(item.replicas) if name in self.regions]
        self.ledger.egress += item.gib * min((source.egress.get(region, source.egress_eur) for source in sources), default=0.0)
        self.ledger.moved_gib += item.gib

    def _residency(self, item: DataItem, region: str) -> None:
        if item.residency and not item.residency & {region, *self.regions[region].tags}:
            raise _violation(f"{item.id!r} kept where it may be", region)

    def _replicate(self, decision: Replicate) -> None:
        item = self.items.get(decision.item)
        if item is None or decision.region not in self.regions:
            raise _violation("a data item and a region that exist", f"{decision.item!r} and {decision.region!r}")
        if decision.drop:
            if item.replicas <= {decision.region}:
                raise _violation(f"another copy of {item.id!r}", "the last one")
            self.items[item.id] = replace(item, replicas=item.replicas - {decision.region})
        elif decision.region not in item.replicas:
            self._residency(item, decision.region)
            self._copy(item, decision.region)
            self.items[item.id] = replace(item, replicas=item.replicas | {decision.region})

    def _reject(self, decision: Reject) -> None:
        number = self._unqueue(decision.job)
        self.ended[number] = (self.state.now, "rejected")

    def _price(self, decision: Price) -> None:
        if decision.job not in self.numbers:
            raise _violation("a job that has arrived", repr(decision.job))
        number = self.numbers[decision.job]
        self.ledger.revenue[number] = self.ledger.revenue.get(number, 0.0) + decision.eur


def _violation(wanted: str, received: str) -> ViolationError:
    return ViolationError(wanted, received, "The policy has an error: decisions are held against the cluster, never repaired.")
