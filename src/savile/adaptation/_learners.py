"""What is fitted: a family that learns in the one training loop, with a base and a method, or one that learns by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from savile.adaptation import _folds
from savile.adaptation._asked import Shape, filled, reads_pairs, split, unheeded
from savile.adaptation._documents import known_facts
from savile.adaptation._library import settled
from savile.base import answers, catalogue, events, machine
from savile.base.answers import NEXT
from savile.base.contracts import HeadSpec, Inputs, Rows
from savile.base.errors import InputError
from savile.base.records import Dataset, canonical, digest
from savile.models._spans import TOKEN, TOKENS
from savile.models._vectors import VECTOR

FEW, TRIAL, TRIAL_READY = 100, 400, 0.7  # rows of small fits that are timed, and the share of a budget to plan with
TIMED = 8  # texts that are answered to see how long one takes
SPENT = 1e-6  # minutes that are left of a budget that is spent: none at all would be no budget
MOST = ("most_steps", "most_rows")  # what a budget comes to


@dataclass(frozen=True)
class Recipe:
    """What to try.

    Attributes:
        base: name of a base, or of a family that needs none, such as ``linear``.
        method: catalogue name of the adaptation method; of no meaning for a family without a base.
        settings: of the method, of the loop or of the family, and ``value``.
        seed: of everything random.
        minutes: budget of the whole call, or None.
    """

    base: str
    method: str
    settings: Mapping[str, Any]
    seed: int
    minutes: float | None = None


class Learner(Protocol):
    """One candidate: what it is called, what it depends on, how it is fitted and stored."""

    name: str
    family: str
    base: str
    base_digest: str
    method: str
    reads: Any
    form: str
    value: Any
    fair: Any
    seed: int
    parents: tuple[str, ...]

    @property
    def joins(self) -> bool:
        """Whether the models of folds that leave most rows become the one that is kept, which then takes no fit of its own."""

    def identity(self) -> dict[str, Any]:
        """Everything the result depends on beside the data."""

    def look(self, inputs: Inputs, minutes: float | None, root: Path) -> None:
        """Look at all rows whose folds will be fitted and answered, within `minutes`; `root` has what a killed run settled."""

    def fit(self, rows: Rows, checkpoint: Path) -> tuple[Any, dict[str, Any]]:
        """The fitted answerer, and notes; a killed run is gone on from at `checkpoint`."""

    def kept(self, folder: Path, answered: Callable[[], _folds.Answered], joins: bool = False) -> Any:
        """The logits of a fold that `answered` gives, or those it gave a run that was killed since; what gave them `joins`."""

    def last(self, rows: Rows, checkpoint: Path, joins: bool) -> tuple[Any, dict[str, Any]]:
        """The answerer that is kept when all folds are answered, and notes; whether it is their models, joined."""

    def pace(self, answerer: Any, inputs: Inputs) -> dict[str, float]:
        """How long answering takes, of a network."""

    def predict(self, answerer: Any, inputs: Inputs) -> Any:
        """Logits of some rows, float32 (n, outputs), or `savile.base.outputs.Tokens`."""

    def files(self, answerer: Any) -> Any:
        """What is stored."""


def learner(data: Dataset, recipe: Recipe) -> Learner:
    """The learner of a recipe, by the way its family trains.

    Raises:
        UnknownNameError: no such base, family, method or setting.
        InputError: no family reads such a base.
    """
    name = family_of(recipe.base)
    family = catalogue.get("families", name)
    if family.trains == "own":
        return OwnLearner(data, recipe, name)
    from savile.adaptation import _ensemble, _taught

    taught: dict[str, type[LoopLearner]] = {_taught.NAME: _taught.TaughtLearner, "ensemble": _ensemble.EnsembleLearner}
    return next((one for setting, one in taught.items() if setting in recipe.settings), LoopLearner)(data, recipe, name)


def family_of(base: str) -> str:
    """The family that answers with a base: one of that name that needs no base, else the one for its kind of files."""
    known = catalogue.names("families")
    if base in known and catalogue.get("families", base).trains == "own":
        return base
    from savile.models._bases import locate

    kind = locate(base).kind
    if kind not in known:
        do = "Use minilm, use-m, a BERT-like model of your own, or linear."
        raise InputError(f"a base for one of the families {', '.join(known)}", f"{base}, a {kind} model", do)
    return kind


class OwnLearner:
    """A family without base and method that fits itself."""

    base = base_digest = method = ""
    parents: tuple[str, ...] = ()
    joins = False

    def __init__(self, data: Dataset, recipe: Recipe, family: str) -> None:
        self.plugin = catalogue.get("families", family)
        reads_pairs(self.plugin, family, data.task)
        self.family = self.name = family
        self.task, self.reads, self.form = data.task, self.plugin.reads, self.plugin.FORM
        self.seed, self.fair = recipe.seed, recipe.settings.get("fair")
        alone = "workers" not in (one.name for one in fields(self.plugin.Settings))  # it learns in no loop
        asked = {name: one for name, one in recipe.settings.items() if not (alone and name == "workers")}
        chosen, self.value = split(asked, {"family": self.plugin.Settings})
        self.settings = filled(self.plugin.Settings, chosen["family"])
        self.most_rows = 0  # what a small fit says the budget allows

    def identity(self) -> dict[str, Any]:
        """Everything the result depends on beside the data."""
        said = {"family": self.family, "settings": asdict(self.settings), "value": self.value, "seed": self.seed}
        return {**said, "fair": dict(self.fair)} if self.fair else said

    def fit(self, rows: Rows, checkpoint: Path) -> tuple[Any, dict[str, Any]]:
        """Fit on some rows."""
        events.emit("progress", stage=f"train {self.family}", done=0, total=1)
        return self.plugin.fit(self._within(rows), self.task, self.settings), {"trainable_share": 1.0}

    def look(self, inputs: Inputs, minutes: float | None, root: Path) -> None:
        """Nothing: it keeps nothing between folds."""

    def _within(self, rows: Rows) -> Rows:
        """The rows to learn from: all, or as many as the time of a small fit says the budget allows."""
        if rows.minutes is None or len(rows.targets) <= TRIAL:
            return rows
        if not self.most_rows:
            self.most_rows = self._affordable(rows, rows.minutes * 60 * TRIAL_READY)
        if self.most_rows >= len(rows.targets):
            return rows
        few = _some(rows, self.most_rows, self.seed)
        text = f"{len(few.targets):,} of {len(rows.targets):,} rows are learned from by {self.family}: no more fit the budget."
        events.emit("note", text=text)
        return few

    def _affordable(self, rows: Rows, seconds: float) -> int:
        """How many rows may be learned from in so many seconds: from a fit of few, and of more where that is quick."""
        most = 0
        for size in (FEW, FEW, TRIAL):  # the first pays for what is loaded once
            clock = time.perf_counter()
            self.plugin.fit(_some(rows, size, self.seed), self.task, self.settings)
            most, before = max(size, int(size * seconds / (time.perf_counter() - clock))), most
            if before and most < TRIAL:
                break
        return most

    def pace(self, answerer: Any, inputs: Inputs) -> dict[str, float]:
        """Nothing: it is quick."""
        return {}

    def kept(self, folder: Path, answered: Callable[[], _folds.Answered], joins: bool = False) -> Any:
        """The logits of a fold: quicker found again than kept."""
        return answered()[0]

    def last(self, rows: Rows, checkpoint: Path, joins: bool) -> tuple[Any, dict[str, Any]]:
        """Fitted on all rows."""
        return self.fit(rows, checkpoint)

    def predict(self, answerer: Any, inputs: Inputs) -> Any:
        """Logits of some rows."""
        return self.plugin.predict(answerer, inputs)

    def files(self, answerer: Any) -> Any:
        """What is stored."""
        return self.plugin.save(answerer)


def _some(rows: Rows, most: int, seed: int) -> Rows:
    chosen = answers.drawn(rows.targets, most, seed)
    return replace(rows, inputs=answers.take(rows.inputs, chosen), targets=rows.targets[chosen])


class LoopLearner:
    """A family with a torch network: a base, a method, the one training loop."""

    parents: tuple[str, ...] = ()  # records it is made of, beside the data
    seen: Any = None  # what frozen layers make of the rows, see `savile.models._seen`

    def __init__(self, data: Dataset, recipe: Recipe, family: str) -> None:
        from savile.models import FitSettings
        from savile.models._bases import locate

        self.plugin, method = catalogue.get("families", family), catalogue.get("methods", recipe.method)
        self.family, self.reads, self.form = family, self.plugin.reads, self.plugin.FORM
        self.pairs = reads_pairs(self.plugin, family, data.task)
        self.labels, self.method, self.name, self.task = data.labels, recipe.method, recipe.method, data.task
        self.head: HeadSpec = catalogue.get("tasks", data.task).head(len(data.labels))
        self.seed, self.base, self.base_digest = recipe.seed, recipe.base, locate(recipe.base).sha256
        chosen, self.value = split(recipe.settings, {"method": method.Settings, "fit": FitSettings, "network": Shape})
        self.few, self.fair = _folds.few(data), recipe.settings.get("fair")
        name = "FIT_SMALL" if self.few else "FIT"
        habits = {**getattr(method, name), **getattr(self.plugin, name, {}).get(recipe.method, {})}
        if self.head.loss == TOKEN:
            habits |= {**TOKENS, **getattr(self.plugin, "FIT_TOKENS", {}).get(recipe.method, {})}
        # class means are a start where there are classes and steps enough, words where a base has them; other heads start
        # where training them alone would end, which on few rows a few steps only add to
        starts = not self.few or getattr(self.plugin, "SPELLS", False)
        self.cosine = method.HEAD == "cosine" and self.head.loss == "cross_entropy" and starts
        self.shape = filled(Shape, chosen["network"])
        if self.shape.instruction and self.head.loss != NEXT:
            do = "Leave adapt.settings.instruction out."
            raise InputError("the task answer, for an instruction", f"the task {self.task}", do)
        if "adapters" in chosen["method"]:  # models that the method makes something of
            self.parents = chosen["method"]["adapters"] = settled(chosen["method"]["adapters"])
        self.facts = known_facts(self.shape.facts, self.shape.hops) if self.shape.facts else {}
        self.method_settings = asdict(filled(method.Settings, chosen["method"]))
        self.fit_settings = filled(FitSettings, {**habits, "seed": recipe.seed, **chosen["fit"]})
        self.asked = frozenset(chosen["fit"])
        self.most: dict[str, Any] = {}  # what the first probe says the budget allows
        self.folds = _folds.Joined()

    def identity(self) -> dict[str, Any]:
        """Everything the result depends on beside the data."""
        return {
            "family": self.family,
            "base": self.base_digest,
            "method": {"name": self.method, **self.method_settings},
            "fit": asdict(self.fit_settings),
            "network": {
                "max_length": self.shape.max_length,
                "facts": digest(canonical(self.facts)) if self.facts else "",
                **({"instruction": self.shape.instruction} if self.head.loss == NEXT else {}),
            },
            "value": self.value,
            "seed": self.seed,
            **({"fair": dict(self.fair)} if self.fair else {}),
        }

    def network(self, settings: Any = None) -> Any:
        """A fresh network with the method attached."""
        import torch

        chosen = self.method_settings if settings is None else asdict(settings)
        shape = {"cosine": self.cosine, "max_length": self.shape.max_length, **({"pairs": True} if self.pairs else {})}
        torch.manual_seed(self.seed)  # heads may start at random, and below what a method adds, whatever the head drew
        network = self.plugin.create(self.base, self.labels, self.head.loss, **shape)
        if self.facts:
            if not hasattr(self.plugin, "knowing"):
                do = "Use minilm, use-m or a BERT-like base, or leave adapt.settings.facts out."
                raise InputError("a family that reads texts with facts", self.family, do)
            self.plugin.knowing(network, self.facts)
        torch.manual_seed(self.seed)
        self.plugin.attach(network, self.method, chosen)
        network.seen = self.seen
        return network

    def look(self, inputs: Inputs, minutes: float | None, root: Path) -> None:
        """Pass all rows once through what is frozen, which every fold would do again."""
        from savile.models._seen import seen

        if self.sees_once:
            texts, _ = self._named(list(inputs), np.zeros(len(inputs), dtype=np.int64))
            self.seen = seen(self.network(), texts, replace(self.fit_settings, minutes=minutes or 0.0), root)

    @property
    def sees_once(self) -> bool:
        """Whether what frozen layers make of a text depends on the text alone."""
        changing = any(hasattr(catalogue.get("methods", self.method), name) for name in ("begin", "search"))
        return self.fit_settings.keep_frozen and self.head.loss not in (TOKEN, VECTOR) and not changing

    def fit(self, rows: Rows, checkpoint: Path) -> tuple[Any, dict[str, Any]]:
        """Attach the method to a fresh network and train it."""
        from savile.models import fit

        settings = self.fit_settings if rows.minutes is None else replace(self.fit_settings, minutes=max(SPENT, rows.minutes))
        if any(self.most.values()):
            settings = replace(settings, minutes=0.0, **self.most)
        network, train = self.ready(rows)
        self._tell(network)
        valid = None if rows.valid is None else (list(rows.valid.inputs), rows.valid.targets)
        score = catalogue.get("tasks", self.task).score
        with machine.Watch() as watch:
            fitted = fit(network, train, settings, valid=valid, checkpoint=checkpoint, score=score)
        # the folds that follow take no more, however fast the machine is then
        self.most = {name: getattr(fitted.settings, name) for name in MOST}
        learning = sum(p.numel() for _, p in network.trainable())
        notes = {
            "trainable_share": learning / sum(p.numel() for p in network.parameters()),
            "steps": fitted.steps,
            "tokens": fitted.tokens,
            "precision": fitted.precision,
            "history": list(fitted.history),
            "fit_seconds": round(fitted.seconds, 2),
            "memory_mb": round(watch.most / 1e6, 1),
        }
        facts = getattr(catalogue.get("methods", network.method), "facts", None)
        return network, notes if facts is None else {**notes, **facts(network)}

    def _tell(self, network: Any) -> None:
        """Say, once, which settings change nothing here."""
        solved = self.fit_settings.keep_frozen and network.frozen_depth() == len(network.layers)
        idle = unheeded(self.asked, self.head.loss, solved, not self.few)
        if idle:
            why = ": no step is taken" if solved else ""
            events.emit("warning", text=f"Settings that change nothing here: {', '.join(idle)}{why}.")
        self.asked = frozenset()

    def pace(self, answerer: Any, inputs: Inputs) -> dict[str, float]:
        """Milliseconds a text that the trained form takes to answer, the better of two passes over a few."""
        few, seconds = list(inputs[:TIMED]), []
        for _ in range(2):
            clock = time.perf_counter()
            self.plugin.predict(answerer, few)
            seconds.append(time.perf_counter() - clock)
        return {"answer_ms": round(1000 * min(seconds) / len(few), 3)}

    def ready(self, rows: Rows) -> tuple[Any, tuple[Sequence[str], np.ndarray]]:
        """The network to train, and what it learns from: the rows, and where they are few the names of the labels."""
        train = self._named(list(rows.inputs), rows.targets)
        network = self.network(self._searched(train))
        if self.head.loss == NEXT:
            self.plugin.answers(network, self.shape.instruction, rows.targets.tolist())
        begin = getattr(catalogue.get("methods", self.method), "begin", None)
        if begin is not None:
            begin(network, rows)
        return network, train

    def _named(self, texts: Sequence[str], targets: np.ndarray) -> tuple[Sequence[str], np.ndarray]:
        """The rows, and where they are few the names of the labels."""
        return _folds.with_label_names(texts, targets, self.labels) if self.few and not self.pairs else (texts, targets)

    def _searched(self, train: tuple[Sequence[str], np.ndarray]) -> Any:
        """The settings a method finds for itself on the training rows; None where it looks for none."""
        method = catalogue.get("methods", self.method)
        if not hasattr(method, "search"):
            return None
        return method.search(train, method.Settings(**self.method_settings), self.network, self.seed)

    @property
    def joins(self) -> bool:
        """Whether the mean of the folds' models may be kept: of a method whose runs end in one basin."""
        mean = getattr(catalogue.get("methods", self.method), "MEAN", False) and getattr(self.plugin, "SOFT", False)
        return mean and self.head.loss not in (TOKEN, VECTOR)

    def kept(self, folder: Path, answered: Callable[[], _folds.Answered], joins: bool = False) -> Any:
        """The logits of a fold that `answered` gives, or those it gave a run that was killed since; what gave them `joins`."""
        from savile.models import _checkpoint

        found = _checkpoint.newest(folder)
        if found is None:
            logits, network, notes = answered()
            tensors = _folds.packed(logits, network if joins else None)
            _checkpoint.save(folder, 0, tensors, {**dict.fromkeys(MOST, 0), **self.most, "notes": notes})
        else:
            tensors, state = found
            notes, self.most = state["notes"], {name: state[name] for name in MOST}
        if joins:
            self.folds.add(tensors, notes)
        return _folds.logits(tensors)

    def last(self, rows: Rows, checkpoint: Path, joins: bool) -> tuple[Any, dict[str, Any]]:
        """The mean of the folds' models, or one of all rows."""
        if not joins:
            return self.fit(rows, checkpoint)
        network = self.network()
        return network, self.folds.into(network)

    def predict(self, answerer: Any, inputs: Inputs) -> Any:
        """Logits of some rows."""
        if answerer.seen is not None and answerer.seen.alone:
            return answerer.seen.logits(answerer, inputs)
        return self.plugin.predict(answerer, inputs)

    def files(self, answerer: Any) -> Any:
        """What is stored."""
        return self.plugin.save(answerer)
