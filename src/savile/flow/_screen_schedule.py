"""What a person sees of a queue: the policies side by side, what became of each job, and how good past predictions were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

HOUR = 3600.0
BEST = ("cheapest", "cleanest", "quickest")


def shown(said: Mapping[str, Any]) -> RenderableType:
    """The JSON object of `savile schedule` as a screen."""
    lines: list[RenderableType] = [_jobs(said)]
    if "alternatives" in said:
        lines += [_policies(said), Text(f"Figures are {said['note']}.", style="dim"), Text(past(said["past"]), style="dim")]
    if "log" in said:
        lines.append(Text(f"Log   {said['log']}", no_wrap=True, overflow="ignore"))
    return Group(*lines, *(Text(f"Page  {page}", no_wrap=True, overflow="ignore") for page in said.get("pages") or ()))


def _policies(said: Mapping[str, Any]) -> Table:
    services = any("target_kept" in row for row in said["alternatives"].values())
    more = ("Promise kept", "Replica hours") if services else ()
    table = Table("Policy", "Done after", "Mean wait", "EUR", "kWh", "g CO2", "Deadlines met", *more, "", box=None)
    table.title, table.title_justify = "Ways", "left"
    for name, row in said["alternatives"].items():
        best = [word for word in BEST if said[word] == name]
        why = ", ".join([*(["as asked"] if name == said["policy"] else []), *best])
        met = f"{100 * row['deadlines_met']:.0f} %" if row.get("deadlines_met") is not None else "–"
        hours = [f"{row[key] / HOUR:.2f} h" for key in ("makespan_s", "wait_mean_s")]
        kept = (f"{row['target_kept']:.1%} of the time", f"{row['replica_h']:.1f}") if services else ()
        table.add_row(name, *hours, f"{row['jobs_eur']:.3g}", f"{row['kwh']:.3g}", f"{row['jobs_gco2']:.3g}", met, *kept, why)
    return table


def _jobs(said: Mapping[str, Any]) -> Table:
    table = Table("Job", "Nodes", "Begins", "Takes", "Ends", title=f"Policy {said['policy']}", title_justify="left", box=None)
    for row in said["jobs"]:
        begun = row["start_s"] is not None
        begins = f"after {(row['start_s'] - row['release_s']) / HOUR:.2f} h" if begun else "–"
        takes = f"{(row['end_s'] - row['start_s']) / HOUR:.2f} h" if begun and row["end_s"] is not None else "–"
        table.add_row(Text(row["job"]), Text(", ".join(row["nodes"])), begins, takes, row["how"])
    return table


def past(found: Mapping[str, Any]) -> str:
    """How far past predictions were off, in a sentence."""
    told = []
    if found["jobs"] is not None:
        jobs = found["jobs"]
        told.append(f"hours of {jobs['jobs']} jobs of past queues by {_off(jobs['seconds'])}")
    if found["plans"] is not None:
        plans = found["plans"]
        told.append(f"plans of {plans['runs']} past runs on this machine by {_off(plans['seconds'])} of the time")
    if not told:
        return "No past prediction is stored yet; once a queue has run, how far its hours were off is shown here."
    return f"Past predictions were off: {'; '.join(told)}."


def _off(error: Mapping[str, float]) -> str:
    return f"{100 * error['median']:.0f} % in the median, {100 * error['worst']:.0f} % at worst"
