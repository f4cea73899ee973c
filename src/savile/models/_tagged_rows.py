"""Rows for the training loop where spans are asked for: windows of texts, and the label of each of their tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from savile.base.outputs import Span, Tokens, spanned
from savile.models._spans import IGNORED, decoded, token_targets, windows


class TaggedRows:
    """Windows of texts with the labels of their tokens.

    Args:
        network: has a `cutter`.
        texts: n texts.
        spans: of each text, object (n,).
    """

    def __init__(self, network: Any, texts: Sequence[str], spans: np.ndarray) -> None:
        cutter = network.cutter
        self._outputs = len(network.head.bias)
        cut = cutter(texts)
        self._rows = list(windows(cutter, cut))
        self.ids = [row.ids for row in self._rows]
        self._lead = len(cutter.begin)
        whole = [token_targets(places, found) for (_, places), found in zip(cut, spans, strict=True)]
        marks = np.full(len(cutter.begin), IGNORED), np.full(len(cutter.end), IGNORED)
        self._targets = [
            np.concatenate([marks[0], whole[row.text][row.first : row.first + len(row.places)], marks[1]]) for row in self._rows
        ]
        self._spans = [_inside(spans[row.text], row.places) for row in self._rows]

    def __len__(self) -> int:
        return len(self._rows)

    def padded(self, rows: np.ndarray) -> torch.Tensor:
        """The targets of some rows, int64 (n, s)."""
        found = np.full((len(rows), max(len(self._targets[row]) for row in rows)), IGNORED, dtype=np.int64)
        for place, row in enumerate(rows):
            found[place, : len(self._targets[row])] = self._targets[row]
        return torch.from_numpy(found)

    def counts(self) -> torch.Tensor:
        """How many tokens each output is right for, (outputs,)."""
        flat = np.concatenate(self._targets)
        return torch.from_numpy(np.bincount(flat[flat != IGNORED], minlength=self._outputs))

    def judged(self, logits: Sequence[torch.Tensor], score: Callable[[Any, Any], float]) -> tuple[float, float]:
        """The score of the spans that logits (s, outputs) of every row decode to, and the mean loss of their tokens."""
        probabilities, losses = [], []
        for row, one, targets in zip(self._rows, logits, self._targets, strict=True):
            logs = torch.log_softmax(one.double(), dim=-1).numpy()
            known = targets != IGNORED
            losses.append(-logs[known, targets[known]])
            probabilities.append((np.exp(logs[self._lead : self._lead + len(row.places)]), row.places))
        found = decoded(Tokens.of(probabilities, self._outputs))
        return float(score(found, spanned(self._spans))), float(np.concatenate(losses).mean())


def _inside(spans: Sequence[Span], places: np.ndarray) -> list[Span]:
    """The spans that lie within a window."""
    first, last = int(places[0, 0]), int(places[-1, 1])
    return [span for span in spans if first <= span.start and span.end <= last]
