"""The word `run`: from a company's own file, or a recipe, to a gated, served, proven model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from savile.base.events import emit
from savile.base.store import Store
from savile.flow import _ahead, _app, _line, _order, _queue
from savile.flow._meter import Meter
from savile.flow._options import OnLine
from savile.flow._result import Result, of_plan, of_run

if TYPE_CHECKING:
    from savile.base.recipe import Recipe
    from savile.base.records import Dataset, Model, Report


def run(
    source: str | Path | Recipe,
    *,
    label: str | None = None,
    text: str | None = None,
    test: str | Path | None = None,
    **more: Unpack[OnLine],
) -> Result:
    """Take a data file or a recipe all the way: govern, adapt, compress, evaluate, gate, release.

    Of a file, columns are inferred and shown, and a recipe is written beside it. Nothing that was done before is done again.

    Args:
        source: data file (csv, tsv, JSON, Parquet, Excel), folder or pattern; or a recipe in YAML.
        label: column with the labels; inferred when left out.
        text: column with the texts; inferred when left out.
        test: file with a published test set; without one 20 % of the rows are set apart.
        task: what is asked; inferred from the label when left out.
        serve: answer over HTTP once the gate is passed, until stopped.
        app: what is put to work on the rows once the gate is passed, as `savile names apps` lists them.
        release: with `app`, a release or its alias, such as champion: nothing is trained, it reads every row of the file.
        settings: dotted keys of the recipe and their values.

    Returns:
        What it came to; a gate that is not passed is a result, with verdict ``refused``.

    Raises:
        InputError: the file, the recipe or a setting cannot be used.
        MachineError: disk, memory or a missing package stand in the way.
    """
    named = {
        "task.label": label,
        "task.text": text,
        "data.test": test,
        "task.kind": more.get("task"),
        "app.name": more.get("app"),
    }
    if more.get("release"):
        return _app.on_file(source, more["release"], named, more.get("settings"))
    order = _order.settle(source, named, more.get("settings"))
    meter = Meter()
    with meter.stage("govern"):
        data = _line.govern(order.recipe)
    _check(order.recipe, data)
    order = order.with_roles(data.task, data.roles)
    settled = _order.write(order)
    if settled is not order:  # somebody else's run of this file was quicker: its recipe is the one to follow
        data = _line.govern(settled.recipe)
        _check(settled.recipe, data)
    if settled.recipe.run.where == "schedule":
        return _queue.one(settled, more.get("settings") or {})
    with Store.open().alone(f"run {data.ref}"):
        result, report = _whole(settled, data, meter)
    _track(settled.recipe, report, settled)
    if settled.recipe.app.name and result.passed:
        result = _app.on_run(settled.recipe, report, result)
    if more.get("serve") and result.passed:
        _serve(result)
    return result


def _whole(order: _order.Order, data: Dataset, meter: Meter) -> tuple[Result, Report]:
    """From governed data to a result, planned before and compared after."""
    recipe = order.recipe
    planned = _ahead.planned(recipe, data, meter)
    with meter.stage("adapt"):
        model = _line.adapt(recipe, data)
    _ahead.adapted(recipe, data, model)
    with meter.stage("compress"):
        model = _line.compress(recipe, model, data)
    form, engine = _line.served(model)
    with meter.stage("evaluate"):
        report = _line.evaluate(recipe, model, data, form, engine)
        result = _finished(recipe, model, report, data, order.file)
    return _ahead.compared(result, planned, meter, report, order), report


def plan(
    source: str | Path | Recipe,
    *,
    label: str | None = None,
    text: str | None = None,
    test: str | Path | None = None,
    **more: Unpack[OnLine],
) -> Result:
    """What `run` would do with the same arguments: recipe, roles, parts and what it would take; writes nothing."""
    from savile import data

    named = {"task.label": label, "task.text": text, "data.test": test, "task.kind": more.get("task")}
    order = _order.settle(source, named, more.get("settings"))
    seen = data.inspect(order.recipe.data.source, _order.options(order.recipe))
    _line.tell_findings(seen)
    order = order.with_roles(seen.task, seen.roles)
    planned = {
        "recipe": _order.text(order),
        "roles": dict(seen.roles),
        "parts": dict(seen.parts),
        "plan": _ahead.outlined(order.recipe, seen.data).as_dict(),
    }
    return Result(of_plan("run", order.recipe.name, planned), next=f"savile run {source}")


def _check(recipe: Recipe, data: Dataset) -> None:
    """What would otherwise fail late, or do nothing in silence."""
    from savile import tracking
    from savile.flow import _bars

    _bars.check(recipe, data)
    _app.check(recipe, data.task, data.labels)
    tracking.ready(recipe.run.track)
    if recipe.monitor.drift:
        emit("warning", text="Nothing watches the served model yet: the section monitor is kept for a later version.")


def _finished(recipe: Recipe, model: Model, report: Report, data: Dataset, file: Path | None) -> Result:
    """Release what passed its gate, and say what comes next."""
    from savile.data import page

    passed = report.body["gate"]["passed"]
    release = _line.release(model, report, data, recipe.serve) if passed else None
    json = of_run("run", report, release, [str(page(data).resolve())])
    where = file.name if file else "the recipe"
    summary = [*report.body["summary"], *_unasked(json, where)]
    return Result(json, summary, _next(json["release"], where, recipe.serve.keys == "required"))


def _track(recipe: Recipe, report: Report, order: _order.Order) -> None:
    """Tell the trackers that the recipe names."""
    if recipe.run.track:
        from savile import tracking

        tracking.track(report, recipe.run.track, _order.text(order))


def _next(release: str | None, where: str, keys: bool) -> str:
    """The command to type now; who needs an API key and has none yet makes one first."""
    if release is None:
        return f"savile run {where}   (after mending the data or changing the bars)"
    has_key = not keys or any(Store.open().keys.glob("api-*.json"))
    return f"savile serve {release}" if has_key else f"savile serve --new-key NAME && savile serve {release}"


def _unasked(json: dict[str, Any], where: str) -> list[str]:
    """A gate without bars lets everything through, and that should be known."""
    asked = [check for check in json["gate"]["checks"] if check["name"] != "parity"]
    return [] if asked else [f"No bar was asked for; set evaluate.floor and evaluate.must_beat in {where} to have one."]


def _serve(result: Result) -> None:
    from savile.flow.serve import serve

    emit("result", **result.json)
    serve(result.json["release"])
