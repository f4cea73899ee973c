"""One candidate, from data to a stored model: fit it, answer rows it has not seen, calibrate on those."""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.adaptation import _folds
from savile.base import catalogue, events, machine
from savile.base.errors import InputError, UnknownNameError
from savile.base.records import Calibration, Dataset, Model, canonical, digest
from savile.models._calibrate import cost_threshold, decide, fit_temperature

if TYPE_CHECKING:
    from savile.base.store import Store

EDITION = 2  # of the training code: raised when the same call would come out otherwise


@dataclass(frozen=True)
class Recipe:
    """What to try.

    Attributes:
        base: name of a base, or ``linear``.
        method: catalogue name of the adaptation method; of no meaning for ``linear``.
        settings: of the method, of the loop, and ``value``.
        seed: of everything random.
        minutes: budget of the whole call, or None.
    """

    base: str
    method: str
    settings: Mapping[str, Any]
    seed: int
    minutes: float | None = None


@dataclass(frozen=True)
class Held:
    """Answers on rows the model has not seen: logits (n, outputs), gold label indices (n,)."""

    logits: np.ndarray
    gold: np.ndarray


def train(data: Dataset, recipe: Recipe, minutes: float | None = None) -> Model:
    """Fit, calibrate and store one candidate within `minutes`, or return it when the store has it."""
    from savile.base.store import Store

    if not len(data.parts["train"]) or len(data.labels) < 2:
        raise InputError("training rows of at least two labels", f"{len(data.labels)} labels", "Give data to learn from.")
    learner, store = _learner(data, recipe), Store.open()
    key = digest(
        canonical(["adapt", EDITION, data.digest, data.mask, learner.identity(), recipe.minutes, minutes == recipe.minutes])
    )
    known = recalled(store, key)
    if known is not None:
        return known
    with store.alone(key):
        known = recalled(store, key)  # by whoever was at it while we waited
        if known is not None:
            return known
        root = store.home / "training" / key[:16]
        model: Model = store.save(_trained(data, learner, minutes, root))
        score = model.facts["valid"]["score"]
        store.audit.append("adapt", model.ref, data=data.ref, method=learner.name, score=score)
        store.remember(key, model.ref)
        shutil.rmtree(root, ignore_errors=True)
    return model


def _trained(data: Dataset, learner: Any, minutes: float | None, root: Path) -> Model:
    """The model of one candidate, calibrated; what a killed run left in `root` is gone on from."""
    usage = Usage()
    answerer, chosen_on, calibrated_on, notes = _fit(data, learner, minutes, root)
    calibration = calibrate(data.task, calibrated_on, learner.value)
    score = catalogue.get("tasks", data.task).score(chosen_on.logits.argmax(1), chosen_on.gold)
    facts = {"valid": {"score": float(score), "rows": len(chosen_on.gold), "log_loss": log_loss(chosen_on)}}
    return Model(
        family=learner.family,
        base=learner.base,
        base_digest=learner.base_digest,
        method=learner.method,
        task=data.task,
        labels=data.labels,
        forms={learner.form: learner.files(answerer)},
        calibrations={learner.form: calibration},
        mask=data.mask,
        facts={**facts, **notes, **usage.facts()},
        settings=learner.identity(),
        parents=(data.ref,) if data.ref else (),
    )


def recalled(store: Store, key: str) -> Model | None:
    """The model a key was remembered with, if the store still has it."""
    ref = store.recall(key)
    if ref is None:
        return None
    events.emit("note", text=f"Nothing has changed since {ref} was trained.")
    found: Model = store.load(ref)
    return found


def _fit(data: Dataset, learner: Any, minutes: float | None, root: Path) -> tuple[Any, Held, Held, dict[str, Any]]:
    """The fitted answerer, what it is chosen on, what it is calibrated on, and notes; out of fold when data is small."""
    texts, targets = data.texts("train"), data.targets("train")
    if _folds.few(data):
        return _fit_few(data, learner, minutes, root)
    held = {part: (data.texts(part), data.targets(part)) for part in ("valid", "calib")}
    answerer, notes = learner.fit(texts, targets, held["valid"], minutes, root)
    answers = {part: Held(learner.predict(answerer, rows[0]), rows[1]) for part, rows in held.items()}
    return answerer, answers["valid"], answers["calib"], {**notes, "chosen_on": "validation rows"}


def _fit_few(data: Dataset, learner: Any, minutes: float | None, root: Path) -> tuple[Any, Held, Held, dict[str, Any]]:
    """Each fold answered by a model of the others, then one model of all rows; finished folds outlast a kill."""
    texts, targets = data.texts("train"), data.targets("train")
    number = _folds.assign(targets, _folds.together(data), learner.seed)
    folds = int(number.max()) + 1
    share = None if minutes is None else minutes / (folds + 1)
    logits = np.zeros((len(texts), len(learner.labels)), dtype=np.float32)
    for fold in range(folds):
        inside, outside = np.flatnonzero(number != fold), np.flatnonzero(number == fold)
        events.emit("progress", stage=f"{learner.name}: fold", done=fold + 1, total=folds + 1)

        def answers(inside: np.ndarray = inside, outside: np.ndarray = outside, fold: int = fold) -> np.ndarray:
            answerer, _ = learner.fit([texts[i] for i in inside], targets[inside], None, share, root / f"fold-{fold}")
            found: np.ndarray = learner.predict(answerer, [texts[i] for i in outside])
            return found

        logits[outside] = learner.kept(root / f"answers-{fold}", answers)
    answerer, notes = learner.fit(texts, targets, None, share, root / "all")
    held_out = Held(logits, targets)
    return answerer, held_out, held_out, {**notes, "chosen_on": "out-of-fold answers to the training rows"}


def calibrate(task: str, held: Held, value: Mapping[str, float] | None) -> Calibration:
    """Temperature and, when the worth of answers is known, the threshold below which a person should answer."""
    temperature = fit_temperature(held.logits, held.gold)
    if not value:
        return Calibration(temperature)
    head = catalogue.get("tasks", task).head(held.logits.shape[1])
    choice, confidence, _ = decide(head.decode(held.logits / temperature), 0.0)
    return Calibration(temperature, cost_threshold(confidence, choice == held.gold, value))


def log_loss(held: Held) -> float:
    """Mean negative log probability of the gold labels after the best temperature."""
    from scipy.special import log_softmax

    scores = log_softmax(held.logits.astype(np.float64) / fit_temperature(held.logits, held.gold), axis=1)
    return float(-scores[np.arange(len(held.gold)), held.gold].mean())


class Usage:
    """What a stretch of work takes: wall-clock and processor time, memory, energy."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def facts(self) -> dict[str, float]:
        """Seconds, peak resident megabytes of the process, kilowatt-hours (estimated)."""
        seconds, busy = time.perf_counter() - self.wall, time.process_time() - self.cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {"seconds": round(seconds, 2), "peak_rss_mb": round(peak, 1), "kwh": machine.energy(busy)}


class LinearLearner:
    """The family ``linear``: no base, no method."""

    family = form = name = "linear"
    base = base_digest = method = ""

    def __init__(self, data: Dataset, recipe: Recipe) -> None:
        from savile.models import linear

        self.labels, self.seed = data.labels, recipe.seed
        chosen, self.value = _split(recipe.settings, {"linear": linear.Settings})
        self.settings = linear.Settings(**chosen["linear"])

    def identity(self) -> dict[str, Any]:
        """Everything the result depends on beside the data."""
        return {"family": self.family, "settings": asdict(self.settings), "value": self.value, "seed": self.seed}

    def fit(
        self, texts: Sequence[str], targets: np.ndarray, valid: Any, minutes: float | None, checkpoint: Path
    ) -> tuple[Any, dict[str, Any]]:
        """Fit on some rows."""
        from savile.models import linear

        events.emit("progress", stage="train linear", done=0, total=1)
        return linear.fit(texts, targets, self.labels, self.settings), {"trainable_share": 1.0}

    def kept(self, folder: Path, answers: Callable[[], np.ndarray]) -> np.ndarray:
        """The logits that `answers` gives: quicker found again than kept."""
        return answers()

    def predict(self, answerer: Any, texts: Sequence[str]) -> np.ndarray:
        """Logits of some rows."""
        from savile.models import linear

        return linear.predict(answerer, texts)

    def files(self, answerer: Any) -> Any:
        """What is stored."""
        from savile.models import linear

        return linear.save(answerer)


class EncoderLearner:
    """The family ``encoder``: a base, a method, the one training loop."""

    family, form = "encoder", "torch"

    def __init__(self, data: Dataset, recipe: Recipe) -> None:
        from savile.models import FitSettings
        from savile.models._bases import locate

        plugin = catalogue.get("methods", recipe.method)
        self.labels, self.seed, self.method, self.name = data.labels, recipe.seed, recipe.method, recipe.method
        self.task = data.task
        self.base, self.base_digest = recipe.base, locate(recipe.base).sha256
        kinds = {"method": plugin.Settings, "fit": FitSettings, "network": Shape}
        chosen, self.value = _split(recipe.settings, kinds)
        self.few = _folds.few(data)
        habits = plugin.FIT_SMALL if self.few else plugin.FIT
        self.cosine = plugin.HEAD == "cosine"
        self.shape = Shape(**chosen["network"])
        self.method_settings = asdict(plugin.Settings(**chosen["method"]))
        self.fit_settings = FitSettings(**{**habits, "seed": recipe.seed, **chosen["fit"]})
        self.most_steps = 0  # what the first probe says the budget allows

    def identity(self) -> dict[str, Any]:
        """Everything the result depends on beside the data."""
        return {
            "family": self.family,
            "base": self.base_digest,
            "method": {"name": self.method, **self.method_settings},
            "fit": asdict(self.fit_settings),
            "network": asdict(self.shape),
            "value": self.value,
        }

    def fit(
        self, texts: Sequence[str], targets: np.ndarray, valid: Any, minutes: float | None, checkpoint: Path
    ) -> tuple[Any, dict[str, Any]]:
        """Attach the method to a fresh network and train it."""
        from savile.models import encoder, fit

        network = encoder.create(self.base, self.labels, cosine=self.cosine, max_length=self.shape.max_length)
        encoder.attach(network, self.method, self.method_settings)
        settings = self.fit_settings if minutes is None else replace(self.fit_settings, minutes=minutes)
        if self.most_steps:
            settings = replace(settings, minutes=0.0, most_steps=self.most_steps)
        texts, targets = _folds.with_label_names(texts, targets, self.labels) if self.few else (texts, targets)
        score = catalogue.get("tasks", self.task).score
        fitted = fit(network, (texts, targets), settings, valid=valid, checkpoint=checkpoint, score=score)
        self.most_steps = fitted.settings.most_steps  # the folds that follow take no more, however fast the machine is then
        learning = sum(p.numel() for _, p in network.trainable())
        notes = {
            "trainable_share": learning / sum(p.numel() for p in network.parameters()),
            "steps": fitted.steps,
            "tokens": fitted.tokens,
            "precision": fitted.precision,
            "history": list(fitted.history),
            "fit_seconds": round(fitted.seconds, 2),
        }
        return network, notes

    def kept(self, folder: Path, answers: Callable[[], np.ndarray]) -> np.ndarray:
        """The logits that `answers` gives, or those it gave a run that was killed since."""
        import torch

        from savile.models import _checkpoint

        found = _checkpoint.newest(folder)
        if found is not None:
            self.most_steps = found[1]["most_steps"]
            kept: np.ndarray = found[0]["logits"].numpy()
            return kept
        logits = answers()
        _checkpoint.save(folder, 0, {"logits": torch.from_numpy(logits)}, {"most_steps": self.most_steps})
        return logits

    def predict(self, answerer: Any, texts: Sequence[str]) -> np.ndarray:
        """Logits of some rows."""
        from savile.models import encoder

        return encoder.predict(answerer, texts)

    def files(self, answerer: Any) -> Any:
        """What is stored."""
        from savile.models import encoder

        return encoder.save(answerer)


@dataclass(frozen=True)
class Shape:
    """Settings of the network itself: texts are cut to `max_length` tokens."""

    max_length: int = 256


def _learner(data: Dataset, recipe: Recipe) -> LinearLearner | EncoderLearner:
    return LinearLearner(data, recipe) if recipe.base == "linear" else EncoderLearner(data, recipe)


def _split(settings: Mapping[str, Any], kinds: Mapping[str, type]) -> tuple[dict[str, dict[str, Any]], Any]:
    """Settings by the kind that has a field of that name, and ``value``."""
    owner = {field.name: kind for kind in kinds for field in fields(kinds[kind])}
    found: dict[str, dict[str, Any]] = {kind: {} for kind in kinds}
    for name, setting in settings.items():
        if name == "value":
            continue
        if name not in owner:
            raise UnknownNameError("setting", name, [*owner, "value"])
        found[owner[name]][name] = setting
    return found, settings.get("value")
