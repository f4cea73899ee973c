"""What a person sees of a plan: the chosen way stage by stage, the other ways beside it, and how good past plans were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

BASES = {"measured": "a trial just now", "past": "trials of earlier runs", "modelled": "this machine's arithmetic alone"}


def shown(said: Mapping[str, Any]) -> RenderableType:
    """The JSON object of `savile plan` as a screen."""
    plan, lines = said["plan"], list[RenderableType]()
    if "stages" in plan:
        stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in plan["stages"].items())
        lines.append(Text(f"{said['name']}, {said['rows']:,} rows: {minutes(plan['seconds'])} in all ({stages})."))
        tried = ", ".join(f"{one['candidate']} {one['seconds']:.1f} s" for one in plan["candidates"])
        lines.append(Text(f"Adapting tries {tried}. Predicted from {BASES[plan['basis']]}."))
    if plan["refused"]:
        lines.append(Text(_refusal(plan["refused"]), style="red"))
    prices = said["modelled"]
    note = (
        f"kWh and money are modelled: {prices['watts']:g} W a busy core, {prices['kwh_price']:g} a kWh, "
        f"{prices['hour_price']:g} an hour of the machine (run.watts, run.kwh_price, run.hour_price)."
    )
    return Group(*lines, _table([plan, *said["alternatives"]]), Text(note, style="dim"), Text(_past(said["past"]), style="dim"))


def minutes(seconds: float) -> str:
    """Seconds below three minutes, else minutes."""
    return f"{seconds:.0f} s" if seconds < 180 else f"{seconds / 60:.1f} min"


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("Model", "Method", "Time", "Memory", "Disk", "Wh", "Money", "", title="Ways", title_justify="left", box=None)
    for place, row in enumerate(rows):
        amounts = ["–"] * 5
        if "seconds" in row:
            amounts = [
                minutes(row["seconds"]),
                f"{row['peak_rss_mb'] * 1e6 / (1 << 20):,.0f} MiB",
                f"{row['disk_mb']:.0f} MB",
                f"{1000 * row['kwh']:.2g}",
                f"{row['money']:.2g}",
            ]
        why = (
            f"[red]does not work here[/]: {row['refused']['received']}" if row["refused"] else "as planned" if not place else ""
        )
        table.add_row(row["model"], row["method"] or "–", *amounts, why)
    return table


def _refusal(error: Mapping[str, str]) -> str:
    return f"This would be refused: wanted {error['wanted']}, received {error['received']}. {error['do']}"


def _past(past: Mapping[str, Any] | None) -> str:
    if past is None:
        return "No run on this machine is stored yet; its first runs will correct later plans."
    time, memory = past["seconds"], past["peak_rss_mb"]
    return (
        f"Plans of {past['runs']} past runs here were off by {100 * time['median']:.0f} % of the time in the median "
        f"({100 * time['worst']:.0f} % at worst) and by {100 * memory['median']:.0f} % of the memory "
        f"({100 * memory['worst']:.0f} % at worst); {past['over_twice']} took more than twice their plan."
    )
