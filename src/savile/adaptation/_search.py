"""``method: search``: methods and their settings tried by Optuna, cheap trials first, for quality at a small share that learns.

Trials are proposed by a multi-objective tree-structured Parzen estimator (Ozaki et al., GECCO 2020). Each is trained like any
other candidate and remembered by the store, so that a search that was stopped goes on where it was. Half of the trials take a
third of the steps; the best of those are trained in full.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from savile.adaptation._learners import Recipe, family_of, learner
from savile.adaptation._train import EDITION, Usage, recalled, train
from savile.base import catalogue, events
from savile.base.errors import InputError, MissingExtraError, SavileError
from savile.base.records import Dataset, Model, canonical, digest

METHOD = "search"
TRIALS, CHEAP = 12, 3  # trials of a search; a cheap one takes one step in so many
NOT_SEARCHED = ("head", "adapter_fusion", "autolora")  # solved exactly; needs adapters; searches for itself
LEAST_STEPS = 24


def search(data: Dataset, recipe: Recipe) -> Model:
    """Try methods, rates and ranks on a base, and store the best again, with what was tried and the front of best compromises.

    Args:
        data: what is learned.
        recipe: its settings may hold ``trials``, and ``good_enough``, a validation score that ends the search.

    Raises:
        InputError: a family that needs no base, or no method that its base can carry.
        MissingExtraError: Optuna is not installed.
    """
    from savile.base.store import Store

    store = Store.open()
    key = digest(canonical([METHOD, EDITION, data.digest, data.mask, asdict(recipe)]))
    known = recalled(store, key)
    if known is not None:
        return known
    started, usage, study, tried = time.perf_counter(), Usage(), _study(recipe.seed), list[tuple[Any, Model]]()
    settings = dict(recipe.settings)
    trials, enough = int(settings.pop("trials", TRIALS)), float(settings.pop("good_enough", 2.0))
    recipe = replace(recipe, settings=settings)
    methods, cheap = carried(data, recipe), max(1, trials // 2)
    for number in range(trials):
        spent = (time.perf_counter() - started) / 60
        if recipe.minutes is not None and spent > recipe.minutes and tried:
            break
        trial = study.ask()
        model = train(data, _proposed(data, trial, recipe, methods, number < cheap))
        score, share = float(model.facts["valid"]["score"]), float(model.facts["trainable_share"])
        study.tell(trial, (score, share))
        tried.append((trial.params, model))
        events.emit("progress", stage="search", done=number + 1, total=trials)
        if score >= enough and number >= cheap:
            break
    best = max((model for _, model in tried), key=_merit)
    entries = [_entry(params, model) for params, model in tried]
    facts = {**best.facts, **usage.facts(), "tried": entries, "front": front(entries), "fit_seconds": best.facts["seconds"]}
    chosen: Model = store.save(replace(best, facts=facts, parents=(*best.parents, best.ref)))
    store.audit.append("search", chosen.ref, data=data.ref, tried=[model.ref for _, model in tried], kept=best.ref)
    store.remember(key, chosen.ref)
    return chosen


def carried(data: Dataset, recipe: Recipe) -> list[str]:
    """The methods a search chooses among: those the base can carry.

    Raises:
        InputError: there is none.
    """
    if catalogue.get("families", family_of(recipe.base)).trains == "own":
        raise InputError("a base to search methods for", recipe.base, "Use minilm, use-m or a BERT-like base of your own.")
    found = []
    for method in catalogue.names("methods"):
        if method in NOT_SEARCHED:
            continue
        try:
            learner(data, replace(recipe, method=method, settings={})).network()  # type: ignore[attr-defined]
        except SavileError:
            continue
        found.append(method)
    return found


def _proposed(data: Dataset, trial: Any, recipe: Recipe, methods: Sequence[str], cheap: bool) -> Recipe:
    """The candidate of a trial: a method, its learning rate around the usual one, and the rank where it has one."""
    method = trial.suggest_categorical("method", methods)
    plain: Any = learner(data, replace(recipe, method=method, settings={}))
    usual, owned = plain.fit_settings, plain.method_settings
    settings: dict[str, Any] = {"learning_rate": usual.learning_rate * trial.suggest_float("rate", 0.3, 3.0, log=True)}
    if "rank" in owned:
        rank = trial.suggest_categorical("rank", [2, 4, 8])
        settings |= {"rank": rank, "alpha": 2 * rank} | ({"start_rank": rank + rank // 2} if "start_rank" in owned else {})
    if cheap:
        settings["most_steps"] = max(LEAST_STEPS, usual.least_steps // CHEAP)
    return replace(recipe, method=method, settings={**settings, **recipe.settings}, minutes=None)


def front(entries: Sequence[dict[str, Any]]) -> list[int]:
    """Which entries no other beats in score and in share at once, the smallest share first."""
    better = [
        place
        for place, one in enumerate(entries)
        if not any(
            (other["score"] >= one["score"] and other["share"] <= one["share"])
            and (other["score"], -other["share"]) != (one["score"], -one["share"])
            for other in entries
        )
    ]
    return sorted(better, key=lambda place: float(entries[place]["share"]))


def _entry(params: dict[str, Any], model: Model) -> dict[str, Any]:
    share, seconds = model.facts["trainable_share"], model.facts["seconds"]
    said = {"candidate": model.method, "model": model.ref, "settings": params, **model.facts["valid"]}
    return {**said, "share": share, "steps": model.facts["steps"], "seconds": seconds}


def _merit(model: Model) -> tuple[float, float]:
    valid = model.facts["valid"]
    return valid["score"], -valid["log_loss"]


def _study(seed: int) -> Any:
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("optuna", "search") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(directions=["maximize", "minimize"], sampler=optuna.samplers.TPESampler(seed=seed))
