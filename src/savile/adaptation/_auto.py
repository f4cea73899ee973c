"""``method: auto``: at most three candidates within the budget, chosen on rows none of them has seen."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import Any

from savile.adaptation._learners import Recipe
from savile.adaptation._train import EDITION, Usage, recalled, train
from savile.base import events
from savile.base.records import Dataset, Model, canonical, digest
from savile.models._bases import locate

TUNED = "full"
LEAST_SECONDS = 5.0  # a tuned method is not begun with less than this left
RESERVE = 0.85  # share of what is left that the tuned method may plan with; the rest is for answering validation rows


def choose(data: Dataset, recipe: Recipe) -> Model:
    """Try linear, head and one tuned method; store the best again with what was tried and why it was kept."""
    from savile.base.store import Store

    store, minutes = Store.open(), recipe.minutes
    key = digest(canonical(["auto", EDITION, data.digest, data.mask, asdict(recipe), locate(recipe.base).sha256]))
    known = recalled(store, key)
    if known is not None:
        return known
    started, usage = time.perf_counter(), Usage()
    shared = {"value": recipe.settings["value"]} if "value" in recipe.settings else {}
    tried = [
        train(data, Recipe("linear", "", shared, recipe.seed)),
        train(data, replace(recipe, method="head", settings=shared, minutes=None)),
    ]
    left = None if minutes is None else minutes * 60 - (time.perf_counter() - started)
    skipped = ""
    if left is None or left > LEAST_SECONDS:
        budget = None if left is None else left * RESERVE / 60
        tried.append(train(data, replace(recipe, method=TUNED), budget))
    else:
        skipped = f" {TUNED} was not tried: the budget of {minutes:g} min was used up."
    best = max(tried, key=_merit)
    table = [
        {"candidate": _name(model), "model": model.ref, **model.facts["valid"], "seconds": model.facts["seconds"]}
        for model in tried
    ]
    why = _why(best, tried) + skipped
    events.emit("note", text=why)
    took = usage.facts()
    facts = {**best.facts, **took, "tried": table, "why": why, "fit_seconds": best.facts["seconds"]}
    chosen: Model = store.save(replace(best, facts=facts, parents=(*best.parents, best.ref)))
    store.audit.append("choose", chosen.ref, data=data.ref, tried=[model.ref for model in tried], kept=best.ref)
    store.remember(key, chosen.ref)
    return chosen


def _merit(model: Model) -> tuple[float, float]:
    """Validation score; of equal ones, the surer."""
    valid = model.facts["valid"]
    return valid["score"], -valid["log_loss"]


def _why(best: Model, tried: list[Model]) -> str:
    scores = ", ".join(f"{_name(model)} {_score(model):.3f}" for model in tried)
    rows, where = best.facts["valid"]["rows"], best.facts["chosen_on"]
    return f"{_name(best)} scores best on {rows} {where}: {scores}."


def _score(model: Model) -> float:
    score: Any = model.facts["valid"]["score"]
    return float(score)


def _name(model: Model) -> str:
    return model.method or model.family
