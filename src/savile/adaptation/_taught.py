"""``teacher: model@…``: a stored model teaches another, as far as it is right, and most where the other is behind.

Each row's target is its label and, for the share that the teacher is trusted with, what the teacher answers. With `column`,
rows are drawn by their domains: more of those in which the student is behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from savile.adaptation._asked import filled
from savile.adaptation._keeping._past import Taught, batches
from savile.adaptation._learners import LoopLearner, Recipe
from savile.adaptation._library import settled
from savile.adaptation._teaching import Sampler, many, trust
from savile.base import catalogue, events
from savile.base.contracts import Rows
from savile.base.errors import InputError, UnknownNameError
from savile.base.records import Dataset, Model

NAME = "teacher"
RENEWALS = 10  # how often in a run the student is held against its teacher
JUDGED = 50  # rows of a domain that it is held against it on
ASKED = 64  # rows a batch
LEAST_SKILL = 1e-6  # a probability no teacher's is taken to be below
TWICE = 0.05  # share of rows whose texts may stand in two data sets by chance


@dataclass(frozen=True)
class Teacher:
    """What is asked.

    Attributes:
        model: a stored model, a release or an alias, or several; several are believed by how well each does in a row's domain.
        column: of the domains; without it all rows are drawn alike.
        smooth: share of the draws that follows how far the student is behind; the rest is spread evenly over domains.
        most: how far a teacher is trusted that is sure and right.
    """

    model: str | Sequence[str]
    column: str = ""
    smooth: float = 0.5
    most: float = 1.0


class TaughtLearner(LoopLearner):
    """A family with a torch network that learns from a stored model's answers.

    Args:
        data: rows with one label each.
        recipe: its settings hold ``teacher``: a stored model, or a mapping as `Teacher` has it.
        family: of the network.

    Raises:
        UnknownNameError: there is no such key or column.
        InputError: the task has not one label a row; a teacher is of another task or of other labels, or has learned from rows
            that are judged out of fold; there is an ensemble, too; or rows are to be drawn where nothing is trained in steps.
    """

    joins = False  # models of folds have been shown different rows

    def __init__(self, data: Dataset, recipe: Recipe, family: str) -> None:
        from savile.base.store import Store

        if "ensemble" in recipe.settings:
            do = "Leave adapt.settings.teacher or adapt.settings.ensemble out."
            raise InputError("a stored teacher or an ensemble", "both", do)
        self.teacher = asked(recipe.settings[NAME], data)
        rest = {name: value for name, value in recipe.settings.items() if name != NAME}
        super().__init__(data, replace(recipe, settings=rest), family)
        if self.head.loss != "cross_entropy" or not getattr(self.plugin, "SOFT", False):
            received = f"the task {data.task} by the family {family}"
            raise InputError("one label a row, by an encoder, for a teacher", received, "Leave adapt.settings.teacher out.")
        self.teachers: list[Model] = [Store.open().load(ref) for ref in settled(self.teacher.model)]
        for one in self.teachers:
            reads = catalogue.get("families", one.family).reads
            if (one.task, one.labels, reads) != (data.task, data.labels, self.reads):
                received = f"{one.ref} of the task {one.task}, {len(one.labels)} labels, which reads a {reads}"
                do = "Adapt one to data of this task with these labels."
                raise InputError(f"a teacher of the data's task and labels that reads a {self.reads}", received, do)
        if self.few:
            strange(self.teachers, data)
        if self.teacher.column and self._solved():
            do = "Leave adapt.settings.teacher.column out, or use a method that trains the base, such as lora."
            raise InputError("a method whose rows are drawn step by step", f"{self.method}, which is solved for at once", do)
        self.parents = tuple(one.ref for one in self.teachers)
        self.domains, self.place = domains(data, self.teacher.column)
        self.name = f"{self.method}, taught by {', '.join(self.parents)}"

    def identity(self) -> dict[str, Any]:
        """Everything the result depends on beside the data."""
        return {**super().identity(), NAME: {**asdict(self.teacher), "model": list(self.parents)}}

    def fit(self, rows: Rows, checkpoint: Path) -> tuple[Any, dict[str, Any]]:
        """Ask the teachers, and train on what they say."""
        gold = rows.targets.argmax(1) if rows.targets.ndim == 2 else rows.targets
        hard = np.eye(len(self.labels), dtype=np.float32)[gold] if rows.targets.ndim == 1 else rows.targets
        said = self.said(list(rows.inputs), gold)
        weight = self.trusted(said, gold)
        self.judge = self.judging(rows, said, gold)
        network, notes = super().fit(replace(rows, targets=weight * said + (1 - weight) * hard), checkpoint)
        if network.keeper is not None and network.keeper.shares.any():  # workers keep theirs to themselves
            notes["drawn"] = dict(zip(self.domains, network.keeper.shares.round(4).tolist(), strict=True))
        network.keeper = None
        return network, {**notes, "trust": round(float(weight.mean()), 4)}

    def _solved(self) -> bool:
        """Whether the head alone learns, which takes no steps."""
        network = self.network()
        alone: bool = network.frozen_depth() == len(network.layers)
        return alone and self.fit_settings.keep_frozen

    def ready(self, rows: Rows) -> tuple[Any, Taught]:
        """The network to train, with what draws its rows where there are domains, and what it learns from."""
        network, train = super().ready(rows)
        network.keeper = Behind(self.place, self.judge, self.teacher.smooth) if self.teacher.column else None
        return network, train

    def said(self, texts: list[str], gold: np.ndarray) -> np.ndarray:
        """Probabilities of the teachers together, float32 (n, labels)."""
        import torch

        from savile.models import Predictor

        forms = [catalogue.get("families", one.family).FORM for one in self.teachers]
        each = [Predictor(one, form)(texts).probabilities for one, form in zip(self.teachers, forms, strict=True)]
        places = self.places(texts)
        right = [_means(one[np.arange(len(gold)), gold], places, len(self.domains)) for one in each]
        taught = many([torch.from_numpy(one.astype(np.float32)) for one in each], np.maximum(right, LEAST_SKILL)[:, places])
        found: np.ndarray = taught.numpy()
        return found

    def trusted(self, said: np.ndarray, gold: np.ndarray) -> np.ndarray:
        """How far the teachers are believed in each row, float32 (n, 1)."""
        import torch

        found: np.ndarray = trust(torch.from_numpy(said), torch.from_numpy(gold), self.teacher.most).numpy()
        return found[:, None]

    def judging(self, rows: Rows, said: np.ndarray, gold: np.ndarray) -> Judging:
        """Rows on which the student is held against its teachers: of those set apart, if there are any."""
        texts = list(rows.inputs)
        if rows.valid is not None:
            texts, gold = list(rows.valid.inputs), rows.valid.targets
            said = self.said(texts, gold)
        places = self.places(texts)
        dice = np.random.default_rng(self.seed).permutation(len(texts))
        some = np.concatenate([dice[places[dice] == one][:JUDGED] for one in range(len(self.domains))])
        loss = -np.log(np.maximum(said[some, gold[some]], LEAST_SKILL))
        return Judging([texts[row] for row in some], gold[some], places[some], loss)

    def places(self, texts: Sequence[str]) -> np.ndarray:
        """The number of each text's domain, int64 (n,)."""
        return np.array([self.place.get(text, 0) for text in texts], dtype=np.int64)


@dataclass(frozen=True)
class Judging:
    """Rows that say how far a student is behind.

    Attributes:
        texts, gold, places: with the right label and the number of the domain of each.
        loss: the teacher's, natural logarithm, (n,).
    """

    texts: list[str]
    gold: np.ndarray
    places: np.ndarray
    loss: np.ndarray


class Behind:
    """Draws the rows of each step, more of the domains in which a network is behind its teacher, see `Sampler`.

    Args:
        place: text -> number of its domain.
        judge: rows the network is held against its teacher on.
        smooth: see `Teacher`.

    Attributes:
        shares: of the latest draws, of every domain, (d,); zero before the first.
    """

    def __init__(self, place: Mapping[str, int], judge: Judging, smooth: float) -> None:
        self.place, self.judge, self.smooth = place, judge, smooth
        self.shares = np.zeros(max(place.values()) + 1)

    def meet(self, texts: Sequence[str], seed: int) -> None:
        """These are the rows of a run."""
        places = np.array([self.place.get(text, 0) for text in texts], dtype=np.int64)
        self.present, numbers = np.unique(places, return_inverse=True)
        self.sampler = Sampler(numbers, self.smooth, seed)

    def begin_step(self, network: Any, step: int, total: int) -> None:
        """Every so many steps, new shares."""
        if step > 1 and (step - 1) % max(1, total // RENEWALS) == 0:
            count = len(self.shares)
            now, said = (
                _means(loss, self.judge.places, count)[self.present] for loss in (self._loss(network), self.judge.loss)
            )
            self.sampler.update(now, said)

    def draw(self, step: int, drawn: Sequence[np.ndarray]) -> list[np.ndarray]:
        """As many rows as there were, of other domains."""
        self._note()
        return [self.sampler.draw(step, len(rows), number) for number, rows in enumerate(drawn)]

    def memory(self, network: Any) -> dict[str, Any]:
        """The shares."""
        import torch

        return {"shares": torch.from_numpy(self.sampler.shares)}

    def remember(self, network: Any, kept: Mapping[str, Any]) -> None:
        """Go on with the shares of a run that was killed."""
        self.sampler.shares = kept["shares"].numpy()
        self._note()

    def _note(self) -> None:
        self.shares[self.present] = self.sampler.shares

    def _loss(self, network: Any) -> np.ndarray:
        import torch

        was = network.training
        network.eval()
        with torch.no_grad():
            logits = torch.cat([network(*one) for one in batches(network, self.judge.texts, ASKED)])
            loss = torch.nn.functional.cross_entropy(logits.float().cpu(), torch.from_numpy(self.judge.gold), reduction="none")
        network.train(was)
        found: np.ndarray = loss.numpy()
        return found


def asked(given: str | Sequence[str] | Mapping[str, Any], data: Dataset) -> Teacher:
    """The setting ``teacher``.

    Raises:
        UnknownNameError: there is no such key or column.
        InputError: no model is named, or a share is not from 0 to 1.
    """
    said = dict(given) if isinstance(given, Mapping) else {"model": given}
    known = [one.name for one in fields(Teacher)]
    for name in said:
        if name not in known:
            raise UnknownNameError("key of adapt.settings.teacher", name, known)
    if not said.get("model"):
        raise InputError("adapt.settings.teacher with a model", ", ".join(said) or "nothing", "Name a stored model.")
    teacher = filled(Teacher, said, NAME)
    if teacher.column and teacher.column not in data.table.column_names:
        raise UnknownNameError("column", teacher.column, data.table.column_names)
    if not all(0 <= one <= 1 for one in (teacher.most, teacher.smooth)):
        received = f"most {teacher.most}, smooth {teacher.smooth}"
        raise InputError("shares from 0 to 1", received, "Correct adapt.settings.teacher.")
    return teacher


def strange(teachers: Sequence[Model], data: Dataset) -> None:
    """Make sure that the rows of `data`, which are judged out of fold, are strange to the teachers.

    Raises:
        InputError: one has learned from them, so that through its answers every fold knows the labels it is judged by.
    """
    rows = set(data.texts("train"))
    for one in teachers:
        learned = _learned(one)
        if learned is None:
            text = f"What {one.ref} learned from is not stored: if it was these rows, scores out of fold are too good."
            events.emit("note", text=text)
        elif len(rows & learned) > TWICE * len(rows):
            received = f"{one.ref}, which learned from {len(rows & learned):,} of {len(rows):,} of them"
            do = "Teach with a model of other rows, or give rows enough that some are set apart to choose and calibrate by."
            raise InputError("a teacher that has not seen the rows that are judged out of fold", received, do)


def _learned(model: Model) -> set[str] | None:
    """Texts a model learned from, itself or through the models it was made of; None where a record is missing."""
    from savile.base.store import Store

    store, waiting, texts = Store.open(), list(model.parents), set[str]()
    try:
        while waiting:
            ref = waiting.pop()
            if ref.startswith("data@"):
                texts.update(store.load(ref).texts("train"))
            else:
                waiting += store.get(ref).parents
    except UnknownNameError:
        return None
    return texts or None


def domains(data: Dataset, column: str) -> tuple[list[str], dict[str, int]]:
    """Names of the domains, and text -> number of its domain; a text that stands in two is of the later one."""
    parts = [part for part in ("train", "valid", "calib") if part in data.parts]
    rows = np.concatenate([data.parts[part] for part in parts])
    texts = [text for part in parts for text in data.texts(part)]
    named = [str(one) for one in data.table.column(column).take(rows).to_pylist()] if column else ["all"] * len(rows)
    names = sorted(set(named))
    number = {name: i for i, name in enumerate(names)}
    return names, {text: number[name] for text, name in zip(texts, named, strict=True)}


def _means(values: np.ndarray, places: np.ndarray, count: int) -> np.ndarray:
    """Mean in each domain, float64 (count,); 0 where there is no row."""
    rows = np.bincount(places, minlength=count)
    return np.asarray(np.bincount(places, weights=values, minlength=count) / np.maximum(rows, 1))
