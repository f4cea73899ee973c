"""What convolutions give, as tokens."""

import torch
from torch import nn


class Turned(nn.Module):
    """Channels (n, width, p) -> tokens (n, p, width)."""

    def forward(self, found: torch.Tensor) -> torch.Tensor:
        """The same values, the last two axes swapped."""
        return found.transpose(1, 2)
