"""TensorBoard: figures, training curves and the recipe as an event file of its own format; no package is needed."""

from __future__ import annotations

import os
from pathlib import Path

from savile.base.contracts import Tracked
from savile.tracking._event_file import Event, records

FILE = "events.out.tfevents.0000000000.savile"  # TensorBoard reads what has tfevents in its name


def available() -> str | None:
    """It always works: the format is written here."""
    return None


def write(tracked: Tracked, folder: Path) -> str:
    """One folder a run with one event file; look at them with ``tensorboard --logdir``."""
    run = folder / f"{tracked.name or 'run'}-{tracked.ref.partition('@')[2]}"
    run.mkdir(parents=True, exist_ok=True)
    aside = run / f".{os.getpid()}"
    aside.write_bytes(records(_events(tracked)))
    aside.replace(run / FILE)
    return str(run)


def _events(tracked: Tracked) -> list[Event]:
    found = [Event(step, tag, value) for tag, curve in tracked.curves.items() for step, value in curve]
    found += [Event(0, tag, value) for tag, value in tracked.metrics.items()]
    table = "\n".join(
        ["| setting | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in tracked.params.items())]
    )
    words = {"summary": tracked.summary.replace("\n", "  \n"), "settings": table, "recipe": _code(tracked.recipe)}
    tags = "\n".join(f"- {name}: {value}" for name, value in {"report": tracked.ref, **tracked.tags}.items())
    return found + [Event(0, name, text) for name, text in {**words, "records": tags}.items() if text]


def _code(text: str) -> str:
    return f"```yaml\n{text}```" if text else ""
