"""The course of one job at given prices, by dynamic programming; and who runs where now, exactly, when many want the same.

A course is what a job does hour after hour: run in a region, or wait. Stopping and moving cost time: what is lost with the
checkpoint and the restart. The state is the work that is left and where the job last ran; between the grid's points costs are
interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

POINTS = 48  # of the grid of work left
GRID_H = 0.25  # no finer than this
LIMIT_S = 20.0
UNDONE = 20.0  # an hour of work not done in time costs so many of the dearest hours


@dataclass(frozen=True)
class Course:
    """Where a job stands.

    Attributes:
        work: hours of work left at speed 1, above 0.
        speed: speed in each region, float64 (r,), 0 where it may not run.
        lost: hours lost by every restart.
        here: number of the region it runs in, -1 when it waits.
        fresh: it has never run, so that its first start loses nothing.
    """

    work: float
    speed: np.ndarray
    lost: float
    here: int = -1
    fresh: bool = True


def costs(job: Course, price: np.ndarray, hours: np.ndarray) -> np.ndarray:
    """What the best course costs for each first step, float64 (r + 1,): running in each region, and, last, waiting.

    Args:
        price: cost of running for an hour in each region and slot, float64 (r, t) with t >= 1.
        hours: length of each slot, float64 (t,); work not done by the end of the last costs `UNDONE` of the dearest hours each.
    """
    points = int(np.clip(np.ceil(job.work / GRID_H), 2, POINTS))
    left = np.linspace(0.0, job.work, points + 1)
    undone = left * penalty(price)
    ways = {each: _Slot.of(job, left, each) for each in dict.fromkeys(hours.tolist())}
    running, waiting = np.tile(undone, (len(price), 1)), undone
    new = float(undone[-1])  # of a job that has not started yet
    for t in range(len(hours) - 1, 0, -1):
        stay, move = ways[hours[t]].costs(running, price[:, t])
        new = min(float(stay[:, -1].min()), new)
        waiting = np.minimum(move.min(axis=0), waiting)
        running = np.minimum(stay, waiting)
    stay, move = ways[hours[0]].costs(running, price[:, 0])[:, :, -1]
    if job.here < 0 and job.fresh:
        return np.append(stay, new)
    first: np.ndarray = np.append(move, waiting[-1])
    if job.here >= 0:
        first[job.here] = stay[job.here]
    return first


def penalty(price: np.ndarray) -> float:
    """What an hour of work that is not done in time costs."""
    return UNDONE * float(np.abs(price).max(initial=0.0)) + 1e-9


@dataclass(frozen=True)
class _Slot:
    """Running for one slot, once without a restart and once with one, each in every region and from every point of the grid.

    Attributes:
        below: number of the point at or below what is left afterwards, among the points of all regions, int64 (2, r, points).
        above: how far towards the next point that is, float64 (2, r, points).
        paid: hours that are paid for, float64 (2, r, points).
    """

    below: np.ndarray
    above: np.ndarray
    paid: np.ndarray

    @classmethod
    def of(cls, job: Course, left: np.ndarray, hours: float) -> _Slot:
        """A slot of so many hours, over a grid of work left that begins at 0 and whose points are equally far apart."""
        lost = np.array([0.0, job.lost])[:, None, None]
        useful = np.maximum(hours - lost, 0.0)
        done = job.speed[:, None] * useful
        paid = np.where(left > 0, np.minimum(left / np.maximum(done, 1e-12), 1.0) * useful + np.minimum(lost, hours), 0.0)
        place = np.maximum(left - done, 0.0) / left[1]
        below = np.minimum(place.astype(np.int64), len(left) - 2)
        return cls(below + len(left) * np.arange(len(job.speed))[:, None], place - below, paid)

    def costs(self, after: np.ndarray, price: np.ndarray) -> np.ndarray:
        """What it and everything after it cost, float64 (2, r, points).

        Args:
            after: what every point costs when the slot is over, float64 (r, points).
            price: of an hour in each region, float64 (r,).
        """
        flat = after.ravel()
        low = flat[self.below]
        value: np.ndarray = low + self.above * (flat[self.below + 1] - low) + price[:, None] * self.paid
        return value


def settle(costs: np.ndarray, size: np.ndarray, capacity: np.ndarray) -> np.ndarray:
    """The first step of every job, int64 (n,), such that together they cost least and fit; the number of regions is to wait.

    Args:
        costs: of each first step, float64 (n, r + 1).
        size: devices that each job holds, float64 (n,). capacity: devices of each region, float64 (r,).
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_matrix

    jobs, steps = costs.shape
    best: np.ndarray = costs.argmin(axis=1)
    if all(size[best == r].sum() <= capacity[r] + 1e-9 for r in range(steps - 1)):
        return best
    rows = np.repeat(np.arange(jobs), steps)
    column = np.arange(jobs * steps)
    inside = column % steps < steps - 1
    rows = np.concatenate([rows, jobs + (column % steps)[inside]])
    values = np.concatenate([np.ones(len(column)), np.repeat(size, steps)[inside]])
    matrix = csr_matrix((values, (rows, np.concatenate([column, column[inside]]))), shape=(jobs + steps - 1, len(column)))
    least = np.concatenate([np.ones(jobs), np.full(steps - 1, -np.inf)])
    rule = LinearConstraint(matrix, least, np.concatenate([np.ones(jobs), capacity + 1e-9]))
    options = {"mip_rel_gap": 0.0, "time_limit": LIMIT_S}
    found = milp(costs.ravel(), constraints=rule, integrality=np.ones(len(column)), bounds=Bounds(0, 1), options=options)
    if found.x is None:  # too many for the time there is: whoever gains most by not waiting first
        return _in_turn(costs, size, capacity)
    chosen: np.ndarray = found.x.reshape(jobs, steps).argmax(axis=1)
    return chosen


def _in_turn(costs: np.ndarray, size: np.ndarray, capacity: np.ndarray) -> np.ndarray:
    """The same one job after the other."""
    chosen, left = np.full(len(costs), len(capacity)), capacity.astype(np.float64)
    for i in np.argsort(costs.min(axis=1) - costs[:, -1], kind="stable").tolist():
        fits = np.append(left + 1e-9 >= size[i], True)
        chosen[i] = np.where(fits, costs[i], np.inf).argmin()
        if chosen[i] < len(left):
            left[chosen[i]] -= size[i]
    return chosen
