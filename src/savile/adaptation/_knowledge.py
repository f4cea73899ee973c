"""An adapter learns the facts of a knowledge graph, apart from the base and from any task; tasks are then learned on top of it.

Each fact is put into words in several ways (`_wordings`). An encoder guesses the object where it is hidden, as masked language
models are asked for facts (Petroni et al., EMNLP 2019); a language model is asked for it, and learns the answer alone. What is
learned is a LoRA adapter, a file of its own in peft's layout (knowledge in adapters: Wang et al., ACL Findings 2021), which is
folded into the base whenever that is loaded: a task's adapter stands on both. One wording is set apart and says how many facts
are told when they are asked for in words that were not learned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.adaptation import _wordings
from savile.adaptation._readers import Hidden
from savile.adaptation._wordings import Asked
from savile.base import catalogue

if TYPE_CHECKING:
    import torch

    from savile.models import Writer
    from savile.models._rows import TokenRows

AT_ONCE = 16  # facts that are asked for together


@dataclass(frozen=True)
class Settings:
    """How facts are learned.

    Attributes:
        wordings: relation -> more wordings of its facts, see `_wordings.told`.
        rank: of the adapter; its scale is 2.
        epochs: passes over all facts in all wordings; of an encoder, half as many before them for the layer that guesses words.
        learning_rate: peak.
        stay: weight of keeping an encoder's vectors of whole sentences where they were.
        batch_rows: sentences a step.
        max_length: tokens of a sentence.
        seed: of everything random.
    """

    wordings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    rank: int = 16
    epochs: float = 8.0
    learning_rate: float = 1e-3
    stay: float = 1.0
    batch_rows: int = 16
    max_length: int = 128
    seed: int = 0


def learn(base: Any, facts: Sequence[Sequence[str]], settings: Settings, folder: Path) -> dict[str, Any]:
    """Train an adapter on facts, write it into a folder, and say how many it tells in words it has not read."""
    learned, apart = _wordings.told(facts, settings.wordings)
    reader = (_Cloze if base.kind == "encoder" else _Answer)(base, learned, apart, settings)
    before, after = reader.run()
    _write(reader.network, folder)
    return {"facts": len(apart), "wordings": len(learned), "before": before, "after": after, "measure": "accuracy"}


def _write(network: Any, folder: Path) -> None:
    """The adapter alone, with the digest of what it stands on."""
    from safetensors.torch import load, save

    from savile.models._bases import ADAPTER, ADAPTER_WEIGHTS

    files = catalogue.get("families", network.base.kind).save(network)
    config, on = json.loads(files[ADAPTER]), network.base
    config["base_model_name_or_path"] = str(Path(on.name).absolute()) if Path(on.name).is_dir() else on.name
    (folder / ADAPTER).write_text(json.dumps(config, indent=1, sort_keys=True))
    (folder / ADAPTER_WEIGHTS).write_bytes(save(load(files[ADAPTER_WEIGHTS]), {"format": "pt", "base_sha256": on.sha256}))


class _Cloze(Hidden):
    """An encoder guesses objects that are hidden."""

    def __init__(self, base: Any, learned: Sequence[Asked], apart: Sequence[Asked], settings: Settings) -> None:
        super().__init__(base, [one.text for one in learned], [one.text for one in apart], settings)
        self.objects = {id(rows): self._objects(asked) for rows, asked in ((self.learned, learned), (self.held, apart))}

    def attach(self, network: Any) -> None:
        from savile.models import encoder

        encoder.attach(network, "lora", {"rank": self.settings.rank, "alpha": 2 * self.settings.rank})

    def run(self) -> tuple[float, float]:
        self.settle(round(self.settings.epochs / 2 * len(self.learned) / self.settings.batch_rows) or 1)
        before = self.right()
        self.tune(round(self.settings.epochs * len(self.learned) / self.settings.batch_rows) or 1)
        return before, self.right()

    def right(self) -> float:
        """Share of the objects set apart of which every token is guessed, all of them hidden at once."""
        import torch

        from savile.models._rows import sorted_batches

        found = 0
        with torch.inference_mode():
            for some in sorted_batches(self.held.lengths, AT_ONCE):
                ids, mask = self.held.padded(some)
                chosen = self._hidden(self.held, some, ids.shape[1])
                scores, words = self._guessed(ids, mask, chosen)
                wrong = np.zeros(chosen.shape, dtype=bool)
                wrong[chosen] = (scores.argmax(1) != words).numpy()
                found += int((chosen.any(1) & ~wrong.any(1)).sum())
        return found / len(self.held)

    def loss(self, rows: np.ndarray) -> torch.Tensor:
        import torch.nn.functional as F

        ids, mask = self.learned.padded(rows)
        loss = F.cross_entropy(*self._guessed(ids, mask, self._hidden(self.learned, rows, ids.shape[1])))
        return loss + self.drift(ids, mask, rows)

    def _hidden(self, read: TokenRows, rows: np.ndarray, width: int) -> np.ndarray:
        """Where the tokens of objects are, bool (n, width)."""
        first, last = self.objects[id(read)][rows].T
        place = np.arange(width)
        hidden: np.ndarray = (place >= first[:, None]) & (place < last[:, None])
        return hidden

    def _objects(self, asked: Sequence[Asked]) -> np.ndarray:
        """First token of each object, and the one behind its last, int64 (n, 2)."""
        found = []
        for one, read in zip(asked, self.network.tokenizer.encode_batch([one.text for one in asked]), strict=True):
            start, end = len(one.before), len(one.before) + len(one.answer)
            inside = [place for place, (a, b) in enumerate(read.offsets) if a < b and a < end and b > start]
            found.append((inside[0], inside[-1] + 1) if inside else (0, 0))
        return np.array(found, dtype=np.int64)


class _Answer:
    """A language model is asked for objects, and learns nothing but them."""

    def __init__(self, base: Any, learned: Sequence[Asked], apart: Sequence[Asked], settings: Settings) -> None:
        from savile.models import Writer

        self.settings, self.learned, self.apart = settings, learned, apart
        self.writer = Writer(base.name, "lora", {"rank": settings.rank, "alpha": 2 * settings.rank})
        self.network = self.writer.network

    def run(self) -> tuple[float, float]:
        """Train; share of the objects told before and after."""
        from savile.adaptation._preference import learn_answers

        own = self.settings
        fit = {"epochs": own.epochs, "learning_rate": own.learning_rate, "batch_rows": own.batch_rows, "seed": own.seed}
        before = answered(self.writer, self.apart)
        learn_answers(self.writer, [(one.prompt, one.answer) for one in self.learned], fit)
        return before, answered(self.writer, self.apart)


def answered(writer: Writer, asked: Sequence[Asked]) -> float:
    """Share of facts that a writer tells to the word: each token of an answer is the likeliest behind those before it."""
    import torch

    found, written = 0, writer.rows([one.prompt for one in asked], [one.answer for one in asked])
    with torch.inference_mode():
        for start in range(0, len(asked), AT_ONCE):
            some = np.arange(start, min(start + AT_ONCE, len(asked)))
            hit, real = writer.scored(written, some, lambda scores, tokens: (scores.argmax(1) == tokens).float())
            found += int((hit.bool() | ~real).all(1).sum())
    return found / len(asked)
