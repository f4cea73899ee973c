"""The state of a cluster as a policy sees it, over the kernel's own arrays, which it cannot write to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.base.cluster import Room, Run
from savile.base.series import HOUR, Outlook, forecast
from savile.base.work import WHOLE, DataItem, Job, Load, Node, Place, Region
from savile.scheduling._ledger import GBIT

if TYPE_CHECKING:
    from savile.scheduling._kernel import Kernel

FIELDS = ("release", "work", "deadline", "value", "pods", "gpu")


class Kinds:
    """What jobs ask for, each distinct demand once, so that a queue of thousands is searched by kind.

    Attributes:
        pods: the demand of each kind.
        groups: number of the mask of nodes each kind may use.
    """

    def __init__(self, nodes: Sequence[Node], regions: Mapping[str, Region]) -> None:
        self.nodes, self.regions = nodes, regions
        self.known: dict[Any, int] = {}
        self.jobs: list[Job] = []
        self.masks: dict[Any, np.ndarray] = {}
        self.demand = np.zeros((5, 16), dtype=np.int64)  # cpu, mem, share, whole, group

    def number(self, job: Job) -> int:
        """The kind of a job."""
        key = (job.pod, job.residency, job.on_spot)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = len(self.jobs)
            self.jobs.append(job)
            if found == self.demand.shape[1]:
                self.demand = np.concatenate([self.demand, np.zeros_like(self.demand)], axis=1)
            pod, asked = job.pod, job.pod.gpu_milli
            share, whole = (asked, 0) if asked < WHOLE else (0, asked // WHOLE)
            mask = self._mask(job)
            group = list(self.masks).index(mask)
            self.demand[:, found] = (pod.cpu_milli, pod.mem_mib, share, whole, group)
        return found

    def mask(self, job: Job) -> np.ndarray:
        """Nodes a job may use, up or down, on or off: bool (n,)."""
        return self.masks[self._mask(job)]

    def _mask(self, job: Job) -> Any:
        key = (job.pod.types, job.residency, job.on_spot)
        if key not in self.masks:
            self.masks[key] = np.array([self._may(job, node) for node in self.nodes], dtype=bool)
        return key

    def _may(self, job: Job, node: Node) -> bool:
        region = self.regions[node.region]
        return (
            (not job.pod.types or node.device.type in job.pod.types)
            and (not job.residency or bool(job.residency & {region.id, *region.tags}))
            and (job.on_spot or not node.spot)
        )


class View:
    """A kernel's state, read-only; see `base.cluster.State` for what each name means."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.now = 0.0
        self.nodes: tuple[Node, ...] = kernel.nodes
        self.index: Mapping[str, int] = MappingProxyType(kernel.index)
        names = list(kernel.regions)
        self.site = np.array([names.index(node.region) for node in kernel.nodes])
        self.room: Room = kernel.room.view()
        self.capacity: Room = Room.of(kernel.nodes).view()
        self.jobs: Sequence[Job] = kernel.jobs
        self.running: Mapping[int, Run] = MappingProxyType(kernel.running)
        self.done_s: Mapping[int, float] = MappingProxyType(kernel.done_s)
        self.served: Mapping[int, Mapping[str, float]] = MappingProxyType(kernel.served)
        self.loads: Mapping[int, Sequence[tuple[float, Load]]] = MappingProxyType(kernel.loads)
        self.items: Mapping[str, DataItem] = MappingProxyType(kernel.items)
        self.regions: Mapping[str, Region] = MappingProxyType(
            {name: replace(region, price=None, carbon=None) for name, region in kernel.regions.items()}
        )
        self.options: Mapping[str, Any] = MappingProxyType(kernel.options)
        self.freed: tuple[int, ...] = ()
        self._outlooks: dict[str, tuple[float, Outlook]] = {}

    @property
    def pending(self) -> np.ndarray:
        """Numbers of the jobs that wait, ascending."""
        kernel = self._kernel
        view = kernel.waiting[: kernel.waits]
        view.flags.writeable = False
        return view

    @property
    def table(self) -> Mapping[str, np.ndarray]:
        """One row per arrived job."""
        kernel = self._kernel
        rows = kernel.rows[:, : len(kernel.jobs)]
        rows.flags.writeable = False
        return dict(zip(FIELDS, rows, strict=True))

    @property
    def kind(self) -> np.ndarray:
        """The kind of each arrived job."""
        kernel = self._kernel
        view = kernel.kind_of[: len(kernel.jobs)]
        view.flags.writeable = False
        return view

    def number(self, job: str) -> int:
        """The number of a job's id."""
        return self._kernel.numbers[job]

    def allowed(self, job: Job, off: bool = False) -> np.ndarray:
        """Nodes it may use that are up, and on unless `off`; not to be written to."""
        kernel = self._kernel
        mask = kernel.kinds.mask(job)
        if off:
            return mask & kernel.up
        return mask if kernel.all_live else mask & kernel.up & kernel.on

    def fitting(self, nodes: Sequence[int] | None = None) -> np.ndarray:
        """Pending jobs of which a pod fits on one of these nodes."""
        pending = self.pending
        if not len(pending) or (nodes is not None and not nodes):
            return pending[:0]
        kernel, kind = self._kernel, self.kind[pending]
        fit = np.zeros(len(kernel.kinds.jobs), dtype=bool)
        if nodes is None:
            for k in np.unique(kind).tolist():
                job = kernel.kinds.jobs[k]
                fit[k] = (self.room.fits(job.pod) & self.allowed(job)).any()
        else:
            for n in nodes:
                fit |= self._kinds_at(n)
        fitting: np.ndarray = pending[fit[kind]]
        return fitting

    def _kinds_at(self, n: int) -> np.ndarray:
        """Kinds of which a pod fits on node n: bool (kinds,)."""
        kernel, room, kinds = self._kernel, self.room, self._kernel.kinds
        if not (kernel.up[n] and kernel.on[n]):
            return np.zeros(len(kinds.jobs), dtype=bool)
        cpu, mem, share, whole, group = kinds.demand[:, : len(kinds.jobs)]
        fit: np.ndarray = (cpu <= room.cpu[n]) & (mem <= room.mem[n]) & (share <= room.share[n]) & (whole <= room.whole[n])
        may = np.array([mask[n] for mask in kinds.masks.values()])
        fit &= may[group]
        return fit

    def outlook(self, region: str) -> Outlook:
        """Made once an hour from what has been seen so far."""
        made, known = self._outlooks.get(region, (-1.0, Outlook()))
        hour = self.now // HOUR
        if made != hour:
            truth = self._kernel.regions[region]
            known = Outlook(
                forecast(truth.price, self.now) if truth.price is not None else None,
                forecast(truth.carbon, self.now) if truth.carbon is not None else None,
            )
            self._outlooks[region] = (hour, known)
        return known

    def rate(self, job: Job, places: Sequence[Place]) -> float:
        """Slowest device, times what the number of pods brings; a service is offered for so long whatever it runs on."""
        if job.service:
            return 1.0
        slowest = min([self._speed(job, self.nodes[self.index[node]]) for node, _ in places])
        return slowest if len(places) == job.pods else slowest * (len(places) / job.pods) ** job.alpha

    def _speed(self, job: Job, node: Node) -> float:
        if job.pod.gpu_milli:
            return job.speed.get(node.device.type, node.device.speed) if job.speed else node.device.speed
        return job.speed.get("cpu", 1.0)

    def begins(self, number: int, places: Sequence[Place]) -> float:
        """Now, plus booting, fetching data and coming back from a checkpoint."""
        kernel, job = self._kernel, self.jobs[number]
        wait = max([kernel.boots[node] - self.now for node, _ in places if node in kernel.boots], default=0.0)
        wait = max(wait, 0.0)
        if number in kernel.started:
            wait += job.restart_s
        return self.now + wait + (self.fetch_s(job, places[0][0]) if job.data else 0.0)

    def fetch_s(self, job: Job, node: str) -> float:
        """Seconds to bring what a job reads into a node's region, one item after another over the region's link."""
        region = self.nodes[self.index[node]].region
        gib = sum(self.items[item].gib for item in job.data if region not in self.items[item].replicas)
        return gib * GBIT / self.regions[region].gbps

    def left_s(self, number: int) -> float:
        """Expected work less what was done, at least 0."""
        work = self.jobs[number].work_s
        if work is None:
            return float("inf")
        run = self.running.get(number)
        return max(0.0, work - (run.progress(self.now) if run else self.done_s.get(number, 0.0)))
