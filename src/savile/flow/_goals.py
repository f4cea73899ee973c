"""What somebody is after, as a recipe: base, method, budget and metric that suit it, for `savile init FILE --goal NAME`.

Every setting here has a reason, and may be changed in the recipe that is written. Where what a goal needs is not there yet, the
nearest thing is offered and said to be that, or the goal is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from savile.base import catalogue
from savile.base.errors import InputError, UnknownNameError
from savile.base.events import emit


@dataclass(frozen=True)
class Goal:
    """One goal.

    Attributes:
        about: what it is for.
        settings: dotted keys of the recipe and their values.
        why: what speaks for them.
        family: the family it needs; without it `nearest` is said, and `settings` are those of the nearest thing.
        base: the base it needs to be named, empty where one of those that come along will do.
        nearest: what is done instead, and what that cannot do.
    """

    about: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""
    family: str = ""
    base: str = ""
    nearest: str = ""


GOALS: dict[str, Goal] = {
    "support": Goal(
        "which subject a message is about, so that it reaches the right desk",
        {
            "task.kind": "classify",
            "adapt.method": "auto",
            "adapt.settings.label_smoothing": 0.1,
            "evaluate.metric": "macro_f1",
            "evaluate.must_beat": "linear",
        },
        "Inboxes have many subjects, some hard to tell apart, and few labelled messages of each: smoothed labels keep a model "
        "from being surer than so few can make it. Macro F1 counts rare subjects like frequent ones.",
    ),
    "sentiment": Goal(
        "whether a text is friendly, and about what",
        {
            "task.kind": "classify",
            "adapt.method": "auto",
            "evaluate.metric": "macro_f1",
            "evaluate.must_beat": "linear",
            "evaluate.value": {"accuracy": 0.95},
        },
        "Words say much of sentiment, so the keyword model and a tuned base answer together where that is surely better. What "
        "is not 95 % sure goes to a person.",
    ),
    "profile": Goal(
        "what a customer will do, from a table of what is known of them",
        {
            "task.kind": "classify",
            "model.family": "tabular",
            "adapt.settings.kind": "stacked",
            "evaluate.metric": "auc",
            "evaluate.must_beat": "linear",
        },
        "Boosted trees, curves and a regression err apart; weighted by rows held out they order customers better than trees "
        "alone on three of four tables measured. AUC says how well they are ordered, as a list of whom to call needs it.",
    ),
    "process": Goal(
        "names, dates, amounts and the like in documents, to be filled into forms",
        {"task.kind": "tag", "adapt.method": "auto", "evaluate.metric": "span_f1", "evaluate.must_beat": "linear"},
        "Fields are spans of a text; a span counts when both its ends and its kind are right.",
    ),
    "forecast": Goal(
        "how much will be sold, week by week",
        {
            "task.kind": "score",
            "model.family": "tabular",
            "adapt.settings.kind": "stacked",
            "adapt.settings.error": "absolute",
            "evaluate.metric": "mae",
            "evaluate.must_beat": "linear",
        },
        "Rows are divided by time, so the test part is the latest. What counts is by how much a forecast misses, so the mean "
        "absolute error is what is made small, and a few odd weeks do not pull at all others.",
        family="series",
        nearest="There is no family for series yet. Instead each row's number is learned from that row's other columns: put "
        "last week's and last year's number beside each row, or it cannot know them.",
    ),
    "code": Goal(
        "what a piece of code is or should become",
        {"task.kind": "classify", "adapt.method": "lora"},
        "Language models tuned on code read it best.",
        base="a language model that was trained on code",
        nearest="What is learned are labels of code; where code is to be written, ask for it with --task answer.",
    ),
}


def settings(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a goal, and why they are so; what the caller gives wins.

    Args:
        name: the goal.
        given: dotted keys and values of the caller's own.

    Raises:
        UnknownNameError: there is no such goal.
        InputError: it needs a base that only the caller can name.
    """
    if name not in GOALS:
        raise UnknownNameError("goal", name, GOALS)
    goal = GOALS[name]
    if goal.base and "model.base" not in given:
        do = f"Name it: --set model.base=FOLDER, {goal.base} in the Hugging Face layout. {goal.nearest}"
        raise InputError(f"{goal.base}, for the goal {name}", "none: no base that comes along was", do)
    emit("note", text=f"For {goal.about}: {goal.why}")
    if goal.nearest and not (goal.family and goal.family in catalogue.names("families")):
        emit("warning", text=goal.nearest)
    own = dict(goal.settings)
    if "model.family" in given or "model.base" in given:
        own.pop("model.family", None)
    if {"model.family", "model.base", "adapt.method"} & given.keys():  # whose settings are others
        own = {key: value for key, value in own.items() if not key.startswith("adapt.settings.")}
    return {**own, **given}
