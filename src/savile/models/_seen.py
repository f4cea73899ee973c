"""What a trunk that learns nothing makes of texts, found once: the heads of all folds are solved for on the same embeddings."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from savile.models._rows import TokenRows, embed
from savile.models._settings import FitSettings
from savile.models._source import best_device
from savile.models._within import most_ready

if TYPE_CHECKING:
    from savile.models._network import TextEncoder


class Seen:
    """Embeddings of texts in fp32, in which they are answered too.

    Args:
        network: its trunk is frozen.
        texts: each of them once or more often.
    """

    def __init__(self, network: TextEncoder, texts: Sequence[Hashable]) -> None:
        self.place = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        network.to(best_device())
        tokens = TokenRows(network.encode(list(self.place)), network.pad_id)  # type: ignore[arg-type]
        self.pooled = embed(network, tokens, len(network.layers), torch.float32)[0].cpu()
        network.cpu()

    def __call__(self, texts: Sequence[Hashable]) -> torch.Tensor:
        """The embeddings of texts that are among those seen, float32 (n, d)."""
        return self.pooled[[self.place[text] for text in texts]]

    def logits(self, network: TextEncoder, texts: Sequence[Hashable]) -> np.ndarray:
        """What the head of a network makes of them, float32 (n, outputs)."""
        with torch.inference_mode():
            answered: np.ndarray = network.head(self(texts)).numpy()
        return answered


def seen(network: TextEncoder, texts: Sequence[Hashable], minutes: float | None) -> Seen | None:
    """The embeddings of all texts; None where more than the head has a say, or where they do not fit a budget of `minutes`."""
    if getattr(network, "speaks", False) or hasattr(network, "more") or network.frozen_depth() < len(network.layers):
        return None
    if minutes is not None and most_ready(network, texts, FitSettings(minutes=minutes, precision="fp32")) < len(texts):
        return None
    return Seen(network, texts)
