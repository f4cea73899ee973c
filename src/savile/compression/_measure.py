"""Taking the measure of each form: does it answer as trained, how fast, how large; and which of them serves."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from savile.base import catalogue
from savile.base.contracts import Run
from savile.base.records import Calibration, Dataset, Model, Outputs
from savile.models import Predictor
from savile.models._calibrate import calibrate
from savile.models._predict import batches, pad

LEAST_TIMED, MOST_TIMED, TIMED_SECONDS, PASSES = 64, 256, 1.0, 2  # texts, and about how long the trained form takes for them
CHECKED_ROWS = 1_000  # a tolerance of 0.3 % takes hundreds of rows to be kept or broken


@dataclass(frozen=True)
class Checked:
    """Rows that forms are held against, and what the trained form answers there.

    Attributes:
        texts: validation rows, calibration rows, and training rows up to `CHECKED_ROWS` in all.
        gold: what is right in each, as the task's targets are.
        calib: where among them the rows are that temperatures are refitted on: validation and calibration rows.
        unseen: how many come first that the model has not learned from; all when there are none.
        trained: the trained form's answers.
        speed: training texts that speed is measured on.
    """

    texts: Sequence[str]
    gold: np.ndarray
    calib: slice
    unseen: int
    trained: Outputs
    speed: Sequence[str]

    @property
    def learned(self) -> bool:
        """Whether the model has learned from all of them."""
        return not self.calib.stop

    @classmethod
    def of(cls, model: Model, data: Dataset, form: str) -> Checked:
        """The rows of a data set, answered once by the trained form; the test part is not read."""
        valid, calib, train = (data.texts(part) for part in ("valid", "calib", "train"))
        unseen = len(valid) + len(calib)
        rows = _spread(len(train), max(0, CHECKED_ROWS - unseen))
        texts = [*valid, *calib, *(train[row] for row in rows)]
        gold = np.concatenate([data.targets("valid"), data.targets("calib"), data.targets("train")[rows]])
        predictor, clock = Predictor(model, form), time.perf_counter()
        trained = predictor(texts)
        speed = [train[row] for row in _spread(len(train), timed((time.perf_counter() - clock) / len(texts)))]
        return cls(texts, gold, slice(unseen), unseen or len(texts), trained, speed)


@dataclass(frozen=True)
class Candidate:
    """One form on one engine, measured.

    Attributes:
        form, engine: their names.
        calibration: refitted on calibration rows.
        facts: JSON-able figures: speed, size, flips, agreement, drop, how far answers moved (see `parity.moved`).
        reason: why it may not serve; empty when it may.
    """

    form: str
    engine: str
    calibration: Calibration
    facts: Mapping[str, Any]
    reason: str = ""

    @property
    def rank(self) -> tuple[bool, bool, float]:
        """What may serve first, of those what moves no answer far enough to change a clear one, of those the fastest."""
        return bool(self.reason), self.facts["moved"] >= 1.0, -self.facts["tokens_per_second"]


def timed(seconds: float) -> int:
    """How many texts speed is measured on where the trained form takes so many seconds for one."""
    return int(np.clip(TIMED_SECONDS / max(seconds, 1e-9), LEAST_TIMED, MOST_TIMED))


def candidate(model: Model, form: str, engine: str, checked: Checked, limits: Mapping[str, float]) -> Candidate:
    """Measure one form on one engine against the trained form and the limits ``max_size_mb`` and ``max_drop``."""
    predictor = Predictor(model, form, engine, threads=1)
    answers, parity = predictor(checked.texts), catalogue.get("metrics", "parity")
    proof = parity.parity({form: lambda _: answers}, checked.texts, lambda _: checked.trained)[form]
    score, unseen = catalogue.get("tasks", model.task).score, slice(checked.unseen)
    before, now = (score(outputs.choice[unseen], checked.gold[unseen]) for outputs in (checked.trained, answers))
    facts = {
        "engine": engine,
        "tokens_per_second": round(tokens_per_second(predictor._run, predictor.tokens(checked.speed))),
        "flips": proof["flips"],
        "rows": proof["n"],
        "agreement": 1.0 - proof["share"],
        "moved": parity.moved(checked.trained, answers, checked.learned),
        "drop": before - now,
        "size_mb": size_mb(model, form),
    }
    reason = proof["reason"]
    if not reason and before - now > limits.get("max_drop", 1.0):
        reason = f"{100 * (before - now):.2f} points fewer right answers; allowed are {100 * limits['max_drop']:.2f}"
    if not reason and facts["size_mb"] > limits.get("max_size_mb", np.inf):
        reason = f"{facts['size_mb']:.1f} MB; allowed are {limits['max_size_mb']:g}"
    return Candidate(form, engine, recalibrated(model, form, answers.logits, checked), facts, reason)


def recalibrated(model: Model, form: str, logits: Any, checked: Checked) -> Calibration:
    """The form's own calibration; as trained without calibration rows, and of spans, where it says what is given."""
    head = catalogue.get("tasks", model.task).head(len(model.labels))
    if head.loss == "token_cross_entropy":
        return model.calibrations[form]
    own, start = logits[checked.calib], model.calibrations[form]
    return calibrate(head, own, checked.gold[checked.calib], model.settings.get("value"), start)


def tokens_per_second(run: Run, ids: Sequence[Sequence[int]]) -> float:
    """Real tokens a second, padding not counted: the batches that serving makes, model only, the best of two passes."""
    padded = [pad([ids[row] for row in rows]) for rows in batches(np.array([len(row) for row in ids]))]
    seconds = []
    run(*padded[0])  # pays for kernels
    for _ in range(PASSES):
        started = time.perf_counter()
        for batch in padded:
            run(*batch)
        seconds.append(time.perf_counter() - started)
    return sum(map(len, ids)) / min(seconds)


def trained_tokens_per_second(model: Model, form: str, texts: Sequence[str]) -> float:
    """Real tokens a second of the trained network itself, fp32 on one core, measured like an engine."""
    import torch

    family = catalogue.get("families", model.family)
    network = family.load(model, form)
    module, threads = family.module(network), torch.get_num_threads()

    def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        longest = int(mask.sum(axis=1).max())
        with torch.inference_mode():
            logits: np.ndarray = module(torch.from_numpy(ids[:, :longest]), torch.from_numpy(mask[:, :longest])).numpy()
        return logits

    torch.set_num_threads(1)
    try:
        return tokens_per_second(run, network.encode(texts))
    finally:
        torch.set_num_threads(threads)


def size_mb(model: Model, form: str) -> float:
    """Megabytes on disk of a form, tokenizer included."""
    files = model.forms[form].values()
    return sum(len(one) if isinstance(one, bytes) else Path(one).stat().st_size for one in files) / 1e6


def engines(form: str) -> list[str]:
    """The engines of this machine that read a form."""
    kind = form.partition("-")[0]
    found = {name: catalogue.get("engines", name) for name in catalogue.names("engines")}
    return [name for name, engine in found.items() if kind in getattr(engine, "READS", (name,)) and engine.available() is None]


def _spread(n: int, most: int) -> np.ndarray:
    """At most `most` of n row numbers, evenly spread, for files are often sorted by label."""
    return np.arange(n) if n <= most else np.linspace(0, n - 1, most).astype(np.int64)
