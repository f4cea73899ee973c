"""Answers in words: what a recipe without names comes to, how they are learned and chosen, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from savile.adaptation import _folds
from savile.adaptation._asked import can_write
from savile.adaptation._learners import Learner, LoopLearner, family_of
from savile.base import catalogue
from savile.base.contracts import Rows
from savile.base.errors import InputError
from savile.base.records import Dataset

BASE, METHOD = "smollm2", "lora"  # where a recipe names none
RESAMPLES = 200
# what says something of labels, or learns from what another model says of them
OF_LABELS = ("value", "fair", "ensemble", "teacher", "facts")


def settled(task: str, base: str, method: str, settings: Mapping[str, Any]) -> tuple[str, str]:
    """The base and the method that are meant for a task that is answered in words.

    Raises:
        InputError: a base that does not write, a way of choosing that needs labels, or a setting that says nothing of words.
    """
    base, method = BASE if base == "auto" else base, METHOD if method == "auto" else method
    if base.startswith("model@"):
        raise InputError(f"a base, for the task {task}", f"the stored model {base}", "Adapt the base again on all rows.")
    family = family_of(base)
    can_write(catalogue.get("families", family), family, task)
    if method == "search":
        raise InputError(f"a method, for the task {task}", "search, which compares answers by label", f"Use {METHOD}.")
    for name in OF_LABELS:
        if settings.get(name):
            raise InputError("settings that mean something for answers in words", name, f"Leave {name} out.")
    return base, method


def fit(data: Dataset, candidate: Learner, minutes: float | None, root: Path) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Learn from the training rows and choose by answers that are not learned from.

    Returns:
        What answers; how likely the answers it was chosen by are to it, see `judged`; and notes.
    """
    assert isinstance(candidate, LoopLearner)
    texts, given = data.texts("train"), data.targets("train")
    if _folds.few(data):
        number = _folds.assign(given, _folds.together(data), candidate.seed)
        learned, held = np.flatnonzero(number != 0), np.flatnonzero((number == 0) & _folds.real(data))
        valid, where = _some(texts, given, held), f"{len(held)} training rows set apart"
    else:
        learned, where = np.arange(len(given)), "validation rows"
        valid = (data.texts("valid"), data.targets("valid"))
    inside = _some(texts, given, learned)
    held_out = Rows(*valid, data.labels, seed=candidate.seed)
    network, notes = candidate.fit(Rows(*inside, data.labels, held_out, minutes, candidate.seed), root)
    return network, judged(candidate.plugin.likely(network, valid[0], valid[1].tolist())), {**notes, "chosen_on": where}


def _some(texts: list[str], given: np.ndarray, rows: np.ndarray) -> tuple[list[str], np.ndarray]:
    return [texts[row] for row in rows], given[rows]


def judged(likely: np.ndarray) -> dict[str, Any]:
    """The mean probability of an answer token (geometric) with its 95 % interval over answers, rows, and log loss a token.

    Args:
        likely: log-probability and tokens of each answer, (n, 2).
    """
    rows = np.random.default_rng(0).integers(len(likely), size=(RESAMPLES, len(likely)))
    drawn = likely[rows].sum(axis=1)
    low, high = np.quantile(np.exp(drawn[:, 0] / drawn[:, 1]), [0.025, 0.975]).tolist()
    loss = -float(likely[:, 0].sum() / likely[:, 1].sum())
    return {"score": math.exp(-loss), "low": low, "high": high, "rows": len(likely), "log_loss": loss}
