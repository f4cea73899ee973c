"""Fragmentation: how much free device capacity the jobs that usually come cannot use (Weng et al., FGD, ATC 2023).

For a node and a typical demand, all free capacity is fragmented when the demand does not fit there, else what lies on devices
too small for it; the node's fragmentation is the mean over typical demands, weighted by how often they come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from savile.base.work import WHOLE, Job, Pod

if TYPE_CHECKING:
    from savile.scheduling._kernel import Kernel

Typical = tuple[tuple[Pod, float], ...]
GROWTH = 1.25  # of the number of jobs, after which what is typical is summed up anew
COVER = 0.95  # of all tasks; rarer demands are left out, as in the paper


def typical(jobs: Iterable[Job], cover: float = COVER) -> Typical:
    """The commonest demands that make up `cover` of all pods, with their shares of those; commonest first."""
    counts: Counter[Pod] = Counter()
    for job in jobs:
        counts[job.pod] += job.pods
    return _commonest(counts, cover)


def _commonest(counts: Mapping[Pod, int], cover: float) -> Typical:
    kept, held, total = [], 0, sum(counts.values())
    for pod, count in sorted(
        counts.items(), key=lambda item: (-item[1], item[0].gpu_milli, item[0].cpu_milli, item[0].mem_mib)
    ):
        if held >= cover * total:
            break
        kept.append((pod, count))
        held += count
    return tuple((pod, count / held) for pod, count in kept)


class Mix:
    """Typical demands laid out for numpy.

    Args:
        demands: pods and their shares.
        types: the device type of each node.
    """

    def __init__(self, demands: Typical, types: Sequence[str]) -> None:
        self.asked = np.array(sorted({pod.gpu_milli for pod, _ in demands}), dtype=np.int64)
        self.least = np.minimum(self.asked, WHOLE)
        self.wholes = self.asked // WHOLE
        self.cpu = np.array([pod.cpu_milli for pod, _ in demands], dtype=np.int64)
        self.weight = np.zeros((len(demands), len(self.asked)))
        for k, (pod, share) in enumerate(demands):
            self.weight[k, np.searchsorted(self.asked, pod.gpu_milli)] = share
        self.total = sum(share for pod, share in demands)
        kinds = sorted(set(types))
        self.kind = np.array([kinds.index(kind) for kind in types], dtype=np.int64)
        self.runs = np.array([[not pod.types or kind in pod.types for pod, _ in demands] for kind in kinds], dtype=bool)

    def fragmented(self, cpu: np.ndarray, gpu: np.ndarray, kind: np.ndarray) -> np.ndarray:
        """Fragmented thousandths of r nodes: cpu (r,), gpu (r, g) free, kind of device (r,) -> float64 (r,)."""
        free = gpu.clip(min=0)
        total = free.sum(axis=1)
        fits = (cpu[:, None] >= self.cpu) & self.runs[kind]
        share = fits @ self.weight  # of the demands that ask for so much of a device, those whose CPU and type fit
        whole = (gpu == WHOLE).sum(axis=1)
        room = np.where(self.asked < WHOLE, gpu.max(axis=1)[:, None] >= self.asked, whole[:, None] >= self.wholes)
        share *= room & (self.asked > 0)
        below = free[:, :, None] < self.least
        stranded = np.einsum("rg,rgd->rd", free, below)
        out: np.ndarray = (share * stranded).sum(axis=1) + (self.total - share.sum(axis=1)) * total
        return out


@lru_cache(maxsize=64)
def mix(demands: Typical, types: tuple[str, ...]) -> Mix:
    """The same, kept."""
    return Mix(demands, types)


class Seen:
    """The demands typical of the jobs that came in a run: counted as they come, summed up anew when there are a quarter more.

    What is typical depends on how many jobs have come and on nothing else, so a log that is replayed finds the same.

    Args:
        types: the device type of each node.
    """

    def __init__(self, types: tuple[str, ...]) -> None:
        self.types, self.counts, self.counted = types, Counter[Pod](), 0
        self.mix = mix((), types)

    def mixed(self, jobs: Sequence[Job]) -> Mix:
        """The mix for all `jobs`, which begin with those of the call before."""
        last = self.counted
        while (after := max(self.counted + 1, int(self.counted * GROWTH))) <= len(jobs):
            for job in jobs[self.counted : after]:
                self.counts[job.pod] += job.pods
            self.counted = after
        if self.counted != last:
            self.mix = mix(_commonest(self.counts, COVER), self.types)
        return self.mix


def fragmentation(kernel: Kernel, times: Sequence[float]) -> list[tuple[float, float]]:
    """Fragmented share of all devices at some times of a run that has ended, for the jobs that came; (time, share) each."""
    demands, capacity = typical(kernel.jobs), float(kernel.state.capacity.total.sum())
    if not demands or not capacity:
        return []
    known = mix(demands, tuple(node.device.type for node in kernel.nodes))
    found = []
    for at in times:
        room = kernel.state.capacity.copy()
        for spell in kernel.ledger.spells:
            if spell.start <= at < spell.end:
                for node, devices in spell.places:
                    room.take(kernel.jobs[spell.job].pod, kernel.index[node], devices)
        found.append((at, float(known.fragmented(room.cpu, room.gpu, known.kind).sum()) / capacity))
    return found
