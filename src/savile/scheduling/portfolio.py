"""Portfolios: at each event the set of waiting jobs with the highest value together, sharing a node included, then best fit.

Two jobs on one node may help or hinder each other (data in the cache, a full memory bus). With factors for pairs of kinds of
work the best set is a quadratic knapsack, solved exactly by CP-SAT over the first waiting jobs after the products are
linearised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from savile.base.cluster import State
from savile.base.errors import MissingExtraError
from savile.base.work import WHOLE, Event, Job, Start
from savile.scheduling import best_fit
from savile.scheduling._place import DAY_S, place

deterministic = True
SCALE = 1_000  # values are whole thousandths for the solver


@dataclass(frozen=True)
class Settings:
    """`together`: (kind, kind) -> extra value, as a share of both, of running side by side; `most`: jobs looked at at once."""

    together: Mapping[tuple[str, str], float] = field(default_factory=dict)
    most: int = 24
    patience_s: float = DAY_S


DEFAULT = Settings()


def decide(state: State, event: Event, rng: np.random.Generator, settings: Settings = DEFAULT) -> Sequence[Start]:
    """Start the best portfolio of the first waiting jobs that fit, and after it whatever else fits."""
    fitting = state.fitting()[: settings.most]
    if not len(fitting):
        return place(state, event, best_fit.choose, None, settings.patience_s)
    jobs = [state.jobs[n] for n in fitting.tolist()]
    free = np.array([state.room.cpu.sum(), state.room.mem.sum(), state.room.total.sum()])
    best = set(select(np.array([worth(job) for job in jobs]), synergies(jobs, settings.together), demands(jobs), free))
    chosen = {number for i, number in enumerate(fitting.tolist()) if i in best}

    def key(state: State, numbers: np.ndarray) -> np.ndarray:
        return np.array([0.0 if n in chosen else 1.0 for n in numbers.tolist()])

    return place(state, event, best_fit.choose, key, settings.patience_s, "in the best portfolio")


def worth(job: Job) -> float:
    """What a job is worth per hour of waiting work: its value, or its devices where no value is given."""
    return job.value or job.pods * max(job.pod.gpu_milli, 1) / WHOLE


def demands(jobs: Sequence[Job]) -> np.ndarray:
    """CPU, memory and devices of each job, int64 (n, 3)."""
    return np.array([[job.pods * x for x in (job.pod.cpu_milli, job.pod.mem_mib, job.pod.gpu_milli)] for job in jobs])


def synergies(jobs: Sequence[Job], together: Mapping[tuple[str, str], float]) -> dict[tuple[int, int], float]:
    """(i, j), i < j -> the extra value of running both."""
    found = {}
    for i, one in enumerate(jobs):
        for j, other in enumerate(jobs[i + 1 :], i + 1):
            factor = together.get((one.kind, other.kind), together.get((other.kind, one.kind), 0.0))
            if factor:
                found[i, j] = factor * (worth(one) + worth(other))
    return found


def select(value: np.ndarray, pairs: Mapping[tuple[int, int], float], demand: np.ndarray, capacity: np.ndarray) -> list[int]:
    """The set with the highest value within the capacity, sorted; of equal sets the one with the earlier jobs.

    Args:
        value: of each job, (n,).
        pairs: (i, j) with i < j -> what is added when both are chosen; may be negative.
        demand: whole numbers, (n, d).
        capacity: whole numbers, (d,).

    Raises:
        MissingExtraError: ortools is not installed.
    """
    try:
        from ortools.sat.python import cp_model
    except ImportError:
        raise MissingExtraError("ortools", "schedule") from None
    model = cp_model.CpModel()
    x = [model.new_bool_var(f"x{i}") for i in range(len(value))]
    for column, limit in zip(demand.T, capacity, strict=True):
        model.add(sum(int(need) * one for need, one in zip(column, x, strict=True)) <= int(limit))
    terms = [round(v * SCALE) * len(x) * one for v, one in zip(value, x, strict=True)]
    for (i, j), extra in pairs.items():
        both = model.new_bool_var(f"both{i},{j}")
        model.add_multiplication_equality(both, [x[i], x[j]])
        terms.append(round(extra * SCALE) * len(x) * both)
    earlier = [(len(x) - i) * one for i, one in enumerate(x)]  # decides between equal sets only
    bonus = len(x) * (len(x) + 1) // 2 + 1
    model.maximize(bonus * sum(terms) + sum(earlier))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.solve(model)
    return [i for i, one in enumerate(x) if solver.boolean_value(one)]
