"""The word `doctor`: what this machine has, what that means for the work, and what to do about what it lacks."""

from __future__ import annotations

from typing import Any, Unpack

from savile.base import catalogue, machine
from savile.base import recipe as recipes
from savile.base.store import Store
from savile.flow import _checks, _checks_work
from savile.flow._options import Common
from savile.flow._result import envelope


def doctor(**more: Unpack[Common]) -> dict[str, Any]:
    """Look at this machine: processor, memory, disk, clock, packages, base models, engines, port, the store and its audit log.

    Each finding is ``good``, ``lacking`` (something else still works) or ``bad``, and says what to do about it.

    Args:
        settings: dotted keys of the recipe and their values; ``serve.host`` and ``serve.port`` are looked at.
    """
    store, wanted = Store.open(), recipes.make(dict(more.get("settings") or {}))
    checks = [
        *(_checks.home(store), _checks.disk(store), _checks.memory(), _checks.processor(), _checks.threads(), _checks.load()),
        *(_checks.gpu(), _checks.clock(store), _checks.port(wanted.serve.host, wanted.serve.port), _checks_work.telemetry()),
        *map(_checks_work.extra, _checks_work.EXTRAS),
        *_checks_work.bases(),
        *map(_checks_work.engine, catalogue.names("engines")),
        *map(_checks_work.tracker, catalogue.names("trackers")),
        _checks_work.audit(store),
    ]
    grave = [check for check in checks if check["state"] == "bad"]
    return {**envelope("doctor"), "well": not grave, "checks": checks, "machine": machine.facts()}
