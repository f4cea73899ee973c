"""The report of one policy over several seeds: figures with intervals, the bounds beside them, and where each comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from savile.scheduling._bounds import bounds
from savile.scheduling._outcome import Outcome

SCHEMA = 1
MEASURED = ("decision_p50_ms", "decision_p99_ms", "violations")  # real whatever the clock was
PRICED = (
    "jobs_eur",
    "jobs_gco2",
    "kwh",
    "gco2",
    "energy_eur",
    "rent_eur",
    "egress_eur",
    "cost_eur",
)  # as real as the powers and prices behind them


def report(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What a policy did, over runs that differ in their seed.

    Returns:
        ``{schema, policy, world, seeds, figures: {name: {value, low, high, n, source, bound?, gap?}}}``: the mean over the
        seeds with a 95 % t interval; ``source`` is ``real``, ``replayed`` or ``modelled``; ``bound`` is the mean of what no
        schedule can pass, ``gap`` how far the mean is from it, relative to it.
    """
    first = outcomes[0]
    names = [name for name in first.figures if all(name in outcome.figures for outcome in outcomes)]
    limits = [bounds(outcome.world) if outcome.world is not None else {} for outcome in outcomes]
    marks: Mapping[str, str] = first.world.marks if first.world is not None else {}
    figures = {}
    for name in names:
        figure: dict[str, Any] = interval([outcome.figures[name] for outcome in outcomes])
        figure["source"] = "real" if name in MEASURED else marks.get(name, "modelled" if name in PRICED else first.mark)
        known = [limit[name] for limit in limits if name in limit]
        whole = all(outcome.figures["finished"] == outcome.figures["jobs"] for outcome in outcomes)  # bounds are for all jobs
        if whole and len(known) == len(outcomes) and min(known) > 0:
            figure["bound"] = float(np.mean(known))
            figure["gap"] = figure["value"] / figure["bound"] - 1
        figures[name] = figure
    world = first.world.name if first.world is not None else "live"
    return {"schema": SCHEMA, "policy": first.policy, "world": world, "seeds": [o.seed for o in outcomes], "figures": figures}


def interval(values: Sequence[float]) -> dict[str, float | int]:
    """Mean and 95 % interval by Student's t; one value is its own interval."""
    numbers = np.asarray(values, dtype=np.float64)
    mean, spread = float(numbers.mean()), 0.0
    if len(numbers) > 1:
        from scipy.special import stdtrit

        spread = float(stdtrit(len(numbers) - 1, 0.975) * numbers.std(ddof=1) / np.sqrt(len(numbers)))
    return {"value": mean, "low": mean - spread, "high": mean + spread, "n": len(numbers)}
