"""Best fit: the node that would have the least left over. Ties go to the first node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from savile.base.cluster import Room, State
from savile.base.work import WHOLE, Event, Pod, Start
from savile.scheduling._place import DAY_S, place

deterministic = True
CPU_MILLI = 16_000.0  # what weighs as much as one device: the usual share of cores per device in GPU servers


@dataclass(frozen=True)
class Settings:
    """`patience_s`: a job that waited so long is overtaken no more."""

    patience_s: float = DAY_S


DEFAULT = Settings()


def left_over(room: Room, at: np.ndarray) -> np.ndarray:
    """Free device and CPU capacity of the nodes `at`, one device counting as much as `CPU_MILLI`: float64 (len(at),)."""
    left: np.ndarray = room.total[at] * (CPU_MILLI / WHOLE) + room.cpu[at]
    return left


def choose(room: Room, pod: Pod, fit: np.ndarray) -> int:
    """The node with the least left over; what the pod takes is the same everywhere and is not subtracted."""
    at = fit.nonzero()[0]
    return int(at[left_over(room, at).argmin()])


def decide(state: State, event: Event, rng: np.random.Generator, settings: Settings = DEFAULT) -> Sequence[Start]:
    """Start what fits, in order of arrival."""
    return place(state, event, choose, patience_s=settings.patience_s, why="least left over")
