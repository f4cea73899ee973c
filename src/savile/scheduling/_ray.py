"""Live: the same policy, kernel and log, with the clock on the wall and Ray doing the work.

A node of the cluster is known to Ray by a custom resource ``node:<id>``, a region by ``region:<id>``; a started job is a
placement group with one bundle for each pod. A job is a callable `Work`: it goes on from its folder, and stops early, with a
checkpoint in that folder, when `stop()` says so. All machines of a cluster must see that folder. Power is modelled from
nameplates.

A service has a front on this machine (`_front`), and each of its replicas is a task and a placement group of its own
(`_replicas`), so that some come and go while the others answer.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from savile.base import ray_cluster
from savile.base.events import emit
from savile.base.work import WHOLE, DataItem, Event, Job, Node, Place, Region, Reject
from savile.scheduling._front import Front
from savile.scheduling._kernel import Kernel
from savile.scheduling._place import copies
from savile.scheduling._replicas import STOP, Replicas
from savile.scheduling._session import Session

UNITS = 1_000_000.0  # of a node's custom resource; a pod takes what cannot run out before the kernel says no
TICK_S = 0.02


@dataclass(frozen=True)
class Turn:
    """What a piece of work is told when it is started.

    Attributes:
        folder: where its checkpoints are; the same whenever it is started again.
        rank, pods: which pod of how many this is.
    """

    folder: Path
    rank: int
    pods: int

    def stop(self) -> bool:
        """Whether to write a checkpoint and return."""
        return (self.folder / STOP).exists()


Work = Callable[[Turn], Any]


@dataclass
class RayBackend:
    """Runs a policy for real.

    Args:
        jobs: jobs and the work of each; all times are on a clock that stands at `start_s` when the run begins. The work of a
            service is called for each replica, writes ``host:port`` into the file ``address`` of its folder when it answers
            there, and may name the `port` of the front.
        nodes, regions, items: the cluster as the policy sees it.
        folder: where checkpoints are kept.
        round_s: seconds between rounds; None has none.
        outages: (node, from, to) on that clock: whatever runs there is killed, like a spot machine's.
        address: a running Ray cluster; empty starts one on this machine with as many logical cores as `nodes` have.
        load_s: seconds between measurements of what services are asked.
        start_s: what the clock shows at the start, such as the seconds of the UTC day, for policies that look at the hour.
    """

    jobs: Sequence[tuple[Job, Work]]
    nodes: Sequence[Node]
    folder: Path
    regions: Sequence[Region] = ()
    items: Sequence[DataItem] = ()
    round_s: float | None = None
    outages: Sequence[tuple[str, float, float]] = ()
    address: str = ""
    load_s: float = 1.0
    start_s: float = 0.0
    results: dict[str, Any] = field(default_factory=dict, init=False)
    served: dict[str, np.ndarray] = field(default_factory=dict, init=False)

    mark = "real"

    def kernel(self) -> Kernel:
        """An empty cluster."""
        return Kernel(self.nodes, self.regions, self.items, {"round_s": self.round_s} if self.round_s else {})

    def drive(self, session: Session) -> None:
        """Let everything happen, until every job has ended."""
        with cluster(self.nodes, self.address) as ray:
            driven = _Drive(self, session, ray)
            try:
                driven.run()
            finally:
                driven.close()


def cluster(nodes: Sequence[Node], address: str = "") -> AbstractContextManager[Any]:
    """Ray, connected; a cluster that is begun here has a custom resource for each node and region, and their cores."""
    custom = {f"node:{node.id}": UNITS for node in nodes} | {f"region:{node.region}": UNITS for node in nodes}
    return ray_cluster.connected(max(1, sum(node.cpu_milli for node in nodes) // WHOLE), custom, address)


class _Drive:
    """One live run."""

    def __init__(self, backend: RayBackend, session: Session, ray: Any) -> None:
        self.backend, self.session, self.ray, self.kernel = backend, session, ray, session.kernel
        self.work = {job.id: work for job, work in backend.jobs}
        coming = [(Event("arrive", job.release_s, job.id), job) for job, _ in backend.jobs]
        coming += [(Event("down", start, node=node), None) for node, start, _ in backend.outages]  # type: ignore[misc]
        coming += [(Event("up", end, node=node), None) for node, _, end in backend.outages]  # type: ignore[misc]
        self.coming = sorted(coming, key=lambda pair: pair[0].at)
        self.turns: dict[int, tuple[Any, list[Any], tuple[Any, ...]]] = {}  # number -> group, references, places
        self.services: dict[int, Replicas] = {}
        self.load_at = 0.0
        self.remote = ray.remote(max_retries=0)(_pod)
        self.started = time.monotonic()
        self.round_at = 0.0

    def run(self) -> None:
        """The loop: what is due happens, what has ended is noticed, else a short wait."""
        while self.coming or self.kernel.running or self.kernel.waits:
            now = self._now()
            if self.coming and self.coming[0][0].at <= now:
                event, job = self.coming.pop(0)
                self._step(replace(event, at=now), replace(job, release_s=now) if job else None)
            elif self.backend.round_s and now >= self.round_at:
                self.round_at = now + self.backend.round_s
                self._step(Event("round", now))
            elif not self._measured(now) and not self._ended() and not self._stuck():
                time.sleep(TICK_S)
        self.kernel.state.now = self._now()
        self.kernel.ledger.close(self.kernel.state.now)

    def close(self) -> None:
        """Services end, and how they kept what was promised is noted."""
        for number, service in self.services.items():
            service.close()
            self.backend.served[self.kernel.jobs[number].id] = service.front.rows()

    def _measured(self, now: float) -> bool:
        """Tend the services, and tell what they are asked when it is time; whether something happened."""
        running = [(n, self.services[n]) for n in self.kernel.running if n in self.services]
        for service in self.services.values():
            service.tend()
        for number, service in running:
            job, run = self.kernel.jobs[number], self.kernel.running[number]
            over = job.work_s is not None and run.progress(now) >= job.work_s
            if over or service.failed:
                self._step(Event("finish" if over else "fail", now, job.id))
                return True
        if not running or now < self.load_at:
            return False
        self.load_at = now + self.backend.load_s
        for number, service in running:
            self._step(Event("load", now, self.kernel.jobs[number].id, load=service.load()))
        return True

    def _serve(self, number: int) -> None:
        """Bring the replicas of a service where the kernel has them."""
        job, run = self.kernel.jobs[number], self.kernel.running.get(number)
        if number not in self.services:
            front = Front(getattr(self.work[job.id], "port", 0), job.at_once, self._now)
            emit("note", text=f"{job.id} answers at {front.url}")
            folder = Path(self.backend.folder) / job.id

            def put(place: Place, folder: Path, rank: int) -> tuple[Any, Any]:
                group, (reference,) = self._put(job, (place,), folder, rank)
                return group, reference

            def ended(reference: Any) -> str | None:
                return _error(self.ray, reference) if self.ray.wait([reference], timeout=0)[0] else None

            self.services[number] = Replicas(job, folder, front, put, ended, _removed)
        self.services[number].follow(run.places if run else ())

    def _now(self) -> float:
        return self.backend.start_s + time.monotonic() - self.started

    def _stuck(self) -> bool:
        """Nothing runs, nothing comes, and jobs wait that will never run: they are rejected by name.

        With rounds, policies may wait for a better hour; then only jobs that the empty cluster cannot take are rejected.
        """
        state = self.kernel.state
        if self.kernel.running or self.coming:
            return False
        if not self.backend.round_s:
            self._step(Event("round", self._now()))
            if self.kernel.running:
                return False
        jobs = [self.kernel.jobs[n] for n in state.pending.tolist()]
        never = [job for job in jobs if not self.backend.round_s or not self._could(job)]
        if never:
            emit("warning", text=f"No node can take {', '.join(job.id for job in never)}; they were left out.")
        for job in never:
            self.kernel.apply(Reject(job.id, "no node can take it"))
        return bool(never)

    def _could(self, job: Job) -> bool:
        """Whether the empty cluster holds a job, in one region."""
        state = self.kernel.state
        many = copies(state.capacity, job.pod) * state.allowed(job)
        return any(int(many[state.site == r].clip(max=job.pods).sum()) >= job.pods for r in range(len(state.regions)))

    def _ended(self) -> bool:
        """Notice one job that has ended."""
        for number, (group, references, _) in list(self.turns.items()):
            ready, running = self.ray.wait(references, num_returns=len(references), timeout=0)
            failed = [r for r in ready if _error(self.ray, r)] if ready else []
            if running and not failed:
                continue
            job = self.kernel.jobs[number]
            if not failed:
                self.backend.results[job.id] = self.ray.get(references[0])
            else:
                emit("warning", text=f"Job {job.id} failed: {_error(self.ray, failed[0])}")
                self._kill(references)
            self._forget(number, group)
            self._step(Event("fail" if failed else "finish", self._now(), job.id))
            return True
        return False

    def _step(self, event: Event, job: Job | None = None) -> None:
        """An event happens; what the policy decided is done: first stops, then starts."""
        if event.kind == "down":
            for number, (group, references, places) in list(self.turns.items()):
                if any(node == event.node for node, _ in places):
                    self._kill(references)
                    self._forget(number, group)
        changed = dict.fromkeys(self.session.step(event, job))
        for number in [n for n in changed if self.kernel.jobs[n].service]:
            del changed[number]
            self._serve(number)
        for number in changed:
            run = self.kernel.running.get(number)
            if number in self.turns and (run is None or run.places != self.turns[number][2]):
                self._stop(number)
        for number in changed:
            if number in self.kernel.running and number not in self.turns:
                self._launch(number)

    def _launch(self, number: int) -> None:
        job, places = self.kernel.jobs[number], self.kernel.running[number].places
        folder = Path(self.backend.folder) / job.id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STOP).unlink(missing_ok=True)
        self.turns[number] = (*self._put(job, places, folder), places)

    def _put(self, job: Job, places: Sequence[Place], folder: Path, first: int = 0) -> tuple[Any, list[Any]]:
        """Start the work of a job in some places, its pods numbered from `first`: a placement group, and references."""
        from ray.util.placement_group import placement_group
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy as Strategy

        cpus = job.pod.cpu_milli / 1000
        bundles = [{"CPU": cpus, **self._custom(node)} for node, _ in places]
        group = placement_group(bundles, strategy="PACK")
        references = []
        for rank, (node, _) in enumerate(places):
            inside = Strategy(group, placement_group_bundle_index=rank)
            pod = self.remote.options(num_cpus=cpus, resources=self._custom(node), scheduling_strategy=inside)
            references.append(pod.remote(self.work[job.id], str(folder), first + rank, len(places)))
        return group, references

    def _custom(self, node: str) -> dict[str, float]:
        region = self.kernel.nodes[self.kernel.index[node]].region
        return {f"node:{node}": 1.0, f"region:{region}": 1.0}

    def _stop(self, number: int) -> None:
        """Ask for a checkpoint and wait for it."""
        group, references, _ = self.turns[number]
        (Path(self.backend.folder) / self.kernel.jobs[number].id / STOP).touch()
        self.ray.wait(references, num_returns=len(references))
        self._forget(number, group)

    def _kill(self, references: Sequence[Any]) -> None:
        for reference in references:
            self.ray.cancel(reference, force=True)

    def _forget(self, number: int, group: Any) -> None:
        _removed(group)
        del self.turns[number]


def _removed(group: Any) -> None:
    """Let go of a placement group."""
    from ray.util.placement_group import remove_placement_group

    remove_placement_group(group)


def _pod(work: Work, folder: str, rank: int, pods: int) -> Any:
    return work(Turn(Path(folder), rank, pods))


def _error(ray: Any, reference: Any) -> str:
    """Why a pod failed; empty when it did not."""
    try:
        ray.get(reference, timeout=0)
    except Exception as error:  # whatever the work raised
        return str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
    return ""


def clear(folder: Path, jobs: Mapping[str, Any]) -> None:
    """Remove the checkpoints of jobs that have ended."""
    for job in jobs:
        shutil.rmtree(folder / job, ignore_errors=True)
