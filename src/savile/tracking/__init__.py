"""Track: tell the tools a team already watches how a run went, with its figures, curves and files.

In comes a stored `Report`; out goes a run in every tracker asked for, and where each of them put it. Nothing is measured here
and nothing leaves the machine: a tracker writes under ``tracking/`` of the store unless its own environment names a server.
One file is one tracker: ``available()`` says why it cannot work here, or None, and ``write(tracked, folder)`` writes one
`Tracked` and says where. To add a tracker, add a file with these two; `savile.testing.check_tracker` holds it against the
contract.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from savile.base import catalogue, events
from savile.base.contracts import Tracked
from savile.base.errors import MissingExtraError
from savile.base.records import Model, Report

__all__ = ["ready", "track"]

INTERVAL = ("low", "high")
SETTINGS = ("family", "base", "method", "task")
COST = ("seconds", "peak_rss_mb", "kwh", "size_mb", "trainable_share")


def track(report: Report, trackers: Sequence[str], recipe: str = "") -> dict[str, str]:
    """Write a stored report to every tracker named; doing it again changes nothing.

    Args:
        report: what was measured.
        trackers: names of trackers, as ``savile names trackers`` lists them.
        recipe: the recipe it came of, as YAML; empty when it is not known.

    Returns:
        tracker -> where it put the run.

    Raises:
        UnknownNameError: there is no such tracker.
        MissingExtraError: a tracker's package is not installed.
    """
    from savile.base.store import Store

    ready(trackers)
    store, found = Store.open(), {}
    tracked = _tracked(report, store.load(report.body["model"]), recipe)
    for name in trackers:
        folder = store.home / "tracking" / name
        folder.mkdir(parents=True, exist_ok=True)
        found[name] = str(catalogue.get("trackers", name).write(tracked, folder))
        store.audit.append("track", report.ref, tracker=name, place=found[name])
        events.emit("note", text=f"Told {name}: {found[name]}")
    return found


def ready(trackers: Sequence[str]) -> None:
    """Every tracker can work here: asked before an hour of training, and not after it.

    Raises:
        UnknownNameError: there is no such tracker.
        MissingExtraError: a tracker's package is not installed.
    """
    for name in trackers:
        lacking = catalogue.get("trackers", name).available()
        if lacking is not None:
            raise MissingExtraError(lacking, "track")


def _tracked(report: Report, model: Model, recipe: str) -> Tracked:
    """A report and its model in the words of trackers: parameters, figures, curves and files."""
    body, made = report.body, {**model.settings, **{name: getattr(model, name) for name in SETTINGS}}
    params = {f"{name}": value for name, value in _flat({**made, "form": body["form"], "engine": body["engine"]})}
    params |= {f"evaluate.{name}": value for name, value in _flat(report.settings)}
    files = {Path(page).name: Path(page) for page in body["pages"] if Path(page).exists()}
    return Tracked(
        name=body["name"],
        ref=report.ref,
        params=params,
        metrics=dict(_metrics(body)),
        curves=_curves(model.facts.get("history") or ()),
        tags={"verdict": body["verdict"], **{name: str(body[name]) for name in ("data", "model", "data_digest")}},
        summary="\n".join(body["summary"]),
        recipe=recipe,
        files=files,
        model=model,
        form=body["form"],
        engine=body["engine"],
    )


def _metrics(body: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Every figure with its interval, the baselines', what it cost and what it is worth."""
    for group, figures in (("test", body["metrics"]), *((f"baseline_{n}", f) for n, f in body["baselines"].items())):
        for name, value in figures.items():
            yield f"{group}/{name}", value["value"]
            yield from ((f"{group}/{name}_{end}", value[end]) for end in INTERVAL)
    for group, values in (("cost", body.get("cost") or {}), ("business", body.get("business") or {})):
        for name, value in values.items():
            if isinstance(value, int | float) and (group != "cost" or name in COST):
                yield f"{group}/{name}", float(value)


def _curves(history: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """name -> (step, value) of everything noted while it trained."""
    found: dict[str, list[tuple[int, float]]] = {}
    for entry in history:
        for name, value in entry.items():
            if name != "step" and isinstance(value, int | float):
                found.setdefault(f"train/{name}", []).append((int(entry["step"]), float(value)))
    return found


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names and texts, what is empty left out."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        elif value not in (None, "", [], ()):
            yield f"{before}{name}", str(value)
