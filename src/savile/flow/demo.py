"""The word `demo`: the whole line on an app's own sample, on this machine, without a network."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from savile.base import catalogue
from savile.base import recipe as recipes
from savile.base.store import Store
from savile.flow import run as whole
from savile.flow._options import Common
from savile.flow._result import Result

if TYPE_CHECKING:
    from savile.base.contracts import App
    from savile.base.records import Report

NEXT = "savile run FILE --app {app}   (your own file: one column of texts, one of labels)"
REFUSED = "Nothing was released, and that is what a gate is for: the check above did not hold on the rows set apart."


def demo(app: str = "support", *, language: str = "en", minutes: float | None = None, **more: Unpack[Common]) -> Result:
    """Show the whole line on a small sample: data findings, training, verdict, answers, and one left to a person.

    Args:
        app: which app's sample, as `savile names apps` lists them.
        language: en or zh.
        minutes: how long training may take; default: what the app says.
        settings: dotted keys of the recipe and their values.

    Raises:
        UnknownNameError: there is no such app or language.
        MachineError: disk, memory or a missing package stand in the way.
    """
    chosen = catalogue.get("apps", app)
    result = whole.run(_recipe(chosen, language, minutes, more))
    report: Report = Store.open().load(result.json["report"])
    answers, pages = _answers(chosen, language, report), _pages(chosen, app, language)
    found = {**result.json, "command": "demo", "pages": [*result.json["pages"], *pages], "answers": answers}
    summary = result.summary if result.passed else [*result.summary, REFUSED]
    return replace(result, json=found, summary=summary, next=NEXT.format(app=app))


def plan(app: str = "support", *, language: str = "en", minutes: float | None = None, **more: Unpack[Common]) -> Result:
    """What `demo` would do with the same arguments; writes nothing."""
    result = whole.plan(_recipe(catalogue.get("apps", app), language, minutes, more))
    return replace(result, json={**result.json, "command": "demo"}, next=f"savile demo {app} --language {language}")


def _recipe(app: App, language: str, minutes: float | None, more: Common) -> recipes.Recipe:
    budget = {} if minutes is None else {"adapt.budget.minutes": minutes}
    return recipes.make({**app.recipe(language), **budget, **(more.get("settings") or {})})


def _answers(app: App, language: str, report: Report) -> list[dict[str, Any]]:
    """The app's own questions and the test message it is least sure of, answered by the very form that was measured."""
    from savile.models import Predictor

    store = Store.open()
    model, tested = store.load(report.body["model"]), store.load(report.body["data"]).texts("test")
    predict = Predictor(model, report.body["form"], report.body["engine"])
    texts = [*app.questions(language), tested[int(predict(tested).confidence.argmin())]]
    answers = predict(texts)
    found = []
    for text, choice, probability, abstain in zip(texts, answers.choice, answers.confidence, answers.abstain, strict=True):
        label = model.labels[int(choice)]
        said = app.reply(label, float(probability), bool(abstain), language)
        found.append({"text": text, "label": label, "probability": float(probability), "abstain": bool(abstain), "reply": said})
    return found


def _pages(app: App, name: str, language: str) -> list[str]:
    """The app's own pages, written beside the reports."""
    store, found = Store.open(), app.pages(language)
    return [str(store.page(f"{name}-{language}/{title}.html", html)) for title, html in found.items()]
