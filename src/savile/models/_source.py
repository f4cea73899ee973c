"""Rows as the training loop reads them: from token ids, or from the kept output of the frozen layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F

from savile.base import catalogue
from savile.base.answers import NEXT
from savile.models._answers import AnswerRows
from savile.models._contrastive import VectorRows, judged
from savile.models._head import best_strength, convex_head, row_loss
from savile.models._network import TextEncoder
from savile.models._rows import HiddenRows, TokenRows, autocast, embed, sorted_batches
from savile.models._settings import FitSettings
from savile.models._spans import TOKEN
from savile.models._tagged_rows import TaggedRows
from savile.models._vectors import VECTOR

Rows = tuple[Sequence[str], np.ndarray]
Score = Callable[[Any, Any], float]

OWN = (VECTOR, NEXT)  # losses of whole batches, which no logits of single rows give
NAMES = {torch.bfloat16: "bf16", torch.float32: "fp32"}  # of the types of matrix products
START_STRENGTH = 3.0  # inverse L2 penalty of a head that training goes on from


class Source:
    """Rows as the loop reads them: from token ids, or from the kept output of the frozen layers."""

    def __init__(self, network: TextEncoder, rows: Rows, settings: FitSettings, depth: int | None = None) -> None:
        texts, targets = rows
        self.network = network
        self.precision = precision(settings, network.device)
        self.targets: torch.Tensor
        self.spans: TaggedRows | None = None
        self.vectors: VectorRows | None = None
        self.answers: AnswerRows | None = None
        self.pooled: torch.Tensor | None = None
        self.below: HiddenRows | None = None
        self.upper: Any = None
        if network.loss == VECTOR:
            self.given, self.depth = rows, 0
            self.vectors = VectorRows(network, rows, settings, self.precision)
            self.tokens = self.vectors.tokens
            see = getattr(network, "see", None)
            if depth is None and see is not None:
                see(self.tokens.flat)
            return
        if network.loss == NEXT:
            self.answers, self.depth = AnswerRows(cast(Any, network), rows, self.precision), 0
            self.tokens = self.answers.tokens
            return
        if network.loss == TOKEN:
            self.spans = TaggedRows(network, texts, targets)
            self.tokens = TokenRows(self.spans.ids, network.pad_id)
        else:
            kind = np.int64 if network.loss == "cross_entropy" and np.ndim(targets) == 1 else np.float32
            self.targets = torch.from_numpy(np.asarray(targets, dtype=kind))
            self.tokens = TokenRows(network.encode(texts), network.pad_id)
        more = getattr(network, "more", None)
        self.more = [torch.from_numpy(array) for array in more(texts)] if more is not None else []
        training = depth is None
        see = getattr(network, "see", None)
        if training and see is not None:
            see(self.tokens.flat)
        self.depth = (network.frozen_depth() if settings.keep_frozen else 0) if depth is None else depth
        if training and network.seen is not None:
            self.precision = network.seen.precision
            self.pooled, self.below = network.seen(texts)
        elif self.depth or (training and needs_start(network)):
            self.pooled, self.below = embed(network, self.tokens, self.depth, self.precision)
        if training and needs_start(network):
            assert self.pooled is not None
            start(network, self.pooled, self.targets, settings)
        self.upper = network.upper(self.depth) if self.below is not None else None

    @property
    def by(self) -> np.ndarray | None:
        """What rows are brought together by, int64 (n,); None where it is the tokens they have."""
        return None if self.answers is None else self.answers.by

    def due(self, rows: np.ndarray) -> torch.Tensor:
        """What is right in some rows, as `row_loss` reads it."""
        return self.targets[rows] if self.spans is None else self.spans.padded(rows)

    def judged(self, score: Score) -> tuple[float, float]:
        """The score, and the loss, of what the network answers now."""
        if self.answers is not None:
            return self.answers.judged()
        if self.vectors is not None:
            return judged(predict_rows(self), self.given[1], score)
        logits = predict_rows(self)
        if self.spans is not None:
            return self.spans.judged(logits, score)
        loss = row_loss(self.network.loss, logits, self.targets).item()
        return float(score(answered(self.network, logits), self.targets.numpy())), loss

    def own_loss(self, rows: np.ndarray, disturb: Callable[[torch.Tensor], torch.Tensor] | None = None) -> torch.Tensor:
        """The loss of some pairs of texts, or of some answers."""
        own = self.vectors or self.answers
        assert own is not None
        with autocast(self.precision, self.network.device), _disturbed(self.network, disturb):
            return own.loss(rows)

    def logits(
        self, rows: np.ndarray, disturb: Callable[[torch.Tensor], torch.Tensor] | None = None, learning: bool = False
    ) -> torch.Tensor:
        """Logits (n, outputs), or (n, s, outputs); their embeddings, or what is kept of them, may be disturbed on the way.

        For `learning`, a network may read less where the loss is the same.
        """
        device = self.network.device
        with autocast(self.precision, device), _disturbed(self.network, disturb if self.upper is None else None):
            if self.upper is not None and self.below is not None:
                hidden, mask = self.below.padded(rows)
                hidden = hidden if disturb is None else disturb(hidden.float())
                logits: torch.Tensor = self.upper(hidden, mask)
                return logits
            ids, mask_ids = (torch.from_numpy(array).to(device) for array in self.tokens.padded(rows))
            taught = (
                getattr(self.network, "taught", None) if learning and self.spans is None and self.targets.ndim == 1 else None
            )
            more = [array[rows].to(device) for array in self.more]
            logits = taught(ids, mask_ids, self.targets[rows].to(device)) if taught else self.network(ids, mask_ids, *more)
            return logits


@contextmanager
def _disturbed(network: TextEncoder, disturb: Callable[[torch.Tensor], torch.Tensor] | None) -> Iterator[None]:
    """Let token embeddings pass through a function."""
    if disturb is None:
        yield
        return
    table = getattr(network.trunk, "embeddings", None) or network.trunk.get_input_embeddings()
    hook = table.register_forward_hook(lambda _module, _inputs, output: disturb(output))
    try:
        yield
    finally:
        hook.remove()


@torch.no_grad()
def predict_rows(source: Source) -> Any:
    """Logits of all rows of a source, (n, outputs), or (s, outputs) each where tokens are answered."""
    source.network.eval()
    if source.vectors is not None:
        from savile.models.encoder import predict

        return predict(source.network, source.given[0])
    if source.spans is not None:
        found = [torch.zeros(0)] * len(source.tokens)
        for rows in sorted_batches(source.tokens.lengths):
            for row, one in zip(rows, source.logits(rows).float().cpu(), strict=True):
                found[row] = one[: int(source.tokens.lengths[row])]
        return found
    logits = torch.empty(len(source.tokens), len(source.network.labels))
    for rows in sorted_batches(source.tokens.lengths):
        logits[torch.from_numpy(rows)] = source.logits(rows).cpu()
    return logits


def answered(network: TextEncoder, logits: torch.Tensor) -> np.ndarray:
    """Logits (n, outputs) -> answers in the form of the targets."""
    if network.loss == "squared_error":
        numbers: np.ndarray = logits[:, 0].numpy()
        return numbers
    chosen: np.ndarray = (logits.argmax(1) if network.loss == "cross_entropy" else logits > 0).numpy()
    return chosen


def start(network: TextEncoder, pooled: torch.Tensor, targets: torch.Tensor, settings: FitSettings) -> None:
    """Give a head that is still zero a start from the frozen embeddings (n, d).

    A cosine head starts at the class means; a linear one where training it alone would end, so that the first steps do not
    spoil the base (Kumar et al., ICLR 2022). Of classes that is well short of fitting every row: a head that does leaves the
    base nothing to learn.
    """
    if network.head.cosine:
        start_at_class_means(network, pooled, targets)
        return
    features, outputs = F.normalize(pooled, dim=-1).cpu(), len(network.labels)
    strength = settings.strength or (
        START_STRENGTH if _by_class(network) else best_strength(features, targets, outputs, settings.seed, network.loss)
    )
    weight, bias = convex_head(features, targets, outputs, strength, loss=network.loss)
    with torch.no_grad():
        network.head.weight.copy_(weight)
        network.head.bias.copy_(bias)


def start_at_class_means(network: TextEncoder, pooled: torch.Tensor, targets: torch.Tensor) -> None:
    """Set each row of a cosine head to the mean unit embedding of its class (prototypes, Snell et al. 2017)."""
    unit = F.normalize(pooled, dim=-1)
    with torch.no_grad():
        if targets.ndim == 2:
            network.head.weight.copy_(targets.to(unit.device).T @ unit)
        else:
            network.head.weight.zero_().index_add_(0, targets.to(unit.device), unit)
        network.head.weight.copy_(F.normalize(network.head.weight, dim=-1))


def needs_start(network: TextEncoder) -> bool:
    """Whether a head that is still zero begins at what embeddings of the rows tell."""
    if getattr(network, "speaks", False) or network.loss == TOKEN:  # its own words are a start; of tokens there are too many
        return False
    # a method whose habit is a linear head prepares it by itself
    asked = network.head.cosine or (bool(network.method) and catalogue.get("methods", network.method).HEAD == "cosine")
    return (asked or not _by_class(network)) and not bool(network.head.weight.any())


def _by_class(network: TextEncoder) -> bool:
    """Whether rows are single texts with one label each."""
    return network.loss == "cross_entropy" and not getattr(network, "pairs", False)


def best_device() -> torch.device:
    """The first GPU, or the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def precision(settings: FitSettings, device: torch.device) -> torch.dtype:
    """The type of matrix products: as asked, or bf16 where the device has instructions for it."""
    if settings.precision != "auto":
        return torch.bfloat16 if settings.precision == "bf16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if native else torch.float32
