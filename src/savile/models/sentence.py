"""The multilingual sentence encoder `use-m`, Chinese included: convolutions over eight-bit token vectors, quick to tune."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from savile.base.contracts import Loss, Reads
from savile.base.errors import CorruptError, InputError
from savile.base.records import Model, canonical
from savile.models._spans import Cutter
from savile.models.encoder import attach, for_task, knowing, module, predict, read_with, reading, restored
from savile.models.encoder import said as said_of

if TYPE_CHECKING:
    from savile.models._sentence import SentenceEncoder

trains: Literal["loop", "own"] = "loop"
reads: Reads = "text"
FORM = "torch"
SOFT = True
PAIRS = True  # whether it reads two texts a row, too
__all__ = [
    "FORM",
    "attach",
    "create",
    "cutter",
    "knowing",
    "load",
    "module",
    "predict",
    "reads",
    "save",
    "tokens",
    "tokenizer_files",
    "trains",
]

# beyond two or three passes its validation loss rises, on Chinese reviews as early as after the first
FIT: Mapping[str, Mapping[str, Any]] = {"full": {"learning_rate": 5e-4, "epochs": 3.0}}
FIT_SMALL: Mapping[str, Mapping[str, Any]] = {"full": {"learning_rate": 5e-4, "epochs": 3.0}}
FIT_TOKENS: Mapping[str, Mapping[str, Any]] = {
    "full": {"learning_rate": 1.5e-3},
    "head": {"learning_rate": 2e-3},
    "lora": {"learning_rate": 4e-3},
}


def create(
    base: str,
    labels: Sequence[str],
    loss: Loss = "cross_entropy",
    *,
    cosine: bool = True,
    max_length: int = 256,
    pairs: bool = False,
) -> SentenceEncoder:
    """A network on a base of this machine (see `savile.models._bases.locate`) with a fresh head, one output a label."""
    from savile.models._bases import locate
    from savile.models._sentence import SentenceEncoder

    found = locate(base)
    if found.kind != "sentence":
        raise InputError("a sentence encoder as base", f"{base}, a {found.kind} model", "Use use-m.")
    network = SentenceEncoder(found, labels, len(labels), cosine=cosine, max_length=max_length)
    for_task(network, loss, pairs)
    return network


def save(network: SentenceEncoder) -> dict[str, Path | bytes]:
    """The files of the form ``torch``: what differs from the base, and everything needed to rebuild the rest."""
    from safetensors.torch import save as to_bytes

    learned = {name: p.detach().contiguous() for name, p in network.own()}
    files: dict[str, Path | bytes] = {
        "network.json": said_of(network),
        "head.safetensors": to_bytes(dict(network.head.state_dict())),
    }
    if learned:
        files["trunk.safetensors"] = to_bytes(learned)
    if network.trunk.embeddings.seen is not None:
        import torch

        files["tokens.safetensors"] = to_bytes({"seen": torch.from_numpy(network.trunk.embeddings.seen)})
    return files


def load(model: Model, form: str = FORM) -> SentenceEncoder:
    """The network of a saved model, in evaluation mode.

    Raises:
        CorruptError: the base on this machine is not the one the model was adapted from, or a file does not fit it.
    """
    network: SentenceEncoder = restored(model, form, create, _fill)
    return network


def tokenizer_files(network: SentenceEncoder) -> dict[str, Path | bytes]:
    """What turns texts into token ids, for forms that leave the network behind."""
    said = {"max_length": network.max_length, **read_with(network)}
    return {"sp.model": network.pieces, "tokens.json": canonical(said).encode()}


def tokens(files: Mapping[str, Path]) -> Callable[[Sequence[str]], list[list[int]]]:
    """Texts -> token ids, from the files of a form."""
    from savile.models._unigram import Unigram

    said = json.loads(files["tokens.json"].read_text())
    return reading(Unigram(files["sp.model"].read_bytes(), said["max_length"]), said)


def cutter(files: Mapping[str, Path]) -> Cutter:
    """How a form that tags cuts texts, from its files."""
    from savile.models._piece_cutter import PieceCutter

    return PieceCutter(files["sp.model"].read_bytes(), json.loads(files["tokens.json"].read_text())["max_length"])


def _fill(network: SentenceEncoder, files: Mapping[str, Path]) -> None:
    """Put the saved tensors in their places, every one of them."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if "tokens.safetensors" in files:
            network.trunk.embeddings.correct(load_file(files["tokens.safetensors"])["seen"].numpy())
        tensors = {f"head.{k}": v for k, v in load_file(files["head.safetensors"]).items()}
        if "trunk.safetensors" in files:
            tensors |= {f"trunk.{k}": v for k, v in load_file(files["trunk.safetensors"]).items()}
        unexpected = network.load_state_dict(tensors, strict=False).unexpected_keys
        expected = {name for name, _ in network.trainable()} | {f"trunk.{name}" for name, _ in network.own()}
        expected -= set(tensors)
    except (SafetensorError, RuntimeError, KeyError) as error:
        raise CorruptError("weights that fit the network", str(error).partition("\n")[0], "Adapt again.") from error
    if unexpected or expected:
        wanted = "exactly the tensors the method trains"
        raise CorruptError(wanted, f"{len(unexpected)} unknown, {len(expected)} missing", "Adapt again with this version.")
