"""Distil: on the new texts the model goes on answering about the old labels as it did (Li and Hoiem, ECCV 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from savile.adaptation._keeping._past import Past, Taught, batches, together
from savile.base.errors import InputError

BATCH = 64


@dataclass(frozen=True)
class Settings:
    """How strongly.

    Attributes:
        weight: of the divergence from the earlier answers, KL(earlier || now) over the labels known then.
        temperature: both are softened by it.
        memory: rows of earlier stages whose texts are asked, too; their labels are not used.
        rows: texts asked at each step.
    """

    weight: float = 3.0
    temperature: float = 2.0
    memory: int = 0
    rows: int = 32


def begin(network: Any, past: Past, new: Taught, settings: Settings) -> Taught:
    """The new rows; what the network answers now is remembered.

    Raises:
        InputError: the answer is not one of several labels.
    """
    if network.loss != "cross_entropy" or not len(past.known):
        raise InputError("answers that are one of several labels", network.loss, "Use keep: replay.")
    texts = together(new, past.memory)[0]
    network.keeper = _Earlier(network, list(texts), past.known, settings)
    return new


class _Earlier:
    """The answers of a network as it was, and how far it has gone from them."""

    def __init__(self, network: Any, texts: list[str], known: np.ndarray, settings: Settings) -> None:
        import torch

        self.settings, self.known = settings, torch.from_numpy(known)
        self.asked = list(batches(network, texts, settings.rows))
        with torch.no_grad():
            self.said = [(network(*one)[:, self.known] / settings.temperature).softmax(1) for one in self.asked]

    def penalty(self, network: Any) -> Any:
        """The divergence on the texts of one step, drawn by torch's generator, which the loop seeds for every step."""
        import torch
        import torch.nn.functional as F

        chosen = int(torch.randint(len(self.asked), ()))
        heat = self.settings.temperature
        now = (network(*self.asked[chosen])[:, self.known] / heat).log_softmax(1)
        return self.settings.weight * heat**2 * F.kl_div(now, self.said[chosen], reduction="batchmean")
