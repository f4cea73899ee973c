"""Give, then give again: every tenant owns a part of the cluster, and what it leaves idle is lent until it wants it back.

Stage one divides the devices before needs are known, for the highest expected value over scenarios of need (`preallocate`).
Stage two, at every event, lends what owners leave idle (`lend`), and a borrower's last job goes back to its checkpoint as
soon as an owner waits for devices of its own. An owner has its floor again after one round, and the same state twice moves
nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from savile.base.cluster import State
from savile.base.work import WHOLE, Decision, Event, Job, Preempt, Start
from savile.scheduling import best_fit
from savile.scheduling._place import DAY_S, place, spread

deterministic = True
PIECES = 8  # of the concave value of what a tenant is given


@dataclass(frozen=True)
class Settings:
    """Who owns what.

    Attributes:
        owns: tenant -> its share of the devices; tenants left out share the rest evenly.
        needs: tenant -> devices it may need, one figure a scenario, as many for each; when given, stage one divides by them.
        patience_s: when a job is overtaken no more.
    """

    owns: dict[str, float] = field(default_factory=dict)
    needs: dict[str, tuple[float, ...]] = field(default_factory=dict)
    patience_s: float = DAY_S


DEFAULT = Settings()


def decide(state: State, event: Event, rng: np.random.Generator, settings: Settings = DEFAULT) -> Sequence[Decision]:
    """Whoever keeps to what is its own or lent to it comes first; where an owner waits, the youngest borrowers give way."""
    used = held(state)
    needs = dict(used)
    for number in state.pending.tolist():
        job = state.jobs[number]
        needs[job.tenant] = needs.get(job.tenant, 0.0) + devices(job)
    tenants, capacity = sorted(needs), float(state.capacity.total.sum()) / WHOLE
    owned = parts(settings, tenants, capacity)
    lent = lend(np.array([owned[t] for t in tenants]), np.array([needs[t] for t in tenants]), capacity)
    may = dict(zip(tenants, lent.tolist(), strict=True))

    def key(state: State, numbers: np.ndarray) -> np.ndarray:
        """How far a job would take its tenant beyond what it may use now."""
        jobs = [state.jobs[n] for n in numbers.tolist()]
        return np.array([max(0.0, used.get(job.tenant, 0.0) + devices(job) - may[job.tenant]) for job in jobs])

    started = place(state, event, best_fit.choose, key, settings.patience_s, "within its part, or lent")
    # devices are asked back for a job that found no room; what was lent and what is free are not mixed at one event
    return _reclaim(state, used, owned, {start.job for start in started}) or started


def _reclaim(state: State, used: dict[str, float], owned: dict[str, float], started: set[str]) -> list[Decision]:
    """Preempt borrowers, youngest first, until the longest waiting owner has room, and start that owner's job there."""
    for number in state.pending.tolist():
        job = state.jobs[number]
        if job.id in started or used.get(job.tenant, 0.0) + devices(job) > owned[job.tenant] or not job.pod.gpu_milli:
            continue
        room, over, stopped = state.room.copy(), dict(used), list[Decision]()
        borrowers = [run for run in state.running.values() if state.jobs[run.job].tenant != job.tenant]
        for run in sorted(borrowers, key=lambda run: (-run.since, run.job)):
            lent = state.jobs[run.job]
            if over[lent.tenant] - devices(lent) < owned[lent.tenant] - 1e-9:
                continue  # it would fall below its own part
            for node, which in run.places:
                room.give(lent.pod, state.index[node], which)
            over[lent.tenant] -= devices(lent)
            stopped.append(Preempt(lent.id, f"lent by {job.tenant}, which wants it back"))
            places = spread(state, room, job, best_fit.choose, take=False)
            if places is not None:
                return [*stopped, Start(job.id, places, "its tenant's own part")]
    return []


def devices(job: Job) -> float:
    """Devices a job holds, 0 when it needs none."""
    return job.pods * job.pod.gpu_milli / WHOLE


def held(state: State) -> dict[str, float]:
    """Tenant -> devices its running jobs hold."""
    found: dict[str, float] = defaultdict(float)
    for run in state.running.values():
        job = state.jobs[run.job]
        found[job.tenant] += len(run.places) * job.pod.gpu_milli / WHOLE
    return dict(found)


def parts(settings: Settings, tenants: Sequence[str], capacity: float) -> dict[str, float]:
    """Tenant -> devices it owns: by scenarios of need, else its share where one is set, else an even part of what is left."""
    if settings.needs:
        given = _divided(tuple(settings.needs), tuple(settings.needs.values()), capacity)
        return {tenant: given.get(tenant, 0.0) for tenant in tenants}
    rest = max(0.0, 1.0 - sum(settings.owns.values()))
    others = [tenant for tenant in tenants if tenant not in settings.owns]
    even = rest / len(others) if others else 0.0
    return {tenant: capacity * settings.owns.get(tenant, even) for tenant in tenants}


@lru_cache(maxsize=64)
def _divided(tenants: tuple[str, ...], needs: tuple[tuple[float, ...], ...], capacity: float) -> dict[str, float]:
    return dict(zip(tenants, preallocate(np.array(needs).T, capacity).tolist(), strict=True))


def lend(owned: np.ndarray, need: np.ndarray, capacity: float) -> np.ndarray:
    """What each tenant may use now: what it owns and needs, and an even part of what others leave idle.

    Args:
        owned, need: devices of each tenant, float64 (n,); `owned` sums to at most the capacity.

    Returns:
        float64 (n,): never less than min(owned, need), never more than need, together at most the capacity.
    """
    given = np.minimum(owned, need)
    idle = capacity - float(given.sum())
    hungry = need - given
    while idle > 1e-12 and (hungry > 1e-12).any():
        wants = hungry > 1e-12
        step = np.where(wants, np.minimum(hungry, idle / wants.sum()), 0.0)
        given, hungry, idle = given + step, hungry - step, idle - float(step.sum())
    return np.asarray(given)


def preallocate(needs: np.ndarray, capacity: float, weight: np.ndarray | None = None) -> np.ndarray:
    """Divide devices before needs are known: maximise the expected concave value over scenarios.

    The value of a tenant is its weight times the square root of the part of its need that it is given, in `PIECES` linear
    pieces; a linear program over all scenarios (sample average approximation).

    Args:
        needs: scenarios of need, float64 (s, n).
        weight: of each tenant, (n,); default: all alike.

    Returns:
        Devices of each tenant, float64 (n,), together at most the capacity.
    """
    from scipy.optimize import linprog
    from scipy.sparse import lil_matrix

    scenarios, tenants = needs.shape
    weight = np.ones(tenants) if weight is None else np.asarray(weight, dtype=np.float64)
    edges = np.linspace(0.0, 1.0, PIECES + 1)
    slopes = np.diff(np.sqrt(edges)) / np.diff(edges)
    pieces = scenarios * tenants * PIECES
    cost = np.zeros(tenants + pieces)
    rows = lil_matrix((scenarios * tenants + 1, tenants + pieces))
    upper = np.full(tenants + pieces, capacity)
    for s in range(scenarios):
        for i in range(tenants):
            at = tenants + (s * tenants + i) * PIECES
            need = max(float(needs[s, i]), 1e-9)
            cost[at : at + PIECES] = -weight[i] * slopes / need / scenarios
            upper[at : at + PIECES] = need / PIECES
            rows[s * tenants + i, at : at + PIECES] = 1.0
            rows[s * tenants + i, i] = -1.0
    rows[-1, :tenants] = 1.0
    limits = np.r_[np.zeros(scenarios * tenants), capacity]
    found = linprog(cost, A_ub=rows.tocsr(), b_ub=limits, bounds=np.c_[np.zeros(len(upper)), upper], method="highs")
    return np.asarray(found.x[:tenants])
