"""One measure over unlike devices: there is none that is right for all, so there are three, each with its name.

`dominant_share`     the largest share of any one resource that is held (Ghodsi et al., NSDI 2011): who holds how much of what
                     there is; blind to how fast a device is.
`reference_hours`    device hours times the speed of a model on the device, relative to a reference device: what the work is
                     worth to *that* model; two models disagree.
`market_value`       device hours at the prices that balance supply and demand (duals of the capacity): what the hours would
                     fetch from others; changes with demand.

Each is unchanged when a resource is counted in another unit. They may rank tenants differently, and `rankings` shows it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.base.work import WHOLE
from savile.scheduling._ledger import HOUR_S

if TYPE_CHECKING:
    from savile.scheduling._kernel import Kernel
    from savile.scheduling._outcome import Outcome


def measured(outcome: Outcome) -> dict[str, dict[str, float]]:
    """What each tenant had in a run, by all three measures: measure -> tenant -> figure.

    Dominant share is of device and core hours over the run; reference hours are of the commonest type; market value is at the
    rent of the regions, and left out where they state none.
    """
    kernel = outcome.kernel
    tenants = sorted({job.tenant for job in kernel.jobs})
    devices = Counter[str]()
    for node in kernel.nodes:
        devices[node.device.type] += node.devices
    types = [kind for kind, _ in devices.most_common()]
    hours, cores, rent = np.zeros((len(tenants), len(types))), np.zeros(len(tenants)), np.zeros(len(tenants))
    speed = np.array([[_speed(kernel, tenant, kind) for kind in types] for tenant in tenants])
    for spell in kernel.ledger.spells:
        job, long = kernel.jobs[spell.job], (spell.end - spell.start) / HOUR_S
        row = tenants.index(job.tenant)
        rent[row] += spell.rent
        for place, _ in spell.places:
            kind = kernel.nodes[kernel.index[place]].device.type
            hours[row, types.index(kind)] += job.pod.gpu_milli / WHOLE * long
            cores[row] += job.pod.cpu_milli / 1000 * long
    span = max(kernel.state.now - min(job.release_s for job in kernel.jobs), 1.0) / HOUR_S
    there = np.array([kernel.state.capacity.total.sum() / WHOLE, kernel.state.capacity.cpu.sum() / 1000]) * span
    held = np.stack([hours.sum(axis=1), cores], axis=1)
    found = {"dominant_share": dominant_share(held, np.maximum(there, 1e-9)), "reference_hours": reference_hours(hours, speed)}
    found |= {"market_value": rent} if rent.any() else {}
    return {name: dict(zip(tenants, values.tolist(), strict=True)) for name, values in found.items()}


def _speed(kernel: Kernel, tenant: str, kind: str) -> float:
    """The mean speed of a tenant's jobs on a type of device."""
    usual = next(node.device.speed for node in kernel.nodes if node.device.type == kind)
    return float(np.mean([job.speed.get(kind, usual) for job in kernel.jobs if job.tenant == tenant]))


def dominant_share(held: np.ndarray, capacity: np.ndarray) -> np.ndarray:
    """Resources held by each tenant, (n, r), and what there is of each, (r,) -> the largest share, (n,)."""
    return np.asarray((held / capacity).max(axis=1))


def reference_hours(hours: np.ndarray, speed: np.ndarray, reference: int = 0) -> np.ndarray:
    """Device hours per tenant and type (n, a) -> hours of the reference type, (n,).

    Args:
        hours: (n, a).
        speed: of each tenant's model on each type, in any unit of its own, (n, a).
        reference: number of the reference type; every model must run on it.
    """
    return np.asarray((hours * speed / speed[:, [reference]]).sum(axis=1))


def rankings(measures: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Who is served most by each measure, and the pairs of tenants that two measures rank in opposite order.

    Returns:
        ``order``: measure -> tenants from most to least; ``reversals``: (measure, measure) -> pairs (i, j).
    """
    order = {name: np.argsort(-values, kind="stable").tolist() for name, values in measures.items()}
    names, reversals = list(measures), {}
    for x, one in enumerate(names):
        for other in names[x + 1 :]:
            a, b = measures[one], measures[other]
            opposite = (a[:, None] - a[None, :]) * (b[:, None] - b[None, :]) < -1e-12
            reversals[one, other] = [(int(i), int(j)) for i, j in zip(*np.nonzero(np.triu(opposite)), strict=True)]
    return {"order": order, "reversals": reversals}
