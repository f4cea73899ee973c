"""What is frozen makes the same of a row in every fold, so it is found once: embeddings, and the output of the lower layers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from savile.models import _checkpoint
from savile.models._rows import HiddenRows, TokenRows, embed
from savile.models._settings import FitSettings
from savile.models._source import best_device, needs_start, precision
from savile.models._within import LEAST, most_ready

if TYPE_CHECKING:
    from savile.models._network import TextEncoder


class Seen:
    """Texts that a fresh network has passed through its frozen layers.

    Args:
        network: fresh, with a method attached.
        texts: each of them once or more often.
        settings: how it will be trained.

    Attributes:
        depth: layers that learn nothing, all of them where the head alone does.
        precision: fp32 where the head alone learns, for it answers in fp32 and the same embeddings then do for both.
    """

    def __init__(self, network: TextEncoder, texts: Sequence[Hashable], settings: FitSettings) -> None:
        self.place = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        self.depth = network.frozen_depth()
        self.alone = self.depth == len(network.layers)
        network.to(best_device())
        self.precision = torch.float32 if self.alone else precision(settings, network.device)
        tokens = TokenRows(network.encode(list(self.place)), network.pad_id)  # type: ignore[arg-type]
        self.pooled, self.below = embed(network, tokens, self.depth, self.precision)
        network.cpu()

    def __call__(self, texts: Sequence[Hashable]) -> tuple[torch.Tensor, HiddenRows | None]:
        """Embeddings (n, d), float32, of texts that are among those seen, and what leaves their frozen layers."""
        rows = np.array([self.place[text] for text in texts], dtype=np.int64)
        return self.pooled[torch.from_numpy(rows).to(self.pooled.device)], self.below.some(rows) if self.below else None

    def logits(self, network: TextEncoder, texts: Sequence[Hashable]) -> np.ndarray:
        """What the head of a network makes of embeddings, float32 (n, outputs)."""
        with torch.inference_mode():
            answered: np.ndarray = network.head(self(texts)[0].cpu()).numpy()
        return answered


def seen(network: TextEncoder, texts: Sequence[Hashable], settings: FitSettings, root: Path) -> Seen | None:
    """All texts, seen; None where nothing is frozen, or they do not fit into `settings.minutes`, which is settled in `root`."""
    other = getattr(network, "speaks", False) or hasattr(network, "more")  # they answer with more than one embedding
    if other or not (network.frozen_depth() or needs_start(network)):
        return None
    if settings.minutes and len(texts) > LEAST:
        exact = replace(settings, precision="fp32")
        if _checkpoint.settle(root, "most_seen", lambda: most_ready(network, texts, exact)) < len(texts):
            return None
    return Seen(network, texts, settings)
