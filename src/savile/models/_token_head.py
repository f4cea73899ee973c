"""The head of networks that answer token by token: a linear layer, or dilated convolutions first where the trunk sees little.

Convolutions whose steps double see far on both sides at little cost (Strubell et al., EMNLP 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from savile.models._spans import IGNORED

HIDDEN, DROPPED = 256, 0.3
STEPS = (1, 2, 4)  # dilations, where there are convolutions


class TokenHead(nn.Module):
    """Hidden states of tokens -> logits.

    Args:
        width: size of a hidden state d.
        outputs: logits a token.
        steps: dilation of each convolution over three tokens; without any the head is linear.
    """

    cosine, scale = False, None

    def __init__(self, width: int, outputs: int, steps: Sequence[int] = ()) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, HIDDEN) if steps else None
        self.mixes = nn.ModuleList(nn.Conv1d(HIDDEN, HIDDEN, 3, padding=step, dilation=step) for step in steps)
        self.norms = nn.ModuleList(nn.LayerNorm(HIDDEN) for _ in steps)
        self.dropped = nn.Dropout(DROPPED if steps else 0.0)
        self.weight = nn.Parameter(torch.zeros(outputs, HIDDEN if steps else width))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Hidden states (n, s, d) and mask (n, s) -> logits, float32 (n, s, outputs); nothing crosses the end of a text."""
        found = self.norm(hidden)
        if self.project is not None:
            real = mask.unsqueeze(-1).to(found.dtype)
            found = F.relu(self.project(self.dropped(found)))
            for mix, norm in zip(self.mixes, self.norms, strict=True):
                seen = F.relu(mix((found * real).transpose(1, 2)).transpose(1, 2))
                found = norm(found + self.dropped(seen))
        with torch.autocast(hidden.device.type, enabled=False):
            return F.linear(self.dropped(found.float()), self.weight, self.bias)


def token_loss(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None, smoothing: float) -> torch.Tensor:
    """Mean cross-entropy of the tokens that have a target; logits (n, s, outputs), targets int64 (n, s)."""
    flat = logits.flatten(0, 1)
    return F.cross_entropy(flat, targets.flatten(), weight=weights, label_smoothing=smoothing, ignore_index=IGNORED)


def token_mass(targets: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """What `token_loss` divides by, the weights of the tokens that have a target; targets int64 (n, s)."""
    known = targets[targets != IGNORED]
    return weights[known].sum() if weights is not None else torch.tensor(float(known.numel()))


class PlainCutter:
    """Cuts texts for an encoder, with its own tokenizer.

    Args:
        tokenizer: a tokenizer of the package tokenizers, with its truncation.
    """

    def __init__(self, tokenizer: Any) -> None:
        from tokenizers import Tokenizer

        marked = tokenizer.encode("a")
        inside = [place for place, special in enumerate(marked.special_tokens_mask) if not special] or [0]
        self.begin, self.end = marked.ids[: inside[0]], marked.ids[inside[-1] + 1 :]
        longest = (tokenizer.truncation or {"max_length": 256})["max_length"]
        self.room = longest - len(self.begin) - len(self.end)
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def __call__(self, texts: Sequence[str]) -> list[tuple[list[int], Any]]:
        """Token ids of each text and their places, int64 (s, 2), spaces left out."""
        import numpy as np

        found = []
        for text, one in zip(texts, self._tokenizer.encode_batch(list(texts), add_special_tokens=False), strict=True):
            places = [(start + len(text[start:end]) - len(text[start:end].lstrip()), end) for start, end in one.offsets]
            found.append((one.ids, np.array(places, dtype=np.int64).reshape(-1, 2)))
        return found
