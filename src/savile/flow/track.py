"""The word `track`: tell TensorBoard, MLflow or a tracker of your own how a stored run went."""

from __future__ import annotations

from typing import Any, Unpack

from savile.base.records import Report
from savile.base.store import Store
from savile.flow import _past, _refs
from savile.flow._options import Common
from savile.flow._result import envelope


def track(report: str | Report = "champion", *, to: str = "tensorboard", **more: Unpack[Common]) -> dict[str, Any]:
    """Write a stored report to experiment trackers: parameters, figures, curves, pages, and to MLflow the model itself.

    `run.track` in a recipe does the same at the end of every run. Telling a tracker twice changes nothing.

    Args:
        report: a report, its reference, or a release or alias that has one; default: champion.
        to: trackers by name, with commas between them; default: tensorboard.
        settings: taken by every word; nothing here depends on them.

    Raises:
        UnknownNameError: there is no such report or tracker.
        MissingExtraError: a tracker's package is not installed.
    """
    from savile import tracking

    found = _refs.report(report)
    known = _past.of(found)
    places = tracking.track(found, _names(to), known["recipe"] if known else "")
    return {**envelope("track", found.ref), "report": found.ref, "places": places}


def plan(report: str | Report = "champion", *, to: str = "tensorboard", **more: Unpack[Common]) -> dict[str, Any]:
    """What `track` would write with the same arguments, and where; writes nothing."""
    from savile import tracking

    found, names = _refs.report(report), _names(to)
    tracking.ready(names)
    places = {name: str(Store.open().home / "tracking" / name) for name in names}
    return {**envelope("track"), "verdict": "dry_run", "report": found.ref, "places": places}


def _names(to: str) -> list[str]:
    return [name.strip() for name in to.split(",") if name.strip()]
