"""Puts an app to work: on the rows of a run, or on a file that nobody has labelled, with a model that was released."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.base import catalogue, dates
from savile.base import recipe as recipes
from savile.base.contracts import App, Items
from savile.base.errors import InputError
from savile.base.events import emit
from savile.base.recipe import Recipe
from savile.base.store import Store
from savile.flow import _order, _refs
from savile.flow._result import Result, of_plan

if TYPE_CHECKING:
    import pyarrow as pa

    from savile.base.records import Dataset, Model, Release, Report

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
    return {key: value for key, value in own.items() if key.startswith(OWN)} | {"serve.apps": [name]}


def check(recipe: Recipe) -> None:
    """Say before anything is trained what an app would stumble over.

    Raises:
        UnknownNameError: there is no such app or language.
        RecipeError: one of its settings is wrong.
        InputError: it is for another task.
    """
    if recipe.app.name is None:
        return
    app = _app(recipe)
    if recipe.task.kind not in (None, app.task):
        raise InputError(
            f"the task {app.task} for the app {recipe.app.name}", recipe.task.kind, "Leave out the task or the app."
        )
    _settings(app, recipe)


def on_run(recipe: Recipe, report: Report) -> dict[str, Any]:
    """The app on the rows of a run: those that were learnt from as people labelled them, the rest as the model reads them.

    Returns:
        What the app came to as JSON, with its ``summary`` and ``pages``.
    """
    store = Store.open()
    data: Dataset = store.load(report.body["data"])
    taught = {int(row) for part, rows in data.parts.items() if part != "test" for row in rows}
    rows = sorted(int(row) for part in data.parts.values() for row in part)
    labels = data.column("label")
    said = [labels[row] if row in taught else None for row in rows]
    return _work(recipe, _items(data.table.take(rows), data.roles, [row + 1 for row in rows], said), report.body, report.ref)


def on_file(source: str | Path, release: str | Release, given: Mapping[str, Any]) -> Result:
    """The app on a file, every row read by a released model.

    Args:
        source: a data file.
        release: a release or an alias of one.
        given: dotted keys of a recipe and their values.

    Raises:
        InputError: no app was named, or it cannot work with this model or this file.
    """
    from savile import data

    recipe = recipes.make({"data.path": str(Path(source).absolute()), **given})
    if recipe.app.name is None:
        raise InputError("an app to put to work", "none", f"Name one with --app: {', '.join(catalogue.names('apps'))}.")
    check(recipe)
    found = _refs.release(release)
    model: Model = Store.open().load(found.model)
    reason = _app(recipe).accepts(model.labels)
    if reason is not None:
        raise InputError(f"a model that the app {recipe.app.name} can work with", reason, "Name another with --release.")
    table, roles = data.unlabelled(source, _order.options(recipe), model.mask)
    texts = table.column(roles["text"])
    rows = [row for row, text in enumerate(texts.to_pylist()) if text]
    if len(rows) < len(texts):
        emit("warning", text=f"{len(texts) - len(rows):,} rows without a text are left out.")
    items = _items(table.take(rows), roles, [row + 1 for row in rows], [None] * len(rows))
    form = {"model": found.model, "form": found.form, "engine": found.engine or None}
    work = _work(recipe, items, form, found.ref)
    pages = {"model": found.model, "release": found.ref, "pages": work["pages"], "app": work}
    nothing = {**of_plan("run", Path(source).name, {}), "verdict": None, **pages}
    return Result(nothing, next=f"savile serve {found.ref} --app {recipe.app.name}")


def _work(recipe: Recipe, items: Items, answers: Mapping[str, Any], about: str) -> dict[str, Any]:
    from savile.models import Predictor

    app, store = _app(recipe), Store.open()
    predictor = Predictor(store.load(answers["model"]), answers["form"], answers["engine"])
    work = app.apply(items, predictor, recipe.app.language, _settings(app, recipe))
    folder = f"{recipe.app.name}-{about.replace('@', '-')}"
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
