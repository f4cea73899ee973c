"""The processes that train one network together: which of them this is, its share of a batch, and how they come to agree.

All of them hold all rows and take every n-th row of each batch, so a step is that of one process on the whole batch, but for
the order in which numbers are added. Gradients are added up by torch's DistributedDataParallel; each worker has a copy of what
learns, and of the rest unless they hold that in shares (see `_shards`). Without torch.distributed a process is a team of one,
and nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from savile.models import _shards

if TYPE_CHECKING:
    from savile.models._source import Source

Answers = Callable[..., list[torch.Tensor]]


class Team:
    """A team of one, and what holds for all.

    Attributes:
        rank, size: which of how many this is.
    """

    rank, size = 0, 1

    def joined(self, rows: Source) -> Answers:
        """What answers rows that are learned from, see `_Answers`; the network is made ready to learn with the others."""
        return _Answers(rows)

    def share(self, batch: np.ndarray) -> tuple[np.ndarray, bool]:
        """The rows of a batch that this worker learns from, at least one, and whether they count."""
        return batch, True

    def mean(self, number: float) -> float:
        """The mean of what the workers say."""
        return number

    def agreed(self, number: float) -> float:
        """What the first worker says."""
        return number


class Workers(Team):
    """One of several processes that torch.distributed connects."""

    def __init__(self) -> None:
        self.rank, self.size = torch.distributed.get_rank(), torch.distributed.get_world_size()

    def joined(self, rows: Source) -> Answers:
        """What answers rows that are learned from."""
        together: Any = nn.parallel.DistributedDataParallel
        answers = _Answers(rows)
        together._set_params_and_buffers_to_ignore_for_model(answers, [name for name, _ in _shards.shares(answers)])
        # methods may train what a pass does not use, such as a pooler of the base
        joined: Answers = together(answers, forward_sync_buffers=False, find_unused_parameters=True)
        return joined

    def share(self, batch: np.ndarray) -> tuple[np.ndarray, bool]:
        """Every n-th row, so that all have rows of like length; who would have none passes one that does not count."""
        mine = batch[self.rank :: self.size]
        return (mine, True) if len(mine) else (batch[:1], False)

    def mean(self, number: float) -> float:
        """The mean of what the workers say."""
        said = torch.tensor(number, dtype=torch.float64, device=self.place())
        torch.distributed.all_reduce(said)
        return float(said) / self.size

    def agreed(self, number: float) -> float:
        """What the first worker says."""
        said = torch.tensor(number, dtype=torch.float64, device=self.place())
        torch.distributed.broadcast(said, 0)
        return float(said)

    def place(self) -> torch.device:
        """Where numbers are exchanged."""
        return torch.device("cuda" if torch.distributed.get_backend() == "nccl" else "cpu")


class _Answers(nn.Module):
    """The rows' answers as a module of the network's parameters."""

    def __init__(self, rows: Source) -> None:
        super().__init__()
        self.network, self.rows = rows.network, rows

    def forward(self, batch: np.ndarray, disturb: Any = None, passes: int = 1) -> list[torch.Tensor]:
        """Row numbers -> logits to learn from, of each of so many passes; one call, for gradients are added up call by call."""
        return [self.rows.logits(batch, disturb, learning=True) for _ in range(passes)]


def team() -> Team:
    """The team of this process."""
    distributed = torch.distributed
    several = distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
    return Workers() if several else Team()
