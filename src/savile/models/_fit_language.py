"""The training loop for losses that are no one number a row: answers, preferences, teachers. Same settings, same schedule."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from savile.base import machine
from savile.base.errors import InputError
from savile.base.events import emit
from savile.models._fit import _optimizer, rate
from savile.models._rows import autocast, shuffled_batches
from savile.models._settings import FitSettings, Fitted
from savile.models._source import NAMES, precision

Loss = Callable[[np.ndarray], torch.Tensor]


def fit_language(
    network: Any,
    lengths: np.ndarray,
    loss: Loss,
    settings: FitSettings | None = None,
    by: np.ndarray | None = None,
) -> Fitted:
    """Train whatever in a language model requires a gradient.

    Args:
        network: a `savile.models._decoder.TextDecoder` with a method attached.
        lengths: tokens of each row, int64 (n,), by which rows are brought together unless `by` says otherwise.
        loss: row numbers -> mean loss.
        settings: how; validation, patience and budget play no part.
        by: what rows are brought together by, int64 (n,): lengths that say nothing of what is learned.

    Raises:
        InputError: nothing to learn from, nothing that learns, or a loss that is no number.
    """
    settings, named = settings or FitSettings(), dict(network.trainable())
    if not len(lengths) or not named:
        wanted, received = "rows to learn from and something that learns", f"{len(lengths)} rows, {len(named)} tensors"
        raise InputError(wanted, received, "Give rows, and attach a method.")
    started, device, tokens = time.perf_counter(), network.device, 0
    kind, optimizer = precision(settings, device), _optimizer(named, settings)
    network.set_dropout(settings.dropout)
    network.train(settings.dropout > 0 or network.drops)

    def epoch(number: int) -> list[np.ndarray]:
        rng = np.random.default_rng([settings.seed, number])
        return shuffled_batches(lengths, settings.batch_rows, settings.batch_tokens, rng, by)

    per_epoch = len(batches := epoch(0))
    total = settings.steps or max(1, settings.least_steps, round(settings.epochs * per_epoch))
    history: list[dict[str, Any]] = []
    with network.lightened(kind):
        for step in range(total):
            number, index = divmod(step, per_epoch)
            batches = epoch(number) if index == 0 and number else batches
            torch.manual_seed(settings.seed * 1_000_003 + step)
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * rate(settings, step, total)
            rows = batches[index % len(batches)]
            with autocast(kind, device):
                value = loss(rows)
            value.backward()  # type: ignore[no-untyped-call]
            if not math.isfinite(float(value.detach())):
                raise InputError("a loss that is a number", f"{float(value)} at step {step + 1}", "Lower the learning rate.")
            if settings.clip:
                torch.nn.utils.clip_grad_norm_(named.values(), settings.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            machine.trim(step)
            tokens += int(lengths[rows].sum())
            history.append({"step": step + 1, "loss": float(value.detach()), "seconds": time.perf_counter() - started})
            emit("progress", stage="train", done=step + 1, total=total, loss=round(float(value.detach()), 4))
    network.eval()
    return Fitted(total, time.perf_counter() - started, tuple(history), None, tokens, NAMES[kind], settings)
