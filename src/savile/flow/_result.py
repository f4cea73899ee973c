"""What words give back, as JSON: the object of `savile run --json`, and a short description of every record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from savile.base.records import Dataset, Model, Release, Report

SCHEMA = 1
MEASURED = ("metrics", "baselines", "gate", "worst_slice", "business", "cost")
COSTS = ("seconds", "peak_rss_mb", "trainable_share", "size_mb", "kwh")
BASELINES = ("linear", "base")


@dataclass(frozen=True)
class Result:
    """What a whole run came to.

    Attributes:
        json: what ``--json`` prints.
        summary: the verdict screen, a sentence or two a line.
        next: the command to type next.
    """

    json: Mapping[str, Any]
    summary: Sequence[str] = field(default=(), repr=False)
    next: str = field(default="", repr=False)

    @property
    def verdict(self) -> str:
        """``better``, ``not_proven``, ``worse``, ``refused`` or ``dry_run``."""
        return str(self.json["verdict"])

    @property
    def passed(self) -> bool:
        """Whether the gate let it through; a dry run has none to pass."""
        return self.verdict != "refused"


def envelope(command: str, id: str | None = None, pages: Sequence[str] = ()) -> dict[str, Any]:
    """What every object begins with."""
    return {"schema": SCHEMA, "command": command, "id": id, "pages": list(pages)}


def of_run(command: str, report: Report, release: Release | None, pages: Sequence[str] = ()) -> dict[str, Any]:
    """The object of a run that measured something."""
    body = report.body
    refs = {"data": body["data"], "model": body["model"], "report": report.ref, "release": release.ref if release else None}
    return {
        "schema": SCHEMA,
        "command": command,
        "id": report.ref,
        "name": body["name"],
        "verdict": body["verdict"],
        **refs,
        **{name: body.get(name) for name in MEASURED},
        "baselines": {name: body["baselines"].get(name) for name in BASELINES},
        "cost": {name: (body.get("cost") or {}).get(name) for name in COSTS},
        "app": None,
        "plan": None,
        "pages": [*body["pages"], *pages],
        "machine": body["machine"],
    }


def of_plan(command: str, name: str, plan: Mapping[str, Any]) -> dict[str, Any]:
    """The object of a run that was only planned: nothing measured, nothing named."""
    return {
        "schema": SCHEMA,
        "command": command,
        "id": None,
        "name": name,
        "verdict": "dry_run",
        **dict.fromkeys(("data", "model", "report", "release", *MEASURED)),
        "app": None,
        "pages": [],
        "machine": None,
        **plan,
    }


def describe(command: str, found: Any) -> dict[str, Any]:
    """The object a word prints for what it gave back."""
    if isinstance(found, Result):
        return dict(found.json)
    if isinstance(found, Dataset):
        return _data(command, found)
    if isinstance(found, Model):
        return _model(command, found)
    if isinstance(found, Report):
        return {**envelope(command, found.ref, found.body["pages"]), **found.body}
    return {**envelope(command), **found}


def _data(command: str, found: Dataset) -> dict[str, Any]:
    from savile.data import page
    from savile.flow import _audit

    pages, audited = _audit.of(found)
    return {
        **envelope(command, found.ref, [str(page(found).resolve()), *pages]),
        "name": found.name,
        "task": found.task,
        "rows": found.table.num_rows,
        "roles": dict(found.roles),
        "parts": {name: len(rows) for name, rows in found.parts.items()},
        "labels": list(found.labels),
        "findings": dict(Counter(finding.severity for finding in found.findings)),
        "audited": audited,
        "steps": dict(found.settings.get("steps", {})),
    }


def _model(command: str, found: Model) -> dict[str, Any]:
    kept = {name: value for name, value in found.facts.items() if name != "history"}
    return {
        **envelope(command, found.ref),
        **{name: getattr(found, name) for name in ("family", "base", "method", "task")},
        "labels": list(found.labels),
        "forms": list(found.forms),
        "parents": list(found.parents),
        "facts": kept,
    }
