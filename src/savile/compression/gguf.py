"""A tuned language model as files other programs read: merged safetensors in the Hugging Face layout, and GGUF.

Each form answers for itself, read back from its own files, so that the proof is of what was written. Use ``merged-fp32`` with
transformers or vLLM, ``gguf-f16`` and ``gguf-q8`` with llama.cpp or OpenVINO GenAI.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from savile.base import catalogue, events
from savile.base.errors import InputError, UnknownNameError
from savile.base.records import Calibration, Model
from savile.compression import _gguf_file
from savile.models import decoder

FORMS = ("merged-fp32", "gguf-f16", "gguf-q8")


@dataclass(frozen=True)
class Settings:
    """What is made.

    Attributes:
        forms: among ``merged-fp32``, ``gguf-f16`` and ``gguf-q8`` (eight bits, a scale for 32 weights).
    """

    forms: tuple[str, ...] = ("merged-fp32", "gguf-f16")


def apply(model: Model, calibration: Sequence[str], settings: Settings | None = None) -> Model:
    """The model with one more form for each that `settings` names.

    Args:
        model: a trained model of the family decoder that answers in words.
        calibration: not looked at.
        settings: what is made.

    Raises:
        InputError: the model is no language model, answers by a head of its own, has what cannot be merged into its base, or
            is not built like Llama.
        UnknownNameError: no such form.
    """
    settings = settings or Settings()
    for form in settings.forms:
        if form not in FORMS:
            raise UnknownNameError("form of a language model", form, FORMS)
    family = catalogue.get("families", model.family)
    network = family.load(model, family.FORM) if family.trains == "loop" else None
    if not getattr(network, "speaks", False):
        received = f"the family {model.family}" + ("" if network is None else " with a head of its own")
        raise InputError("a language model that answers in words", received, "Use the technique export.")
    assert network is not None
    catalogue.get("methods", network.method).merge(network)
    decoder.whole(network)
    trained, reading = model.calibrations.get(family.FORM, Calibration()), family.tokenizer_files(network)
    for done, form in enumerate(settings.forms, 1):
        model = model.with_form(form, {**_written(network, form), **reading}, trained)
        events.emit("progress", stage="export", done=done, total=len(settings.forms))
    return model


def _written(network: Any, form: str) -> dict[str, Path | bytes]:
    with TemporaryDirectory() as place:
        folder = Path(place)
        if form == "merged-fp32":
            decoder.save_whole(network, folder)
        else:
            _gguf_file.write(folder / "model.gguf", network.trunk, network.folder, form.rpartition("-")[2])
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
