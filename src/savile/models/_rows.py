"""Rows for the training loop: tokens kept flat, batches cut by a token budget, the frozen lower trunk computed once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from savile.models._network import TextEncoder

SORTED_WINDOW = 32  # batches: rows are sorted by length inside windows of this many, so padding is rare and order random


class TokenRows:
    """Tokenised rows, padded on demand.

    Args:
        ids: token ids of each row.
        pad_id: what fills short rows up.
    """

    def __init__(self, ids: Sequence[Sequence[int]], pad_id: int = 0) -> None:
        self.lengths = np.array([len(row) for row in ids], dtype=np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.int64)
        flat = np.concatenate([np.asarray(row, dtype=np.int64) for row in ids]) if len(ids) else np.zeros(0, np.int64)
        self.flat = flat.astype(np.int32) if flat.max(initial=0) < 1 << 31 else flat  # half the memory where it holds them
        self.pad_id = pad_id

    def __len__(self) -> int:
        return len(self.lengths)

    def padded(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Row numbers (n,) -> ids and mask, int64 (n, s), s the longest of them."""
        index, mask = self._grid(rows)
        return np.where(mask, self.flat[index], self.pad_id).astype(np.int64), mask.astype(np.int64)

    def _grid(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions in `flat` and mask, both (n, s); padding points at the row's last token."""
        lengths = self.lengths[rows]
        columns = np.arange(lengths.max())
        mask = columns < lengths[:, None]
        return self.starts[rows][:, None] + np.minimum(columns, lengths[:, None] - 1), mask


class HiddenRows:
    """Hidden states of each row below the first learning layer, bfloat16 or float32, computed once."""

    def __init__(self, tokens: TokenRows, width: int, dtype: torch.dtype, device: torch.device) -> None:
        self.tokens = tokens
        self.flat = torch.empty(int(tokens.lengths.sum()), width, dtype=dtype, device=device)

    def fill(self, rows: np.ndarray, hidden: torch.Tensor) -> None:
        """Keep the hidden states (n, s, d) of some rows."""
        index, mask = self.tokens._grid(rows)
        kept = torch.from_numpy(mask).to(hidden.device)
        self.flat[torch.from_numpy(index[mask]).to(hidden.device)] = hidden[kept].to(self.flat.dtype)

    def some(self, rows: np.ndarray) -> HiddenRows:
        """Those of some rows (n,), in that order."""
        starts, lengths = self.tokens.starts[rows], self.tokens.lengths[rows]
        index = np.concatenate([np.arange(start, start + length) for start, length in zip(starts, lengths, strict=True)])
        tokens = TokenRows([self.tokens.flat[start : start + n].tolist() for start, n in zip(starts, lengths, strict=True)])
        found = HiddenRows(tokens, 0, self.flat.dtype, self.flat.device)
        found.flat = self.flat[torch.from_numpy(index).to(self.flat.device)]
        return found

    def padded(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Row numbers (n,) -> hidden states (n, s, d) and mask (n, s)."""
        index, mask = self.tokens._grid(rows)
        device = self.flat.device
        return self.flat[torch.from_numpy(index).to(device)], torch.from_numpy(mask.astype(np.int64)).to(device)


def shuffled_batches(
    lengths: np.ndarray, rows: int, tokens: int, rng: np.random.Generator, by: np.ndarray | None = None
) -> list[np.ndarray]:
    """One epoch of batches in random order, rows of like length together, each within its budget of rows and padded tokens.

    With `by`, numbers (n,), rows that are alike in those are brought together instead.
    """
    near = lengths if by is None else by
    order = rng.permutation(len(lengths))
    window = rows * SORTED_WINDOW
    batches: list[np.ndarray] = []
    for start in range(0, len(order), window):
        part = order[start : start + window]
        batches.extend(_cut(part[np.argsort(near[part], kind="stable")], lengths, rows, tokens))
    return [batches[i] for i in rng.permutation(len(batches))]


def sorted_batches(lengths: np.ndarray, rows: int = 64, tokens: int = 4096) -> Iterator[np.ndarray]:
    """All rows once, longest first, for inference."""
    return _cut(np.argsort(-lengths, kind="stable"), lengths, rows, tokens)


def _cut(order: np.ndarray, lengths: np.ndarray, rows: int, tokens: int) -> Iterator[np.ndarray]:
    start = longest = 0
    for position, row in enumerate(order):
        longest = max(longest, int(lengths[row]))
        count = position - start + 1
        if count > 1 and (count > rows or count * longest > tokens):
            yield order[start:position]
            start, longest = position, int(lengths[row])
    if start < len(order):
        yield order[start:]


@torch.no_grad()
def embed(
    network: TextEncoder, tokens: TokenRows, depth: int, precision: torch.dtype
) -> tuple[torch.Tensor, HiddenRows | None]:
    """One pass over all rows: embeddings (n, d), float32, and, when `depth` > 0, the hidden states after that many layers."""
    width, device = network.width, network.device
    pooled = torch.empty(len(tokens), network.head.weight.shape[1], device=device)
    below = HiddenRows(tokens, width, precision, device) if 0 < depth < len(network.layers) else None
    seen: list[torch.Tensor] = []
    hook = network.layers[depth - 1].register_forward_hook(_keep(seen)) if below is not None else None
    was_training = network.training
    network.eval()
    for rows in sorted_batches(tokens.lengths):
        ids, mask = (torch.from_numpy(array).to(device) for array in tokens.padded(rows))
        with autocast(precision, device):
            pooled[torch.from_numpy(rows).to(device)] = network.pooled(ids, mask).float()
        if below is not None:
            below.fill(rows, seen.pop())
    if hook is not None:
        hook.remove()
    network.train(was_training)
    return pooled, below


def _keep(seen: list[torch.Tensor]):  # type: ignore[no-untyped-def]
    def hook(_module: torch.nn.Module, _inputs: object, output: object) -> None:
        seen[:] = [output[0] if isinstance(output, tuple) else output]  # type: ignore[list-item]

    return hook


def autocast(precision: torch.dtype, device: torch.device) -> torch.autocast:
    """Matrix products in `precision`; float32 switches it off."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == torch.bfloat16)
