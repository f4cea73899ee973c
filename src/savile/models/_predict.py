"""The one `predict`: masks, tokenises, runs a form on an engine, calibrates, abstains.

Evaluation, parity, readiness and serving all answer through it, so what is served is what was tested.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from savile.base import catalogue
from savile.base.errors import InputError
from savile.base.mask import Masker
from savile.base.records import Calibration, Model, Outputs
from savile.models._calibrate import decide

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BATCH_ROWS, BATCH_TOKENS = 64, 4096
LENGTH_STEP = 8  # lengths are padded up to a multiple of this, so engines see few shapes


class Predictor:
    """Answers texts with one form of a model.

    Args:
        model: a saved model.
        form: one of its forms.
        engine: catalogue name of the engine that runs the form; None lets the family answer itself, in fp32.
        threads: processor threads; None leaves the choice to the engine.
    """

    def __init__(self, model: Model, form: str, engine: str | None = None, threads: int | None = None) -> None:
        if form not in model.forms:
            raise InputError(f"a form among {', '.join(model.forms)}", repr(form), "Compress the model to get more forms.")
        self.model, self.form, self.engine = model, form, engine
        self.labels = model.labels
        self.calibration = model.calibrations.get(form, Calibration())
        self.head = catalogue.get("tasks", model.task).head(len(model.labels))
        self._mask = Masker(model.mask)
        files = {name: Path(str(path)) for name, path in model.forms[form].items()}
        if engine is None:
            family = catalogue.get("families", model.family)
            answerer = family.load(model, form)
            self._logits: Callable[[Sequence[str]], np.ndarray] = lambda texts: family.predict(answerer, texts)
        else:
            self.tokenizer = _tokenizer(files["tokenizer.json"])
            self._run = catalogue.get("engines", engine).open(files, threads or 0)
            self._logits = self._engine_logits

    def __call__(self, texts: Sequence[str]) -> Outputs:
        """Texts -> calibrated answers, in the order given."""
        return self.decide(self.logits(texts))

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Texts -> uncalibrated logits, float32 (n, outputs); the texts are masked first."""
        if not len(texts):
            return np.zeros((0, self.head.outputs), dtype=np.float32)
        return self._logits(self._mask.many(texts))

    def decide(self, logits: np.ndarray) -> Outputs:
        """Logits (n, outputs) -> calibrated answers."""
        probabilities = self.head.decode(logits / self.calibration.temperature)
        choice, confidence, abstain = decide(probabilities, self.calibration.threshold)
        return Outputs(logits, probabilities, choice, confidence, abstain)

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Texts -> token ids, as the engine reads them."""
        return [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]

    def _engine_logits(self, texts: Sequence[str]) -> np.ndarray:
        ids = self.tokens(texts)
        lengths = np.array([len(row) for row in ids])
        logits = np.empty((len(ids), self.head.outputs), dtype=np.float32)
        for rows in batches(lengths):
            logits[rows] = self._run(*pad([ids[row] for row in rows]))
        return logits


def batches(lengths: np.ndarray) -> list[np.ndarray]:
    """Row numbers of each batch: rows of like length together, longest first, within the row and token budgets."""
    order = np.argsort(-lengths, kind="stable")
    found, start = [], 0
    while start < len(order):
        longest = -(-int(lengths[order[start]]) // LENGTH_STEP) * LENGTH_STEP
        end = start + max(1, min(BATCH_ROWS, BATCH_TOKENS // longest))
        found.append(order[start:end])
        start = end
    return found


def pad(ids: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Token ids of some rows -> ids and mask, int64 (n, s), s a multiple of `LENGTH_STEP`."""
    longest = -(-max(len(row) for row in ids) // LENGTH_STEP) * LENGTH_STEP
    padded = np.zeros((len(ids), longest), dtype=np.int64)
    mask = np.zeros_like(padded)
    for i, row in enumerate(ids):
        padded[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return padded, mask


def _tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a form; the file carries its own truncation length."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    return tokenizer
