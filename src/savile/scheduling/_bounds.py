"""Bounds that no schedule can pass, printed beside what was measured; each is a relaxation that can be computed exactly."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from savile.base.work import WHOLE, Job
from savile.scheduling._world import World


def bounds(world: World) -> dict[str, float]:
    """Lower bounds on makespan and mean completion time, upper bound on allocation; jobs without an end are left out."""
    ending = [(job, real) for job in world.jobs if (real := world.real_s(job)) is not None]
    if not ending:
        return {}
    size, capacity = _sizes([job for job, _ in ending], world)
    fastest = {job.id: _fastest(job, world) for job, _ in ending}
    seconds = [real / fastest[job.id] for job, real in ending]
    areas = [s * d / capacity for s, d in zip(seconds, size, strict=True)]
    releases = [job.release_s for job, _ in ending]
    first = min(releases)
    path = max(r + s for r, s in zip(releases, seconds, strict=True)) - first
    flow = _srpt(releases, areas) / len(ending)
    return {"makespan_s": max(sum(areas), path), "jct_mean_s": max(flow, sum(seconds) / len(seconds))}


def _sizes(jobs: Sequence[Job], world: World) -> tuple[list[float], float]:
    """What each job holds and what there is, in devices, or in cores when no job asks for a device."""
    devices = float(sum(node.devices for node in world.nodes))
    if devices and any(job.pod.gpu_milli for job in jobs):
        return [job.pods * job.pod.gpu_milli / WHOLE for job in jobs], devices
    return [job.pods * job.pod.cpu_milli / 1000 for job in jobs], sum(node.cpu_milli for node in world.nodes) / 1000


def _fastest(job: Job, world: World) -> float:
    speeds = {node.device.type: node.device.speed for node in world.nodes}
    usable = job.pod.types & speeds.keys() or speeds.keys()
    best = max(job.speed.get(kind, speeds[kind]) for kind in usable) if job.pod.gpu_milli else job.speed.get("cpu", 1.0)
    many: float = (max(job.pods, job.most) / job.pods) ** job.alpha
    return best * many


def _srpt(releases: Sequence[float], sizes: Sequence[float]) -> float:
    """Total flow time of shortest-remaining-first on one machine as large as the cluster, which is least (Schrage 1968)."""
    order = sorted(zip(releases, sizes, strict=True))
    heap: list[tuple[float, float]] = []
    now = total = 0.0
    place = 0
    while place < len(order) or heap:
        if not heap:
            now = max(now, order[place][0])
        while place < len(order) and order[place][0] <= now:
            heapq.heappush(heap, (order[place][1], order[place][0]))
            place += 1
        left, release = heapq.heappop(heap)
        until = order[place][0] if place < len(order) else float("inf")
        if now + left <= until:
            now += left
            total += now - release
        else:
            heapq.heappush(heap, (left - (until - now), release))
            now = until
    return total
