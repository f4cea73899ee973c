"""Puts an app to work: on the rows of a run, or on a file that nobody has labelled, with a model that was released."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.base import catalogue, dates
from savile.base import recipe as recipes
from savile.base.contracts import App, Items
from savile.base.errors import InputError, UnknownNameError
from savile.base.events import emit
from savile.base.recipe import Recipe
from savile.base.records import Release
from savile.base.store import Store
from savile.flow import _refs
from savile.flow._result import Result, of_plan

if TYPE_CHECKING:
    import pyarrow as pa

    from savile.base.records import Dataset, Model, Report

OWN = ("evaluate.", "adapt.", "data.pii")  # what an app settles for files of yours, too; the rest is about its sample


def defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """Bars, data policy and budget of the app that is asked for, by dotted key; nothing without one.

    Raises:
        UnknownNameError: there is no such app or language.
    """
    name = given.get("app.name")
    if name is None:
        return {}
    app: App = catalogue.get("apps", name)
    own = app.recipe(given.get("app.language", app.languages[0]))
    return {key: value for key, value in own.items() if key.startswith(OWN)} | ({"serve.apps": [name]} if app.routes else {})


def check(recipe: Recipe, task: str, labels: Sequence[str]) -> None:
    """Say before anything is trained what an app would stumble over.

    Raises:
        UnknownNameError: there is no such app or language.
        RecipeError: one of its settings is wrong.
        InputError: it is for another task, or cannot work with these labels.
    """
    if recipe.app.name is None:
        return
    app = _app(recipe)
    if task != app.task:
        raise InputError(f"the task {app.task} for the app {recipe.app.name}", task, "Leave out the task or the app.")
    if recipe.app.language not in app.languages:
        raise UnknownNameError(f"language of the app {recipe.app.name}", recipe.app.language, app.languages)
    reason = app.accepts(labels, _settings(app, recipe))
    if reason is not None:
        raise InputError(
            f"labels that the app {recipe.app.name} can work with", reason, "Name other data, or leave out the app."
        )


def on_run(recipe: Recipe, report: Report, result: Result) -> Result:
    """The app on the rows of a run: those that were learnt from as people labelled them, the rest as the model reads them.

    Returns:
        The result with what the app came to under ``app``, and its pages.
    """
    data: Dataset = Store.open().load(report.body["data"])
    taught = {int(row) for part, rows in data.parts.items() if part != "test" for row in rows}
    rows = sorted(int(row) for part in data.parts.values() for row in part)
    labels = data.column("label")
    said = [labels[row] if row in taught else None for row in rows]
    items = _items(data.table.take(rows), data.roles, [row + 1 for row in rows], said)
    work = _work(recipe, items, report.body, report.ref)
    return replace(result, json={**result.json, "app": work, "pages": [*work["pages"], *result.json["pages"]]})


def on_file(source: Any, named: str, options: Mapping[str, Any], settings: Mapping[str, Any] | None) -> Result:
    """The app on a file, every row read by a released model.

    Args:
        source: a data file.
        named: a release or an alias of one.
        options: dotted keys of a recipe -> what the caller gave for them by options of their own, None when nothing.
        settings: dotted keys as well; they win.

    Raises:
        InputError: no app was named, or it cannot work with this model or this file.
    """
    from savile import data
    from savile.flow import _order

    given = {key: value for key, value in options.items() if value is not None} | dict(settings or {})
    recipe = recipes.make({"data.path": str(Path(source).absolute()), **given})
    if recipe.app.name is None:
        raise InputError("an app to put to work", "none", f"Name one with --app: {', '.join(catalogue.names('apps'))}.")
    release = _refs.model_or_release(named)
    if not isinstance(release, Release):
        raise InputError("a release", release.ref, "Name one that `savile show release` lists.")
    model: Model = Store.open().load(release.model)
    check(recipe, model.task, model.labels)
    table, roles = data.unlabelled(source, _order.options(recipe), model.mask)
    texts = table.column(roles["text"]).to_pylist()
    rows = [row for row, text in enumerate(texts) if text]
    if len(rows) < len(texts):
        emit("warning", text=f"{len(texts) - len(rows):,} rows without a text are left out.")
    items = _items(table.take(rows), roles, [row + 1 for row in rows], [None] * len(rows))
    answers = {"model": release.model, "form": release.form, "engine": release.engine or None}
    work = _work(recipe, items, answers, release.ref)
    nothing = of_plan("run", Path(source).name, {})
    json = {**nothing, "verdict": None, "model": release.model, "release": release.ref, "pages": work["pages"], "app": work}
    return Result(json, next=f"savile serve {release.ref} --app {recipe.app.name}")


def _work(recipe: Recipe, items: Items, answers: Mapping[str, Any], about: str) -> dict[str, Any]:
    from savile.models import Predictor

    app, store = _app(recipe), Store.open()
    predictor = Predictor(store.load(answers["model"]), answers["form"], answers["engine"])
    work = app.apply(items, predictor, recipe.app.language, _settings(app, recipe))
    folder = f"{recipe.app.name}-{about.partition('@')[2]}"
    pages = [str(store.page(f"{folder}/{title}.html", html)) for title, html in work.pages.items()]
    return {
        "name": recipe.app.name,
        "language": recipe.app.language,
        "summary": list(work.summary),
        **work.facts,
        "pages": pages,
    }


def _items(table: pa.Table, roles: Mapping[str, str], numbers: Sequence[int], labels: Sequence[str | None]) -> Items:
    columns = {name: table.column(name).to_pylist() for name in table.column_names if name not in roles.values()}
    times: np.ndarray | None = None
    if "time" in roles:
        times = dates.seconds(table.column(roles["time"]).combine_chunks())
    texts = [text or "" for text in table.column(roles["text"]).to_pylist()]
    return Items(numbers, texts, labels, times, columns)


def _app(recipe: Recipe) -> App:
    found: App = catalogue.get("apps", str(recipe.app.name))
    return found


def _settings(app: App, recipe: Recipe) -> Any:
    return recipes.fill(app.Settings, recipe.app.settings, "app.settings")
