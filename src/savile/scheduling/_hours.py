"""The cheapest hours and regions: a linear program over job classes, regions and hours, with the prices its duals post.

    min  sum cost[c, r, h] q[c, r, h]    q: devices that class c uses in region r during hour h
    s.t. sum speed[c, r] q[c, r, h] >= work[c],   sum_c q[c, r, h] <= capacity[r, h],   q <= width[c] within the class's window

The dual of a capacity row is what one more device hour there and then would save; posted price = energy cost + dual supports
the plan: at posted prices no class could do its work cheaper (linear-programming duality).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Plan:
    """The optimum.

    Attributes:
        use: devices by class, region and hour, float64 (c, r, h).
        short: work of each class that does not fit before its deadline, float64 (c,).
        duals: EUR per device hour that capacity is worth, float64 (r, h), 0 where it is not full.
        cost: EUR, short work apart.
        gap: primal minus dual objective, both with the penalty for short work.
    """

    use: np.ndarray
    short: np.ndarray
    duals: np.ndarray
    cost: float
    gap: float


def plan(
    cost: np.ndarray, speed: np.ndarray, work: np.ndarray, width: np.ndarray, window: np.ndarray, capacity: np.ndarray
) -> Plan:
    """Solve it by HiGHS with an interior point, which is what scales.

    Args:
        cost: EUR per device hour, float64 (c, r, h).
        speed: work done per device hour, float64 (c, r), 0 where a class may not run.
        work: device hours (of speed 1) to do, float64 (c,).
        width: most devices at a time, float64 (c,).
        window: hours in which a class may run, bool (c, h).
        capacity: devices, float64 (r, h).
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_matrix

    classes, regions, hours = cost.shape
    c, r, h = ((speed > 0)[:, :, None] & window[:, None, :]).nonzero()
    count = len(c)
    used = np.arange(count)
    rate = speed[c, r]
    penalty = 10.0 * (float(np.abs(cost).max(initial=0.0)) + 1.0) / max(float(rate.min(initial=1.0)), 1e-6)
    rows = np.concatenate([c, np.arange(classes), classes + r * hours + h, classes + regions * hours + c * hours + h])
    columns = np.concatenate([used, count + np.arange(classes), used, used])
    values = np.concatenate([-rate, -np.ones(classes), np.ones(count), np.ones(count)])
    limits = np.concatenate([-work, capacity.ravel(), np.repeat(width, hours)])
    matrix = csr_matrix((values, (rows, columns)), shape=(len(limits), count + classes))
    objective = np.concatenate([cost[c, r, h], np.full(classes, penalty)])
    solved = linprog(objective, A_ub=matrix, b_ub=limits, bounds=(0, None), method="highs-ipm")
    use = np.zeros(cost.shape)
    use[c, r, h] = solved.x[:count]
    marginal = -np.asarray(solved.ineqlin.marginals)
    duals = marginal[classes : classes + regions * hours].reshape(regions, hours).clip(min=0.0)
    value = float(objective[:count] @ solved.x[:count])
    return Plan(use, solved.x[count:], duals, value, float(solved.fun + marginal @ limits))
