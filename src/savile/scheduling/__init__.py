"""Schedule: which job runs where and when, by one policy object that plans, replays traces and drives live clusters.

In comes a policy (a name of the catalogue, or any object with ``decide``) and a backend: a `SimBackend` with a `World`, or a
live one. Out comes an `Outcome` with the log of decisions, the books and the figures; `report` puts outcomes of several seeds
side by side with their bounds. One file is one policy: ``decide(state, event, rng)`` gives decisions and is pure (see
`base.cluster.State` and `base.work`); add a file and it can be named. Machinery: `_kernel` holds every decision against
capacity, residency and gangs, `_simulator` lets time pass, `_place` puts pods on nodes, `_ledger` keeps the books.
"""

from __future__ import annotations

from typing import Any

from savile.scheduling import _environment as environment
from savile.scheduling import _exports as exports
from savile.scheduling import _projects as projects
from savile.scheduling import _properties as sharing
from savile.scheduling import _session
from savile.scheduling import _traces as traces
from savile.scheduling._kernel import Kernel
from savile.scheduling._outcome import Outcome
from savile.scheduling._page import page
from savile.scheduling._ray import RayBackend, Turn
from savile.scheduling._report import report
from savile.scheduling._service import Requests
from savile.scheduling._session import Session, name_of, policy, replay
from savile.scheduling._simulator import SimBackend
from savile.scheduling._stochastic import Reservation, reserve
from savile.scheduling._world import World

__all__ = [
    "Kernel",
    "Outcome",
    "RayBackend",
    "Requests",
    "Reservation",
    "Session",
    "SimBackend",
    "Turn",
    "World",
    "environment",
    "exports",
    "name_of",
    "page",
    "policy",
    "projects",
    "replay",
    "report",
    "reserve",
    "run",
    "sharing",
    "traces",
]


def run(policy: Any, backend: Any, seed: int = 0) -> Outcome:
    """Let a policy decide until everything has ended.

    Args:
        policy: a name, or an object with ``decide``; settings are given with `policy(name, …)`.
        backend: where events come from and where decisions go.
        seed: seed of the generator that the policy is given.

    Raises:
        ViolationError: the policy decided what the cluster cannot do.
    """
    chosen = _session.policy(policy) if isinstance(policy, str) else policy
    session = Session(chosen, backend.kernel(), seed)
    backend.drive(session)
    return Outcome.of(session, backend)
