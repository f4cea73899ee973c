"""Labels as a tree of tokens: what a decoder may say next when it is asked for one label of a known list.

The way to a label is decided only where it forks: behind a token with one successor nothing else can follow, so it has
probability 1. The probability of a label is the product over the forks on its way, each a softmax over what may follow there.
Summed over all labels that is 1, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

BARRED = -1e9  # a finite one: infinities do not survive every engine


@dataclass
class _Node:
    """A place in the tree: what may follow, how many labels lie behind it, and its number among the tokens that are read."""

    children: dict[int, _Node] = field(default_factory=dict)
    labels: int = 0
    place: int = 0
    fork: int = -1


class LabelTree(nn.Module):
    """The tree of some labels.

    Args:
        ways: tokens of each label, the end of the answer included; no two alike and none the beginning of another.

    Attributes:
        tokens: int64 (t,), the tokens a decoder must read, beside the prompt, to decide every fork.
        depths: int64 (t,), how many tokens of the label come before.
        within: bool (t, t), whether token i sees token j: itself and those on its own way.
        longest: tokens on the longest way to a fork.
    """

    tokens: torch.Tensor
    depths: torch.Tensor
    within: torch.Tensor
    vocabulary: torch.Tensor
    places: torch.Tensor
    allowed: torch.Tensor
    prior: torch.Tensor
    ways: torch.Tensor
    taught_tokens: torch.Tensor
    taught_forks: torch.Tensor
    taught_places: torch.Tensor

    def __init__(self, ways: Sequence[Sequence[int]]) -> None:
        super().__init__()
        root = _grown(ways)
        read: list[tuple[int, int, list[int]]] = []  # token, depth, the places on its way
        forks: list[_Node] = []
        _walk(root, [], read, forks)
        vocabulary = sorted({token for fork in forks for token in fork.children})
        column = {token: i for i, token in enumerate(vocabulary)}
        allowed = torch.zeros(len(forks), len(vocabulary), dtype=torch.bool)
        prior = torch.full((len(forks), len(vocabulary)), BARRED)
        for i, fork in enumerate(forks):
            for token, child in fork.children.items():
                allowed[i, column[token]] = True
                prior[i, column[token]] = torch.tensor(child.labels / fork.labels).log()
        within = torch.eye(len(read), dtype=torch.bool)
        for i, (_, _, above) in enumerate(read):
            within[i, [place - 1 for place in above]] = True
        followed = [_followed(root, way, column, len(vocabulary)) for way in ways]
        buffers = {
            "tokens": torch.tensor([token for token, _, _ in read], dtype=torch.int64),
            "depths": torch.tensor([depth for _, depth, _ in read], dtype=torch.int64),
            "within": within,
            "vocabulary": torch.tensor(vocabulary, dtype=torch.int64),
            "places": torch.tensor([fork.place for fork in forks], dtype=torch.int64),
            "allowed": allowed,
            "prior": prior,
            "ways": _filled([way for way, _, _, _ in followed], allowed.numel()),
            "taught_tokens": _filled([tokens for _, tokens, _, _ in followed], -1),
            "taught_forks": _filled([fork for _, _, fork, _ in followed], -1),
            "taught_places": _filled([place for _, _, _, place in followed], 0),
        }
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Log-probability of each label, float32 (n, labels).

        Args:
            hidden: behind the prompt and behind each of `tokens`, (n, 1 + t, d).
            weight: of the language model's head, (vocabulary, d).
        """
        scores = nn.functional.linear(hidden[:, self.places], weight[self.vocabulary])
        chances = scores.masked_fill(~self.allowed, BARRED).log_softmax(-1)
        return self._summed(chances.flatten(1))

    def beside(self, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What is read to learn that `targets`, int64 (n,), are right: tokens, int64 (n, k), and which of them there are."""
        tokens = self.taught_tokens[targets]
        kept = int((tokens >= 0).sum(1).max()) if tokens.numel() else 0
        tokens = tokens[:, :kept]
        return tokens.clamp(min=0), tokens >= 0

    def taught(self, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Log-probabilities (n, labels), exact for the label that is right; those that leave its way together share alike.

        Args:
            hidden: behind the prompt and behind each token of the right label that `beside` gives, (n, 1 + k, d).
            weight: of the language model's head, (vocabulary, d).
            targets: the right labels, int64 (n,).
        """
        forks, places = self.taught_forks[targets], self.taught_places[targets]
        row, step = (forks >= 0).nonzero(as_tuple=True)
        fork = forks[row, step]
        scores = nn.functional.linear(hidden[row, places[row, step]], weight[self.vocabulary])
        chances = scores.masked_fill(~self.allowed[fork], BARRED).log_softmax(-1)
        table = self.prior.expand(len(targets), -1, -1).index_put((row, fork), chances)
        return self._summed(table.flatten(1))

    def _summed(self, chances: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of what may follow at each fork, (n, forks * vocabulary) -> of the labels, (n, labels)."""
        padded = torch.cat([chances, chances.new_zeros(chances.shape[0], 1)], dim=1)
        logits: torch.Tensor = padded[:, self.ways].sum(-1)
        return logits


def _grown(ways: Sequence[Sequence[int]]) -> _Node:
    root = _Node()
    for way in ways:
        node = root
        node.labels += 1
        for token in way:
            node = node.children.setdefault(token, _Node())
            node.labels += 1
    return root


def _walk(node: _Node, above: list[int], read: list[tuple[int, int, list[int]]], forks: list[_Node]) -> None:
    """Number the forks, and the tokens that lead to one."""
    if len(node.children) > 1:
        node.fork = len(forks)
        forks.append(node)
    for token, child in node.children.items():
        if child.labels > 1:  # a fork lies behind it
            read.append((token, len(above), list(above)))
            child.place = len(read)
            _walk(child, [*above, child.place], read, forks)


def _followed(
    root: _Node, way: Sequence[int], column: dict[int, int], width: int
) -> tuple[list[int], list[int], list[int], list[int]]:
    """One label's way: its entries in the table of forks, the tokens read, the forks, and behind how many tokens each is."""
    entries: list[int] = []
    tokens: list[int] = []
    forks: list[int] = []
    places: list[int] = []
    node = root
    for token in way:
        if node.fork >= 0:
            entries.append(node.fork * width + column[token])
            forks.append(node.fork)
            places.append(len(tokens))
        node = node.children[token]
        if node.labels > 1:
            tokens.append(token)
    return entries, tokens, forks, places


def _filled(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    """Rows of different lengths as one tensor, int64, short ones filled up with a value."""
    longest = max(map(len, rows), default=0)
    filled = torch.full((len(rows), longest), value, dtype=torch.int64)
    for i, row in enumerate(rows):
        filled[i, : len(row)] = torch.tensor(row, dtype=torch.int64)
    return filled
