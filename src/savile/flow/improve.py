"""The word `improve`: rows that people corrected become an update of the model that serves, or are refused with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from savile.base import catalogue
from savile.base import recipe as recipes
from savile.base.errors import InputError, RefusalError, UnknownNameError
from savile.base.events import emit
from savile.base.records import Dataset, Model, Release
from savile.base.store import Store
from savile.flow import _line, _refs, _rights
from savile.flow._options import Common
from savile.flow._result import Result, of_run

if TYPE_CHECKING:
    from savile.base.recipe import Recipe
    from savile.base.records import Report

# settings of the loop that say what is learned, not how fast
LOSS = ("class_weights", "label_smoothing", "rdrop", "adversarial", "epsilon", "ascents", "average", "decay", "dropout")


def improve(
    corrections: str | Path | Dataset,
    *,
    model: str | Model | Release = "champion",
    keep: str | None = None,
    forget: float | None = None,
    minutes: float | None = None,
    **more: Unpack[Common],
) -> Result:
    """Teach a served model corrected rows without losing what it knew; what passes takes its place, also where it is serving.

    The update is tested beside the model that serves, on the test rows of everything learnt so far and on a fifth of the new
    rows. It is refused when it costs any earlier stage more than its budget, or gains nothing on the new rows.

    Args:
        corrections: file or data set with texts and right labels, as the model's own data had them.
        model: the release or model to go on from; default: champion, which serves.
        keep: how earlier rows are kept, as `savile names keepers` lists the ways; default: replay.
        forget: share of the metric that the update may lose on earlier rows; default: 0.01.
        minutes: budget for learning.
        settings: dotted keys of the recipe and their values, such as adapt.settings.keep.memory.

    Raises:
        UnknownNameError: there is no such model or way of keeping.
        InputError: the rows are of another kind than the model's, or name labels it does not know.
    """
    found = _refs.model_or_release(model)
    earlier, data = _refs.model(found), _refs.data_of(_refs.model(found))
    recipe = _recipe(found, earlier, {"keep": keep, "forget": forget, "minutes": minutes}, more)
    new = _known(_rows(corrections, data, recipe), earlier)
    for each in (data, new):
        _rights.use(each, "adapt", recipe.data.steps.get("rights"))
    from savile.data import appended

    grown = Store.open().save(appended(data, new))
    updated = _compressed(recipe, _line.adapt(recipe, grown), grown, _line.served(earlier)[0])
    form, engine = _line.served(updated)
    report = _line.update(recipe, updated, replace(grown, name=data.name), form, engine, earlier)
    return _decided(recipe, updated, report, grown, _modules(earlier, updated))


def plan(
    corrections: str | Path | Dataset,
    *,
    model: str | Model | Release = "champion",
    keep: str | None = None,
    forget: float | None = None,
    minutes: float | None = None,
    **more: Unpack[Common],
) -> dict[str, Any]:
    """What `improve` would go on from, and within which budget; of rows that are stored."""
    from savile.flow._result import envelope

    found = _refs.model_or_release(model)
    earlier, new = _refs.model(found), _known(_refs.stored_dataset(corrections), _refs.model(found))
    recipe = _recipe(found, earlier, {"keep": keep, "forget": forget, "minutes": minutes}, more)
    said: dict[str, Any] = {"model": earlier.ref, "data": _refs.data_of(earlier).ref, "corrections": new.ref}
    said |= {"goes_on_from": recipe.model.family or recipe.model.base, "adapt": recipes.plain(recipe.adapt)}
    return {**envelope("improve"), "verdict": "dry_run", **said}


def _recipe(found: Model | Release, earlier: Model, asked: dict[str, Any], more: Common) -> Recipe:
    """The recipe of an update: the model it goes on from, what that was made with, and what is asked for now."""
    start = _start(earlier)
    made, pressed = start.settings, earlier.settings.get("compress", {})
    own = catalogue.get("families", start.family).trains == "own"
    named: dict[str, Any] = {"model.family": start.family} if own else {"model.base": start.ref}
    named |= {} if own else {"adapt.method": start.method}
    settings = dict(made.get("settings", {})) if own else _loss(made.get("fit", {}))
    named["adapt.settings"] = settings | {name: made[name] for name in ("value", "fair") if made.get(name)}
    if isinstance(found, Release) and found.report:  # an update is judged by what the release was judged by
        named["evaluate.metric"] = Store.open().load(found.report).body["metric"]
    named |= {f"compress.{name}": value for name, value in pressed.items()}
    named |= {f"serve.{name}": value for name, value in found.serve.items()} if isinstance(found, Release) else {}
    options = {"adapt.budget.forget": asked["forget"], "adapt.budget.minutes": asked["minutes"]}
    options |= {} if own else {"adapt.settings.keep.by": asked["keep"] or "replay"}
    named |= {key: value for key, value in options.items() if value is not None}
    return recipes.make({**named, **(more.get("settings") or {})})


def _loss(fit: Mapping[str, Any]) -> dict[str, Any]:
    """What the model was asked to learn by, such as classes that weigh alike: an update learns by the same."""
    from savile.models import FitSettings

    usual = FitSettings()
    return {name: fit[name] for name in LOSS if fit.get(name, getattr(usual, name)) != getattr(usual, name)}


def _start(model: Model) -> Model:
    """What goes on learning: the model itself, or of several that answer together the best one that learns step by step.

    Raises:
        InputError: there is none.
    """
    if model.family != "fusion":
        return model
    tried = sorted(model.facts.get("tried", ()), key=lambda one: -one["score"])
    for one in tried:
        member: Model = Store.open().load(one["model"])
        if catalogue.get("families", member.family).trains == "loop":
            return member
    do = "Run again on all rows together."
    raise InputError("a model with a member that learns step by step", model.ref, do)


def _rows(corrections: str | Path | Dataset, data: Dataset, recipe: Recipe) -> Dataset:
    """The new rows; a file is read for the same task, masked as the earlier rows were, and by the names of their columns.

    A file that has none of those names has its columns inferred, like any other.
    """
    if not _refs.is_file(corrections):
        return _refs.dataset(corrections)
    from savile.data import Options, prepare

    pii = data.settings.get("options", {}).get("pii", "mask")
    file, asked = Path(str(corrections)), Options(data.task, recipe.task.label, recipe.task.text, pii=pii)
    named = replace(asked, label=asked.label or data.roles.get("label"), text=asked.text or data.roles.get("text"))
    try:
        return prepare(file, named)
    except InputError as error:
        if named == asked or not (isinstance(error, UnknownNameError) or "," in (named.text or "")):
            raise  # not for a name that is lacking; those of pairs are named as one
    return prepare(file, asked)


def _known(new: Dataset, earlier: Model) -> Dataset:
    """The new rows, once all their labels are known to the model.

    Raises:
        InputError: some are not.
    """
    fresh = sorted(set(new.labels) - set(earlier.labels))
    if fresh and earlier.task != "score":
        do = "A new label changes what is asked: run again on all rows, or correct these labels."
        raise InputError(f"labels that {earlier.ref} knows", ", ".join(fresh[:5]), do)
    return new


def _compressed(recipe: Recipe, updated: Model, data: Dataset, form: str | None) -> Model:
    """The update in the form that serves now, which alone is made; in every form where that one may not serve, or hardly."""
    made = getattr(catalogue.get("techniques", recipe.compress.technique), "FORMS", ())
    if form in made and "forms" not in recipe.compress.settings:
        settings = {**recipe.compress.settings, "forms": [form]}
        with suppress(RefusalError):
            found = _line.compress(replace(recipe, compress=replace(recipe.compress, settings=settings)), updated, data)
            if _line.served(found)[0] == form and found.facts["forms"][form]["moved"] < 1.0:
                return found
    return _line.compress(recipe, updated, data)


def _modules(earlier: Model, updated: Model) -> list[str]:
    """Which adapters of several learned on, and which are the same to the byte, by their digests."""
    before, now = earlier.facts.get("modules", {}), updated.facts.get("modules", {})
    lines = [f"{name}: {before.get(name, 'new')[:12]} -> {one[:12]}" for name, one in now.items() if before.get(name) != one]
    same = [f"{name} {one[:12]}" for name, one in now.items() if before.get(name) == one]
    return [*lines, f"The same to the byte: {', '.join(same)}."] if same else []


def _decided(recipe: Recipe, updated: Model, report: Report, data: Dataset, modules: list[str]) -> Result:
    """The release in place of the one that served, or the refusal and what to do about it."""
    passed, kept = report.body["gate"]["passed"], report.body["kept"]
    release = _line.release(updated, report, data, recipe.serve) if passed else None
    lines = modules + [
        f"{name}: {one['metric']} {one['before']:.3f} before, {one['now']:.3f} now, {one['n']} row{'s' * (one['n'] != 1)}."
        for name, one in kept.items()
    ]
    failed = [check["name"] for check in report.body["gate"]["checks"] if not check["passed"]]
    if release is None:
        advice = _advice(failed, recipe)
        emit("warning", text=f"Refused; {updated.ref} does not serve. {advice}")
        lines.append(advice)
    following = f"savile serve {release.ref}" if release else f"savile show {report.ref}"
    return Result(of_run("improve", report, release), [*report.body["summary"], *lines], following)


def _advice(failed: list[str], recipe: Recipe) -> str:
    """What to do about an update that was refused."""
    lost = [name.removeprefix("keeps ") for name in failed if name.startswith("keeps ")]
    if lost:
        budget = f"{recipe.adapt.budget.forget:g}"
        return (
            f"It forgets more of {', '.join(lost)} than the budget of {budget} allows. Look at the new rows "
            "(govern FILE --check-labels base), keep more (--set adapt.settings.keep.memory=5000), or allow more: --forget."
        )
    if any(name.startswith("learns ") for name in failed):
        return "It answers the new rows no better than before. Give more of them, or look at their labels."
    return f"It did not pass: {', '.join(failed)}."
