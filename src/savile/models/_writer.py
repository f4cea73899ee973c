"""A language model that answers freely: what it learns from are prompts and answers, and only answers count."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from savile.base import catalogue
from savile.base.errors import InputError, UnknownNameError
from savile.base.recipe import fill
from savile.models import decoder
from savile.models._bases import locate
from savile.models._decoder import TextDecoder
from savile.models._rows import TokenRows, autocast

ANSWER = "Answer the message."
SAID = "network.json"
LONGEST = 512


@dataclass(frozen=True)
class Written:
    """Prompts and answers as token ids; row i of one belongs to row i of the other.

    Attributes:
        prompts: with what stands behind them.
        answers: with the token that ends them.
    """

    prompts: TokenRows
    answers: TokenRows

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row, int64 (n,)."""
        return np.asarray(self.prompts.lengths + self.answers.lengths)


class Writer:
    """A base, a method, and what it is told before every prompt.

    Args:
        base: a causal language model of this machine, see `savile.models._bases.locate`.
        method: how it is adapted; ``lora`` unless told otherwise.
        settings: of the method.
        instruction: what stands before every prompt, in the chat template of the base's own tokenizer.

    Raises:
        InputError: the base is no causal language model, or it cannot carry the method.
        UnknownNameError: no such method, or none of its settings is called so.
        RecipeError: a value that a setting does not take.
    """

    merged = False  # whether what was added is part of the base's own weights

    def __init__(
        self, base: str, method: str = "lora", settings: Mapping[str, Any] | None = None, instruction: str = ANSWER
    ) -> None:
        found = locate(base)
        if found.kind != "decoder":
            raise InputError("a causal language model as base", f"{base}, a {found.kind} model", "Use smollm2.")
        kind = catalogue.get("methods", method).Settings
        for name in settings or {}:
            if name not in (known := [field.name for field in fields(kind)]):
                raise UnknownNameError(f"setting of {method}", name, known)
        chosen = fill(kind, settings or {}, f"settings of {method}")
        self.network, self.instruction = TextDecoder(found, (), 0, words=True, max_length=LONGEST), instruction
        self.network.instruct(instruction)
        torch.manual_seed(0)  # of what a method starts with at random
        decoder.attach(self.network, method, asdict(chosen))
        self.network.eval()

    @classmethod
    def load(cls, folder: Path) -> Writer:
        """A writer as `save` wrote it.

        Raises:
            InputError: there is none.
            CorruptError: the base on this machine is not the one it was tuned from, or a file does not fit.
        """
        if not (folder / SAID).is_file():
            do = "Name a folder that Writer.save wrote; one with merged weights is a base, for Writer itself."
            raise InputError(f"a writer that was saved, with {SAID}", f"none in {folder}", do)
        said = json.loads((folder / SAID).read_text())
        writer = cls(said["base"], said["method"], said["settings"], said["instruction"])
        decoder.fill(writer.network, said, {path.name: path for path in folder.iterdir()})
        return writer

    def rows(self, prompts: Sequence[str], answers: Sequence[str]) -> Written:
        """Prompts and the answers to them, as tokens; both are cut to 512."""
        network = self.network
        read = TokenRows(network.encode(prompts))
        network.tokenizer.encode_special_tokens = True
        lead, end = network.prompt.lead, network.prompt.end
        said = network.tokenizer.encode_batch([lead + one.strip() for one in answers], add_special_tokens=False)
        return Written(read, TokenRows([[*one.ids[: LONGEST - 1], end] for one in said]))

    def logprobs(self, written: Written, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probability of each answer token, float32 (n, k), 0 where there is none, and where there is one, bool (n, k).

        What all prompts have before them is read once, and scores are computed where an answer is learned and nowhere else.
        """
        return self.scored(written, rows, lambda scores, tokens: -F.cross_entropy(scores, tokens, reduction="none"))

    def scored(self, written: Written, rows: np.ndarray, measure: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """What `measure` says of each answer token, (n, k), from scores (m, vocabulary), float32, and tokens (m,)."""
        ids, mask = (torch.from_numpy(one) for one in written.prompts.padded(rows))
        answers, there = (torch.from_numpy(one) for one in written.answers.padded(rows))
        read, seen, real = answers[:, :-1], there[:, :-1].bool(), there.bool()
        depths = torch.arange(read.shape[1]).expand_as(read)
        within = torch.ones(read.shape[1], read.shape[1], dtype=torch.bool).tril()
        hidden = self.network.behind(ids, mask, read, depths, within[None] & seen[:, None, :])[real]
        scores = F.linear(hidden, self.network._scaled_head()).float()
        found = torch.zeros(real.shape).masked_scatter(real, measure(scores, answers[real]))
        return found, real

    @torch.inference_mode()
    def total(self, written: Written, precision: torch.dtype = torch.float32) -> np.ndarray:
        """Log-probability of each whole answer, float64 (n,)."""
        found = np.empty(len(written.prompts))
        order = np.argsort(-written.lengths, kind="stable")
        for start in range(0, len(order), 16):
            rows = order[start : start + 16]
            with autocast(precision, torch.device("cpu")):
                found[rows] = self.logprobs(written, rows)[0].sum(1).double().numpy()
        return found

    @torch.inference_mode()
    def reply(self, prompts: Sequence[str], tokens: int = 64, sample: int | None = None) -> list[str]:
        """An answer to each prompt, of at most so many tokens: the likeliest ones, or drawn with the seed `sample`."""
        if isinstance(prompts, str):
            raise InputError("a list of prompts", "one text", "Put it into a list.")
        network, found = self.network, []
        if sample is not None:
            torch.manual_seed(sample)
        end = network.prompt.end
        for ids in network.encode(prompts):
            asked = torch.tensor([[*network.prompt.before, *ids]])
            whole = network.trunk.generate(
                asked,
                attention_mask=torch.ones_like(asked),
                max_new_tokens=tokens,
                do_sample=sample is not None,
                eos_token_id=end,
                pad_token_id=end,
            )
            said = [token for token in whole[0, asked.shape[1] :].tolist() if token != end]
            found.append(network.tokenizer.decode(said).strip())
        return found

    def save(self, folder: Path) -> None:
        """Write the adapter in the layout of peft, which loads it by itself, or the tuned weights; with the template's hash.

        Once it is merged, the whole language model, as transformers reads it and as a base of its own.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if self.merged:
            decoder.save_whole(self.network, folder)
            return
        for name, content in decoder.save(self.network).items():
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.read_bytes())
        said = {**json.loads((folder / SAID).read_text()), "before": self.network.prompt.before}
        (folder / SAID).write_text(json.dumps({**said, "instruction": self.instruction}, sort_keys=True))

    def merge(self) -> None:
        """Fold what was added into the base's own weights; what learns from here on is no adapter."""
        catalogue.get("methods", self.network.method).merge(self.network)
        self.merged = True
