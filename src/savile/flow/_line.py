"""The way of the data: each step asks one room, and does nothing when the store remembers that it was done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from savile.base import answers, catalogue
from savile.base.audit import actor
from savile.base.errors import InputError, MachineError, RefusalError
from savile.base.events import emit
from savile.base.recipe import Recipe, Serve, plain
from savile.base.records import Dataset, Model, Release, Report, canonical, digest
from savile.base.store import Store
from savile.flow import _order, _people, _rights

if TYPE_CHECKING:
    from savile.data import Inspection

EDITION = 2  # of evaluating and releasing: raised when the same would come out otherwise
SHOWN_FINDINGS = 5


def govern(recipe: Recipe) -> Dataset:
    """The data set of a recipe, under the recipe's name; columns inferred once are as good as named the next time."""
    from savile import data

    store, key = Store.open(), _govern_key(recipe)
    known = store.recall(key)
    if known is not None and data.page(store.load(known)).exists():
        emit("note", text=f"Nothing has changed since {known} was governed.")
        found: Dataset = store.load(known)
        _tell_steps(found)
    else:
        try:
            found = data.prepare(recipe.data.source, _order.options(recipe))
        except RefusalError as error:
            store.audit.append("refuse", Path(recipe.data.source).name, stage="govern", why=[error.received])
            raise
        named = _order.Order(recipe).with_roles(found.task, found.roles).recipe
        for each in (key, _govern_key(named)):
            store.remember(each, found.ref)
    tell_findings(found)
    _rights.use(found, "govern")
    _people.ask(found)
    return replace(found, name=recipe.name or found.name)


def _tell_steps(found: Dataset) -> None:
    """Say again what the steps that were asked for came to."""
    for name, outcome in found.settings.get("steps", {}).items():
        tell = getattr(catalogue.get("steps", name), "tell", None)
        if tell is not None:
            tell(outcome)


def _govern_key(recipe: Recipe) -> str:
    """What governing depends on: the bytes and names of the files, the options, and the edition of the steps.

    A name says how the bytes are read, and it is noted in the data's lineage.
    """
    from savile import data

    chosen = _order.options(recipe)
    options = asdict(chosen) | {"test": None, "where": None} | data.beside(Path(recipe.data.source), chosen)
    names = [Path(file).name for file in (recipe.data.source, recipe.data.test) if file]
    return _key("govern", data.EDITION, _order.fingerprint(recipe.data), names, options)


def tell_findings(found: Dataset | Inspection) -> None:
    """Say what is wrong with the data, the gravest first."""
    order = ("error", "warning", "note")
    gravest = sorted(found.findings, key=lambda one: (order.index(one.severity), -one.count))[:SHOWN_FINDINGS]
    shown = [{"severity": one.severity, "rule": one.rule, "count": one.count, "evidence": one.evidence} for one in gravest]
    emit("findings", found=shown, total=len(found.findings))


def adapt(recipe: Recipe, data: Dataset) -> Model:
    """The model that a recipe makes of a data set."""
    from savile import adaptation

    _rights.use(data, "adapt", recipe.data.steps.get("rights"))

    settings = {**recipe.adapt.settings, **value(recipe)}
    if recipe.run.where == "ray":
        settings["workers"] = recipe.run.workers
    return adaptation.adapt(data, base(recipe), recipe.adapt.method, recipe.adapt.budget.minutes, settings, recipe.adapt.seed)


def base(recipe: Recipe) -> str:
    """What is adapted, as `adaptation.adapt` names it."""
    family = recipe.model.family
    return family if family and catalogue.get("families", family).trains == "own" else recipe.model.base


def rivals(recipe: Recipe, data: Dataset) -> dict[str, tuple[str, str, dict[str, Any], float | None]]:
    """What a model is held against: base, method, settings and minutes of the linear model and of the untuned base with a head.

    The linear model learns from all rows, whatever the budget: a baseline of a few hundred would prove nothing. Of a table
    without texts it is a regression on its columns, and a base is compared with only when asked for. Where words are asked
    for there is no linear model, and the base answers as it is.

    Raises:
        InputError: the linear model is to be beaten, and there is none.
    """
    worth = value(recipe)
    if answers.in_words(data.task):
        if recipe.evaluate.must_beat in ("linear", "both"):
            received = f"must_beat: {recipe.evaluate.must_beat} for the task {data.task}, which keywords cannot do"
            raise InputError("a baseline that answers in words", received, "Write must_beat: base.")
        return {"base": (recipe.model.base, "prompt", {}, None)}
    untuned = {"base": (recipe.model.base, "head", worth, recipe.adapt.budget.minutes)}
    if "text" in data.roles:
        return {"linear": ("linear", "auto", worth, None), **untuned}
    named = {one.name for one in fields(catalogue.get("families", "tabular").Settings)}
    own = {name: setting for name, setting in recipe.adapt.settings.items() if name in named}
    table = {"linear": ("tabular", "auto", {**own, **worth, "kind": "logistic"}, None)}
    return {**table, **(untuned if recipe.evaluate.must_beat in ("base", "both") else {})}


def baselines(recipe: Recipe, data: Dataset, model: Model) -> dict[str, Model]:
    """The `rivals`, trained; nothing is trained that was tried for `model` already."""
    from savile import adaptation

    asked, seed = rivals(recipe, data), recipe.adapt.seed
    found: dict[str, Model] = {}
    if "linear" in asked:
        own, method, settings, minutes = asked["linear"]
        found["linear"] = adaptation.adapt(data, own, method, minutes, settings, seed)
    if "base" not in asked:
        return found
    tried = next((one["model"] for one in model.facts.get("tried", ()) if one["candidate"] == "head"), None)
    if tried is not None:
        return {**found, "base": Store.open().load(tried)}
    named, method, settings, minutes = asked["base"]
    if answers.in_words(data.task):  # it is told what the model is told
        settings = {name: model.settings["network"][name] for name in ("instruction", "max_length")}
    try:
        found["base"] = adaptation.adapt(data, named, method, minutes, settings, seed)
    except MachineError as error:
        if base(recipe) == recipe.model.base or recipe.evaluate.must_beat in ("base", "both"):
            raise
        emit("warning", text=f"Not compared with an untuned base: wanted {error.wanted}; received {error.received}.")
    return found


def compress(recipe: Recipe, model: Model, data: Dataset) -> Model:
    """The model with the forms that may serve; families without a torch network, and what answers in words, serve as they are.

    Raises:
        RefusalError: a size is asked for that what serves as it is does not have.
    """
    if catalogue.get("families", model.family).trains == "own":
        return model
    if answers.in_words(model.task):
        emit("note", text="What answers in words is served as it was trained: no smaller form of it is made.")
        if recipe.compress.max_size_mb is not None:
            do = "Leave compress.max_size_mb out."
            raise RefusalError(f"a form of at most {recipe.compress.max_size_mb:g} MB", "the trained form alone", do)
        return model
    from savile import compression

    limits = {"max_size_mb": recipe.compress.max_size_mb, "max_drop": recipe.compress.max_drop}
    settings = {**recipe.compress.settings, **{name: limit for name, limit in limits.items() if limit is not None}}
    return compression.compress(model, data, recipe.compress.technique, settings)


def served(model: Model) -> tuple[str | None, str | None]:
    """Form and engine that serve best, as `compress` measured; None and None stand for the trained form by its own family."""
    chosen = model.facts.get("served") or {}
    return chosen.get("form"), chosen.get("engine")


def evaluate(
    recipe: Recipe, model: Model, data: Dataset, form: str | None, engine: str | None, against: Model | None = None
) -> Report:
    """Measure one form on the test part, beside both baselines and maybe another model, against the recipe's bars."""
    from savile import evaluation

    _rights.use(data, "evaluate", recipe.data.steps.get("rights"))
    rivals, settings = baselines(recipe, data, model), bars(recipe)
    rivals |= {"against": against} if against is not None else {}
    refs = {name: rival.ref for name, rival in rivals.items()}
    key = _key("evaluate", model.ref, data.ref, data.name, form, engine, settings, refs)
    store = Store.open()
    known = store.recall(key)
    if known is not None:
        found: Report = store.load(known)
        if all(Path(page).exists() for page in found.body["pages"]):
            emit("note", text=f"Nothing has changed since {known} was measured.")
            return found
    report = evaluation.evaluate(model, data, form, engine, settings, rivals)
    store.remember(key, report.ref)
    return report


def update(recipe: Recipe, model: Model, data: Dataset, form: str | None, engine: str | None, earlier: Model) -> Report:
    """Measure an updated model beside the one it may replace, as that serves, on every stage of the data."""
    from savile import evaluation

    _rights.use(data, "evaluate", recipe.data.steps.get("rights"))
    budget = {"budget": {"lose": recipe.adapt.budget.forget}}
    return evaluation.evaluate(model, data, form, engine, bars(recipe) | budget, {"against": earlier})


def combined(
    recipe: Recipe, model: Model, data: Dataset, form: str | None, engine: str | None, own: Mapping[str, str]
) -> Report:
    """Measure a model made of several beside both baselines and, on each stage of the data, the one it was that stage's own."""
    from savile import evaluation

    _rights.use(data, "evaluate", recipe.data.steps.get("rights"))
    budget = {"budget": {"lose": recipe.adapt.budget.forget, "own": dict(own)}}
    return evaluation.evaluate(model, data, form, engine, bars(recipe) | budget, baselines(recipe, data, model))


def bars(recipe: Recipe) -> dict[str, Any]:
    """What `evaluation.evaluate` is asked for."""
    gates = [plain(bar) for bar in recipe.evaluate.gates]
    good = {"good": str(recipe.task.good)} if recipe.task.good is not None else {}
    return plain(recipe.evaluate) | value(recipe) | ({"gates": gates} if gates else {}) | good


def release(model: Model, report: Report, data: Dataset, where: Serve | None = None, forced: bool = False) -> Release:
    """The bundle that may serve, with the alias ``champion``; a report that did not pass its gate takes `forced`.

    `where` is the recipe's section ``serve``: what `savile serve` does unless it is told otherwise.
    """
    from savile import serving

    _rights.use(data, "release")
    wanted = plain(where) if where else {}
    store, key = Store.open(), _key("release", report.ref, forced, wanted)
    known = store.recall(key)
    found: Release
    if known is not None:
        found = store.load(known)
    else:
        form, engine = report.body["form"], report.body["engine"]
        found = serving.release(model, form, engine, report, data, actor(), forced=forced, serve=wanted)
        store.remember(key, found.ref)
    if not forced and store.aliases().get("champion") != found.ref:
        store.alias("champion", found.ref)
    return found


def value(recipe: Recipe) -> dict[str, Any]:
    """What an item is worth, as a setting of adapting; nothing when the recipe does not say."""
    worth = recipe.evaluate.value
    return {"value": {name: one for name, one in asdict(worth).items() if one not in (None, False)}} if worth else {}


def _key(*parts: Any) -> str:
    return digest(canonical(["flow", EDITION, *(dict(part) if isinstance(part, Mapping) else part for part in parts)]))
