"""How long jobs of past queues took against what was predicted when they were started: read from the logs that are kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from savile.base.store import Store

NEWEST = 50
LEAST_S = 1.0  # what ends sooner says nothing of an estimate in hours


def folder() -> Path:
    """Where logs of queues are kept."""
    return Store.open().home / "logs"


def errors() -> dict[str, Any] | None:
    """How far predicted seconds were off, as shares of what was taken: median and worst; None without finished jobs."""
    logs = sorted(folder().glob("schedule-*.jsonl"), key=lambda file: file.stat().st_mtime)[-NEWEST:]
    off = [abs(said - took) / took for file in logs for said, took in _finished(file.read_text(encoding="utf-8"))]
    if not off:
        return None
    return {"jobs": len(off), "seconds": {"median": round(median(off), 3), "worst": round(max(off), 3)}}


def _finished(log: str) -> Iterator[tuple[float, float]]:
    """Of each job that ended well where it was started last: seconds that were predicted, and taken."""
    began: dict[str, tuple[float, float]] = {}  # job -> when it was started, and when it was to end
    services = set[str]()  # which end when they were told to
    for line in log.splitlines()[1:]:
        entry = json.loads(line)
        event = entry["event"]
        if entry.get("job", {}).get("slo_ms") is not None:
            services.add(event["job"])
        if event["kind"] == "finish" and event["job"] in began:
            start, end = began.pop(event["job"])
            if event["at"] - start >= LEAST_S:
                yield end - start, event["at"] - start
        for made in entry["decisions"]:
            predicted = made.get("predicted") or {}
            if predicted.get("end_s") is not None and made["job"] not in services:
                began[made["job"]] = (event["at"], predicted["end_s"])
