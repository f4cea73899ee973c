"""What a policy sees: free capacity device by device, the jobs that have arrived, what runs, and what is expected.

Everything here is read-only for a policy. A policy that wants to try things out takes `state.room.copy()`, which costs a few
microseconds, and takes and gives in the copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from savile.base.series import Outlook
from savile.base.work import WHOLE, DataItem, Job, Load, Node, Place, Pod, Region

ABSENT = -1  # free thousandths of a device that a node does not have


class Room:
    """The free capacity of n nodes with at most g devices each.

    Attributes:
        cpu, mem: free thousandths of a core and MiB, int64 (n,).
        gpu: free thousandths of each device, int64 (n, g), `ABSENT` where a node has fewer.
        whole: devices that are wholly free, int64 (n,).
        share: the largest free share of one device, int64 (n,).
        total: free thousandths over all devices, int64 (n,).
    """

    __slots__ = ("cpu", "gpu", "mem", "share", "total", "whole")

    def __init__(self, cpu: np.ndarray, mem: np.ndarray, gpu: np.ndarray) -> None:
        self.cpu, self.mem, self.gpu = cpu, mem, gpu
        self.whole = (gpu == WHOLE).sum(axis=1)
        self.share = gpu.max(axis=1, initial=0).clip(min=0)
        self.total = gpu.clip(min=0).sum(axis=1)

    @classmethod
    def of(cls, nodes: Sequence[Node]) -> Room:
        """The capacity of empty nodes."""
        most = max((node.devices for node in nodes), default=0) or 1
        gpu = np.array([[WHOLE] * node.devices + [ABSENT] * (most - node.devices) for node in nodes], dtype=np.int64)
        cpu = np.array([node.cpu_milli for node in nodes], dtype=np.int64)
        return cls(cpu, np.array([node.mem_mib for node in nodes], dtype=np.int64), gpu.reshape(len(nodes), most))

    def copy(self) -> Room:
        """A copy to try things out in."""
        return self._with(np.ndarray.copy)

    def view(self) -> Room:
        """The same memory, read-only."""
        return self._with(_locked)

    def _with(self, make: Any) -> Room:
        new = object.__new__(Room)
        for name in Room.__slots__:
            setattr(new, name, make(getattr(self, name)))
        return new

    def fits(self, pod: Pod) -> np.ndarray:
        """Where one more such pod has room, types and regions apart: bool (n,)."""
        fit: np.ndarray = self.cpu >= pod.cpu_milli
        if pod.mem_mib:
            fit &= self.mem >= pod.mem_mib
        if pod.gpu_milli:
            fit &= self.share >= pod.gpu_milli if pod.gpu_milli < WHOLE else self.whole >= pod.gpu_milli // WHOLE
        return fit

    def fits_at(self, pod: Pod, n: int) -> bool:
        """Whether one more such pod has room on node n."""
        if self.cpu[n] < pod.cpu_milli or self.mem[n] < pod.mem_mib:
            return False
        return bool(self.share[n] >= pod.gpu_milli if pod.gpu_milli < WHOLE else self.whole[n] >= pod.gpu_milli // WHOLE)

    def devices(self, pod: Pod, n: int) -> tuple[int, ...]:
        """The devices of node n that a pod would take: the tightest that holds a share, else the first that are free."""
        asked = pod.gpu_milli
        if not asked:
            return ()
        free = self.gpu[n].tolist()
        if asked < WHOLE:
            return (min((left, d) for d, left in enumerate(free) if left >= asked)[1],)
        return tuple([d for d, left in enumerate(free) if left == WHOLE][: asked // WHOLE])

    def take(self, pod: Pod, n: int, devices: Sequence[int]) -> None:
        """Put a pod on node n."""
        self._move(pod, n, devices, -1)

    def give(self, pod: Pod, n: int, devices: Sequence[int]) -> None:
        """Take a pod off node n."""
        self._move(pod, n, devices, 1)

    def _move(self, pod: Pod, n: int, devices: Sequence[int], sign: int) -> None:
        self.cpu[n] += sign * pod.cpu_milli
        self.mem[n] += sign * pod.mem_mib
        if devices:
            row = self.gpu[n]
            step = sign * min(pod.gpu_milli, WHOLE)
            for d in devices:
                row[d] += step
            free = row.tolist()
            self.whole[n] = free.count(WHOLE)
            self.share[n] = max(free)
            self.total[n] += step * len(devices)


@dataclass(slots=True)
class Run:
    """A job that is running, as a policy may know it.

    Attributes:
        job: its number.
        places: where its pods are.
        since: when it was started in these places.
        begins: when it makes progress, after data and checkpoint have come.
        rate: seconds of work done per second.
        done_s: seconds of work done before it was started here.
    """

    job: int
    places: tuple[Place, ...]
    since: float
    begins: float
    rate: float
    done_s: float

    def progress(self, now: float) -> float:
        """Seconds of work done."""
        return self.done_s + max(0.0, now - self.begins) * self.rate


class State(Protocol):
    """What a policy decides on. Job numbers are given in order of arrival and index `jobs` and every array of the table.

    Attributes:
        now: UTC seconds.
        nodes: the nodes, up or down; `index` gives the number of a node's id.
        site: number of each node's region in the order of `regions`, int64 (n,).
        room: free capacity; whether a node is up and may be used is for `allowed` to say. `capacity`: the same when empty.
        jobs: every job that has arrived.
        pending: numbers of the jobs that wait, ascending, int64.
        running: number -> `Run`, in order of starting.
        freed: numbers of the nodes on which the last event freed room, or decisions since the event before.
        served: number -> device type -> seconds a job has held its places in earlier runs; the first pod's type counts.
        done_s: seconds of work a job has done in earlier runs, by number.
        loads: number of a service -> when its load was measured, and the load, oldest first.
        table: ``release work deadline value pods gpu`` -> float64, one per arrived job; no deadline and no end are infinite.
        kind: a number that jobs share which ask for the same, int64, one per arrived job.
        items: data items with the regions that hold them now.
        regions: the regions, without the truth about price and carbon.
        options: facts the backend gives about the run, such as ``round_s``.
    """

    now: float
    nodes: tuple[Node, ...]
    index: Mapping[str, int]
    site: np.ndarray
    room: Room
    capacity: Room
    jobs: Sequence[Job]
    pending: np.ndarray
    running: Mapping[int, Run]
    freed: tuple[int, ...]
    done_s: Mapping[int, float]
    served: Mapping[int, Mapping[str, float]]
    loads: Mapping[int, Sequence[tuple[float, Load]]]
    table: Mapping[str, np.ndarray]
    kind: np.ndarray
    items: Mapping[str, DataItem]
    regions: Mapping[str, Region]
    options: Mapping[str, Any]

    def number(self, job: str) -> int:
        """The number of a job's id."""

    def allowed(self, job: Job, off: bool = False) -> np.ndarray:
        """Nodes that are up and of a type, region and market the job may use: bool (n,); room apart. `off`: and those off."""

    def fitting(self, nodes: Sequence[int] | None = None) -> np.ndarray:
        """Numbers of the pending jobs of which at least one pod fits on one of these nodes (None: anywhere), ascending."""

    def outlook(self, region: str) -> Outlook:
        """What is expected of a region's price and carbon from now on."""

    def rate(self, job: Job, places: Sequence[Place]) -> float:
        """Seconds of work per second in these places: the slowest device, times what the number of pods brings."""

    def begins(self, number: int, places: Sequence[Place]) -> float:
        """When it would make progress if started now: after its data and its checkpoint have come."""

    def left_s(self, number: int) -> float:
        """Expected seconds of work that are left, at least 0; infinite when it runs until stopped."""


def _locked(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view
