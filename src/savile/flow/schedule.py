"""The word `schedule`: where and when each job of a queue runs, what that costs, what else could be done; and doing it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from savile.base.errors import InputError
from savile.base.records import digest
from savile.base.store import Store
from savile.flow._options import Common
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
    "preemptions",
)
EXPORTS = ("skypilot", "kueue", "slurm")


def schedule(
    queue: str | Path,
    *,
    policy: str | None = None,
    what_if: bool = False,
    export: str | None = None,
    **more: Unpack[Common],
) -> dict[str, Any]:
    """Run the jobs of a queue file where and when a policy says, on Ray; or say what would come of it.

    Args:
        queue: a queue file in YAML (nodes, regions, jobs), or a recipe, which is a queue of one on this machine.
        policy: name of the policy; default: the queue file's own.
        what_if: run nothing; simulate the queue under this policy and its alternatives, and compare what they cost.
        export: write the jobs for another scheduler beside the queue file instead: skypilot, kueue or slurm.
        settings: settings of the policy.

    Raises:
        InputError: the queue, the policy or a setting cannot be used.
        MissingExtraError: Ray is not installed.
    """
    from savile.flow import _queue

    found = _queue.read(Path(queue))
    chosen = _policy(found, policy, more.get("settings"))
    if export is not None:
        return {**envelope("schedule"), "files": _export(found, export, Path(queue))}
    if what_if:
        return _what_if(found, chosen, policy or found.policy)
    return live(found, chosen)


def plan(
    queue: str | Path,
    *,
    policy: str | None = None,
    what_if: bool = False,
    export: str | None = None,
    **more: Unpack[Common],
) -> dict[str, Any]:
    """What `schedule` would do with the same arguments: what comes of the queue by simulation; writes nothing."""
    from savile.flow import _queue

    found = _queue.read(Path(queue))
    outcome = _simulated(found, _policy(found, policy, more.get("settings")))
    return {
        **envelope("schedule"),
        "verdict": "dry_run",
        "policy": outcome.policy,
        "figures": _figures(outcome),
        "jobs": outcome.jobs(),
    }


def _policy(found: Queue, named: str | None, settings: Any) -> Any:
    from savile import scheduling

    own = found.settings if named in (None, found.policy) else {}
    return scheduling.policy(named or found.policy, **{**own, **dict(settings or {})})


def _simulated(found: Queue, chosen: Any) -> Outcome:
    from savile import scheduling

    world = scheduling.World(found.nodes, found.jobs, found.regions, name="queue")
    return scheduling.run(chosen, scheduling.SimBackend(world, round_s=ROUND_S))


def _figures(outcome: Outcome) -> dict[str, Any]:
    from savile import scheduling

    figures = scheduling.report([outcome])["figures"]
    return {name: figures[name] for name in SHOWN if name in figures}


def _what_if(found: Queue, chosen: Any, name: str) -> dict[str, Any]:
    """This policy and its alternatives, side by side; every figure is simulated from estimates."""
    from savile import scheduling

    outcomes = {name: _simulated(found, chosen)}
    outcomes |= {other: _simulated(found, scheduling.policy(other)) for other in ALTERNATIVES if other != name}
    rows = {other: _figures(outcome) for other, outcome in outcomes.items()}
    return {
        **envelope("schedule", pages=[_page(outcomes[name])]),
        "policy": name,
        "figures": rows[name],
        "jobs": outcomes[name].jobs(),
        "alternatives": {other: {key: figure["value"] for key, figure in row.items()} for other, row in rows.items()},
        "cheapest": min(rows, key=lambda other: rows[other]["jobs_eur"]["value"]),
        "cleanest": min(rows, key=lambda other: rows[other]["jobs_gco2"]["value"]),
        "quickest": min(rows, key=lambda other: rows[other]["makespan_s"]["value"]),
        "note": "simulated from the estimated hours of the jobs; jobs_eur and jobs_gco2 are what the jobs add to idle machines",
    }


def live(found: Queue, chosen: Any) -> dict[str, Any]:
    """Run a queue on Ray; the log is kept under the home, in ``logs``."""
    from savile import scheduling
    from savile.flow._queue import Command

    store = Store.open()
    work = [(job, Command(found.commands[job.id], str(store.home))) for job in found.jobs]
    backend = scheduling.RayBackend(work, found.nodes, store.home / "work", found.regions)
    outcome = scheduling.run(chosen, backend)
    log = outcome.log.text()
    file = store.home / "logs" / f"schedule-{digest(log)[:12]}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(log, encoding="utf-8")
    jobs = [{**row, "result": backend.results.get(row["job"])} for row in outcome.jobs()]
    answer = {**envelope("schedule", pages=[_page(outcome)]), "policy": outcome.policy, "figures": _figures(outcome)}
    return {**answer, "jobs": jobs, "log": str(file), "well": all(row["how"] == "finished" for row in jobs)}


def _page(outcome: Outcome) -> str:
    from savile import scheduling

    html = scheduling.page(outcome)
    return str(Store.open().page(f"schedule-{digest(html)[:12]}.html", html))


def _export(found: Queue, kind: str, path: Path) -> list[str]:
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
