"""Energy: pack work where it adds the fewest watts, switch empty nodes off, and switch on what saves most when work waits.

In the style of resource-efficient workload scheduling (RWTS, IJECE 13(5), 2023): a node that is on draws idle power whatever it
does, so the watts a pod adds are its own, and the idle power of a node that would otherwise be off. The site's overhead (PUE)
counts, and so does the speed of a device: what is minimised is energy, watts times the time the work would take there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from savile.base.cluster import Room, State
from savile.base.work import WHOLE, Decision, Event, Job, Pod, Power
from savile.scheduling._ledger import idle_w
from savile.scheduling._place import DAY_S, place

deterministic = True


@dataclass(frozen=True)
class Settings:
    """`keep`: empty nodes that stay on for work that is to come; `patience_s`: when a job is overtaken no more."""

    keep: int = 1
    patience_s: float = DAY_S


DEFAULT = Settings()


def decide(state: State, event: Event, rng: np.random.Generator, settings: Settings = DEFAULT) -> Sequence[Decision]:
    """Start what fits where it adds the least energy; then switch on for those that wait, or off what nobody needs."""
    starts = place(state, event, chooser(state), None, settings.patience_s, "fewest watts added")
    started = {start.job for start in starts}
    waiting = [n for n in state.pending.tolist() if state.jobs[n].id not in started]
    taken = {node for start in starts for node, _ in start.places}
    if waiting:
        return [*starts, *_wake(state, waiting)]
    return [*starts, *_sleep(state, taken, settings.keep)]


def chooser(state: State) -> Callable[[Room, Pod, np.ndarray], int]:
    """A choice of the node where a pod adds the least energy; ties go to the fuller node, then to the first."""
    empty = state.capacity
    own = np.array([node.peak_w - node.idle_w for node in state.nodes]) / np.maximum(empty.cpu, 1)
    device = np.array([node.device.peak_w - node.device.idle_w for node in state.nodes]) / WHOLE
    idle = np.array([idle_w(node) for node in state.nodes])
    pue = np.array([state.regions[node.region].pue for node in state.nodes])
    speed = np.array([node.device.speed if node.devices else 1.0 for node in state.nodes])

    def choose(room: Room, pod: Pod, fit: np.ndarray) -> int:
        at = fit.nonzero()[0]
        bare = (room.cpu[at] == empty.cpu[at]) & (room.total[at] == empty.total[at])
        watts = own[at] * pod.cpu_milli + device[at] * pod.gpu_milli + idle[at] * bare
        pace = np.where(pod.gpu_milli > 0, speed[at], 1.0)
        left = room.total[at] / np.maximum(empty.total[at], 1) + room.cpu[at] / np.maximum(empty.cpu[at], 1)
        return int(at[np.lexsort((left, watts * pue[at] / pace))[0]])

    return choose


def _wake(state: State, waiting: Sequence[int]) -> list[Decision]:
    """The cheapest nodes that are off and hold the job that waits longest."""
    for number in waiting:
        job = state.jobs[number]
        off = state.allowed(job, off=True) & ~state.allowed(job)
        fit = off & state.capacity.fits(job.pod)
        if fit.any():
            return [Power(state.nodes[n].id, True, f"{job.id} waits") for n in _cheapest(state, job, fit)]
    return []


def _cheapest(state: State, job: Job, fit: np.ndarray) -> list[int]:
    """Nodes to switch on for a gang, all in one region, in order of the watts they add."""
    pick, room, chosen = chooser(state), state.capacity.copy(), list[int]()
    for _ in range(job.pods):
        able = fit & room.fits(job.pod)
        if chosen:
            able &= state.site == state.site[chosen[0]]
        if not able.any():
            break
        n = pick(room, job.pod, able)
        room.take(job.pod, n, room.devices(job.pod, n))
        chosen.append(n)
    return list(dict.fromkeys(chosen))


def _sleep(state: State, taken: set[str], keep: int) -> list[Decision]:
    """Switch off empty nodes, but for the `keep` that draw least."""
    room, empty = state.room, state.capacity
    anything = Job("anything", Pod())
    on = state.allowed(anything)
    bare = (on & (room.cpu == empty.cpu) & (room.total == empty.total) & (room.mem == empty.mem)).nonzero()[0]
    idle = sorted((idle_w(state.nodes[n]), n) for n in bare.tolist() if state.nodes[n].id not in taken)
    return [Power(state.nodes[n].id, False, "nothing to do") for _, n in idle[keep:]]
