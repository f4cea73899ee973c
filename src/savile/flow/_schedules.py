"""What comes of a queue: simulated under a policy and its alternatives, shown on a page, or written for another scheduler."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from savile.base.errors import InputError
from savile.base.records import digest
from savile.base.store import Store
from savile.flow._result import envelope

if TYPE_CHECKING:
    from savile.flow._queue import Queue
    from savile.scheduling import Outcome

ROUND_S = 900.0
ALTERNATIVES = ("first_fit", "best_fit", "sjf", "queue", "region_lp", "carbon")
SHOWN = (
    "jct_mean_s",
    "wait_mean_s",
    "makespan_s",
    "cost_eur",
    "jobs_eur",
    "kwh",
    "gco2",
    "jobs_gco2",
    "deadlines_met",
    "target_kept",
    "requests_in_time",
    "replica_h",
    "preemptions",
)
EXPORTS = ("skypilot", "kueue", "slurm")


def simulated(found: Queue, chosen: Any) -> Outcome:
    """A queue under a policy."""
    from savile import scheduling

    world = scheduling.World(found.nodes, found.jobs, found.regions, requests=found.requests, name="queue")
    return scheduling.run(chosen, scheduling.SimBackend(world, round_s=ROUND_S))


def figured(outcome: Outcome) -> dict[str, Any]:
    """The figures that are shown."""
    from savile import scheduling

    figures = scheduling.report([outcome])["figures"]
    return {name: figures[name] for name in SHOWN if name in figures}


def compared(found: Queue, chosen: Any, name: str) -> dict[str, Any]:
    """This policy and its alternatives, side by side; every figure is simulated from estimates."""
    from savile import scheduling
    from savile.flow import _past, _past_queues

    outcomes = {name: simulated(found, chosen)}
    others = [*ALTERNATIVES, *(["tide"] if found.requests else [])]
    outcomes |= {other: simulated(found, scheduling.policy(other)) for other in others if other != name}
    rows = {other: figured(outcome) for other, outcome in outcomes.items()}
    return {
        **envelope("schedule", pages=[paged(outcomes[name])]),
        "policy": name,
        "figures": rows[name],
        "jobs": outcomes[name].jobs(),
        "alternatives": {other: {key: figure["value"] for key, figure in row.items()} for other, row in rows.items()},
        "cheapest": min(rows, key=lambda other: rows[other]["jobs_eur"]["value"]),
        "cleanest": min(rows, key=lambda other: rows[other]["jobs_gco2"]["value"]),
        "quickest": min(rows, key=lambda other: rows[other]["makespan_s"]["value"]),
        "past": {"jobs": _past_queues.errors(), "plans": _past.errors()},
        "note": "simulated from the estimated hours of the jobs; jobs_eur and jobs_gco2 are what the jobs add to idle machines",
    }


def paged(outcome: Outcome) -> str:
    """The page of a run; where it lies."""
    from savile import scheduling

    html = scheduling.page(outcome)
    return str(Store.open().page(f"schedule-{digest(html)[:12]}.html", html))


def exported(found: Queue, kind: str, path: Path) -> list[str]:
    """Text for another scheduler, written beside the queue file."""
    import shlex

    from savile.scheduling import exports

    if kind not in EXPORTS:
        raise InputError(f"one of {', '.join(EXPORTS)}", repr(kind), "Name one of those.")
    lines = {job: shlex.join(words) for job, words in found.commands.items()}
    written = exports.written(kind, found.jobs, lines, found.nodes, found.regions)
    for name, text in written.items():
        path.with_name(f"{path.name.partition('.')[0]}.{name}").write_text(text, encoding="utf-8")
    return [str(path.with_name(f"{path.name.partition('.')[0]}.{name}").resolve()) for name in written]
