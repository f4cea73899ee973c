"""One candidate, from data to a stored model: fit it, answer rows it has not seen, calibrate on those."""

from __future__ import annotations

import resource
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.adaptation import _answered, _fair, _folds, _held, _stage
from savile.adaptation._held import Held
from savile.adaptation._learners import Learner, Recipe, learner
from savile.base import answers, catalogue, events, machine, media
from savile.base.contracts import HeadSpec, Rows
from savile.base.errors import InputError
from savile.base.outputs import joined
from savile.base.records import Calibration, Dataset, Model, canonical, digest
from savile.models._calibrate import calibrate, decide, log_loss
from savile.models._vectors import VECTOR

if TYPE_CHECKING:
    from savile.base.store import Store

RESAMPLES = 200
EDITION = 13  # of the training code: raised when the same call would come out otherwise


def train(data: Dataset, recipe: Recipe, minutes: float | None = None) -> Model:
    """Fit, calibrate and store one candidate within `minutes`, or return it when the store has it."""
    from savile.base.store import Store

    head = _checked(data)
    store = Store.open()
    candidate = _stage.learner(data, recipe) if recipe.base.startswith(_stage.EARLIER) else learner(data, recipe)
    key = digest(
        canonical(["adapt", EDITION, data.digest, data.mask, candidate.identity(), recipe.minutes, minutes == recipe.minutes])
    )
    known = recalled(store, key)
    if known is not None:
        return known
    with store.alone(key):
        known = recalled(store, key)  # by whoever was at it while we waited
        if known is not None:
            return known
        root = store.home / "training" / key[:16]
        trained, *held = _trained(data, head, candidate, minutes, root)
        model: Model = store.save(trained)
        if held:
            _held.keep(store, model, *held)
        score = model.facts["valid"]["score"]
        store.audit.append("adapt", model.ref, data=data.ref, method=candidate.name, score=score)
        store.remember(key, model.ref)
        shutil.rmtree(root, ignore_errors=True)
    return model


def _trained(data: Dataset, head: HeadSpec, candidate: Learner, minutes: float | None, root: Path) -> tuple[Any, ...]:
    """The model of one candidate, calibrated, and what it was chosen and calibrated on; what a killed run left is used.

    Of answers in words, the model alone: there is nothing to calibrate.
    """
    usage, start = Usage(), units(data, head)
    if answers.in_words(data.task):
        answerer, valid, notes = _answered.fit(data, candidate, minutes, root)
        return (_made(data, candidate, answerer, start, {"valid": valid, **notes, **usage.facts()}),)
    policy = _fair.asked(candidate.fair, data) if candidate.fair else None  # what cannot be kept is said before it is learned
    parts = Parts(data, candidate, start)
    answerer, chosen_on, calibrated_on, notes = _fit(parts, candidate, minutes, root)
    notes |= candidate.pace(answerer, parts.inputs["train"])
    calibration = calibrate(head, calibrated_on.logits, calibrated_on.gold, candidate.value, start)
    facts = {"valid": judged(data.task, head, chosen_on, start)}
    if policy is not None:
        calibration, facts["fair"] = _fair.leaned(data, head, calibrated_on, _fair.rows(data), calibration, policy)
    model = _made(data, candidate, answerer, calibration, {**facts, **notes, **usage.facts()})
    return model, chosen_on, calibrated_on


def _made(data: Dataset, candidate: Learner, answerer: Any, calibration: Calibration, facts: dict[str, Any]) -> Model:
    """The model of what answers."""
    return Model(
        family=candidate.family,
        base=candidate.base,
        base_digest=candidate.base_digest,
        method=candidate.method,
        task=data.task,
        labels=data.labels,
        forms={candidate.form: candidate.files(answerer)},
        calibrations={candidate.form: calibration},
        mask=data.mask,
        columns=_columns(data) if candidate.reads == "table" else {},
        facts=facts,
        settings=candidate.identity(),
        parents=tuple(ref for ref in (data.ref, *candidate.parents) if ref),
    )


def recalled(store: Store, key: str) -> Model | None:
    """The model a key was remembered with, if the store still has it."""
    ref = store.recall(key)
    if ref is None:
        return None
    events.emit("note", text=f"Nothing has changed since {ref} was trained.")
    found: Model = store.load(ref)
    return found


def _checked(data: Dataset) -> HeadSpec:
    """The head of the task, when there is something to learn for it."""
    head: HeadSpec = catalogue.get("tasks", data.task).head(len(data.labels))
    if not len(data.parts["train"]) or len(data.labels) < (2 if head.loss == "cross_entropy" else 1):
        raise InputError("training rows of at least two labels", f"{len(data.labels)} labels", "Give data to learn from.")
    return head


def units(data: Dataset, head: HeadSpec) -> Calibration:
    """What a calibration begins with: of numbers, the mean and the deviation of the training rows."""
    if head.loss != "squared_error":
        return Calibration()
    numbers = data.targets("train")
    return Calibration(shift=float(numbers.mean()), scale=float(numbers.std()) or 1.0)


def _columns(data: Dataset) -> dict[str, str]:
    table = data.features()
    return {field.name: media.kind_of(table.column(field.name)) or str(field.type) for field in table.schema}


def judged(task: str, head: HeadSpec, held: Held, start: Calibration) -> dict[str, Any]:
    """How good the answers are: the task's score with its 95 % interval, the rows, the log loss after the best calibration."""
    fitted = calibrate(head, held.logits, held.gold, None, start)
    choice, score, n = decide(head, held.logits, fitted).choice, catalogue.get("tasks", task).score, len(held.gold)
    rng = np.random.default_rng(0)
    each = getattr(catalogue.get("tasks", task), "each", None)
    gains = each(choice, held.gold) if each else np.zeros(0)  # of answers that count only beside one another
    if len(gains):
        drawn = [float(one.mean()) for one in rng.choice(gains, size=(RESAMPLES, len(gains)))]
    else:
        drawn = [float(score(choice[rows], held.gold[rows])) for rows in rng.integers(n, size=(RESAMPLES, n))]
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    found = {"score": float(score(choice, held.gold)), "low": low, "high": high, "rows": n}
    return {**found, "log_loss": log_loss(head, held.logits, held.gold, fitted)}


def _fit(parts: Parts, candidate: Learner, minutes: float | None, root: Path) -> tuple[Any, Held, Held, dict[str, Any]]:
    """The fitted answerer, what it is chosen on, what it is calibrated on, and notes; out of fold when data is small."""
    if _folds.few(parts.data):
        return _fit_few(parts, candidate, minutes, root)
    answerer, notes = candidate.fit(parts.rows("train", minutes=minutes, valid=parts.rows("valid")), root)
    valid, calib = (Held(candidate.predict(answerer, parts.inputs[part]), parts.gold[part]) for part in ("valid", "calib"))
    return answerer, valid, _held.joined(valid, calib), {**notes, "chosen_on": "validation rows"}


def _fit_few(parts: Parts, candidate: Learner, minutes: float | None, root: Path) -> tuple[Any, Held, Held, dict[str, Any]]:
    """Each fold answered by a model of the others, then one model of all rows, or their mean; finished folds outlast a kill."""
    inputs, gold = parts.inputs["train"], parts.gold["train"]
    number = _folds.assign(gold, _folds.together(parts.data), candidate.seed)
    folds, real = int(number.max()) + 1, _folds.real(parts.data)
    # vectors of two models have nothing to do with each other: those of one fold are judged, and the rows of no other
    beside = catalogue.get("tasks", parts.data.task).head(1).loss == VECTOR
    judged_folds = 1 if beside else folds
    clock, held = time.perf_counter(), []
    candidate.look(inputs, minutes, root)
    joins = candidate.joins and _folds.leave_most(number)
    fits = judged_folds + (not joins)
    share = None if minutes is None else (minutes - (time.perf_counter() - clock) / 60) / fits
    for fold in range(judged_folds):
        inside, outside = np.flatnonzero(number != fold), np.flatnonzero((number == fold) & real)
        events.emit("progress", stage=f"{candidate.name}: fold", done=fold + 1, total=fits)

        def answered(inside: np.ndarray = inside, outside: np.ndarray = outside, fold: int = fold) -> _folds.Answered:
            answerer, notes = candidate.fit(parts.rows("train", inside, share), root / f"fold-{fold}")
            return candidate.predict(answerer, answers.take(inputs, outside)), answerer, notes

        held.append(candidate.kept(root / f"answers-{fold}", answered, joins))
    answerer, notes = candidate.last(parts.rows("train", minutes=share), root / "all", joins)
    if beside:
        held_out = Held(held[0], gold[(number == 0) & real])
        return answerer, held_out, held_out, {**notes, "chosen_on": "answers to a fifth of the training rows"}
    held_out = Held(joined(held)[np.argsort(np.argsort(number[real], kind="stable"))], gold[real])
    return answerer, held_out, held_out, {**notes, "chosen_on": "out-of-fold answers to the training rows"}


class Parts:
    """The rows of a data set as a family reads them, the test part apart.

    Args:
        data: the data set.
        candidate: for whom.
        start: units of a number.
    """

    def __init__(self, data: Dataset, candidate: Learner, start: Calibration) -> None:
        self.data, self.seed = data, candidate.seed
        names = [part for part in ("train", "valid", "calib") if part in data.parts]
        self.inputs = {part: data.inputs(candidate.reads, part) for part in names}
        self.gold = {part: data.targets(part) for part in names}
        number = self.gold["train"].ndim == 1 and self.gold["train"].dtype.kind == "f"
        self.targets = {part: (gold - start.shift) / start.scale if number else gold for part, gold in self.gold.items()}
        soft = getattr(catalogue.get("families", candidate.family), "SOFT", False)
        self.stages = {part: data.stages(part) for part in names}
        said = data.shares("train") if soft and self.gold["train"].dtype.kind == "i" else None
        if said is not None:
            self.targets["train"] = said

    def rows(
        self, part: str, chosen: np.ndarray | None = None, minutes: float | None = None, valid: Rows | None = None
    ) -> Rows:
        """What a learner is given of a part: the chosen rows, by default all."""
        inputs = self.inputs[part] if chosen is None else answers.take(self.inputs[part], chosen)
        targets = self.targets[part] if chosen is None else self.targets[part][chosen]
        stages = self.stages[part]
        stages = stages if stages is None or chosen is None else stages[chosen]
        return Rows(inputs, targets, self.data.labels, valid, minutes, self.seed, stages)


class Usage:
    """What a stretch of work takes: wall-clock and processor time, memory, energy."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def facts(self) -> dict[str, float]:
        """Seconds, peak resident megabytes of the process, kilowatt-hours (estimated)."""
        seconds, busy = time.perf_counter() - self.wall, time.process_time() - self.cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {"seconds": round(seconds, 2), "peak_rss_mb": round(peak, 1), "kwh": machine.energy(busy)}
