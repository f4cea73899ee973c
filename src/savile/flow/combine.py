"""The word `combine`: adapters that were trained apart, on one base, become one release that answers for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from savile.base import recipe as recipes
from savile.base.errors import InputError
from savile.base.events import emit
from savile.base.records import Dataset, Model, Release
from savile.base.store import Store
from savile.flow import _line, _refs, _rights
from savile.flow._options import OnLibrary
from savile.flow._result import Result, envelope, of_run

if TYPE_CHECKING:
    from savile.base.recipe import Recipe
    from savile.base.records import Report

ROUTED = ("domains", "arrow")  # methods that keep the adapters apart; every other way of combining is one of merging
Named = str | Sequence[str | Model | Release]


def combine(
    adapters: Named,
    *,
    how: str = "domains",
    weights: str | Sequence[float] | None = None,
    forget: float | None = None,
    **more: Unpack[OnLibrary],
) -> Result:
    """Make one release of several adapters on one base, proven against what each answered alone.

    The data of the adapters is put together; on it a new head is fitted, nothing else is trained. The release is refused when
    it costs the task of any adapter more than the budget.

    Args:
        adapters: models or releases made by lora on one base; in a shell with commas between them.
        how: domains (a router says which adapter a text belongs to), arrow (token by token), or merged into one adapter:
            linear, ties, dare, dare_ties, magnitude; default: domains.
        weights: of each adapter in a merge, with commas between them; default: the same.
        forget: share of the metric that the task of any adapter may lose; default: 0.01.
        max_mb: with domains, megabytes that all adapters may take together; the most alike are shared or cut until they fit.
        most: with domains, adapters that may be left, likewise.
        settings: dotted keys of the recipe and their values, such as adapt.settings.density.

    Raises:
        UnknownNameError: there is no such model, release or way.
        InputError: the adapters are of different bases, tasks or policies.
    """
    members = _members(adapters)
    recipe = _recipe(members, how, weights, forget, more)
    for member in members:
        _rights.use(_refs.data_of(member), "adapt", recipe.data.steps.get("rights"))
    data = Store.open().save(_together(members))
    if more.get("max_mb") is not None or more.get("most") is not None:
        recipe = _within(recipe, data, more.get("max_mb"), more.get("most"))
    model = _line.compress(recipe, _line.adapt(recipe, data), data)
    form, engine = _line.served(model)
    own = {stage: member.ref for stage, member in zip(data.settings["stages"], members, strict=True)}
    report = _line.combined(recipe, model, data, form, engine, own)
    return _decided(recipe, model, report, data)


def plan(
    adapters: Named,
    *,
    how: str = "domains",
    weights: str | Sequence[float] | None = None,
    forget: float | None = None,
    **more: Unpack[OnLibrary],
) -> dict[str, Any]:
    """What `combine` would make, how alike the adapters are, and which belong together; writes nothing."""
    from savile import adaptation

    members = _members(adapters)
    recipe = _recipe(members, how, weights, forget, more)
    cosines, clusters = adaptation.alike([member.ref for member in members], recipe.model.base)
    names = [_refs.data_of(member).name for member in members]
    rows = [
        [name, cluster, *(f"{one:.2f}" for one in row)] for name, cluster, row in zip(names, clusters, cosines, strict=True)
    ]
    emit("table", title="How alike the adapters are, and which belong together", head=["Adapter", "Cluster", *names], rows=rows)
    said = {"models": [member.ref for member in members], "adapt": recipes.plain(recipe.adapt)}
    return {**envelope("combine"), "verdict": "dry_run", **said, "clusters": clusters, "similarity": cosines.round(4).tolist()}


def _members(adapters: Named) -> list[Model]:
    """The models behind some names.

    Raises:
        InputError: less than two, one of them twice, or of different bases or tasks.
    """
    named: list[Any] = [one.strip() for one in adapters.split(",")] if isinstance(adapters, str) else list(adapters)
    found = [_refs.model(one) for one in named]
    kinds = {(one.base_digest, one.task) for one in found}
    if len(found) < 2 or len(kinds) > 1 or len({one.ref for one in found}) < len(found):
        received = ", ".join(f"{one.ref} for {one.task} on {one.base or 'no base'}" for one in found)
        do = "Name them with commas between: savile combine release@…,release@…"
        raise InputError("two adapters or more, each once, on one base and for one task", received, do)
    return found


def _together(members: Sequence[Model]) -> Dataset:
    """The data of every adapter, a stage each."""
    from savile.data import appended

    several = [_refs.data_of(member) for member in members]
    first = several[0]
    alone = replace(
        first,
        roles={role: column for role, column in first.roles.items() if role != "stage"},
        settings={key: value for key, value in first.settings.items() if key != "stages"},
    )
    for data in several[1:]:
        alone = appended(alone, data)
    return replace(alone, name="+".join(data.name for data in several))


def _recipe(members: Sequence[Model], how: str, weights: Any, forget: float | None, more: OnLibrary) -> Recipe:
    """The recipe of a combination."""
    from savile.adaptation import settled

    each = _weights(weights)
    routed = how in ROUTED
    if routed and each:
        raise InputError("weights of a merge", f"weights with {how}", "Leave them out, or choose a merge, such as ties.")
    settings: dict[str, Any] = {"adapters": list(settled([member.ref for member in members]))}
    settings |= {} if routed else {"how": how, "weights": each}
    named: dict[str, Any] = {"model.base": members[0].base, "adapt.method": how if routed else "merge"}
    named |= {f"adapt.settings.{name}": value for name, value in settings.items()}
    named |= {"adapt.budget.forget": forget} if forget is not None else {}
    return recipes.make({**named, **(more.get("settings") or {})})


def _weights(given: str | Sequence[float] | None) -> list[float]:
    """The weight of each adapter; none where they are the same.

    Raises:
        InputError: they are no numbers.
    """
    try:
        return [float(one) for one in (given.split(",") if isinstance(given, str) else given or ())]
    except (TypeError, ValueError):
        raise InputError("weights, numbers with commas between them", repr(given), "Correct --weights.") from None


def _within(recipe: Recipe, data: Dataset, max_mb: float | None, most: int | None) -> Recipe:
    """The recipe with adapters shared and cut until they fit a budget, step by step with what each costs.

    Raises:
        InputError: they are not kept apart, so there is nothing to share.
    """
    from savile import adaptation

    if recipe.adapt.method != "domains":
        raise InputError("a budget for adapters that are kept apart", recipe.adapt.method, "Use it with --how domains.")
    grown = adaptation.within(data, recipe.adapt.settings["adapters"], recipe.model.base, max_mb, most)
    rows = [[one.what, f"{one.megabytes:.2f}", f"{one.lost:+.3f}", one.why] for one in grown.steps]
    emit("table", title="Adapters within their budget", head=["Step", "MB after", "Loss", "Why"], rows=rows)
    return replace(recipe, adapt=replace(recipe.adapt, settings={**recipe.adapt.settings, **grown.settings}))


def _decided(recipe: Recipe, model: Model, report: Report, data: Dataset) -> Result:
    """The release, or the refusal and what to do about it."""
    passed, kept = report.body["gate"]["passed"], report.body["kept"]
    release = _line.release(model, report, data, recipe.serve) if passed else None
    metric = report.body["metric"]
    lines = [
        f"{name}: {metric} {one['before']:.3f} alone, {one['now']:.3f} here, {one['n']} rows." for name, one in kept.items()
    ]
    if release is None:
        advice = f"Allow more than {recipe.adapt.budget.forget:g} with --forget, or keep the adapters apart with --how domains."
        emit("warning", text=f"Refused; {model.ref} does not serve. {advice}")
        lines.append(advice)
    following = f"savile serve {release.ref}" if release else f"savile show {report.ref}"
    return Result(of_run("combine", report, release), [*report.body["summary"], *lines], following)
