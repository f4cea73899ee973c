"""What a way of sharing promises, tried out: the table of which property holds for which mechanism, failures included.

`sharing_incentive`   nobody would be better off with an even split.
`envy_free`           nobody would rather have what another was given.
`efficient`           nobody can be better off without somebody being worse off (a linear program certifies it).
`strategy_proof`      nobody gains by reporting other speeds than its own (searched: a pass is evidence, a failure is proof).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from savile.scheduling._market import MECHANISMS, Mechanism, equal

TOLERANCE = 1e-3  # of an even split's utility: proportional shares come from an iteration


@dataclass(frozen=True)
class Held:
    """How often a property held, of how many instances, and the largest relative loss or gain where it did not."""

    held: int
    instances: int
    worst: float

    @property
    def always(self) -> bool:
        """Whether no counterexample was found."""
        return self.held == self.instances


def table(instances: int = 50, misreports: int = 40, seed: int = 0) -> dict[str, dict[str, Held]]:
    """Mechanism -> property -> how often it held on random instances of 2 to 5 tenants and 2 to 4 device types."""
    return {name: properties(mechanism, instances, misreports, seed) for name, mechanism in MECHANISMS.items()}


def properties(mechanism: Mechanism, instances: int, misreports: int, seed: int) -> dict[str, Held]:
    """The four properties of one mechanism."""
    rng = np.random.default_rng(seed)
    broken: dict[str, list[float]] = {"sharing_incentive": [], "envy_free": [], "efficient": [], "strategy_proof": []}
    for _ in range(instances):
        n, a = int(rng.integers(2, 6)), int(rng.integers(2, 5))
        speed, devices = rng.lognormal(0, 1, (n, a)), rng.integers(1, 9, a).astype(np.float64)
        given = mechanism(speed, devices)
        utility = (speed * given).sum(axis=1)
        fair = (speed * equal(speed, devices)).sum(axis=1)
        broken["sharing_incentive"].append(float((1 - utility / fair).max()))
        broken["envy_free"].append(float(((speed @ given.T - utility[:, None]) / fair[:, None]).max()))
        broken["efficient"].append(_improvable(speed / fair[:, None], devices, utility / fair))
        broken["strategy_proof"].append(_gain(mechanism, speed, devices, misreports, rng))
    return {
        name: Held(sum(loss <= TOLERANCE for loss in losses), instances, max(0.0, *losses)) for name, losses in broken.items()
    }


def _improvable(relative: np.ndarray, devices: np.ndarray, utility: np.ndarray) -> float:
    """By how much the mean utility can rise while nobody's falls; everything in utilities of an even split."""
    from scipy.optimize import linprog

    n, a = relative.shape
    rows = np.zeros((n + a, n * a))
    for i in range(n):
        rows[i, i * a : (i + 1) * a] = -relative[i]
    for k in range(a):
        rows[n + k, k::a] = 1.0
    limits = np.r_[-utility + 1e-9, devices * (1 + 1e-9)]
    found = linprog(-relative.ravel(), A_ub=rows, b_ub=limits, bounds=(0, None), method="highs")
    return float(-found.fun - utility.sum()) / n if found.status == 0 else 0.0


def _gain(mechanism: Mechanism, speed: np.ndarray, devices: np.ndarray, misreports: int, rng: np.random.Generator) -> float:
    """The most that random misreports of one tenant gained it, in utilities of an even split."""
    i = int(rng.integers(len(speed)))
    fair, honest = float(speed[i] @ devices) / len(speed), float(speed[i] @ mechanism(speed, devices)[i])
    best = 0.0
    for _ in range(misreports):
        said = speed.copy()
        said[i] *= rng.lognormal(0, 0.7, speed.shape[1])
        best = max(best, (float(speed[i] @ mechanism(said, devices)[i]) - honest) / fair)
    return best


def shown(found: Mapping[str, Mapping[str, Held]]) -> str:
    """The table as Markdown."""
    names = list(next(iter(found.values())))
    lines = ["| mechanism | " + " | ".join(name.replace("_", " ") for name in names) + " |", "|---" * (len(names) + 1) + "|"]
    for mechanism, held in found.items():
        failed = [1 - held[name].held / held[name].instances for name in names]
        cells = [f"fails in {share:.0%}" if share else "holds" for share in failed]
        lines.append(f"| {mechanism} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
