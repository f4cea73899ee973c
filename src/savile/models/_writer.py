"""A language model that answers freely: what it learns from are prompts and answers, and only answers count."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from savile.base import catalogue
from savile.base.errors import InputError, UnknownNameError
from savile.base.recipe import fill
from savile.models import _answers, decoder
from savile.models._answers import INSTRUCTION, LONGEST, Written
from savile.models._bases import locate
from savile.models._decoder import TextDecoder

SAID = "network.json"


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
        self, base: str, method: str = "lora", settings: Mapping[str, Any] | None = None, instruction: str = INSTRUCTION
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
        return _answers.tokenised(self.network, prompts, answers)

    def logprobs(self, written: Written, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probability of each answer token, float32 (n, k), 0 where there is none, and where there is one, bool (n, k)."""
        return _answers.logprobs(self.network, written, rows)

    def scored(self, written: Written, rows: np.ndarray, measure: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """What `measure` says of each answer token, (n, k), from scores (m, vocabulary), float32, and tokens (m,)."""
        return _answers.scored(self.network, written, rows, measure)

    def total(self, written: Written, precision: torch.dtype = torch.float32) -> np.ndarray:
        """Log-probability of each whole answer, float64 (n,)."""
        return _answers.total(self.network, written, precision)

    def reply(self, prompts: Sequence[str], tokens: int = 64, sample: int | None = None) -> list[str]:
        """An answer to each prompt, of at most so many tokens: the likeliest ones, or drawn with the seed `sample`."""
        if isinstance(prompts, str):
            raise InputError("a list of prompts", "one text", "Put it into a list.")
        return [str(text) for text in _answers.reply(self.network, prompts, tokens, sample).texts]

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
