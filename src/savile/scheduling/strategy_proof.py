"""Sharing that nobody can talk up: entitlements by the partial allocation mechanism, the tenant furthest behind first.

What a tenant's speeds entitle it to does not rise when it reports others (see `_market.partial`); the part of the cluster
that the mechanism leaves unused goes to whoever waits, after all entitlements, so no device stays idle while work fits on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from savile.base.cluster import State
from savile.base.work import WHOLE, Event, Start
from savile.scheduling import best_fit
from savile.scheduling._market import partial
from savile.scheduling._place import DAY_S, place

deterministic = True


@dataclass(frozen=True)
class Settings:
    """`patience_s`: when a job is overtaken no more."""

    patience_s: float = DAY_S


DEFAULT = Settings()


def decide(state: State, event: Event, rng: np.random.Generator, settings: Settings = DEFAULT) -> Sequence[Start]:
    """Start what fits, jobs of the tenant that holds least of what it is entitled to first."""
    tenants = sorted({state.jobs[n].tenant for n in [*state.pending.tolist(), *state.running]})
    if len(tenants) < 2:
        return place(state, event, best_fit.choose, patience_s=settings.patience_s)
    behind = _behind(state, tenants)

    def key(state: State, numbers: np.ndarray) -> np.ndarray:
        return np.array([behind[state.jobs[n].tenant] for n in numbers.tolist()])

    return place(state, event, best_fit.choose, key, settings.patience_s, "its tenant holds least of what is due to it")


def _behind(state: State, tenants: Sequence[str]) -> dict[str, float]:
    """Tenant -> work its devices do now, as a share of what its entitlement would do."""
    types = sorted({node.device.type for node in state.nodes if node.devices}) or ["cpu"]
    speed = np.array([[_speed(state, tenant, kind) for kind in types] for tenant in tenants])
    due = (speed * partial(speed, _devices(state, types))).sum(axis=1)
    held = np.zeros((len(tenants), len(types)))
    for run in state.running.values():
        job = state.jobs[run.job]
        for node, _ in run.places:
            kind = state.nodes[state.index[node]].device.type
            if kind in types:
                held[tenants.index(job.tenant), types.index(kind)] += job.pod.gpu_milli / WHOLE
    return dict(zip(tenants, ((speed * held).sum(axis=1) / np.maximum(due, 1e-9)).tolist(), strict=True))


def _devices(state: State, types: Sequence[str]) -> np.ndarray:
    totals = dict.fromkeys(types, 1e-09)
    for node, total in zip(state.nodes, state.capacity.total.tolist(), strict=True):
        if node.device.type in totals:
            totals[node.device.type] += total / WHOLE
    return np.array([totals[kind] for kind in types])


def _speed(state: State, tenant: str, kind: str) -> float:
    """The mean speed of a tenant's waiting and running jobs on a type of device."""
    default = next((node.device.speed for node in state.nodes if node.device.type == kind), 1.0)
    numbers = [n for n in [*state.pending.tolist(), *state.running] if state.jobs[n].tenant == tenant]
    return float(np.mean([state.jobs[n].speed.get(kind, default) for n in numbers])) if numbers else default
