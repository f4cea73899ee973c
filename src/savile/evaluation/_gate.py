"""The gate: which bars a release must clear, and the verdict on the whole. Both read the report's body and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from savile.base.errors import InputError, UnknownNameError
from savile.evaluation import _kept
from savile.evaluation._measure import lower_is_better

PROVING_ROWS = 500  # below this many test rows a difference is only asked to point the right way


def gate(body: Mapping[str, Any], settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Hold a report against its bars.

    Args:
        body: a report's body: ``metric``, ``metrics``, and ``differences``, ``sliced`` and ``parity`` for checks on them.
        settings: ``floor`` (bar on the report's metric), ``must_beat`` (``base``, ``linear`` or ``both``) and ``gates``: a list
            of ``{metric, slice, min or max}``, where a slice is ``column=value``, or a column for all its values. Of an
            update, ``budget`` says what it may ``lose`` on earlier stages and has to ``gain`` on the newest.

    Returns:
        ``{"passed": bool, "checks": [{"name", "value", "bar", "passed", …}]}``; no bars are passed.

    Raises:
        InputError: when a bar names a metric, slice or baseline that was not measured.
    """
    settings = settings or {}
    metric = body["metric"]
    checks = [_floor(body, metric, settings["floor"])] if settings.get("floor") is not None else []
    checks += [_beat(body, metric, name) for name in beaten(settings)]
    for bar in settings.get("gates") or ():
        checks += _bars(body, bar, metric)
    if body.get("kept"):
        checks += _kept.checks(body["kept"], metric, _kept.Budget(**settings["budget"]))
    for proof in (body.get("parity") or {}).values():
        checks.append(_check("parity", proof["share"], proof["allowed"], proof["passed"], reason=proof["reason"]))
    return {"passed": all(check["passed"] for check in checks), "checks": checks}


def verdict(body: Mapping[str, Any]) -> str:
    """``refused`` by its gate, else ``worse`` than, ``better`` than or ``not_proven`` against the baselines beside it."""
    metric = body["metric"]
    if not body["gate"]["passed"]:
        return "refused"
    gains = [gain(found[metric], metric) for found in body["differences"].values() if metric in found]
    if any(won["high"] < 0 for won in gains):
        return "worse"
    proven = bool(gains) and all(won["low"] > 0 for won in gains)
    return "better" if proven and body["metrics"][metric]["n"] >= PROVING_ROWS else "not_proven"


def beaten(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The baselines that `must_beat` names."""
    named = settings.get("must_beat")
    return ("base", "linear") if named == "both" else (named,) if named else ()


def _floor(body: Mapping[str, Any], metric: str, bar: float) -> dict[str, Any]:
    side = "max" if lower_is_better(metric) else "min"
    return _bars(body, {"metric": metric, side: bar}, metric)[0] | {"name": "floor"}


def _bars(body: Mapping[str, Any], bar: Mapping[str, Any], default: str) -> list[dict[str, Any]]:
    """The checks of one entry of `gates`: one, or one for each slice when `slice` names a whole column."""
    metric, named = bar.get("metric", default), bar.get("slice")
    sides = [side for side in ("min", "max") if bar.get(side) is not None]
    if len(sides) != 1:
        raise InputError("a gate with either min or max", repr(dict(bar)), "Give the gate one bar: min or max.")
    if named is None:
        figures = {"": _measured(body["metrics"], metric)}
    else:
        figures = {where: _measured(found, metric) for where, found in _slices(body, str(named)).items()}
    limit, side = bar[sides[0]], sides[0]
    return [
        _check(
            f"{metric} on {where}" if where else metric,
            figure["value"],
            limit,
            figure["value"] >= limit if side == "min" else figure["value"] <= limit,
            metric=metric,
            side=side,
            slice=where or None,
        )
        for where, figure in figures.items()
    ]


def _beat(body: Mapping[str, Any], metric: str, name: str) -> dict[str, Any]:
    """Beat = the paired interval lies above 0; with fewer than `PROVING_ROWS` rows the point not below 0 is enough."""
    found = body.get("differences", {})
    if name not in found:
        do = f"Hand over the baseline: evaluate(..., baselines={{{name!r}: model}})."
        raise InputError(f"the baseline {name!r} measured beside the model", f"baselines {', '.join(found) or '(none)'}", do)
    won = gain(_measured(found[name], metric), metric)
    passed = won["low"] > 0 if won["n"] >= PROVING_ROWS else won["value"] >= 0
    return _check(f"beat {name}", won["value"], 0.0, passed, metric=metric, low=won["low"], high=won["high"])


def gain(difference: Mapping[str, Any], metric: str) -> dict[str, Any]:
    """A difference turned so that more is better."""
    if not lower_is_better(metric):
        return dict(difference)
    return {"value": -difference["value"], "low": -difference["high"], "high": -difference["low"], "n": difference["n"]}


def check_slices(sliced: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Every slice that a gate names will be measured.

    Raises:
        UnknownNameError: one will not; the message carries the nearest.
    """
    for bar in settings.get("gates") or ():
        if bar.get("slice") is not None:
            _slices({"sliced": sliced}, str(bar["slice"]))


def _slices(body: Mapping[str, Any], named: str) -> dict[str, Any]:
    """The measured slices that ``column=value`` or a whole ``column`` names."""
    column, _, value = named.partition("=")
    found = body.get("sliced", {}).get(column, {})
    if not found or (value and value not in found):
        known = [f"{column}={value}" for column, values in body.get("sliced", {}).items() for value in values]
        raise UnknownNameError("slice of enough rows", named, known)
    return {f"{column}={each}": figures for each, figures in found.items() if not value or each == value}


def _measured(figures: Mapping[str, Any], metric: str) -> Mapping[str, Any]:
    if metric not in figures:
        raise UnknownNameError("metric", metric, figures)
    found: Mapping[str, Any] = figures[metric]
    return found


def _check(name: str, value: float, bar: float, passed: bool, **more: Any) -> dict[str, Any]:
    return {"name": name, "value": value, "bar": bar, "passed": passed, **more}
