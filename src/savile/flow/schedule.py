"""The word `schedule`: where and when each job of a queue runs, what that costs, what else could be done; and doing it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from savile.base.records import digest
from savile.base.store import Store
from savile.flow._options import Common
from savile.flow._result import envelope
from savile.flow._schedules import compared, exported, figured, paged, simulated

if TYPE_CHECKING:
    from savile.base.work import Job
    from savile.flow._queue import Queue

LIVE_ROUND_S = 30.0
WAITS = ("carbon", "region_lp", "energy", "uniform_progress")  # policies that let a job wait for a better hour


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
        return {**envelope("schedule"), "files": exported(found, export, Path(queue))}
    if what_if:
        return compared(found, chosen, policy or found.policy)
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
    outcome = simulated(found, _policy(found, policy, more.get("settings")))
    return {
        **envelope("schedule"),
        "verdict": "dry_run",
        "policy": outcome.policy,
        "figures": figured(outcome),
        "jobs": outcome.jobs(),
    }


def _policy(found: Queue, named: str | None, settings: Any) -> Any:
    from savile import scheduling

    own = found.settings if named in (None, found.policy) else {}
    return scheduling.policy(named or found.policy, **{**own, **dict(settings or {})})


def live(found: Queue, chosen: Any) -> dict[str, Any]:
    """Run a queue on Ray; the log is kept under the home, in ``logs``."""
    from savile import scheduling
    from savile.flow import _past_queues
    from savile.flow._queue import now_s

    store, start = Store.open(), now_s()
    jobs = [_begun(job, start - found.start_s) for job in found.jobs]
    work = [(job, _work(found, job, str(store.home))) for job in jobs]
    settings = getattr(chosen, "settings", None)
    waits = scheduling.name_of(chosen) in WAITS or bool(getattr(settings, "off_peak", ()))
    every = LIVE_ROUND_S if waits else None
    backend = scheduling.RayBackend(work, found.nodes, store.home / "work", found.regions, round_s=every, start_s=start)
    outcome = scheduling.run(chosen, backend)
    log = outcome.log.text()
    file = _past_queues.folder() / f"schedule-{digest(log)[:12]}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(log, encoding="utf-8")
    rows = [{**row, "result": backend.results.get(row["job"])} for row in outcome.jobs()]
    answer = {**envelope("schedule", pages=[paged(outcome)]), "policy": outcome.policy, "figures": figured(outcome)}
    return {**answer, "jobs": rows, "log": str(file), "well": all(row["how"] == "finished" for row in rows)}


def _work(found: Queue, job: Job, home: str) -> Any:
    from savile.flow._queue import Command
    from savile.flow._service import Replica

    words = found.commands[job.id]
    return Replica(words, home, found.ports[job.id]) if job.service else Command(words, home)


def _begun(job: Job, later: float) -> Job:
    """A job whose times count from when the queue begins, not from when its file was read."""
    due = None if job.deadline_s is None else job.deadline_s + later
    return replace(job, release_s=job.release_s + later, deadline_s=due)
