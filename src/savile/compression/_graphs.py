"""From a torch network to an ONNX graph: one that reads packed rows where the network allows it, else padded rows."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from savile.compression._layers import alike, first_alone, repeat

FAITHFUL = 1e-3  # largest difference of a logit that reordered sums may make
CHECKED_ROWS = 8


class Packed(nn.Module):
    """A network over rows that hold several texts each.

    Args:
        network: what is exported; its attention is made explicit, for a graph cannot choose by length.
        first: the position the network counts from.
    """

    inputs = ("ids", "positions", "texts", "pool")

    def __init__(self, network: Any, first: int) -> None:
        super().__init__()
        self.trunk, self.head, self.first = _explicit(network), network.head, first
        self.by_first_token = network.pooling == "cls"

    def forward(self, ids: torch.Tensor, positions: torch.Tensor, texts: torch.Tensor, pool: torch.Tensor) -> torch.Tensor:
        """Ids, positions and whose a token is, int64 (r, l), and pool (n, r * l) -> logits (n, outputs)."""
        same = texts[:, None, :, None] == texts[:, None, None, :]
        mask = torch.where(same, 0.0, torch.finfo(torch.float32).min)
        hidden = self.trunk(input_ids=ids, attention_mask=mask, position_ids=positions + self.first).last_hidden_state
        if self.by_first_token:
            pool = ((pool > 0) & (positions.reshape(-1) == 0)).float()
        logits: torch.Tensor = self.head(pool @ hidden.reshape(-1, hidden.shape[-1]))
        return logits

    @staticmethod
    def example(rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, ...]:
        """The inputs for some texts, two a row."""
        longest = max(map(len, rows))
        ids = torch.zeros(-(-len(rows) // 2), 2 * longest, dtype=torch.int64)
        positions, texts, pool = torch.zeros_like(ids), torch.full_like(ids, -1), torch.zeros(len(rows), ids.numel())
        for i, row in enumerate(rows):
            place = (i // 2, slice((i % 2) * longest, (i % 2) * longest + len(row)))
            ids[place], positions[place], texts[place] = torch.tensor(row), torch.arange(len(row)), i
            start = (i // 2) * 2 * longest + (i % 2) * longest
            pool[i, start : start + len(row)] = 1.0 / len(row)
        return ids, positions, texts, pool

    @staticmethod
    def shapes() -> tuple[dict[int, Any], ...]:
        """What may vary."""
        dim = torch.export.Dim
        rows = {0: dim("rows", min=1, max=1 << 16), 1: dim("length", min=2, max=1 << 16)}
        return rows, rows, rows, {0: dim("texts", min=1, max=1 << 16), 1: dim.AUTO}


class Padded(nn.Module):
    """A network over rows that hold one text each, filled up to the longest."""

    inputs = ("ids", "mask")

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.trunk, self.head, self.pool = _explicit(network), network.head, network.pool
        self.tags = network.loss == "token_cross_entropy"

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Ids and mask, int64 (n, s) -> logits (n, outputs), or (n, s, outputs) where it tags."""
        hidden = self.trunk(input_ids=ids, attention_mask=mask).last_hidden_state
        logits: torch.Tensor = self.head(hidden, mask) if self.tags else self.head(self.pool(hidden, mask))
        return logits

    @staticmethod
    def example(rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, ...]:
        """The inputs for some texts."""
        ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1
        return ids, mask

    @staticmethod
    def shapes() -> tuple[dict[int, Any], ...]:
        """What may vary."""
        dim = torch.export.Dim
        rows = {0: dim("rows", min=1, max=1 << 16), 1: dim("length", min=2, max=1 << 16)}
        return rows, rows


class Whole(Padded):
    """A network that is its own graph over padded rows."""

    def __init__(self, network: Any) -> None:
        nn.Module.__init__(self)
        self.network = network

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Ids and mask, int64 (n, s) -> logits (n, outputs)."""
        logits: torch.Tensor = self.network(ids, mask)
        return logits


def to_onnx(network: Any, rows: Sequence[Sequence[int]]) -> bytes:
    """A network -> ONNX model with the inputs of `Packed` or `Padded` and the output ``logits``, float32 (n, outputs).

    Args:
        network: a merged network.
        rows: token ids of a few texts, to see whether packed rows give the same answers.
    """
    graph = _graph(network, rows)
    example = graph.example([*rows, *rows, *rows][:3])
    model = _of_one_layer(graph, network, example) or _traced(graph, example)
    graph_bytes: bytes = model.SerializeToString()
    return graph_bytes


def _of_one_layer(graph: Packed | Padded, network: Any, example: tuple[torch.Tensor, ...]) -> Any:
    """The ONNX model of a deep network, one layer traced and the others written after it, when it answers as the network."""
    import onnxruntime

    layers: Any = getattr(network, "layers", ())
    if isinstance(graph, Whole) or len(layers) < 3 or all(one is not layers for one in graph.modules()) or not alike(layers):
        return None
    with first_alone(graph, layers) as first:
        try:
            with torch.inference_mode():
                graph(*example)
        except (TypeError, ValueError, RuntimeError, IndexError):  # a method that counts on every layer
            return None
        model = _traced(graph, example)
    if not repeat(model, first, layers):
        return None
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {name: tensor.numpy() for name, tensor in zip(graph.inputs, example, strict=True)}
    with torch.inference_mode():
        apart = torch.from_numpy(session.run(None, feeds)[0]) - graph(*example)
    return model if float(apart.abs().max()) < FAITHFUL else None


def _traced(graph: Packed | Padded, example: tuple[torch.Tensor, ...]) -> Any:
    """The ONNX model of a graph as torch traces it."""
    with _quiet(), torch.inference_mode():
        program = torch.onnx.export(
            graph,
            example,
            dynamo=True,
            dynamic_shapes=graph.shapes(),
            input_names=graph.inputs,
            output_names=["logits"],
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def _graph(network: Any, rows: Sequence[Sequence[int]]) -> Packed | Padded:
    """The packed graph when some way of counting positions gives the same answers, else the padded one.

    Networks without attention have nothing to pack, and those that answer in words are asked as they are; where tokens are
    answered, rows hold one text each.
    """
    if getattr(network, "pairs", False) or getattr(network, "read", ()):
        if hasattr(network.trunk, "config"):
            _explicit(network)
        return Whole(network).eval()
    if not hasattr(network.trunk, "config") or hasattr(network, "speaks"):
        network.chooses_attention = False  # a graph cannot choose by length
        return Whole(network).eval()
    rows = rows[:CHECKED_ROWS]
    padded = Padded(network).eval()
    if network.loss == "token_cross_entropy":
        return padded
    with torch.inference_mode():
        expected = padded(*Padded.example(rows))
        for first in (0, network.pad_id + 1):  # RoBERTa and its kin count from behind the padding's id
            packed = Packed(network, first).eval()
            try:
                found = packed(*Packed.example(rows))
            except (TypeError, ValueError, RuntimeError, IndexError):  # no positions to give, or another kind of mask
                continue
            if float((found - expected).abs().max()) < FAITHFUL:
                return packed
    return padded


def _explicit(network: Any) -> nn.Module:
    trunk: nn.Module = network.trunk
    trunk.config._attn_implementation = "eager"  # type: ignore[union-attr]
    return trunk


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's own remarks are about itself."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
