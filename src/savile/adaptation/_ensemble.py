"""``ensemble: 3``: several networks, each of which has not seen a share of the rows, teach one that is as quick as any of them.

Answers of many are better than those of one, and one network can learn to answer like many (Hinton et al. 2015; bagging:
Breiman 1996). Each row's target is its label and, for the share `teach`, what the networks that have not learned from it
answer.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from savile.adaptation import _folds
from savile.adaptation._asked import filled
from savile.adaptation._learners import LoopLearner, Recipe
from savile.base import answers, catalogue, events
from savile.base.contracts import Rows
from savile.base.errors import InputError
from savile.base.records import Dataset

LEAST, MOST = 2, 20  # networks


@dataclass(frozen=True)
class Asked:
    """How many networks teach, and how far they are believed."""

    ensemble: int
    teach: float = 0.5


class EnsembleLearner(LoopLearner):
    """A family with a torch network that learns from several of its kind.

    Args:
        data: rows with one label each.
        recipe: its settings hold ``ensemble``, how many networks teach, and may hold ``teach``, how far they are believed.
        family: of the network.

    Raises:
        InputError: the task has not one label a row, or there are too few or too many networks.
    """

    joins = False  # what is kept has been taught by several already

    def __init__(self, data: Dataset, recipe: Recipe, family: str) -> None:
        names = [one.name for one in fields(Asked)]
        own = filled(Asked, {name: recipe.settings[name] for name in names if name in recipe.settings})
        rest = {name: value for name, value in recipe.settings.items() if name not in names}
        super().__init__(data, replace(recipe, settings=rest), family)
        self.members, self.teach = own.ensemble, own.teach
        if self.head.loss != "cross_entropy" or not getattr(self.plugin, "SOFT", False):
            received = f"the task {data.task} by the family {family}"
            raise InputError("one label a row, by an encoder, for an ensemble", received, "Leave adapt.settings.ensemble out.")
        if not LEAST <= self.members <= MOST or not 0 <= self.teach <= 1:
            received = f"{self.members} networks, a share of {self.teach:g}"
            raise InputError(f"{LEAST} to {MOST} networks, and a share from 0 to 1", received, "Correct adapt.settings.")
        self.name = f"{self.method}, ensemble of {self.members}"

    def identity(self) -> dict[str, Any]:
        """Everything the result depends on beside the data."""
        return {**super().identity(), "ensemble": self.members, "teach": self.teach}

    def fit(self, rows: Rows, checkpoint: Path) -> tuple[Any, dict[str, Any]]:
        """Train the teachers and then, on the same rows, the network that is kept."""
        rows = replace(rows, minutes=None if rows.minutes is None else rows.minutes / (self.members + 1))
        taught = self.targets(rows, checkpoint)
        network, notes = super().fit(replace(rows, targets=taught), checkpoint / "student")
        return network, {**notes, "ensemble": self.members}

    def targets(self, rows: Rows, checkpoint: Path) -> np.ndarray:
        """Shares of labels, float32 (n, L): the label's and the teachers'."""
        hard = rows.targets if rows.targets.ndim == 2 else np.eye(len(self.labels), dtype=np.float32)[rows.targets]
        place = np.random.default_rng(self.seed).permutation(len(hard)) % self.members
        decode = catalogue.get("tasks", self.task).head(len(self.labels)).decode
        said = np.zeros_like(hard, dtype=np.float64)
        seed, settings = self.seed, self.fit_settings
        for member in range(self.members):
            events.emit("progress", stage="ensemble", done=member, total=self.members)
            inside, outside = np.flatnonzero(place != member), np.flatnonzero(place == member)
            self.fit_settings = replace(settings, seed=seed + 1 + member)

            def answered(inside: np.ndarray = inside, outside: np.ndarray = outside, member: int = member) -> _folds.Answered:
                stages = None if rows.stages is None else rows.stages[inside]
                some = Rows(
                    answers.take(rows.inputs, inside), rows.targets[inside], rows.labels, None, rows.minutes, rows.seed, stages
                )
                network, notes = LoopLearner.fit(self, some, checkpoint / f"member-{member}")
                return self.plugin.predict(network, answers.take(rows.inputs, outside)), network, notes

            said[outside] = decode(self.kept(checkpoint / f"said-{member}", answered))
        self.fit_settings = settings
        return np.asarray((1 - self.teach) * hard + self.teach * said, dtype=np.float32)
