"""A stage: a stored model goes on learning from rows that came later, and keeps what it knew."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from savile.adaptation._asked import filled
from savile.adaptation._keeping._past import Past
from savile.adaptation._learners import LoopLearner, Recipe
from savile.base import answers, catalogue
from savile.base.contracts import Rows
from savile.base.errors import InputError, UnknownNameError
from savile.base.records import Dataset, Model

EARLIER = "model@"  # what the name of a base begins with that is a stored model
USUAL = "replay"
GENTLER = 0.5  # share of a method's usual rate: what is there already has been learnt
LEAST_STEPS = 96


def learner(data: Dataset, recipe: Recipe) -> StageLearner:
    """The learner that goes on from the model a recipe names.

    Raises:
        InputError: the model is of another task, or learns in no loop, or the data does not say which rows are new.
    """
    from savile.base.store import Store

    earlier: Model = Store.open().load(recipe.base)
    family = catalogue.get("families", earlier.family)
    if family.trains == "own":
        do = "Run again on all rows, or name the tuned model it was made of: `savile show model`."
        raise InputError("a model that learns step by step", f"{earlier.ref} of the family {earlier.family}", do)
    if earlier.task != data.task or not set(earlier.labels) <= set(data.labels):
        lost = sorted(set(earlier.labels) - set(data.labels))
        received = f"the task {data.task}" if earlier.task != data.task else f"data without the labels {', '.join(lost[:5])}"
        raise InputError(f"data with the task and the labels of {earlier.ref}", received, "Append the new rows to its data.")
    if "stage" not in data.roles:
        do = f"Let `savile improve` append them: savile improve {data.ref or 'FILE'} --model {earlier.ref}"
        raise InputError("data that says which rows are new", "one stage", do)
    return StageLearner(data, recipe, earlier)


class StageLearner(LoopLearner):
    """A family with a torch network that is there already.

    Args:
        data: rows of every stage.
        recipe: its settings may hold ``keep``: a way of the catalogue, or a mapping with ``by`` and that way's settings.
        earlier: the model to go on from.
    """

    sees_once = joins = False  # every fold goes on from the earlier network, and so does the last

    def __init__(self, data: Dataset, recipe: Recipe, earlier: Model) -> None:
        self.earlier, self.stages = earlier, tuple(data.settings["stages"])
        from savile.models.encoder import present

        self.keep, self.keep_settings = _kept(recipe.settings.get("keep", USUAL))
        rest = {name: value for name, value in recipe.settings.items() if name != "keep"}
        made = json.loads(Path(str(earlier.forms[catalogue.get("families", earlier.family).FORM]["network.json"])).read_text())
        settings = {**present(made["method"], made["settings"]), "max_length": made["max_length"], **rest}
        super().__init__(data, replace(recipe, base=earlier.base, method=made["method"], settings=settings), earlier.family)
        if "learning_rate" not in rest:
            self.fit_settings = replace(self.fit_settings, learning_rate=self.fit_settings.learning_rate * GENTLER)
        habits = {"least_steps": LEAST_STEPS, **getattr(catalogue.get("keepers", self.keep), "FIT", {})}
        # of steps that are asked for there is no least number
        asked = {*rest, "least_steps"} if "steps" in rest else {*rest}
        self.fit_settings = replace(self.fit_settings, **{name: habits[name] for name in habits.keys() - asked})
        self.name, self.parents = f"{self.method}, {self.keep}", (earlier.ref,)

    def identity(self) -> dict[str, Any]:
        """Everything the result depends on beside the data."""
        keep = {"by": self.keep, **asdict(self.keep_settings)}
        return {**super().identity(), "earlier": self.earlier.ref, "keep": keep}

    def ready(self, rows: Rows) -> tuple[Any, tuple[Sequence[str], np.ndarray]]:
        """The earlier network with room for every label, and the rows to learn from."""
        network = self.plugin.load(self.earlier, self.form)
        assert rows.stages is not None
        newest = rows.stages == rows.stages.max()
        new = _some(rows, np.flatnonzero(newest))
        known = widen(network, self.labels, new)
        old = self._memory(rows, np.flatnonzero(~newest))
        past = Past(known, _some(rows, old), self.seed, rows.stages[old], self.stages)
        return network, catalogue.get("keepers", self.keep).begin(network, past, new, self.keep_settings)

    def fit(self, rows: Rows, checkpoint: Path) -> tuple[Any, dict[str, Any]]:
        """Go on training, and let go of what was only needed for that."""
        network, notes = super().fit(rows, checkpoint)
        network.keeper, self.method = None, network.method
        return network, {**notes, "earlier": self.earlier.ref, "keep": self.keep}

    def _memory(self, rows: Rows, old: np.ndarray) -> np.ndarray:
        """As many old rows as the way of keeping asks for, the same share of every label."""
        most = getattr(self.keep_settings, "memory", 0)
        chosen: np.ndarray = old[answers.drawn(rows.targets[old], most, self.seed)][:most] if most and len(old) else old[:0]
        return old if most >= len(old) else chosen


def widen(network: Any, labels: Sequence[str], new: tuple[Sequence[str], np.ndarray]) -> np.ndarray:
    """Give the head of a network a row for every label; new ones begin at the mean of their rows. Where the old ones are.

    Args:
        network: an earlier one.
        labels: those of now, the earlier ones among them.
        new: texts and targets that show the new labels.

    Returns:
        Places of the earlier labels among `labels`, int64.

    Raises:
        InputError: there are new labels, and the head has no row for each.
    """
    import torch

    from savile.models._network import Head

    place = np.array([list(labels).index(label) for label in network.labels], dtype=np.int64)
    if tuple(labels) == network.labels:
        return place
    before = network.head
    if not isinstance(before, Head):
        fresh = sorted(set(labels) - set(network.labels))
        raise InputError("labels the model knows", ", ".join(fresh[:5]), "Run again on all rows to add labels here.")
    after = Head(before.weight.shape[1], len(labels), before.cosine)
    with torch.no_grad():
        if before.cosine:
            after.weight.copy_(_means(network, new, len(labels)))
            after.scale = before.scale
        after.weight[place], after.bias[place] = before.weight, before.bias
    network.head, network.labels = after, tuple(labels)
    return place


def _means(network: Any, rows: tuple[Sequence[str], np.ndarray], labels: int) -> Any:
    """Mean unit embedding of each label's rows, (labels, d), unit length; zero where a label has none."""
    import torch
    import torch.nn.functional as F

    from savile.adaptation._keeping._past import batches

    with torch.no_grad():
        unit = torch.cat([F.normalize(network.pooled(*one), dim=-1) for one in batches(network, rows[0], 64)])
        share = torch.from_numpy(np.asarray(rows[1]))
        given = share.T.float() if share.ndim == 2 else F.one_hot(share, labels).T.float()
        return F.normalize(given @ unit, dim=-1)


def _some(rows: Rows, chosen: np.ndarray) -> tuple[Sequence[str], np.ndarray]:
    return list(answers.take(rows.inputs, chosen)), rows.targets[chosen]


def _kept(asked: str | Mapping[str, Any]) -> tuple[str, Any]:
    """The way of keeping and its settings.

    Raises:
        UnknownNameError: no such way or setting.
    """
    given = {"by": asked} if isinstance(asked, str) else dict(asked)
    by = given.pop("by", USUAL)
    settings = catalogue.get("keepers", by).Settings
    known = [one.name for one in fields(settings)]
    for name in given:
        if name not in known:
            raise UnknownNameError(f"setting of keep: {by}", name, ["by", *known])
    return by, filled(settings, given, "keep")
