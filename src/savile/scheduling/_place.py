"""Place what waits: in which order jobs are tried, where each pod goes, and who may no longer be overtaken.

A policy that places one job after the other gives `place` a function that chooses a node for one pod, and, if it likes, a key
by which waiting jobs are ordered. Ties between nodes are the chooser's affair and are part of the policy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from savile.base.cluster import Room, State
from savile.base.work import WHOLE, Event, Job, Place, Pod, Start

DAY_S = 86_400.0
Choose = Callable[[Room, Pod, np.ndarray], "int | tuple[int, tuple[int, ...]]"]
Key = Callable[[State, np.ndarray], np.ndarray]


def place(
    state: State, event: Event, choose: Choose, key: Key | None = None, patience_s: float = DAY_S, why: str = ""
) -> list[Start]:
    """Start what fits, in order of arrival or of `key`, smaller jobs overtaking those that do not fit.

    Args:
        choose: room, pod and the nodes that can take it, bool (n,) with at least one true -> a node's number, with devices
            where the policy chooses those, too.
        key: numbers of waiting jobs -> what they are ordered by, smallest first; arrival breaks ties.
        patience_s: see `Placing`.
    """
    if not len(state.pending):
        return []
    placing = Placing(state, event, choose, patience_s, why)
    tried = placing.tried
    if key is not None and len(tried) > 1:
        tried = tried[np.argsort(key(state, tried), kind="stable")]
    for number in tried.tolist():
        placing.start(number)
    return placing.starts


class Placing:
    """Placing one job after the other, at one event.

    A job that has waited longer than `patience_s` may not be overtaken any more: the nodes nearest to holding it are kept for
    it, so every job that fits into the empty cluster starts in the end.

    Attributes:
        tried: numbers of the waiting jobs that may fit now, in order of arrival.
        room: what is left after what was started.
        starts: what was started.
    """

    def __init__(self, state: State, event: Event, choose: Choose, patience_s: float = DAY_S, why: str = "") -> None:
        self.state, self.choose, self.why = state, choose, why
        waiting = state.pending
        first = int(waiting[0]) if len(waiting) else -1
        overdue = first if first >= 0 and state.now - state.jobs[first].release_s > patience_s else -1
        arrived = event.kind == "arrive" and len(waiting)
        if arrived and overdue < 0 and not state.freed:
            self.tried = waiting[-1:]
        elif event.kind in ("arrive", "finish", "fail") and overdue < 0:  # elsewhere there is no more room than there was
            self.tried = state.fitting(state.freed)
            if arrived and (not len(self.tried) or self.tried[-1] != waiting[-1]):
                self.tried = np.append(self.tried, waiting[-1])
        else:
            self.tried = state.fitting()
        self.several = len(self.tried) > 1 or overdue >= 0
        self.room = state.room.copy() if self.several else state.room
        self.free: np.ndarray | None = None
        self.failed: set[tuple[int, int]] = set()
        self.starts: list[Start] = []
        if overdue >= 0:
            self.hold(overdue)

    def hold(self, number: int) -> None:
        """Start a job that may be overtaken no more, or keep nodes free for it."""
        self.tried = self.tried[self.tried != number]
        if self.start(number, "waited longest") is None:
            self.free = ~_keep(self.state, self.room, self.state.jobs[number])

    def apart(self) -> None:
        """Go on in a copy of the room, when that has not been done already."""
        if not self.several:
            self.room, self.several = self.room.copy(), True
            for start in self.starts:
                for node, devices in start.places:
                    self.room.take(self.state.jobs[self.state.number(start.job)].pod, self.state.index[node], devices)

    def start(self, number: int, why: str = "") -> Start | None:
        """Start a job if it fits."""
        job = self.state.jobs[number]
        alike = (int(self.state.kind[number]), job.pods)
        if alike in self.failed:  # room only shrinks while we place
            return None
        places = spread(self.state, self.room, job, self.choose, self.free, self.several)
        if places is None:
            self.failed.add(alike)
            return None
        self.starts.append(Start(job.id, places, why or self.why))
        return self.starts[-1]


def spread(
    state: State, room: Room, job: Job, choose: Choose, free: np.ndarray | None = None, take: bool = True
) -> tuple[Place, ...] | None:
    """A place for each pod of a job, all in one region, or None.

    Args:
        room: taken from when every pod has a place and `take` is set; otherwise left as it was.
        free: nodes that may be used, bool (n,); None: all.
    """
    allowed = state.allowed(job)
    if free is not None:
        allowed = allowed & free
    if job.pods == 1:
        fit = room.fits(job.pod)
        fit &= allowed
        if not fit.any():
            return None
        n, devices = _chosen(room, job.pod, choose(room, job.pod, fit))
        if take:
            room.take(job.pod, n, devices)
        return ((state.nodes[n].id, devices),)
    for inside in _regions(state, room, job, allowed):
        trial = room.copy()
        places = _gang(state, trial, job, choose, inside)
        if places is not None:
            if take:
                for name in Room.__slots__:
                    setattr(room, name, getattr(trial, name))
            return places
    return None


def _gang(state: State, room: Room, job: Job, choose: Choose, allowed: np.ndarray) -> tuple[Place, ...] | None:
    places = []
    for _ in range(job.pods):
        fit = room.fits(job.pod)
        fit &= allowed
        if not fit.any():
            return None
        n, devices = _chosen(room, job.pod, choose(room, job.pod, fit))
        room.take(job.pod, n, devices)
        places.append((state.nodes[n].id, devices))
    return tuple(places)


def _chosen(room: Room, pod: Pod, chosen: int | tuple[int, tuple[int, ...]]) -> tuple[int, tuple[int, ...]]:
    return chosen if isinstance(chosen, tuple) else (int(chosen), room.devices(pod, int(chosen)))


def may_read(state: State, job: Job, region: str) -> bool:
    """Whether everything a job reads may be kept in a region."""
    tags = {region, *state.regions[region].tags}
    return all(not state.items[item].residency or state.items[item].residency & tags for item in job.data)


def copies(room: Room, pod: Pod) -> np.ndarray:
    """How many such pods each node has room for, int64 (n,), types and regions apart."""
    many = np.full(len(room.cpu), np.iinfo(np.int64).max)
    if pod.cpu_milli:
        many = np.minimum(many, room.cpu // pod.cpu_milli)
    if pod.mem_mib:
        many = np.minimum(many, room.mem // pod.mem_mib)
    if 0 < pod.gpu_milli < WHOLE:
        many = np.minimum(many, (room.gpu.clip(min=0) // pod.gpu_milli).sum(axis=1))
    elif pod.gpu_milli:
        many = np.minimum(many, room.whole // (pod.gpu_milli // WHOLE))
    return many.clip(min=0)


def _regions(state: State, room: Room, job: Job, allowed: np.ndarray) -> Sequence[np.ndarray]:
    """The nodes of each region with room for the whole gang, in order of the regions."""
    if len(state.regions) == 1:
        return [allowed]
    many = copies(room, job.pod) * allowed
    masks = [allowed & (state.site == site) for site in range(len(state.regions))]
    return [mask for mask in masks if many[mask].clip(max=job.pods).sum() >= job.pods]


def _keep(state: State, room: Room, job: Job) -> np.ndarray:
    """The nodes to keep free for a job: those nearest to holding it, as many as hold its gang when empty; bool (n,).

    Nobody else may start there, so they only become freer, and when another node is freer still it is kept instead.
    """
    empty = state.capacity
    hold = copies(empty, job.pod) * state.allowed(job)
    nearness = room.cpu / np.maximum(empty.cpu, 1) + room.total / np.maximum(empty.total, 1)
    kept, held = np.zeros(len(hold), dtype=bool), 0
    for n in np.argsort(-np.where(hold > 0, nearness, -1.0), kind="stable").tolist():
        if held >= job.pods or not hold[n]:
            break
        kept[n] = True
        held += int(hold[n])
    return kept
