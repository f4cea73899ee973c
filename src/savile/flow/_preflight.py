"""Before work begins: what cannot work is refused, with what is lacking and what to change."""

from __future__ import annotations

import shutil

from savile.base import machine
from savile.base.errors import MachineError, RefusalError
from savile.base.recipe import Recipe
from savile.base.store import Store
from savile.flow._forecast import MB, Forecast

SPARE = 1.1  # a run is let go when what it is planned to take, and a tenth, is there
LEAST = 64e6  # bytes any run takes beyond what planning it took
TOLERANCE = 1.5  # a budget is too small when the cheapest way takes so much more


def check(planned: Forecast, recipe: Recipe) -> None:
    """A run that memory, disk or budget cannot hold is not begun.

    Raises:
        MachineError: memory or disk is lacking.
        RefusalError: the budget is smaller than what the cheapest way takes.
    """
    _memory(planned)
    _disk(planned)
    minutes = recipe.adapt.budget.minutes
    if minutes is not None and planned.least > TOLERANCE * minutes * 60:
        least = planned.least / 60
        cheap = "" if recipe.model.family == "linear" else ", or take the quickest family: --set model.family=linear"
        do = f"Set adapt.budget.minutes to {_up(least)} or more{cheap}; or give fewer rows."
        raise RefusalError(f"a budget that something can be trained in: about {least:.2g} min here", f"{minutes:g} min", do)


def _memory(planned: Forecast) -> None:
    peak = planned.peak * planned.factors.get("memory", 1.0)
    lacking, free = max(LEAST, peak - machine.resident()), machine.free_memory()
    if lacking * SPARE <= free:
        return
    do = (
        "Close other programs or use a machine with more memory; or take less: --set model.family=linear, "
        "--set adapt.method=head, or smaller batches with --set adapt.settings.batch_tokens=1024."
    )
    raise MachineError(
        f"about {peak / MB:,.0f} MB of memory", f"{(free + machine.resident()) / MB:,.0f} MB for this process", do
    )


def _disk(planned: Forecast) -> None:
    home = Store.open().home
    folder = next(one for one in (home, *home.parents) if one.exists())
    free = shutil.disk_usage(folder).free
    if planned.disk * SPARE <= free:
        return
    do = "Free some space, or set SAVILE_HOME to a folder on another disk."
    raise MachineError(f"about {planned.disk / MB:,.0f} MB on the disk of {folder}", f"{free / MB:,.0f} MB free", do)


def _up(minutes: float) -> str:
    """Minutes, rounded up to one digit behind the point."""
    return f"{int(minutes * 10 + 1) / 10:g}"
