"""What `run` knows of itself: planned before it works, refused when it cannot work, compared with what it took."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from savile.base import answers
from savile.base import recipe as recipes
from savile.base.errors import MissingBaseError
from savile.base.events import emit
from savile.base.recipe import Recipe
from savile.base.records import Dataset, Model, Report, canonical, digest
from savile.base.store import Store
from savile.flow import _forecast, _past, _plan, _preflight
from savile.flow._forecast import Forecast
from savile.flow._line import base, value
from savile.flow._meter import Meter
from savile.flow._order import Order
from savile.flow._result import Result


def planned(recipe: Recipe, data: Dataset, meter: Meter) -> Forecast | None:
    """Try every candidate for a moment, and refuse what cannot work; None when all of it was done before, or words are learned.

    Raises:
        MachineError: memory or disk is lacking.
        RefusalError: the budget is smaller than what the cheapest way takes.
    """
    if answers.in_words(data.task) or Store.open().recall(_key(recipe, data)) is not None:
        return None
    with meter.stage("plan"):
        found = _forecast.forecast(recipe, data)
    known = {stage: seconds for stage, seconds in meter.stages.items() if stage in ("govern", "plan")}
    found = replace(found, stages={**known, **{stage: found.stages[stage] for stage in _forecast.STAGES[1:]}})
    said = found.as_dict()
    emit("note", text=sentence(said))
    _preflight.check(found, recipe)
    return found


def outlined(recipe: Recipe, data: Dataset) -> Forecast:
    """The same without a trial: from trials of earlier runs on this machine, or from its arithmetic."""
    from savile.adaptation._probe import Prober

    if answers.in_words(data.task):
        return _plan.estimate(recipe, data)
    try:
        return replace(_forecast.forecast(recipe, data, Prober(data, _past.rates())), basis="past")
    except (KeyError, MissingBaseError):
        return _plan.estimate(recipe, data)


def adapted(recipe: Recipe, data: Dataset, model: Model) -> None:
    """Note that this was done, so that doing it again is planned to take nothing."""
    Store.open().remember(_key(recipe, data), model.ref)


def compared(result: Result, plan: Forecast | None, meter: Meter, report: Report, order: Order) -> Result:
    """The result with what was planned and what it took, which the store keeps for plans to come."""
    if plan is not None:
        said, taken = plan.as_dict(), meter.taken(plan.prices)
        raw = {"stages": dict(plan.stages), "peak": plan.peak, "disk": plan.disk, "candidates": plan.candidates, "said": said}
        _past.keep(raw, taken, report, recipes.dump(order.recipe, full=True))
    known = _past.of(report)
    if known is None:
        return result
    said, taken = known["planned"]["said"], known["taken"]
    line = f"Planned were {amounts(said)}; it took {amounts(taken)}."
    return replace(result, json={**result.json, "plan": {**said, "actual": taken}}, summary=[*result.summary, line])


def sentence(said: dict[str, Any]) -> str:
    """A plan in words."""
    stages = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in said["stages"].items() if seconds >= 0.5)
    return f"Planned: {amounts(said)} ({stages})."


def amounts(said: dict[str, Any]) -> str:
    """Time, memory, disk and what is modelled."""
    time = f"{said['seconds']:.0f} s" if said["seconds"] < 180 else f"{said['seconds'] / 60:.1f} min"
    money = f"{1000 * said['kwh']:.2g} Wh and {said['money']:.2g} in money, both modelled"
    return f"{time}, {said['peak_rss_mb']:,} MB of memory, {said['disk_mb']:.0f} MB on disk, {money}"


def _key(recipe: Recipe, data: Dataset) -> str:
    return digest(canonical(["adapted", data.ref, data.digest, base(recipe), asdict(recipe.adapt), value(recipe)]))
