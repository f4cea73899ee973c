"""A large model teaches a small one: more of the domains it is weakest in, and only as far as the teacher is right.

DDK (Liu et al., NeurIPS 2024) draws rows of each domain as often as the student lags behind its teacher there. Adaptive
distillation weighs the teacher against the label by how sure the teacher is of the row, and, where there is a label, by how
likely it holds it to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from savile.base.errors import InputError

if TYPE_CHECKING:
    import torch

MOST_RATIO = 10.0  # a perplexity so many times the teacher's says no more than that the student is far behind


@dataclass
class Sampler:
    """Which rows are drawn, by domain.

    Args:
        domains: the domain of each row, int64 (n,), from 0.
        smooth: share of the draws that follows how far the student is behind; the rest is spread evenly.
        seed: of the draws.

    Attributes:
        shares: of the draws that go to each domain, (d,), which sum to 1.
    """

    domains: np.ndarray
    smooth: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if not len(self.domains) or not 0 <= self.smooth <= 1:
            raise InputError("rows with domains, and a share from 0 to 1", f"{len(self.domains)} rows", "Give rows.")
        self.members = [np.flatnonzero(self.domains == one) for one in range(int(self.domains.max()) + 1)]
        if any(not len(one) for one in self.members):
            raise InputError("rows of every domain", "a domain without rows", "Number the domains from 0 on.")
        self.shares = np.full(len(self.members), 1 / len(self.members))

    def update(self, student: np.ndarray, teacher: np.ndarray) -> np.ndarray:
        """New shares from the loss of a token, natural logarithm, of student and teacher in each domain, (d,) both."""
        ratio = np.exp(np.minimum(np.asarray(student) - np.asarray(teacher), np.log(MOST_RATIO)))
        behind = self.shares * np.exp(ratio - ratio.max())
        self.shares = self.smooth * behind / behind.sum() + (1 - self.smooth) / len(self.members)
        return self.shares

    def draw(self, step: int, rows: int, number: int = 0) -> np.ndarray:
        """Rows of one step, int64 (rows,), or of batch `number` of it; the same step and number draw the same rows."""
        rng = np.random.default_rng([self.seed, step, number])
        chosen = rng.choice(len(self.members), size=rows, p=self.shares)
        return np.array([rng.choice(self.members[one]) for one in chosen], dtype=np.int64)


def trust(teacher: torch.Tensor, targets: torch.Tensor | None, most: float = 1.0) -> torch.Tensor:
    """How far each row's teacher is believed, from 0 to `most`, (n,).

    Args:
        teacher: its probabilities, (n, labels).
        targets: labels of the rows, int64 (n,), when there are any.
        most: of a teacher that is sure and, where there is a label, right.
    """
    import torch

    sure = 1 + (teacher * teacher.clamp(min=1e-9).log()).sum(1) / float(np.log(teacher.shape[1]))
    if targets is None:
        return most * sure.clamp(0, 1)
    right = teacher.gather(1, targets[:, None])[:, 0] / teacher.amax(1)
    return most * torch.minimum(sure.clamp(0, 1), right)


def many(teachers: Sequence[torch.Tensor], skill: np.ndarray) -> torch.Tensor:
    """Several teachers as one: probabilities (n, labels) each, weighted by their skill in each row's domain, (teachers, n)."""
    import torch

    weights = torch.from_numpy(skill / skill.sum(axis=0, keepdims=True)).to(teachers[0].dtype)
    mixed: torch.Tensor = torch.stack(list(teachers)).mul(weights[:, :, None]).sum(0)
    return mixed
