"""A time budget that is too short for all rows: as many are learned from as can be made ready in a part of it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.base import answers
from savile.base.answers import NEXT
from savile.base.events import emit
from savile.models import _checkpoint
from savile.models._rows import TokenRows, embed
from savile.models._settings import FitSettings
from savile.models._source import Rows, precision
from savile.models._spans import TOKEN

if TYPE_CHECKING:
    from savile.models._network import TextEncoder

READY, READY_ALONE = 0.4, 0.7  # share of the budget for making rows ready: before the loop, and where the head alone learns
LEAST = 512  # rows, however short the budget
SAMPLE = 64  # rows that are timed


def most_rows(minutes: float, seconds: float, alone: bool) -> int:
    """How many rows fit.

    Args:
        minutes: the budget.
        seconds: of making a row ready: tokens, and a pass through what is frozen.
        alone: whether the head alone learns, which takes little beside.
    """
    return max(LEAST, int(minutes * 60 * (READY_ALONE if alone else READY) / max(seconds, 1e-9)))


def within(network: TextEncoder, train: Rows, settings: FitSettings, checkpoint: Path | None) -> tuple[Rows, FitSettings]:
    """The rows to learn from, each label with its share of them, and the settings with `most_rows` measured."""
    texts, targets = train
    if settings.minutes and len(texts) > LEAST and network.seen is None:
        most = _checkpoint.settle(checkpoint, "most_rows", lambda: most_ready(network, texts, settings))
        settings = replace(settings, most_rows=min(most, settings.most_rows or most))
    if not 0 < settings.most_rows < len(texts):
        return train, settings
    chosen = answers.drawn(np.asarray(targets), settings.most_rows, settings.seed)
    emit("note", text=f"{len(chosen):,} of {len(texts):,} rows are learned from: no more fit the budget.")
    return ([texts[row] for row in chosen], np.asarray(targets)[chosen]), settings


def most_ready(network: TextEncoder, texts: Any, settings: FitSettings) -> int:
    """Rows that fit `settings.minutes`, from a timed pass over a few."""
    sample = [texts[row] for row in np.random.default_rng(settings.seed).permutation(len(texts))[:SAMPLE]]
    depth, kind = network.frozen_depth(), precision(settings, network.device)

    def ready(texts: list[Any]) -> None:
        tokens = TokenRows(network.encode(texts), network.pad_id)
        if depth or network.loss not in (TOKEN, NEXT):
            embed(network, tokens, depth, kind)

    ready(sample[:4])  # pays for kernel caches
    clock = time.perf_counter()
    ready(sample)
    return most_rows(settings.minutes, (time.perf_counter() - clock) / len(sample), depth == len(network.layers))
