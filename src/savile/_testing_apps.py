"""What `savile.testing.check_app` asks of the work an app does: settings that are checked, something to say in every form."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from savile import data
from savile.base import dates
from savile.base import recipe as recipes
from savile.base.contracts import Items
from savile.base.records import Outputs


class Ignorant:
    """A model to which every label is as likely."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels

    def __call__(self, texts: Sequence[str]) -> Outputs:
        """Even probabilities."""
        n, even = len(texts), np.full((len(texts), len(self.labels)), 1 / len(self.labels))
        return Outputs(np.log(even).astype(np.float32), even, np.zeros(n, dtype=np.int64), even[:, 0], np.zeros(n, dtype=bool))


def frozen(kind: Any, what: str) -> None:
    """A frozen dataclass that forbids unknown keys."""
    _require(dataclasses.is_dataclass(kind), f"{what} must be a dataclass")
    _require(kind.__dataclass_params__.frozen, f"{what} must be frozen")
    _require(getattr(kind, "__pydantic_config__", {}).get("extra") == "forbid", f"{what} must forbid unknown keys")


def check_work(app: Any, language: str, recipe: Any, labels: tuple[str, ...]) -> None:
    """Put to work on its own sample, with a model that knows nothing, an app has something to say in every form."""
    settings = recipes.fill(app.Settings, recipe.app.settings, "app.settings")
    _require(app.accepts(labels, settings) is None, "accepts() must accept the labels of the sample")
    table, roles = data.unlabelled(app.sample(language), data.Options(text=recipe.task.text, time=recipe.task.time), {})
    texts = table.column(roles["text"]).to_pylist()
    times = dates.seconds(table.column(roles["time"]).combine_chunks()) if "time" in roles else None
    work = app.apply(Items(range(1, len(texts) + 1), texts, [None] * len(texts), times), Ignorant(labels), language, settings)
    _require(bool(work.summary) and all(work.summary), "apply() must say what it came to")
    json.dumps(dict(work.facts), allow_nan=False)
    _require(all(f'lang="{language}' in page for page in work.pages.values()), "the pages of apply() must say their language")


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise AssertionError(sentence)
