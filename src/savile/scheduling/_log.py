"""The log of a run: what happened and what was decided, one JSON line each, byte for byte the same for the same run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from savile.base.records import canonical
from savile.base.work import Decision, Event, Job, Load, Pod, Predicted, plain

SCHEMA = 1


@dataclass(slots=True)
class Entry:
    """One event with the job it brought, the decisions it led to, and what each was expected to bring."""

    event: Event
    job: Job | None
    decisions: Sequence[Decision]
    predicted: list[Predicted | None]

    def line(self) -> str:
        """The JSON line."""
        made = [
            {"do": type(d).__name__.lower(), **plain(d), **({"predicted": plain(p)} if p is not None else {})}
            for d, p in zip(self.decisions, self.predicted, strict=True)
        ]
        said: dict[str, Any] = {"event": plain(self.event), "decisions": made}
        if self.job is not None:
            said["job"] = plain(self.job)
        return canonical(said)


@dataclass
class Log:
    """Header and entries; `text` is what is written, `read` gives the events of a written log back."""

    header: dict[str, Any]
    entries: list[Entry] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Every line, header first."""
        yield canonical({"schema": SCHEMA, **plain(self.header)})
        for entry in self.entries:
            yield entry.line()

    def text(self) -> str:
        """The whole log."""
        return "\n".join(self.lines()) + "\n"


def read(text: str) -> tuple[dict[str, Any], list[tuple[Event, Job | None]]]:
    """The header and the events of a written log, with the jobs that arrived."""
    header, *lines = [json.loads(line) for line in text.splitlines()]
    return header, [(_event(line["event"]), job(line["job"]) if "job" in line else None) for line in lines]


def _event(said: dict[str, Any]) -> Event:
    return Event(**{**said, "load": Load(**said["load"])} if "load" in said else said)


def job(said: dict[str, Any]) -> Job:
    """A job from its JSON form."""
    pod = dict(said["pod"])
    pod["types"] = frozenset(pod.get("types", ()))
    given = {**said, "pod": Pod(**pod)}
    given["data"] = tuple(said.get("data", ()))
    given["residency"] = frozenset(said.get("residency", ()))
    return Job(**given)
