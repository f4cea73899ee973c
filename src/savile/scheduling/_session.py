"""One run of one policy: events go in, decisions become so if they hold, and everything is logged and timed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, is_dataclass
from time import perf_counter
from typing import Any

import numpy as np

from savile.base import catalogue
from savile.base.work import Event, Job, plain
from savile.scheduling._kernel import Kernel
from savile.scheduling._log import Entry, Log


@dataclass(frozen=True)
class Chosen:
    """A policy with its settings: what `policy("fgd", ties="first")` gives."""

    name: str
    module: Any
    settings: Any = None

    @property
    def deterministic(self) -> bool:
        """Whether it leaves the generator alone."""
        return bool(self.module.deterministic)

    @property
    def follows_load(self) -> bool:
        """Whether it decides when the load of a service was measured, too."""
        return bool(getattr(self.module, "follows_load", False))

    def decide(self, state: Any, event: Event, rng: np.random.Generator) -> Any:
        """The decisions of the module, with these settings."""
        return self.module.decide(state, event, rng, self.settings)

    def explain(self, state: Any, job: str) -> str:
        """Why a job is where it is, or waits; empty when the policy does not say."""
        told = getattr(self.module, "explain", None)
        return str(told(state, job)) if told else ""


def policy(name: str, **settings: Any) -> Any:
    """A policy of the catalogue by name, with settings.

    Raises:
        UnknownNameError: no policy, or no setting, has that name.
    """
    from savile.base.errors import UnknownNameError

    module = catalogue.get("policies", name)
    if not hasattr(module, "Settings"):
        if settings:
            raise UnknownNameError(f"setting of {name}", next(iter(settings)), [])
        return module
    known = list(module.Settings.__dataclass_fields__)
    for given in settings:
        if given not in known:
            raise UnknownNameError(f"setting of {name}", given, known)
    return Chosen(name, module, module.Settings(**settings))


def name_of(policy: Any) -> str:
    """The name of a policy: its own, or that of its file."""
    return str(getattr(policy, "name", "") or policy.__name__.rpartition(".")[2])


class Session:
    """A policy at work on a kernel.

    Attributes:
        log: what happened and what was decided.
        seconds: of each event, how long deciding and applying took.
        arrived, allocated: device thousandths asked for so far, and held after each event.
    """

    def __init__(self, policy: Any, kernel: Kernel, seed: int = 0) -> None:
        self.policy, self.kernel, self.seed = policy, kernel, seed
        self.rng = np.random.default_rng(seed)
        settings = getattr(policy, "settings", None)
        self.log = Log(
            {
                "policy": name_of(policy),
                "settings": plain(asdict(settings)) if is_dataclass(settings) and not isinstance(settings, type) else {},
                "seed": seed,
                "nodes": kernel.nodes,
                "options": kernel.options,
            }
        )
        self.seconds: list[float] = []

    def step(self, event: Event, job: Job | None = None) -> list[int]:
        """Let an event happen and do what the policy decides.

        Returns:
            Numbers of the jobs that were started, moved or stopped.

        Raises:
            ViolationError: a decision does not hold.
        """
        kernel = self.kernel
        kernel.happen(event, job)
        before = perf_counter()
        asked = event.kind != "load" or getattr(self.policy, "follows_load", False)
        decisions = self.policy.decide(kernel.state, event, self.rng) if asked else ()
        predicted = [kernel.apply(decision) for decision in decisions]
        self.seconds.append(perf_counter() - before)
        self.log.entries.append(Entry(event, job, decisions, predicted))
        changed, kernel.changed = kernel.changed, []
        return changed


def replay(text: str, policy: Any, kernel: Kernel, seed: int = 0) -> Log:
    """Feed the events of a written log, in logged order, to a policy on a fresh kernel; the log of that run."""
    from savile.scheduling._log import read

    session = Session(policy, kernel, seed)
    for event, job in read(text)[1]:
        session.step(event, job)
    return session.log
