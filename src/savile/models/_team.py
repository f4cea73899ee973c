"""The processes that train one network together: which of them this is, its share of a batch, and how they come to agree.

All of them hold all rows and take every n-th row of each batch, so a step is that of one process on the whole batch, but for
the order in which numbers are added. Gradients are added up by torch's DistributedDataParallel, which holds a copy of the
network on each worker; where a network says ``SPLITS``, its layers are split over the workers instead (FSDP2, `fully_shard`).
Without torch.distributed a process is a team of one, and nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from savile.models._source import Source

Answers = Callable[..., torch.Tensor]


class Team:
    """A team of one, and what holds for all.

    Attributes:
        rank, size: which of how many this is.
        split: whether each worker holds a part of the weights only.
    """

    rank, size, split = 0, 1, False

    def joined(self, rows: Source) -> Answers:
        """What answers rows that are learned from, `Source.logits`; the network is made ready to learn with the others."""
        return rows.logits

    def share(self, batch: np.ndarray) -> tuple[np.ndarray, bool]:
        """The rows of a batch that this worker learns from, at least one, and whether they count."""
        return batch, True

    def mean(self, number: float) -> float:
        """The mean of what the workers say."""
        return number

    def agreed(self, number: float) -> float:
        """What the first worker says."""
        return number

    def whole(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor that may be split; all workers ask for it together."""
        return tensor

    def like(self, tensor: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
        """A whole tensor on the device of a parameter, split as that is when it has its shape."""
        return tensor.to(parameter.device)


class Workers(Team):
    """One of several processes that torch.distributed connects."""

    def __init__(self) -> None:
        self.rank, self.size = torch.distributed.get_rank(), torch.distributed.get_world_size()

    def joined(self, rows: Source) -> Answers:
        """What answers rows that are learned from."""
        network = rows.network
        self.device = network.device
        self.split = getattr(network, "SPLITS", False) and rows.upper is None and not _watched(network)
        answers = _Answers(rows)
        if not self.split:
            # methods may train what a pass does not use, such as a pooler of the base
            whole = nn.parallel.DistributedDataParallel(answers, broadcast_buffers=False, find_unused_parameters=True)
            return whole  # type: ignore[return-value]
        from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

        for layer in network.layers:
            fully_shard(layer)
        fully_shard(network, reshard_after_forward=True)  # also of the weights outside layers nothing stays after a pass
        register_fsdp_forward_method(network, "taught")
        return answers

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

    def whole(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor that may be split; all workers ask for it together."""
        gather = getattr(tensor, "full_tensor", None)
        found: torch.Tensor = gather() if gather else tensor
        return found

    def like(self, tensor: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
        """A whole tensor on the device of a parameter, split as that is when it has its shape."""
        from torch.distributed.tensor import DTensor, distribute_tensor

        if not isinstance(parameter, DTensor) or isinstance(tensor, DTensor) or tensor.shape != parameter.shape:
            return tensor.to(parameter.device)
        return distribute_tensor(tensor.to(parameter.device), parameter.device_mesh, parameter.placements)

    def place(self) -> torch.device:
        """Where numbers are exchanged."""
        return torch.device("cuda" if torch.distributed.get_backend() == "nccl" else "cpu")


class _Answers(nn.Module):
    """The rows' answers as a module of the network's parameters."""

    def __init__(self, rows: Source) -> None:
        super().__init__()
        self.network, self.rows = rows.network, rows

    def forward(self, batch: np.ndarray, disturb: Any = None) -> torch.Tensor:
        """Row numbers -> logits to learn from."""
        return self.rows.logits(batch, disturb, learning=True)


def team() -> Team:
    """The team of this process."""
    distributed = torch.distributed
    several = distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
    return Workers() if several else Team()


def _watched(network: Any) -> bool:
    """Whether a method, or what keeps earlier knowledge, looks at weights while they are learned: it must see them whole."""
    from savile.base import catalogue

    method = catalogue.get("methods", network.method) if network.method else None
    acts = ("before_step", "after_step", "penalty", "memory", "remember", "settled")
    return any(hasattr(one, act) for one in (method, getattr(network, "keeper", None)) if one is not None for act in acts)
