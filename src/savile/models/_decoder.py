"""The trainable network of the family `decoder`: a causal language model that is asked for a label in its own words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from savile.base.contracts import Loss
from savile.base.errors import InputError
from savile.models import _prompt
from savile.models._bases import BASES, Base
from savile.models._label_tree import BARRED, LabelTree
from savile.models._network import Head, Network, choose_attention
from savile.models._network import _layers as layers_of
from savile.models._stacked import stack

INSTRUCTION = "Name the topic of the message."
LISTED = "Name the topic of the message. It is one of: {labels}."


class Words(nn.Module):
    """Stands where a classifier would: the labels are words of the language model, and nothing but it learns.

    Args:
        tree: the labels, as the tokens they are made of.
    """

    cosine = True  # as the methods say it: the answers have a start of their own

    def __init__(self, tree: LabelTree) -> None:
        super().__init__()
        self.tree = tree


class Speller(Network):
    """A causal language model that reads what all texts have before them once a batch, and spells one of the labels.

    Attributes:
        trunk: the language model.
        before: token ids before every text, int64 (1, p).
        chooses_attention: whether short rows get explicit attention scores; a graph cannot choose.
    """

    trunk: Any
    before: torch.Tensor
    chooses_attention = True

    def spelt(self, tree: LabelTree, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of the labels of a tree, float32 (n, labels), for ids and mask, int64 (n, s)."""
        read = tree.tokens.expand(ids.shape[0], -1)
        hidden = self.behind(ids, mask, read, tree.depths.expand_as(read), tree.within)
        with torch.autocast(hidden.device.type, enabled=False):
            logits: torch.Tensor = tree(hidden.float(), self._scaled_head())
        return logits

    def behind(
        self, ids: torch.Tensor, mask: torch.Tensor, more: torch.Tensor, depths: torch.Tensor, within: torch.Tensor
    ) -> torch.Tensor:
        """Hidden states behind the prompt and behind each of `more`, (n, 1 + t, d).

        Args:
            ids: token ids, int64 (n, s), filled up on the right.
            mask: 1 where there is a token, (n, s).
            more: tokens read behind the prompt, int64 (n, t).
            depths: how many of them come before each, (n, t).
            within: which of them each sees, bool (t, t) or (n, t, t).
        """
        n, s, t = ids.shape[0], ids.shape[1], more.shape[1]
        p = self.before.shape[1]
        if self.chooses_attention:
            choose_attention(self.trunk, s + t)
        real, place = mask.bool(), torch.arange(s, device=ids.device)
        lengths = mask.sum(1)
        causal = (place[None, :, None] >= place[None, None, :]) & real[:, None, :]
        upper = torch.cat([causal, ids.new_zeros(n, s, t, dtype=torch.bool)], dim=2)
        lower = torch.cat([real[:, None, :].expand(n, t, s), within.expand(n, t, t)], dim=2)
        seen = torch.cat([ids.new_ones(n, s + t, p, dtype=torch.bool), torch.cat([upper, lower], dim=1)], dim=2)
        bias = torch.where(seen, 0.0, BARRED)[:, None]
        positions = p + torch.cat([place.expand(n, s), lengths[:, None] + depths], dim=1)
        hidden = self.trunk.base_model(
            input_ids=torch.cat([ids, more], dim=1),
            attention_mask=bias,
            position_ids=positions,
            past_key_values=self._before(n),
            use_cache=True,
        ).last_hidden_state
        last = hidden.gather(1, (lengths - 1)[:, None, None].expand(-1, -1, hidden.shape[-1]))
        return torch.cat([last, hidden[:, s:]], dim=1)

    def _before(self, rows: int) -> Any:
        """Keys and values of what stands before every text, read once and shown to all rows."""
        cache = self.trunk.base_model(input_ids=self.before, use_cache=True).past_key_values
        for layer in cache.layers:
            layer.keys = layer.keys.expand(rows, -1, -1, -1)
            layer.values = layer.values.expand(rows, -1, -1, -1)
        return cache

    def _scaled_head(self) -> torch.Tensor:
        """Weight of the language model's head, (vocabulary, d), as its configuration scales what comes out."""
        config, weight = self.trunk.config, self.trunk.get_output_embeddings().weight
        scale = getattr(config, "logit_scale", None) or 1.0 / (getattr(config, "logits_scaling", None) or 1.0)
        scaled: torch.Tensor = weight if scale == 1.0 else weight * scale
        return scaled


class Exported(Speller):
    """A tuned language model by itself, as its files hold it: ids and mask, int64 (n, s) -> logits (n, labels).

    Args:
        trunk: the language model, adapters merged.
        said: ``prompt.json`` of the form.
    """

    def __init__(self, trunk: Any, said: Mapping[str, Any]) -> None:
        super().__init__()
        self.trunk, self.tree = trunk, LabelTree(said["ways"])
        self.register_buffer("before", torch.tensor([said["before"]], dtype=torch.int64), persistent=False)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Ids and mask, int64 (n, s) -> log-probabilities of the labels, float32 (n, labels)."""
        return self.spelt(self.tree, ids, mask)


class TextDecoder(Speller):
    """Tokens in, logits out; what the training loop and the methods ask of a network, see `TextEncoder`.

    Where one label is asked for, the answer is one of the labels, spelt by the language model and by nothing but tokens that
    lead to a label; its logits are the log-probabilities of the labels. What every text has before it is read once a batch.
    With a head of its own (`cosine` false, numbers, any number of labels) it reads the last token's hidden state instead.

    Attributes:
        trunk: the causal language model, float32.
        head: `Words`, or a `Head` on the last hidden state.
        labels: label of each output.
        max_length: a text with what stands behind it is cut to this many tokens.
        instruction: what is asked of every text.
        longest: tokens that an answer in words has at most.
    """

    layer_path: str
    pairs = False  # one text a row
    longest = 0

    def __init__(self, base: Base, labels: Sequence[str], outputs: int, *, words: bool, max_length: int = 256) -> None:
        super().__init__()
        from tokenizers import Tokenizer
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        logging.disable_progress_bar()
        self.folder = files_of(base)
        self.trunk = AutoModelForCausalLM.from_pretrained(self.folder, dtype=torch.float32, attn_implementation="eager")
        stack(self.trunk, base)
        config = self.trunk.config
        self.base, self.labels = base, tuple(labels)
        self.loss: Loss = "cross_entropy"
        self.width: int = config.hidden_size
        self.tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        self.listed, self.pad_id = False, 0
        self.instruct(INSTRUCTION)
        self.head: Any = Words(LabelTree(self._ways())) if words else Head(self.width, outputs, cosine=False)
        room = getattr(config, "max_position_embeddings", 1 << 20) - 32
        self.max_length = max(8, min(max_length, room - len(self.prompt.before)))
        self.method = ""
        self.method_settings: dict[str, Any] = {}
        self.layer_path, self.layers = layers_of(self.trunk)

    def instruct(self, instruction: str) -> None:
        """Ask every text for something else."""
        self.tokenizer.encode_special_tokens = False
        self.tokenizer.no_truncation()
        self.instruction = instruction
        self.prompt = _prompt.made(self.folder, self.tokenizer, instruction)
        self.register_buffer("before", torch.tensor([self.prompt.before], dtype=torch.int64), persistent=False)

    def list_labels(self) -> None:
        """Name the labels before every text: help for a base that was never told them."""
        names = ", ".join(_said(label) for label in self.labels)
        self.instruct(LISTED.format(labels=names))
        self.listed = True

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.before.device

    @property
    def speaks(self) -> bool:
        """Whether it answers in words."""
        return isinstance(self.head, Words)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text and of what stands behind it, cut to `max_length`."""
        return _prompt.reader(self.tokenizer, self.prompt.after, self.max_length)(texts)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Ids and mask, int64 (n, s) -> logits, float32 (n, outputs)."""
        if not self.speaks:
            logits: torch.Tensor = self.head(self.pooled(ids, mask))
            return logits
        return self.spelt(self.head.tree, ids, mask)

    def taught(self, ids: torch.Tensor, mask: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Logits (n, outputs) to learn `targets` from: the same loss, without reading what no right answer goes through."""
        if not self.speaks:
            return self(ids, mask)  # type: ignore[no-any-return]
        tree = self.head.tree
        tokens, there = tree.beside(targets)
        depths = torch.arange(tokens.shape[1], device=ids.device).expand_as(tokens)
        within = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool, device=ids.device).tril()
        hidden = self.behind(ids, mask, tokens, depths, within[None] & there[:, None, :])
        with torch.autocast(ids.device.type, enabled=False):
            logits: torch.Tensor = tree.taught(hidden.float(), self._scaled_head(), targets)
        return logits

    def pooled(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Ids and mask (n, s) -> hidden states behind the prompt (n, d)."""
        none = ids.new_zeros(ids.shape[0], 0)
        return self.behind(ids, mask, none, none, torch.zeros(0, 0, dtype=torch.bool, device=ids.device))[:, 0]

    def _ways(self) -> list[list[int]]:
        """Tokens of each label, the end of the answer included.

        Raises:
            InputError: the tokenizer reads two labels alike.
        """
        self.tokenizer.encode_special_tokens = True
        self.tokenizer.no_truncation()
        for spell in (_said, str):
            said = [self.prompt.lead + spell(label) for label in self.labels]
            ways = [[*self.tokenizer.encode(one, add_special_tokens=False).ids, self.prompt.end] for one in said]
            if len({tuple(way) for way in ways}) == len(ways):
                return ways
        alike = next(self.labels[i] for i, way in enumerate(ways) if ways.index(way) < i)
        raise InputError("labels that the base's tokenizer tells apart", f"{alike!r}, read like another", "Rename the label.")

    def still(self) -> list[nn.Linear]:
        """Linear layers within the transformer layers that learn nothing: the bulk of what a language model weighs."""
        return [one for one in self.layers.modules() if isinstance(one, nn.Linear) and not one.weight.requires_grad]

    @contextmanager
    def lightened(self, dtype: torch.dtype) -> Iterator[None]:
        """Keep frozen linear layers in the type they are multiplied in, and give them back as they were.

        Autocast would bring them to it in every pass, so nothing comes out otherwise; 100 M weights take a fifth of a step.
        """
        still = self.still()
        kept = [one.weight.data for one in still]
        for one in still:
            one.weight.data = one.weight.data.to(dtype)
        try:
            yield
        finally:
            for one, weight in zip(still, kept, strict=True):
                one.weight.data = weight

    def frozen_depth(self) -> int:
        """All layers when nothing of the trunk learns, else none: hidden states of a decoder are not kept."""
        return 0 if any(p.requires_grad for p in self.trunk.parameters()) else len(self.layers)


def files_of(base: Base) -> Path:
    """The folder with a base in the Hugging Face layout."""
    from savile.models._unpacked import unpacked

    if base.on is not None:
        return files_of(base.on)
    packaged = BASES.get(base.name)
    return unpacked(base, packaged.weights) if packaged and packaged.weights.endswith(".gguf") else base.folder


def _said(label: str) -> str:
    """A label as one would say it."""
    return " ".join(label.replace("_", " ").replace("-", " ").split()) or label
