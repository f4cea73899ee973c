"""How a base reads passages: an encoder guesses hidden words (Devlin et al. 2019), a language model the next one."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.base.errors import InputError

if TYPE_CHECKING:
    import torch

    from savile.models._rows import TokenRows

COPIED = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "generation_config.json")


class Reader(ABC):
    """A base, the rows it learns from and those it is judged on."""

    measure = ""

    def __init__(self, base: Any, learned: Sequence[str], held: Sequence[str], settings: Any) -> None:
        import torch

        from savile.models._rows import TokenRows

        torch.manual_seed(settings.seed)
        self.base, self.settings = base, settings
        self.network = self.load()
        self.learned, self.held = (TokenRows(self.encode(texts), self.network.pad_id) for texts in (learned, held))

    @abstractmethod
    def load(self) -> Any:
        """The network, with what learns marked."""

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of passages."""

    @abstractmethod
    def loss(self, rows: np.ndarray) -> torch.Tensor:
        """The loss of some rows that are learned from."""

    @abstractmethod
    def surprise(self, rows: TokenRows, some: np.ndarray) -> tuple[float, int]:
        """Minus the log-probability of words of some rows, and how many words they are."""

    @abstractmethod
    def run(self) -> tuple[float, float]:
        """Train; perplexity before and after."""

    def fit(self, steps: int, learning_rate: float) -> None:
        """So many steps of the one training loop for losses like these."""
        from savile.models import FitSettings
        from savile.models._fit_language import fit_language

        own = self.settings
        fit_language(
            self.network,
            self.learned.lengths,
            self.loss,
            FitSettings(steps=steps, learning_rate=learning_rate, batch_rows=own.batch_rows, seed=own.seed),
        )

    def perplexity(self) -> float:
        """Of the rows that judge."""
        import torch

        from savile.models._rows import sorted_batches

        total, words = 0.0, 0
        with torch.inference_mode():
            for some in sorted_batches(self.held.lengths, 16):
                found = self.surprise(self.held, some)
                total, words = total + found[0], words + found[1]
        return float(np.exp(min(total / max(1, words), 50.0)))

    def save(self, folder: Path) -> None:
        """Write the base and whatever its tokenizer and pooling need."""
        self.network.trunk.save_pretrained(folder)
        source = self.files()
        for name in COPIED:
            if (source / name).is_file():
                shutil.copyfile(source / name, folder / name)
        if (source / "1_Pooling").is_dir():
            shutil.copytree(source / "1_Pooling", folder / "1_Pooling", dirs_exist_ok=True)

    def files(self) -> Path:
        """Where the base's own files lie."""
        folder: Path = self.base.folder
        return folder


class Hidden(Reader):
    """An encoder guesses hidden words (Devlin et al. 2019) and keeps its vectors of whole passages."""

    measure = "pseudo-perplexity"

    def load(self) -> Any:
        import torch
        from torch import nn

        from savile.models import encoder

        network: Any = encoder.create(self.base.name, ("passage",), max_length=self.settings.max_length)
        self.attach(network)
        network.head.requires_grad_(False)
        network.guess = nn.Linear(network.width, network.width)
        with torch.no_grad():
            network.guess.weight.copy_(torch.eye(network.width))
            network.guess.bias.zero_()
        network.bias = nn.Parameter(torch.zeros(network.trunk.get_input_embeddings().weight.shape[0]))
        network.lightened = _as_it_is
        known = [network.tokenizer.token_to_id(word) for word in ("[MASK]", "<mask>")]
        self.mask_id = next((one for one in known if one is not None), -1)
        if self.mask_id < 0:
            do = "Choose a BERT-like base."
            raise InputError("a base whose tokenizer has a word for hidden ones", self.base.name, do)
        self.trunk = [(p, p.requires_grad) for p in network.trunk.parameters()]
        return network

    def attach(self, network: Any) -> None:
        """Say what of the trunk learns."""
        from savile.models import encoder

        encoder.attach(network, "full", {})

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        found: list[list[int]] = self.network.encode(texts)
        return found

    def run(self) -> tuple[float, float]:
        self.settle(max(1, self.settings.steps // 2))
        before = self.perplexity()
        self.tune(self.settings.steps)
        return before, self.perplexity()

    def settle(self, steps: int) -> None:
        """Learn the layer that guesses words, on the base as it is, whose vectors are noted."""
        self.places = self._vectors()
        for p, _ in self.trunk:
            p.requires_grad_(False)
        self.fit(steps, 1e-3)

    def tune(self, steps: int) -> None:
        """Learn what of the trunk learns, too."""
        for p, learns in self.trunk:
            p.requires_grad_(learns)
        self.fit(steps, self.settings.learning_rate)

    def loss(self, rows: np.ndarray) -> torch.Tensor:
        import torch
        import torch.nn.functional as F

        ids, mask = self.learned.padded(rows)
        drawn = np.random.default_rng(int(torch.randint(1 << 31, (1,))))
        chosen = self._chosen(ids, mask, drawn)
        return F.cross_entropy(*self._guessed(ids, mask, chosen)) + self.drift(ids, mask, rows)

    def drift(self, ids: np.ndarray, mask: np.ndarray, rows: np.ndarray) -> torch.Tensor | float:
        """How far the vectors of whole passages have moved, as far as that counts."""
        import torch
        import torch.nn.functional as F

        if not self.settings.stay or not any(p.requires_grad for p in self.network.trunk.parameters()):
            return 0.0
        there = self.network.pooled(torch.from_numpy(ids), torch.from_numpy(mask)).float()
        moved: torch.Tensor = self.settings.stay * (1 - F.cosine_similarity(there, self.places[rows], dim=-1)).mean()
        return moved

    def surprise(self, rows: TokenRows, some: np.ndarray) -> tuple[float, int]:
        import torch.nn.functional as F

        ids, mask = rows.padded(some)
        chosen = self._chosen(ids, mask, np.random.default_rng(int(some[0])))
        scores, words = self._guessed(ids, mask, chosen)
        return float(F.cross_entropy(scores, words, reduction="sum")), len(words)

    def _chosen(self, ids: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Which words are hidden, bool (n, s): a share of those between the marks at both ends, one a row at least."""
        inside: np.ndarray = mask.astype(bool)
        inside[:, 0] = False
        inside[np.arange(len(ids)), mask.sum(axis=1) - 1] = False
        draw = np.where(inside, rng.random(ids.shape), 2.0)
        chosen: np.ndarray = inside & ((draw < self.settings.hidden) | (draw == draw.min(axis=1, keepdims=True)))
        return chosen

    def _guessed(self, ids: np.ndarray, mask: np.ndarray, chosen: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores of every word in the places that are hidden, (k, vocabulary), and the words that stand there, (k,)."""
        import torch
        import torch.nn.functional as F

        from savile.models._network import choose_attention

        given = torch.from_numpy(np.where(chosen, self.mask_id, ids))
        choose_attention(self.network.trunk, ids.shape[1])
        hidden = self.network.trunk(input_ids=given, attention_mask=torch.from_numpy(mask)).last_hidden_state
        places = torch.from_numpy(chosen)
        words = self.network.trunk.get_input_embeddings().weight
        scores = F.linear(self.network.guess(hidden[places]), words, self.network.bias)
        return scores.float(), torch.from_numpy(ids)[places]

    def _vectors(self) -> torch.Tensor:
        import torch

        from savile.models._rows import embed

        return embed(self.network, self.learned, 0, torch.float32)[0]


class Next(Reader):
    """A language model guesses the next word."""

    measure = "perplexity"

    def load(self) -> Any:
        from savile.models import decoder

        network = decoder.create(self.base.name, ("passage", "other"))
        decoder.attach(network, "full", {})
        return network

    def files(self) -> Path:
        folder: Path = self.network.folder
        return folder

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        tokenizer, end = self.network.tokenizer, self.network.prompt.end
        tokenizer.no_truncation()
        read = [
            one.ids[: self.settings.max_length - 1] for one in tokenizer.encode_batch(list(texts), add_special_tokens=False)
        ]
        return [[end, *ids] for ids in read]

    def run(self) -> tuple[float, float]:
        before = self.perplexity()
        self.fit(self.settings.steps, self.settings.learning_rate)
        return before, self.perplexity()

    def loss(self, rows: np.ndarray) -> torch.Tensor:
        total, words = self._surprise(self.learned, rows)
        return total / words

    def surprise(self, rows: TokenRows, some: np.ndarray) -> tuple[float, int]:
        total, words = self._surprise(rows, some)
        return float(total), int(words)

    def _surprise(self, rows: TokenRows, some: np.ndarray) -> tuple[torch.Tensor, int]:
        import torch
        import torch.nn.functional as F

        from savile.models._network import choose_attention

        ids, mask = (torch.from_numpy(one) for one in rows.padded(some))
        choose_attention(self.network.trunk, ids.shape[1])
        hidden = self.network.trunk.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
        real = mask[:, 1:].bool()
        scores = F.linear(hidden[:, :-1][real], self.network._scaled_head()).float()
        return F.cross_entropy(scores, ids[:, 1:][real], reduction="sum"), int(real.sum())


@contextmanager
def _as_it_is(dtype: Any) -> Iterator[None]:
    """Nothing of an encoder is made lighter while it learns."""
    yield
