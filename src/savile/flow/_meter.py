"""What a run takes while it goes: seconds of each stage, memory, disk, and what was there already and cost nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from savile.base import machine
from savile.base.events import Event, listening
from savile.base.store import Store
from savile.flow._forecast import MB, cost

REUSED = "Nothing has changed since "


class Meter:
    """Times the stages of one run.

    Attributes:
        stages: stage -> seconds so far.
        reused: models and reports of earlier runs that were found again.
    """

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._before = {row["ref"] for row in Store.open().list()}
        self.reused: list[str] = []
        self._cpu, self._disk = time.process_time(), _size(Store.open().home)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what happens in the block to a stage, which does not begin with what earlier ones left behind."""
        machine.trim()
        clock = time.perf_counter()
        try:
            with listening(self._hear):
                yield
        finally:
            self.stages[name] = self.stages.get(name, 0.0) + time.perf_counter() - clock

    def taken(self, prices: Mapping[str, float]) -> dict[str, Any]:
        """The figures, in the names of a plan; energy and money are modelled."""
        seconds = sum(self.stages.values())
        busy = (time.process_time() - self._cpu) / max(1e-9, seconds)
        return {
            "seconds": round(seconds, 1),
            "peak_rss_mb": round(machine.peak() / MB),
            "disk_mb": round((_size(Store.open().home) - self._disk) / MB, 1),
            **cost(seconds, busy, prices),
            "stages": {stage: round(taken, 2) for stage, taken in self.stages.items()},
            "reused": self.reused,
        }

    def _hear(self, event: Event) -> None:
        text = str(event.facts.get("text", ""))
        if event.kind == "note" and text.startswith(REUSED):
            ref = text.removeprefix(REUSED).partition(" ")[0]
            self.reused += [ref] if ref in self._before and not ref.startswith("data@") else []


def _size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0
