"""First fit: the first node with room, in the order of the nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from savile.base.cluster import Room, State
from savile.base.work import Event, Pod, Start
from savile.scheduling._place import DAY_S, place

deterministic = True


@dataclass(frozen=True)
class Settings:
    """`patience_s`: a job that waited so long is overtaken no more."""

    patience_s: float = DAY_S


DEFAULT = Settings()


def choose(room: Room, pod: Pod, fit: np.ndarray) -> int:
    """The first node that fits."""
    return int(fit.argmax())


def decide(state: State, event: Event, rng: np.random.Generator, settings: Settings = DEFAULT) -> Sequence[Start]:
    """Start what fits, in order of arrival."""
    return place(state, event, choose, patience_s=settings.patience_s, why="first node with room")
