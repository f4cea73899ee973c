"""What a person sees: the verdict screen, tables of names, checks and records, and the lines told on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from savile.base.records import Dataset, Model, Report
from savile.flow import _screen_plan, _screen_schedule
from savile.flow._result import Result

VERDICTS = {
    "better": ("Better", "green"),
    "not_proven": ("Not proven", "yellow"),
    "worse": ("Worse", "red"),
    "refused": ("Refused", "red"),
    "dry_run": ("Dry run: nothing was written", "cyan"),
}
STATES = {"good": "[green]good[/]", "lacking": "[yellow]lacking[/]", "bad": "[red]bad[/]"}


def screen(found: Any, said: Mapping[str, Any]) -> RenderableType:
    """What to show for what a word gave back; `said` is the same as JSON."""
    if isinstance(found, Result):
        return _run(found)
    if isinstance(found, Report):
        title, colour = VERDICTS[found.body["verdict"]]
        panel = Panel(_sentences(found.body["summary"]), title=title, border_style=colour)
        return Group(panel, *_pages(found.body["pages"]), found.ref)
    if isinstance(found, Dataset | Model):
        return found.ref
    if "names" in said:
        return Group(*(_names(kind, listed) for kind, listed in said["names"].items()))
    if said.get("command") == "schedule" and "jobs" in said:
        return _screen_schedule.shown(said)
    if "alternatives" in said:
        return _screen_plan.shown(said)
    if "questions" in said:
        return _review(said)
    if said.get("command") == "doctor":
        return _checks(said["checks"])
    if said.get("command") == "govern":
        return _governed(said)
    if "assertions" in said:
        return Text(f"{'Would be written' if said.get('verdict') else 'Written'}: {said['assertions']}")
    if "labelling" in said:
        return _passport(said)
    if "records" in said:
        return _records(said)
    if "acts" in said:
        return _audit(said)
    if "url" in said:
        return Text(f"Serving {said['release']} at {said['url']} (process {said['pid']}); stop it with Ctrl-C.")
    if said.get("key"):
        return Text(
            f"{said['key']}\nThe API key of {said['name']}, shown only now. Callers send it as: Authorization: Bearer KEY"
        )
    if "revoked" in said:
        return Text(f"Took back {said['revoked']} API key{'s' * (said['revoked'] != 1)} of {said['name']}.")
    if "keys" in said:
        return _keys(said["keys"])
    if isinstance(said.get("recipe"), str) and "\n" in said["recipe"]:
        return Text(said["recipe"].rstrip())
    if "schema_of_recipe" in said:
        return _json(said["schema_of_recipe"])
    return _json({key: value for key, value in said.items() if key not in ("schema", "command")})


def told(kind: str, facts: Mapping[str, Any], heard: Set[str] = frozenset()) -> list[RenderableType]:
    """The lines for one event that is not about progress; none for what needs no line, or was `heard` before."""
    if kind == "note":
        return [Text(facts["text"], style="dim")]
    if kind == "warning":
        return [Text(f"Warning: {facts['text']}", style="yellow")]
    if kind == "roles":
        rows = [f"  {column['name']:<20} {column['role']:<10} {column['why']}" for column in facts["columns"]]
        return [Text("Columns", style="bold"), *map(Text, rows)]
    if kind == "parts":
        return [Text("Rows  " + ", ".join(f"{name} {count:,}" for name, count in facts.items()))]
    if kind == "table":
        table = Table(*facts["head"], title=facts["title"], title_justify="left", title_style="bold", box=None)
        for row in facts["rows"]:
            table.add_row(*(Text("–" if cell is None else str(cell)) for cell in row))
        return [table]
    if kind == "findings" and facts["total"]:
        count = f"{facts['total']} finding{'' if facts['total'] == 1 else 's'}"
        lines = [Text(f"What is wrong with your data: {count}", style="bold")]
        new = [one for one in facts["found"] if one["evidence"] not in heard]
        return [*lines, *(Text(f"  {one['severity']:<8}{one['evidence']}") for one in new)]
    return []


def _run(found: Result) -> RenderableType:
    said = found.json
    worked = [Panel(_sentences(said["app"]["summary"]), title=said["app"]["name"])] if said.get("app") else []
    if said["verdict"] is None:  # an app at work with a model that was judged before
        return Group(*worked, *_pages(said["pages"]), _next(found))
    title, colour = VERDICTS[found.verdict]
    if found.verdict == "dry_run":
        taken = said["plan"]
        about = (
            f"About {taken['seconds']:.0f} s, {taken['peak_rss_mb']:.0f} MB of memory, {taken['disk_mb']:.0f} MB on disk, "
            f"from {_screen_plan.BASES[taken['basis']]}; `savile plan` tries it for a moment and knows better."
        )
        columns = ", ".join(f"{role} = {column!r}" for role, column in said["roles"].items())
        parts = ", ".join(f"{name} {count:,}" for name, count in said["parts"].items())
        inside: RenderableType = Group(
            *map(Text, (said["recipe"], f"Columns: {columns}", f"Rows: {parts}", f"Estimate: {about}"))
        )
        return Group(Panel(inside, title=title, border_style=colour), _next(found))
    parts_of = [Panel(_sentences(found.summary), title=f"{said['name']}: {title}", border_style=colour), _gate(said["gate"])]
    if said.get("answers"):
        parts_of.append(_answers(said["answers"]))
    parts_of += worked
    return Group(*parts_of, *_pages(said["pages"]), _next(found))


def _sentences(lines: Sequence[str]) -> RenderableType:
    return Group(*(Text(line) for line in lines))


def _gate(gate: Mapping[str, Any]) -> RenderableType:
    table = Table("Check", "Measured", "Bar", "Passed", title="Gate", title_justify="left", box=None)
    for check in gate["checks"]:
        passed = "[green]yes[/]" if check["passed"] else "[red]no[/]"
        table.add_row(Text(str(check["name"])), f"{check['value']:.4g}", f"{check['bar']:.4g}", passed)
    return table if gate["checks"] else Text("Gate: no bar was asked for.", style="dim")


def _answers(answers: Sequence[Mapping[str, Any]]) -> RenderableType:
    table = Table("Message", "Answer", "Probability", "Reply", title="Answers", title_justify="left", box=None)
    for answer in answers:
        label = "[yellow]to a person[/]" if answer["abstain"] else Text(answer["label"])
        table.add_row(Text(answer["text"]), label, f"{answer['probability']:.2f}", Text(answer["reply"]))
    return table


def _pages(pages: Sequence[str]) -> list[RenderableType]:
    return [Text(f"{'Report' if 'report' in page else 'Page'}  {page}", no_wrap=True, overflow="ignore") for page in pages]


def _next(found: Result) -> RenderableType:
    return Text(f"Next    {found.next}", style="bold", no_wrap=True, overflow="ignore")


def _names(kind: str, listed: Mapping[str, str]) -> RenderableType:
    table = Table(title=kind, title_justify="left", title_style="bold", box=None, show_header=False)
    table.add_column(min_width=12, no_wrap=True)
    table.add_column()
    for name, about in listed.items():
        table.add_row(name, Text(about))
    return table


def _checks(checks: Sequence[Mapping[str, str]]) -> RenderableType:
    table = Table(box=None, show_header=False)
    for check in checks:
        table.add_row(check["what"], STATES[check["state"]], Text(check["found"]), Text(check["do"]))
    return table


def _review(said: Mapping[str, Any]) -> RenderableType:
    answered = ", ".join(f"{count:,} {state}" for state, count in said["answered"].items()) or "none answered"
    written = [Text(f"Written: {path}") for path in said["written"]]
    return Group(Text(f"{said['open']:,} open, {answered}; {said['changed']:,} answers are new."), *written)


def _governed(said: Mapping[str, Any]) -> RenderableType:
    """Where the answer lies; what it says was told on the way."""
    places = {"fixed": "Mended copy", "ledger": "Its changes", "file": "To correct", "report": "Audit as JSON"}
    lines = [Text(f"{words}  {said[key]}") for key, words in places.items() if said.get(key)]
    if said.get("files"):
        lines += [Text("Files that still hold the rows:"), *(Text(f"  {file}") for file in said["files"])]
    done = [Text("Dry run: nothing was written.")] if said.get("verdict") == "dry_run" else []
    return Group(*_pages(said["pages"]), *lines, *done)


def _passport(said: Mapping[str, Any]) -> RenderableType:
    table = Table("Check", "Passed", "Seen", title=f"Passport of {said['id']}", title_justify="left", box=None)
    for check in said["checks"]:
        table.add_row(Text(check["check"]), "[green]yes[/]" if check["passed"] else "[red]no[/]", Text(check["seen"]))
    return Group(table, *_pages(said["pages"]))


def _records(said: Mapping[str, Any]) -> RenderableType:
    table = Table("Record", "Name", "Made", title=said["home"], title_justify="left", box=None)
    for row in said["records"]:
        table.add_row(row["ref"], Text(row["name"]), row["created"][:19])
    for alias, ref in said["aliases"].items():
        table.add_row(ref, Text(alias, style="bold"), "alias")
    return table


def _audit(said: Mapping[str, Any]) -> RenderableType:
    table = Table("No.", "When", "Who", "What", "Of", box=None)
    for act in said["audit"]:
        table.add_row(str(act["seq"]), act["time"][:19], Text(act["actor"]), act["action"], Text(act["subject"]))
    held = " Held against its digests: as it was written." if said["verified"] else ""
    return Group(table, Text(f"{said['acts']} acts.{held}"))


def _keys(keys: Sequence[Mapping[str, str]]) -> RenderableType:
    if not keys:
        return Text("No API keys; make one with: savile serve --new-key NAME")
    table = Table("API key of", "Made", box=None)
    for key in keys:
        table.add_row(Text(key["name"]), key["created"][:19])
    return table


def _json(value: Any) -> RenderableType:
    import json

    return Syntax(json.dumps(value, ensure_ascii=False, indent=2, default=str), "json", background_color="default")
