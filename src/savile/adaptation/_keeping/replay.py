"""Replay: rows of earlier stages are learnt again beside the new ones (Rolnick et al., NeurIPS 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from savile.adaptation._keeping._past import Past, Taught, together
from savile.base import answers
from savile.base.errors import InputError

FIT: dict[str, Any] = {"epochs": 2.0, "least_steps": 64}  # most rows of an epoch are known ones


@dataclass(frozen=True)
class Settings:
    """How much is learnt again.

    Attributes:
        memory: rows kept of earlier stages, the same share of every label.
        share: of the rows of an epoch that are old ones; those in memory are repeated where they are fewer.
    """

    memory: int = 3000
    share: float = 0.8


def begin(network: Any, past: Past, new: Taught, settings: Settings) -> Taught:
    """The new rows, and as many old ones as their share asks for.

    Raises:
        InputError: a share that leaves no room for one of the two.
    """
    if not 0 < settings.share < 1:
        raise InputError("keep.share between 0 and 1", f"{settings.share:g}", "Name the share of old rows, such as 0.8.")
    texts, targets = past.memory
    if not len(texts):
        return new
    wanted = round(len(new[0]) * settings.share / (1 - settings.share))
    order = np.random.default_rng(past.seed).permutation(len(texts))
    rows = np.resize(order, max(wanted, 1))
    return together(new, (list(answers.take(list(texts), rows)), targets[rows]))
