"""The smallest set of checks that catches enough bad rows and few good ones, by integer programming (SPADE, Shankar et al.
2024).

With x_j for checks, u_i for caught bad rows and w_k for good rows that fail: least sum x, then least sum w, subject to
sum u >= alpha B and sum w <= tau G. A greedy set cover is made first, and where it meets both limits its false failures bound
ours, so the result is never larger than the greedy one and never fails more good rows. Who wants fewer good rows to fail asks
for a smaller tau: a set that weighs what it fails besides is larger. Checks whose failures another one's cover at no higher
price are left out beforehand, which costs nothing of the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SECONDS = 60.0


@dataclass(frozen=True)
class Choice:
    """Which checks were chosen.

    Attributes:
        chosen: their numbers.
        coverage: share of bad rows that at least one of them catches.
        false_failures: share of good rows that fail at least one.
        feasible: whether the coverage asked for can be had at all; if not, the chosen ones reach the best there is.
        subsumed: checks left out that fail only where the chosen ones do.
    """

    chosen: tuple[int, ...]
    coverage: float
    false_failures: float
    feasible: bool
    subsumed: tuple[int, ...]


def smallest(fails: np.ndarray, good: np.ndarray, alpha: float, tau: float) -> Choice:
    """Choose checks.

    Args:
        fails: whether each row fails each check, bool (rows, checks).
        good: which rows are good, bool (rows,); the others are bad.
        alpha: share of bad rows to be caught, in [0, 1].
        tau: share of good rows that may fail, in [0, 1].
    """
    bad, well = fails[~good], fails[good]
    wanted, allowed = int(np.ceil(alpha * len(bad) - 1e-9)), int(np.floor(tau * len(well) + 1e-9))
    kept = _undominated(bad, well)
    least = greedy(fails, good, alpha, tau)
    if least is not None:
        allowed = min(allowed, int(well[:, least].any(axis=1).sum()))
    program = _Program(bad[:, kept], well[:, kept], allowed)
    feasible = True
    chosen = program.solve((1.0, 0.0, 0.0), wanted)
    if chosen is None:
        feasible = False
        best = program.solve((0.0, -1.0, 0.0), 0)
        wanted = int(bad[:, kept][:, best].any(axis=1).sum()) if best is not None else 0
        chosen = program.solve((1.0, 0.0, 0.0), wanted)
    size = 0 if chosen is None else len(chosen)
    fewer = program.solve((0.0, 0.0, 1.0), wanted, size) if size else None
    final = kept[fewer if fewer is not None else chosen] if size else kept[:0]
    caught: np.ndarray = np.asarray(fails[:, final].any(axis=1))
    failed = np.setdiff1d(np.arange(fails.shape[1]), final)
    subsumed = tuple(int(one) for one in failed if not (fails[:, one] & ~caught).any())
    shares = (float(caught[~good].mean()) if len(bad) else 1.0, float(caught[good].mean()) if len(well) else 0.0)
    return Choice(tuple(sorted(int(one) for one in final)), *shares, feasible, subsumed)


def greedy(fails: np.ndarray, good: np.ndarray, alpha: float, tau: float) -> list[int] | None:
    """Take the check that catches most new bad rows, of equal ones the one that fails fewest new good ones, until enough are
    caught (the set cover of Chvátal 1979 within a limit); None if never.
    """
    bad, well = fails[~good], fails[good]
    caught, failed = np.zeros(len(bad), dtype=bool), np.zeros(len(well), dtype=bool)
    chosen: list[int] = []
    while caught.sum() < alpha * len(bad) - 1e-9:
        gain, price = (bad & ~caught[:, None]).sum(axis=0), (well & ~failed[:, None]).sum(axis=0)
        fits = (gain > 0) & (failed.sum() + price <= tau * len(well) + 1e-9)
        if not fits.any():
            return None
        best = int(np.lexsort((price, -np.where(fits, gain, -1)))[0])
        chosen.append(best)
        caught |= bad[:, best]
        failed |= well[:, best]
    return chosen


def _undominated(bad: np.ndarray, well: np.ndarray) -> np.ndarray:
    """Checks of which no other catches at least as many bad rows and fails no other good ones; of equal ones the first."""
    first, second = bad.astype(np.float32), well.astype(np.float32)
    catches = (first.T @ (1 - first)) == 0  # [i, j]: j catches all that i does
    cheaper = (second.T @ (1 - second)).T == 0  # [i, j]: j fails nothing that i does not
    better = catches & cheaper
    place = np.arange(len(better))
    equal = better & better.T
    dominated = (better & ~equal).any(axis=1) | (equal & (place[None] < place[:, None])).any(axis=1)
    return np.flatnonzero(~dominated & bad.any(axis=0))


class _Program:
    """The integer program over distinct patterns of failure, solved by HiGHS."""

    def __init__(self, bad: np.ndarray, well: np.ndarray, allowed: int) -> None:
        self.bad, self.many = np.unique(bad, axis=0, return_counts=True)
        self.well, self.often = np.unique(well, axis=0, return_counts=True)
        self.allowed = allowed

    def solve(self, goal: tuple[float, float, float], wanted: int, size: int | None = None) -> np.ndarray | None:
        """Numbers of the chosen checks that make least of goal times (checks, caught bad, failing good); None if impossible."""
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import bmat, csr_array, eye_array

        checks, b, g = self.bad.shape[1], len(self.bad), len(self.well)
        if not checks:
            return None if wanted else np.zeros(0, dtype=np.int64)
        cost = np.concatenate([goal[0] * np.ones(checks), goal[1] * self.many, goal[2] * self.often])
        # a bad row is caught by a chosen check only; a good row fails by each chosen check that it fails
        caught = bmat([[csr_array(-self.bad.astype(float)), eye_array(b), csr_array((b, g))]])
        rows, columns = np.nonzero(self.well)
        n = len(rows)
        places = np.tile(np.arange(n), 2), np.concatenate([columns, checks + b + rows])
        failing = csr_array((np.repeat([1.0, -1.0], n), places), shape=(n, checks + b + g))
        sums = np.zeros((3, checks + b + g))
        sums[0, checks : checks + b], sums[1, checks + b :], sums[2, :checks] = self.many, self.often, 1.0
        most = [np.inf, float(self.allowed), float(checks if size is None else size)]
        limits = [
            LinearConstraint(caught, -np.inf, 0.0),
            LinearConstraint(failing, -np.inf, 0.0),
            LinearConstraint(sums, [float(wanted), 0.0, 0.0], most),
        ]
        found = milp(
            cost, constraints=limits, integrality=np.ones(len(cost)), bounds=Bounds(0, 1), options={"time_limit": SECONDS}
        )
        return None if found.x is None else np.flatnonzero(found.x[:checks] > 0.5)
