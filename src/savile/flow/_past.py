"""What past runs took against what was planned for them: kept in the store, and learned from.

A factor is the median of taken over planned, so that one odd run changes little; three runs on the same machine are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from savile.base import machine
from savile.base.records import Entry, Report
from savile.base.store import Store

KIND = "plan"
ENOUGH, WIDEST, NEWEST = 3, 4.0, 50
LEAST_SECONDS = 1.0  # a stage planned shorter than this teaches nothing


def keep(planned: Mapping[str, Any], taken: Mapping[str, Any], report: Report, recipe: str) -> None:
    """Note what a run took.

    Args:
        planned: ``stages``, ``peak``, ``disk`` and ``candidates`` before correction; ``said``, the JSON form that was shown.
        taken: ``seconds``, ``peak_rss_mb``, ``disk_mb``, ``stages``, and ``reused``, the records that were there already.
        report: what the run came to.
        recipe: the recipe in full, as YAML.
    """
    body = {"name": report.body["name"], "report": report.ref, "recipe": recipe, "machine": _here()}
    Store.open().put(Entry(KIND, {**body, "planned": dict(planned), "taken": dict(taken)}, {}, (report.ref,)))


def of(report: Report) -> Mapping[str, Any] | None:
    """What was noted of the run that came to a report: ``recipe``, ``planned`` and ``taken``; None when nothing was."""
    return next((body for body in _bodies() if body["report"] == report.ref), None)


def factors() -> dict[str, float]:
    """stage, or ``memory`` -> what runs on this machine took against what was planned for them, between a quarter and four."""
    ratios: dict[str, list[float]] = {}
    for body in _lessons():
        planned, taken = body["planned"], body["taken"]
        for stage, seconds in planned["stages"].items():
            real = taken["stages"].get(stage)
            if stage != "govern" and real is not None and min(seconds, real) >= LEAST_SECONDS:
                ratios.setdefault(stage, []).append(real / seconds)
        ratios.setdefault("memory", []).append(taken["peak_rss_mb"] * 1e6 / planned["peak"])
    known = {stage: median(found[:NEWEST]) for stage, found in ratios.items() if len(found) >= ENOUGH}
    return {stage: min(WIDEST, max(1 / WIDEST, factor)) for stage, factor in known.items()}


def rates() -> dict[str, Mapping[str, float]]:
    """What trials on this machine measured, by candidate, the newest of each."""
    here, found = _here(), dict[str, Mapping[str, float]]()
    for body in _bodies():
        if body["machine"] == here:
            for one in body["planned"]["candidates"]:
                found.setdefault(one["key"], one["rates"])
    return found


def errors() -> dict[str, Any] | None:
    """How far plans were off, as shares of what was taken: median and worst, of time and memory; None without runs."""
    said = [(body["planned"]["said"], body["taken"]) for body in _lessons()]
    if not said:
        return None
    found: dict[str, Any] = {"runs": len(said)}
    for name in ("seconds", "peak_rss_mb"):
        off = [abs(planned[name] - taken[name]) / max(1e-9, taken[name]) for planned, taken in said]
        found[name] = {"median": round(median(off), 3), "worst": round(max(off), 3)}
    found["over_twice"] = sum(taken["seconds"] > 2 * planned["seconds"] for planned, taken in said)
    return found


def _lessons() -> Iterator[Mapping[str, Any]]:
    """Runs on this machine that did all their work themselves, the newest first."""
    here = _here()
    return (body for body in _bodies() if body["machine"] == here and not body["taken"]["reused"])


def _bodies() -> Iterator[Mapping[str, Any]]:
    store = Store.open()
    return (store.get(row["ref"]).body for row in reversed(store.list(KIND)))


def _here() -> dict[str, Any]:
    """What must be alike for one run to teach about another."""
    return {"processor": machine.processor(), "threads": machine.available_threads(), "flags": list(machine.cpu_flags())}
