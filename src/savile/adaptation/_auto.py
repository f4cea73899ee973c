"""``method: auto``: a few candidates within the budget, from the plainest on, chosen on rows none of them has seen."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from savile.adaptation import _held
from savile.adaptation._asked import BESIDE
from savile.adaptation._folds import few
from savile.adaptation._learners import Recipe, family_of, learner
from savile.adaptation._train import EDITION, Usage, judged, recalled, train, units
from savile.base import catalogue, events, media
from savile.base.errors import SavileError
from savile.base.records import Calibration, Dataset, Model, canonical, digest
from savile.models._bases import locate
from savile.models._calibrate import calibrate, log_losses

TUNED = "full"
TABLES, SENSES, BY_LANGUAGE = "tabular", "joint", "auto"
VECTORS = "embed"
ALONE = ("tag", VECTORS)  # columns say nothing of them, and what families answer cannot be added up
LEAST_SECONDS = 5.0  # a tuned method is not begun with less than this left
SURE = 1.28  # standard errors by which the log loss must fall for two models to answer together: nine chances in ten
RUNS, RUN_ROWS = 3, 8_000  # runs of the tuned method whose mean is kept, and up to how many rows: with more, runs differ less
TABLE_SHARE = 0.3  # share of what is left that each model of tables may take
HEAD_SHARE = 0.4  # share of what is left that a new head may take
RESERVE = 0.85  # share of what is left that the tuned method may plan with; the rest is for answering validation rows


def choose(data: Dataset, recipe: Recipe) -> Model:
    """Try the linear model, a new head, one tuned method, boosting for tables, and the best together; store the best again."""
    from savile.base.store import Store

    store, minutes, table = Store.open(), recipe.minutes, of_tables(data, recipe)
    base = "" if table else locate(recipe.base).sha256
    # what settings name, a file of facts or an alias, may have changed since
    named = [learner(data, one).identity() for one in candidates(data, recipe) if one.method]
    key = digest(canonical(["auto", EDITION, data.digest, data.mask, asdict(recipe), base, named]))
    known = recalled(store, key)
    if known is not None:
        return known
    started, usage = time.perf_counter(), Usage()
    tried: list[Model] = []
    skipped: list[str] = []
    for candidate in candidates(data, recipe):
        budget = share(recipe, candidate, time.perf_counter() - started)
        if budget == 0.0:
            skipped.append(f"{candidate.method} was not tried: the budget of {minutes:g} min was used up.")
        else:
            tried += _tried(data, candidate, budget, skipped)
    if not tried:  # what stood in the way of the plainest is told
        tried.append(train(data, candidates(data, recipe)[0]))
    best = max(tried, key=_surest if table or ranked(data) else _merit)
    fused, why_not = (None, "") if apart(data, recipe) else _fused(data, tried, recipe.settings.get("value"))
    skipped += [why_not] if why_not else []
    tried += [fused] if fused else []
    best = fused or best
    entries = [
        {"candidate": _name(model), "model": model.ref, **model.facts["valid"], "seconds": model.facts["seconds"]}
        for model in tried
    ]
    why = " ".join([_why(best, tried), *skipped])
    events.emit("note", text=why)
    facts = {**best.facts, **usage.facts(), "tried": entries, "why": why, "fit_seconds": best.facts["seconds"]}
    chosen: Model = store.save(replace(best, facts=facts, parents=(*best.parents, best.ref)))
    store.audit.append("choose", chosen.ref, data=data.ref, tried=[model.ref for model in tried], kept=best.ref)
    store.remember(key, chosen.ref)
    return chosen


def of_tables(data: Dataset, recipe: Recipe) -> bool:
    """Whether only models of tables are tried: they are asked for, or there is no text to read."""
    return recipe.base == TABLES or "text" not in data.roles


def ranked(data: Dataset) -> bool:
    """Whether answers count by their order."""
    return bool(getattr(catalogue.get("tasks", data.task), "RANKED", False))


def apart(data: Dataset, recipe: Recipe) -> bool:
    """Whether candidates never answer together: what they answer cannot be added up, or a policy has the last word."""
    return of_tables(data, recipe) or ranked(data) or data.task in ALONE or "fair" in recipe.settings


def _kinds(recipe: Recipe) -> list[Recipe]:
    """What is tried on tables: every kind of model, from the plainest, unless one is named."""
    kinds: list[Mapping[str, Any]] = [{}]
    if "kind" not in recipe.settings:
        kinds = list(catalogue.get("families", TABLES).CANDIDATES)
    return [Recipe(TABLES, "", {**recipe.settings, **kind}, recipe.seed) for kind in kinds]


def chooses(recipe: Recipe) -> bool:
    """Whether several candidates are tried for a recipe; a family that needs no base stands alone."""
    if recipe.base == TABLES:
        return recipe.method == "auto" and "kind" not in recipe.settings
    return recipe.method == "auto" and catalogue.get("families", family_of(recipe.base)).trains != "own"


def candidates(data: Dataset, recipe: Recipe) -> list[Recipe]:
    """What is tried, the plainest first; of the table where there are columns beside the text, of the text if there is one."""
    if of_tables(data, recipe):
        return [*_kinds(recipe), *(_senses(data, {}, recipe.seed) if recipe.base != TABLES else [])]
    shared = {name: recipe.settings[name] for name in BESIDE if name in recipe.settings}
    # words that two texts share are no vector of either: of vectors, keywords are what is compared with and nothing else
    found = [] if data.task == VECTORS else [Recipe("linear", "", shared, recipe.seed)]
    own = getattr(catalogue.get("tasks", data.task), "FAMILY", None)
    found += [Recipe(own, "", shared, recipe.seed)] if own else []
    if (
        data.task not in ALONE
        and set(data.features().column_names) - {data.roles.get("text")}
        and TABLES in catalogue.names("families")
    ):
        found.append(Recipe(TABLES, "", shared, recipe.seed))
    found += _senses(data, shared, recipe.seed)
    few_enough = recipe.minutes is None and not few(data) and len(data.parts["train"]) <= RUN_ROWS
    method = getattr(catalogue.get("families", family_of(recipe.base)), "TUNED", TUNED)
    tuned = {"runs": RUNS, **recipe.settings} if few_enough and method == TUNED else recipe.settings
    return [*found, replace(recipe, method="head", settings=shared), replace(recipe, method=method, settings=tuned)]


def _senses(data: Dataset, shared: Mapping[str, Any], seed: int) -> list[Recipe]:
    """What reads pictures and recordings beside the rest, where there are any."""
    pairs = getattr(catalogue.get("tasks", data.task), "PAIRS", False)
    if pairs or data.task in ALONE or not any(media.kind_of(column) for column in data.features().columns):
        return []
    text = {"text": data.roles["text"]} if "text" in data.roles else {}
    return [Recipe(SENSES, "", {**shared, **text}, seed)]


def share(recipe: Recipe, candidate: Recipe, spent: float) -> float | None:
    """Minutes for one candidate when so many seconds are spent: 0 when too few are left, None without a budget of its own."""
    apart = candidate.base in (TABLES, SENSES)
    if recipe.minutes is None or not (candidate.method or apart):
        return None  # the keyword model is quick on any number of rows that fits into memory
    left = recipe.minutes * 60 - spent
    if apart:
        return max(left, LEAST_SECONDS) * TABLE_SHARE / 60
    if candidate.method == "head":  # tried in any case: on few rows it takes seconds
        return max(left, LEAST_SECONDS) * HEAD_SHARE / 60
    return left * RESERVE / 60 if left > LEAST_SECONDS else 0.0


def _tried(data: Dataset, candidate: Recipe, budget: float | None, skipped: list[str]) -> list[Model]:
    """The model of a candidate; a table that cannot be learned from is left out, and said."""
    try:
        return [train(data, candidate, budget)]
    except SavileError as error:
        if candidate.base not in (TABLES, SENSES):
            raise
        skipped.append(f"{candidate.base} was not tried: wanted {error.wanted}; received {error.received}.")
        return []


def _fused(data: Dataset, tried: Sequence[Model], value: Any) -> tuple[Model | None, str]:
    """The linear model and the best of the others together, when that is surely better; else why not.

    Judged by log loss, which says more about few rows than the share of right answers does.

    Weights are found on one half of the rows and judged on the other, and the other way round.
    """
    from savile.base.store import Store
    from savile.models import fusion

    store, head = Store.open(), catalogue.get("tasks", data.task).head(len(data.labels))
    others = [model for model in tried if model.method]
    if not others:
        return None, ""
    members = (tried[0], max(others, key=_merit))
    held = [_held.kept(store, member) for member in members]
    if any(one is None for one in held):
        return None, ""
    start = units(data, head)
    rows = [one[1] for one in held if one]  # the more rows, the surer the weights and the gain
    gold = rows[0].gold
    joint = np.zeros_like(rows[0].logits)
    for half in (0, 1):
        fitted, judged_on = np.arange(len(gold)) % 2 == half, np.arange(len(gold)) % 2 != half
        weights = fusion.best_weights(head, [one.logits[fitted] for one in rows], gold[fitted], start)
        joint[judged_on] = fusion.together([one.logits[judged_on] for one in rows], weights)
    best, together = max(tried, key=_merit), _held.Held(joint, gold)
    gain = _gain(head, rows, members, best, together, start)
    chosen_on = held[0][0] if held[0] else together
    valid = judged(data.task, head, _held.Held(joint[: len(chosen_on.gold)], chosen_on.gold), start)
    if gain < SURE or valid["score"] < best.facts["valid"]["low"]:
        return None, f"Linear and {_name(members[1])} together score {valid['score']:.3f} and are not surely better."
    weights = fusion.best_weights(head, [one.logits for one in rows], gold, start)
    calibration = calibrate(head, fusion.together([one.logits for one in rows], weights), gold, value, start)
    facts = {**members[1].facts, "valid": valid, "weights": [round(float(weight), 4) for weight in weights]}
    facts["seconds"] = round(sum(member.facts["seconds"] for member in members), 2)
    model = replace(
        members[1],
        family="fusion",
        method="",
        forms={fusion.FORM: fusion.fuse(members, weights)},
        calibrations={fusion.FORM: calibration},
        facts=facts,
        settings={**members[1].settings, "fused": [member.ref for member in members]},
        parents=(*((data.ref,) if data.ref else ()), *(member.ref for member in members)),
        ref="",
    )
    return store.save(model), ""


def _gain(
    head: Any, chosen_on: Sequence[_held.Held], members: Sequence[Model], best: Model, rows: _held.Held, start: Calibration
) -> float:
    """By how many standard errors the log loss of a row falls against the best single model; 0 when that is no member."""
    if best.ref not in [member.ref for member in members]:
        return 0.0
    single = chosen_on[[member.ref for member in members].index(best.ref)]
    losses = [
        log_losses(head, one.logits, one.gold, calibrate(head, one.logits, one.gold, None, start)) for one in (single, rows)
    ]
    fall = losses[0] - losses[1]
    return float(fall.mean() / (fall.std() / np.sqrt(len(fall)) or np.inf))


def language_base(data: Dataset) -> str:
    """The base for the language of the training texts: ``use-m`` where most letters are not Latin, else ``minilm``."""
    sample = "".join(data.texts("train")[:2000])
    letters = [letter for letter in sample if letter.isalpha()]
    other = sum(letter > "\u024f" for letter in letters)
    name = "use-m" if other > 0.3 * max(1, len(letters)) else "minilm"
    if name == "use-m":
        events.emit("note", text=f"{other / len(letters):.0%} of the letters are not Latin, so the base is {name}.")
    return name


def _surest(model: Model) -> float:
    """Tables are decided by probabilities: a share of right answers says little where one label is rare."""
    return -float(model.facts["valid"]["log_loss"])


def _merit(model: Model) -> tuple[float, float]:
    """Validation score; of equal ones, the surer."""
    valid = model.facts["valid"]
    return valid["score"], -valid["log_loss"]


def _why(best: Model, tried: list[Model]) -> str:
    rows, where, valid = best.facts["valid"]["rows"], best.facts["chosen_on"], best.facts["valid"]
    if best.family == TABLES:
        losses = ", ".join(f"{_name(model)} {model.facts['valid']['log_loss']:.4f}" for model in tried)
        return f"{_name(best)} has the lowest log loss on {rows} {where}: {losses}."
    scores = ", ".join(f"{_name(model)} {_score(model):.3f}" for model in tried)
    return f"{_name(best)} scores best on {rows} {where}: {scores}; its interval is {valid['low']:.3f} to {valid['high']:.3f}."


def _score(model: Model) -> float:
    score: Any = model.facts["valid"]["score"]
    return float(score)


def _name(model: Model) -> str:
    return model.method or model.settings.get("settings", {}).get("kind") or model.family
