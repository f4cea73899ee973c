"""The trainable network of the family `encoder`: a transformers encoder, a pooling and a head."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from savile.base.contracts import Loss
from savile.base.errors import InputError
from savile.models import _pairs
from savile.models._bases import Base
from savile.models._facts import Facts
from savile.models._spans import TOKEN, windows
from savile.models._stacked import stack

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from savile.models._seen import Seen

# Beyond this many tokens a row the memory of explicit attention scores outweighs its speed. On CPUs the backward pass of
# torch's fused attention costs a third of a whole training step at 16 tokens; explicit scores cost a twentieth.
EXPLICIT_ATTENTION_UP_TO = 160
READ = 3  # parts into which the layers divide a network that tags


class Head(nn.Module):
    """Classifier over unit-length embeddings.

    Args:
        width: embedding size d.
        outputs: number of labels C.
        cosine: when True the rows of `weight` are unit length too and `scale` sharpens the cosine (so that class means are a
            sensible start); otherwise an ordinary linear layer.
    """

    def __init__(self, width: int, outputs: int, cosine: bool) -> None:
        super().__init__()
        self.cosine = cosine
        self.weight = nn.Parameter(torch.zeros(outputs, width))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = nn.Parameter(torch.tensor(20.0)) if cosine else None

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """Embeddings (n, d) -> logits (n, C), float32 even where the trunk runs in bf16: rounding them would cost answers."""
        with torch.autocast(pooled.device.type, enabled=False):
            unit = F.normalize(pooled.float(), dim=-1)
            if self.scale is None:
                return F.linear(unit, self.weight, self.bias)
            return self.scale * F.linear(unit, F.normalize(self.weight, dim=-1)) + self.bias


class Network(nn.Module):
    """What every trainable network can be told, whatever its `trunk` is."""

    trunk: Any
    held: frozenset[str] = frozenset()
    facts: Facts | None = None  # what texts are read with
    seen: Seen | None = None  # what frozen layers made of the rows already

    def hold(self, names: Iterable[str]) -> None:
        """Freeze parameters of the trunk that are stored all the same, such as what a method brings along."""
        self.held = frozenset(names)
        for name, parameter in self.trunk.named_parameters():
            if name in self.held:
                parameter.requires_grad_(False)

    def own(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Names and parameters of the trunk that the base does not have, or has otherwise: what is stored."""
        return ((name, p) for name, p in self.trunk.named_parameters() if p.requires_grad or name in self.held)

    def set_dropout(self, probability: float) -> None:
        """One dropout probability for the whole trunk; what LoRA drops before its update is a setting of its own."""
        for name, module in self.trunk.named_modules():
            if isinstance(module, nn.Dropout) and ".lora_dropout." not in name:
                module.p = probability

    @property
    def drops(self) -> bool:
        """Whether anything in the trunk is dropped while it learns."""
        return any(isinstance(module, nn.Dropout) and module.p > 0 for module in self.trunk.modules())

    def trainable(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Names and parameters that learn."""
        return ((name, p) for name, p in self.named_parameters() if p.requires_grad)


class TextEncoder(Network):
    """Tokens in, logits out.

    Attributes:
        trunk: the transformers encoder, float32.
        head: the classifier.
        labels: label of each output.
        loss: what it is trained with (see `savile.base.contracts.HeadSpec`).
        max_length: texts are cut to this many tokens, specials included.
        read: where it tags, the layers whose hidden states its head sees, 0 the embeddings; () is the top one alone, as in
            models from before several were read.
    """

    read: tuple[int, ...] = ()

    def __init__(self, base: Base, labels: Sequence[str], outputs: int, *, cosine: bool = True, max_length: int = 256) -> None:
        super().__init__()
        from tokenizers import Tokenizer
        from transformers import AutoConfig, AutoModel
        from transformers.utils import logging

        logging.disable_progress_bar()
        config = AutoConfig.from_pretrained(base.folder)
        positions = getattr(config, "max_position_embeddings", max_length)
        # RoBERTa-like models count positions from padding_idx + 1, so two of them are not usable
        self.max_length = min(max_length, positions - 2)
        self.trunk = AutoModel.from_pretrained(base.folder, dtype=torch.float32, attn_implementation="eager")
        stack(self.trunk, base)
        self.base, self.labels = base, tuple(labels)
        self.loss: Loss = "cross_entropy"
        self.pairs = False
        self.pooling = _pooling(base)
        self.width: int = config.hidden_size
        self.head: Any = Head(self.width, outputs, cosine)
        self.tokenizer: Tokenizer = Tokenizer.from_file(str(base.folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(self.max_length)
        self.pad_id = config.pad_token_id or 0
        self.method = ""
        self.method_settings: dict[str, Any] = {}
        self.layer_path, self.layers = _layers(self.trunk)

    def tag(self, outputs: int, read: Sequence[int] | None = None) -> None:
        """Answer token by token from now on, by default from layers at even distances: top ones know less of single words."""
        from savile.models._token_head import STEPS, PlainCutter, TokenHead

        depth = len(self.layers)
        self.read = tuple(sorted({round(depth * i / READ) for i in range(READ + 1)})) if read is None else tuple(read)
        self.head = TokenHead(self.width * max(1, len(self.read)), outputs, STEPS if self.read else ())
        self.cutter = PlainCutter(self.tokenizer)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.head.weight.device
        return device

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, special tokens included, cut to `max_length`; of pairs, of both texts; where it tags, of each
        window of a text.
        """
        if self.loss == TOKEN:
            return [window.ids for window in windows(self.cutter, self.cutter(texts))]
        return _pairs.encode(self._read, texts) if self.pairs else self._read(texts)

    def _read(self, texts: Sequence[str]) -> list[list[int]]:
        texts = texts if self.facts is None else [self.facts(text) for text in texts]
        return [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Ids and mask, int64 (n, s) -> logits, float32 (n, outputs), or (n, s, outputs) where it tags."""
        if self.loss != TOKEN:
            logits: torch.Tensor = self.head(self.pooled(ids, mask))
            return logits
        choose_attention(self.trunk, ids.shape[1])
        if not self.read:
            return self.answer(self.trunk(input_ids=ids, attention_mask=mask).last_hidden_state, mask)
        states = self.trunk(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
        # what a method puts before a text is no token of it
        return self.answer(torch.cat([states[layer][:, -ids.shape[1] :] for layer in self.read], dim=-1), mask)

    def answer(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Hidden states at the top (n, s, d) and mask (n, s) -> logits."""
        logits: torch.Tensor = self.head(hidden, mask) if self.loss == TOKEN else self.head(self.pool(hidden, mask))
        return logits

    def pooled(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Ids and mask (n, s) -> embeddings (n, d); of pairs, their angles (n, 2)."""
        return _pairs.embedded(self, self._single, ids, mask) if self.pairs else self._single(ids, mask)

    def _single(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        choose_attention(self.trunk, ids.shape[1])
        given = self._positions(ids) if torch.compiler.is_exporting() else {}
        return self.pool(self.trunk(input_ids=ids, attention_mask=mask, **given).last_hidden_state, mask)

    def _positions(self, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        """Positions for a graph whose rows of pairs are longer than a text may be; what lies beyond is padding."""
        if "position_ids" not in signature(self.trunk.forward).parameters:
            return {}
        first = getattr(self.trunk.embeddings, "padding_idx", -1) + 1  # RoBERTa and its kin count from behind the padding's id
        return {"position_ids": torch.arange(ids.shape[1]).clamp(max=self.max_length - 1).unsqueeze(0) + first}

    def pool(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Hidden states (n, s, d) -> embeddings (n, d), as the base was trained to be pooled."""
        if self.pooling == "cls":
            return hidden[:, 0]
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weights).sum(1) / weights.sum(1)

    def frozen_depth(self) -> int:
        """How many of the lowest layers, with the embeddings under them, learn nothing; not all of them where it tags."""
        if self.read:  # the head sees layers that would not be there
            return 0
        if self.pairs:  # nothing between tokens and angles is worth keeping
            return 0 if any(p.requires_grad for p in self.trunk.parameters()) else len(self.layers)
        lowest = {id(p) for layer in self.layers for p in layer.parameters()}
        if any(p.requires_grad for p in self.trunk.parameters() if id(p) not in lowest):
            return 0
        frozen = [not any(p.requires_grad for p in layer.parameters()) for layer in self.layers]
        depth = next((depth for depth, still in enumerate(frozen) if not still), len(frozen))
        return min(depth, len(frozen) - 1) if self.loss == TOKEN else depth

    def pair_up(self) -> None:
        """From now on read two texts a row."""
        self.pairs, self.head = True, Head(_pairs.WIDTH, len(self.labels), self.head.cosine)

    def upper(self, depth: int) -> Upper:
        """The part of the network above `depth` layers; parameters are shared."""
        return Upper(self, depth)


class Upper(nn.Module):
    """A view of a `TextEncoder` that starts from the hidden states below its first learning layer."""

    def __init__(self, network: TextEncoder, depth: int) -> None:
        super().__init__()
        self.network, self.depth = network, depth
        self.trunk = _without_lower_layers(network.trunk, network.layer_path, depth)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Hidden states (n, s, d) and mask (n, s) -> logits."""
        choose_attention(self.trunk, hidden.shape[1])
        top = self.trunk(inputs_embeds=hidden, attention_mask=mask).last_hidden_state
        return self.network.answer(top, mask)


class _Given(nn.Module):
    """Stands where the embeddings were and passes on the hidden states it is given."""

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        given = (value for value in (*args, *kwargs.values()) if torch.is_tensor(value) and value.is_floating_point())
        return next(given)


def _without_lower_layers(trunk: nn.Module, path: str, depth: int) -> nn.Module:
    """A shallow copy of a trunk without its embeddings and first `depth` layers; every module left is shared."""
    shadow = copy.copy(trunk)
    shadow._modules = dict(trunk._modules)
    shadow._modules["embeddings"] = _Given()
    *parents, last = path.split(".")
    holder = shadow
    for name in parents:
        inner = copy.copy(holder._modules[name])
        assert inner is not None
        inner._modules = dict(inner._modules)
        holder._modules[name] = inner
        holder = inner
    layers = holder._modules[last]
    assert isinstance(layers, nn.ModuleList)
    holder._modules[last] = layers[depth:]
    return shadow


def _layers(trunk: nn.Module) -> tuple[str, nn.ModuleList]:
    """Name and list of the transformer layers: the one module list as long as the configuration says the trunk is deep."""
    depth = trunk.config.num_hidden_layers  # type: ignore[union-attr]
    for name, module in trunk.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            return name, module
    raise InputError(
        f"an encoder with a list of {depth} layers", type(trunk).__name__, "Choose a BERT-like base, such as minilm."
    )


def _pooling(base: Base) -> str:
    """``mean`` unless the base says it was trained with its first token (sentence-transformers layout)."""
    path = base.folder / "1_Pooling" / "config.json"
    config = json.loads(path.read_text()) if path.is_file() else {}
    return "cls" if config.get("pooling_mode_cls_token") else "mean"


def choose_attention(trunk: nn.Module, length: int) -> None:
    """Explicit attention scores for short rows, torch's fused attention for long ones; a graph has chosen already."""
    if torch.compiler.is_exporting():
        return
    trunk.config._attn_implementation = (  # type: ignore[union-attr]
        "eager" if length <= EXPLICIT_ATTENTION_UP_TO else "sdpa"
    )
