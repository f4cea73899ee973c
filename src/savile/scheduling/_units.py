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

from collections.abc import Mapping

import numpy as np


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


def market_value(hours: np.ndarray, price: np.ndarray) -> np.ndarray:
    """Device hours (n, a) at EUR per hour of each type, (a,) -> EUR, (n,)."""
    return np.asarray(hours @ price)


def rankings(measures: Mapping[str, np.ndarray]) -> dict[str, object]:
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
