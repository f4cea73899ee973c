"""Scheduling as an environment for agents that learn: the same kernel and simulator, one placement decision after the other.

The interface is that of Gymnasium (`reset`, `step`) for one agent per region, as in PettingZoo's agent-by-agent mode, without
depending on either. Whenever an event leaves a job that fits somewhere, the agent of each region with room is asked in turn
how much it wants the job; the highest wish gets it, and the node within the region is best fit's. The reward of an agent is
what all of them share: minus the change in waiting and running jobs, integrated over time (so its sum is minus the total
completion time).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from savile.base.cluster import Room, State
from savile.base.work import WHOLE, Event, Start
from savile.scheduling import best_fit
from savile.scheduling._place import DAY_S, place, spread
from savile.scheduling._session import Session
from savile.scheduling._simulator import SimBackend

FEATURES = ("free", "speed", "price", "carbon", "transfer", "queue", "size", "work")
Wish = Callable[[np.ndarray], np.ndarray]  # features of each region, (r, FEATURES) -> how much its agent wants the job, (r,)


@dataclass
class AgentPolicy:
    """A policy out of agents: `wish` is asked for every region with room, jobs in order of expected work, shortest first."""

    wish: Wish
    name: str = "agents"
    deterministic: bool = True
    patience_s: float = DAY_S

    def decide(self, state: State, event: Event, rng: np.random.Generator) -> Sequence[Start]:
        """Start each job that fits in the region that wants it most."""
        waiting = state.pending
        if not len(waiting):
            return []
        if state.now - state.jobs[int(waiting[0])].release_s > self.patience_s:
            return place(state, event, best_fit.choose, patience_s=self.patience_s)
        room, starts = state.room.copy(), list[Start]()
        tried = state.fitting()
        for number in tried[np.argsort(state.table["work"][tried], kind="stable")].tolist():
            seen, sites = observe(state, room, number)
            if not sites:
                continue
            site = sites[int(np.argmax(self.wish(seen)))]
            job = state.jobs[number]
            places = spread(state, room, job, best_fit.choose, state.site == site)
            if places is not None:
                starts.append(Start(job.id, places, "wanted most"))
        return starts


def observe(state: State, room: Room, number: int) -> tuple[np.ndarray, list[int]]:
    """What the agents see of a job: a row of `FEATURES` for each region with room for it, and the numbers of those regions."""
    job, rows, sites = state.jobs[number], [], []
    totals = np.bincount(state.site, state.capacity.total, len(state.regions))
    free = np.bincount(state.site, room.total, len(state.regions))
    for site, region in enumerate(state.regions.values()):
        places = spread(state, room, job, best_fit.choose, state.site == site, take=False)
        if places is None:
            continue
        ahead = state.outlook(region.id)
        rows.append(
            (
                free[site] / max(totals[site], 1),
                state.rate(job, places),
                ahead.price.at(state.now) / 100 if ahead.price else 0.0,
                ahead.carbon.at(state.now) / 500 if ahead.carbon else 0.0,
                (state.begins(number, places) - state.now) / 3600,
                min(len(state.pending), 100) / 100,
                job.pods * job.pod.gpu_milli / WHOLE / 8,
                np.log1p(min(state.left_s(number), 1e7)) / 10,
            )
        )
        sites.append(site)
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURES)), sites


class Environment:
    """Episodes of a world, for agents that learn by acting.

    Args:
        backend: a simulator with its world; every `reset` starts it anew.
    """

    def __init__(self, backend: SimBackend) -> None:
        self.backend = backend

    def episode(self, wish: Wish, seed: int = 0) -> float:
        """Let agents act until every job has ended; the sum of rewards: minus the mean completion time, in hours."""
        session = Session(AgentPolicy(wish), self.backend.kernel(), seed)
        self.backend.drive(session)
        kernel = session.kernel
        took: list[Any] = [at - kernel.jobs[n].release_s for n, (at, how) in kernel.ended.items() if how == "finished"]
        return -float(np.mean(took)) / 3600 if took else 0.0


def linear_wish(weights: np.ndarray) -> Wish:
    """Agents that weigh their features alike: weights (FEATURES,) -> a wish."""

    def wish(seen: np.ndarray) -> np.ndarray:
        return np.asarray(seen @ weights)

    return wish


def learn(environments: Sequence[Environment], rounds: int, seed: int, tries: int = 12, kept: int = 3) -> np.ndarray:
    """Weights found by the cross-entropy method (Rubinstein 1999): draw, act, keep the best, draw nearer to them.

    Args:
        environments: training episodes; a draw is scored by their mean.
        rounds: how often to draw.

    Returns:
        The mean of the last best draws, float64 (FEATURES,).
    """
    rng = np.random.default_rng(seed)
    mean, spread_ = np.zeros(len(FEATURES)), np.ones(len(FEATURES))
    for _ in range(rounds):
        drawn = mean + spread_ * rng.normal(size=(tries, len(FEATURES)))
        scores = [float(np.mean([each.episode(linear_wish(weights)) for each in environments])) for weights in drawn]
        best = drawn[np.argsort(scores)[-kept:]]
        mean, spread_ = best.mean(axis=0), np.maximum(best.std(axis=0), 0.05)
    return np.asarray(mean)
