"""Negotiation: tenants plan for themselves against prices, and prices rise where plans meet, until they fit or time is up.

Every tenant keeps its jobs to itself. It is told a price per device for each coming slot of time, plans its own jobs at the
lowest sum of lateness and price, and answers with nothing but the devices it wants in each slot; the auctioneer raises prices
where more is wanted than there is and lowers them elsewhere (a subgradient step on the Lagrangian dual; auction-based
negotiation as in Eng. Appl. of AI 25, 2012). The dual bounds the sum of lateness from below; a list in order of the planned
starts makes a plan that fits. For projects with tasks that wait for one another see `scheduling.projects`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from savile.base.cluster import State
from savile.base.work import WHOLE, Event, Start
from savile.scheduling import best_fit
from savile.scheduling._place import DAY_S, place

deterministic = True


@dataclass(frozen=True)
class Settings:
    """`slots` of `slot_s` seconds are priced in `rounds` rounds, the step shrinking; `most`: waiting jobs that are planned."""

    slots: int = 48
    slot_s: float = 1800.0
    rounds: int = 30
    most: int = 128
    patience_s: float = DAY_S


DEFAULT = Settings()


@dataclass(frozen=True)
class Message:
    """All that crosses the border between a tenant and the auctioneer: prices one way, wanted devices the other, (slots,)."""

    tenant: str
    price: np.ndarray
    wants: np.ndarray


@dataclass
class Talk:
    """What came of a negotiation: planned start slots (n,), the last prices, the best bound and every message."""

    start: np.ndarray
    price: np.ndarray
    bound: float
    messages: list[Message] = field(default_factory=list)


def decide(state: State, event: Event, rng: np.random.Generator, settings: Settings = DEFAULT) -> Sequence[Start]:
    """Start what fits, in the order of the starts that the tenants negotiated."""
    players = state.pending[: settings.most].tolist()
    if len(players) < 2 or len({state.jobs[n].tenant for n in players}) < 2:
        return place(state, event, best_fit.choose, patience_s=settings.patience_s)
    jobs = [state.jobs[n] for n in players]
    size = np.array([max(job.pods * job.pod.gpu_milli / WHOLE, 1e-3) for job in jobs])
    left = np.array([state.left_s(n) for n in players]) / settings.slot_s
    length = np.ceil(np.clip(left, 1.0, settings.slots)).astype(np.int64)
    free = float(state.room.total.sum()) / WHOLE
    every = float(state.capacity.total.sum()) / WHOLE
    capacity = np.linspace(free, every, settings.slots)  # what runs now ends sooner or later
    talk = negotiate([job.tenant for job in jobs], size, length, capacity, settings.rounds)
    planned = dict(zip(players, talk.start.tolist(), strict=True))

    def key(state: State, numbers: np.ndarray) -> np.ndarray:
        return np.array([float(planned.get(n, settings.slots)) for n in numbers.tolist()])

    return place(state, event, best_fit.choose, key, settings.patience_s, "its turn by negotiated prices")


def negotiate(tenants: Sequence[str], size: np.ndarray, length: np.ndarray, capacity: np.ndarray, rounds: int) -> Talk:
    """Prices and plans for jobs that run without a break.

    Args:
        tenants: owner of each job.
        size: devices, (n,). length: slots, int64 (n,).
        capacity: devices there are in each slot, (slots,).
        rounds: rounds of prices and answers.
    """
    slots, owners = len(capacity), sorted(set(tenants))
    mine = {owner: np.array([i for i, tenant in enumerate(tenants) if tenant == owner]) for owner in owners}
    price, best, start = np.zeros(slots), -np.inf, np.zeros(len(size), dtype=np.int64)
    kept, messages = price, list[Message]()
    for k in range(1, rounds + 1):
        wants, dual = np.zeros(slots), -float(price @ capacity)
        for owner in owners:
            jobs = mine[owner]
            start[jobs], cost = answer(price, size[jobs], length[jobs])
            asked = usage(start[jobs], size[jobs], length[jobs], slots)
            messages.append(Message(owner, price.copy(), asked))
            wants, dual = wants + asked, dual + cost
        if dual > best:
            best, kept = dual, price
        over = wants - capacity
        if (over <= 1e-9).all() and float(price @ over) > -1e-9:
            break
        price = np.maximum(0.0, price + over / max(float(np.abs(over).max()), 1e-9) / k)
    return Talk(start, kept, best, messages)


def answer(price: np.ndarray, size: np.ndarray, length: np.ndarray) -> tuple[np.ndarray, float]:
    """A tenant's best plan at these prices: start slot of each job, and slots of delay plus price, summed."""
    sums = np.concatenate([[0.0], np.cumsum(price)])
    slots = len(price)
    begin = np.arange(slots)
    end = np.minimum(begin[None, :] + length[:, None], slots)
    cost = begin[None, :] + size[:, None] * (sums[end] - sums[begin][None, :])
    start = cost.argmin(axis=1)
    return start, float(cost[np.arange(len(start)), start].sum())


def usage(start: np.ndarray, size: np.ndarray, length: np.ndarray, slots: int) -> np.ndarray:
    """Devices wanted in each slot, (slots,)."""
    change = np.zeros(slots + 1)
    np.add.at(change, start, size)
    np.add.at(change, np.minimum(start + length, slots), -size)
    return np.asarray(np.cumsum(change)[:-1])
