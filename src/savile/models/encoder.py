"""Any transformers encoder (BERT-like) with a pooling and a classifier on top."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from savile.base import catalogue
from savile.base.contracts import Loss, Reads
from savile.base.errors import CorruptError, InputError
from savile.base.records import Model, canonical
from savile.models import _spans
from savile.models._facts import Facts
from savile.models._spans import TOKEN
from savile.models._vectors import VECTOR, paired

if TYPE_CHECKING:
    import torch

    from savile.models._network import TextEncoder
    from savile.models._sentence import SentenceEncoder

trains: Literal["loop", "own"] = "loop"
reads: Reads = "text"
FORM = "torch"
SOFT = True
PAIRS = True  # whether it reads two texts a row, too
FIT_TOKENS: Mapping[str, Mapping[str, Any]] = {"head": {"learning_rate": 2e-3}}

# peft names the parameters of an attached adapter "….default.…"; its files leave that out and start from base_model.model
ADAPTER = re.compile(r"\.default(?=\.|$)")
EXPERT = re.compile(
    r"_experts\.[ab]\.(\d+)$"
)  # of several adapters, each has a file of its own, so that what stays is seen to stay


def create(
    base: str,
    labels: Sequence[str],
    loss: Loss = "cross_entropy",
    *,
    cosine: bool = True,
    max_length: int = 256,
    pairs: bool = False,
) -> TextEncoder:
    """A network on a base of this machine (see `savile.models._bases.locate`) with a fresh head, one output a label."""
    from savile.models._bases import locate
    from savile.models._network import TextEncoder

    found = locate(base)
    if found.kind != "encoder":
        raise InputError("an encoder as base", f"{base}, a {found.kind} model", "Use minilm, or a BERT-like model of your own.")
    network = TextEncoder(found, labels, len(labels), cosine=cosine, max_length=max_length)
    for_task(network, loss, pairs)
    return network


def for_task(network: TextEncoder | SentenceEncoder, loss: Loss, pairs: bool) -> None:
    """Make the fresh head the one that a task asks for: two texts a row, or outputs for every token."""
    network.loss = loss
    if loss == VECTOR:
        from savile.models._contrastive import VectorHead

        network.head = VectorHead(network.width)
    elif pairs:
        network.pair_up()
    if loss == TOKEN:
        network.tag(catalogue.get("tasks", "tag").head(len(network.labels)).outputs)


def knowing(network: TextEncoder | SentenceEncoder, facts: Mapping[str, str]) -> None:
    """Let a network read texts with what is known of the things they name.

    Raises:
        InputError: it tags, and facts are no part of the text.
    """
    if network.loss == TOKEN:
        raise InputError("a task that answers whole texts, for facts", "one that tags", "Leave adapt.settings.facts out.")
    network.facts = Facts(facts)


def attach(network: TextEncoder, method: str, settings: Mapping[str, Any]) -> None:
    """Note an adaptation method for `save`, and let it freeze and add what it wants, and say otherwise what it leaves."""
    plugin = catalogue.get("methods", method)
    network.method, network.method_settings = method, present(method, settings)
    plugin.attach(network, plugin.Settings(**network.method_settings))


def present(method: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a method by the names they have now: a model that was stored earlier may have older ones."""
    renamed = getattr(catalogue.get("methods", method), "RENAMED", {})
    return {renamed.get(name, name): setting for name, setting in settings.items()}


def save(network: TextEncoder) -> dict[str, Path | bytes]:
    """The files of the form ``torch``: what differs from the base, and everything needed to rebuild the rest.

    ``head.safetensors`` always; ``trunk.safetensors`` for tuned weights of the trunk; ``adapter_model.safetensors`` and
    ``adapter_config.json`` in the layout of peft for adapters made by it; ``expert-0.safetensors`` and so on for the adapters
    of a library.
    """
    from safetensors.torch import save as to_bytes

    trunk: dict[str, torch.Tensor] = {}
    adapter: dict[str, torch.Tensor] = {}
    experts: dict[str, dict[str, torch.Tensor]] = {}
    for name, parameter in network.own():
        expert = EXPERT.search(name)
        apart = experts.setdefault(f"expert-{expert[1]}.safetensors", {}) if expert else None
        group = apart if apart is not None else adapter if ADAPTER.search(name) else trunk
        group[name] = parameter.detach().contiguous()
    files: dict[str, Path | bytes] = {
        "network.json": said(network),
        "tokenizer.json": network.tokenizer.to_str().encode(),  # with the truncation this network was trained with
        "head.safetensors": to_bytes(dict(network.head.state_dict())),
    }
    files |= {name: to_bytes(tensors) for name, tensors in experts.items()}
    if trunk:
        files["trunk.safetensors"] = to_bytes(trunk)
    if adapter:
        config = network.trunk.peft_config["default"].to_dict()
        config["base_model_name_or_path"] = network.base.name
        if config["peft_type"] == "ADALORA":
            config["rank_pattern"] = None  # files hold every rank; those that were taken away are zero
        files["adapter_config.json"] = json.dumps(config, default=_listed, indent=1, sort_keys=True).encode()
        files["adapter_model.safetensors"] = to_bytes({_outside(name): tensor for name, tensor in adapter.items()})
    return files


def load(model: Model, form: str = FORM) -> TextEncoder:
    """The network of a saved model, in evaluation mode.

    Raises:
        CorruptError: the base on this machine is not the one the model was adapted from, or a file does not fit it.
    """
    network: TextEncoder = restored(model, form, create, _fill)
    return network


def said(network: Any) -> bytes:
    """``network.json``: what rebuilds a network before its tensors are filled in."""
    spec = {
        "base": network.base.name,
        "base_sha256": network.base.sha256,
        "cosine": network.head.cosine,
        "max_length": network.max_length,
        "method": network.method,
        "settings": network.method_settings,
        "labels": list(network.labels),
        "loss": network.loss,
        **({"pairs": True} if getattr(network, "pairs", False) else {}),
        **({"read": list(network.read)} if getattr(network, "read", ()) else {}),
        **({"facts": network.facts.known} if getattr(network, "facts", None) else {}),
    }
    return canonical(spec).encode()


def restored(model: Model, form: str, create: Callable[..., Any], fill: Callable[[Any, Mapping[str, Path]], None]) -> Any:
    """The network of a saved form, in evaluation mode: made by `create`, with its method attached, and filled by `fill`.

    Raises:
        CorruptError: the base on this machine is not the one the model was adapted from, or a file does not fit it.
    """
    files = {name: Path(str(path)) for name, path in model.forms[form].items()}
    spec = json.loads(files["network.json"].read_text())
    shape = {name: spec[name] for name in ("cosine", "max_length", "pairs") if name in spec}
    network = create(spec["base"], spec["labels"], spec.get("loss", "cross_entropy"), **shape)
    if network.base.sha256 != spec["base_sha256"]:
        raise CorruptError(
            f"the base {spec['base']} with SHA-256 {spec['base_sha256'][:12]}…",
            f"{network.base.sha256[:12]}…",
            "Adapt again on this base, or bring back the old one.",
        )
    if network.loss == TOKEN and hasattr(network, "read"):
        network.tag(len(network.head.bias), spec.get("read", ()))
    if "facts" in spec:
        knowing(network, spec["facts"])
    attach(network, spec["method"], spec["settings"])
    fill(network, files)
    return network.eval()


def predict(network: TextEncoder, texts: Sequence[str]) -> Any:
    """Texts -> logits in fp32, (n, outputs), or of their tokens where it tags, or both texts' vectors."""
    if network.loss == TOKEN:
        return _spans.answered(texts, network.cutter, lambda rows: _each(network, rows), len(network.head.bias))
    if not len(texts):
        return np.zeros((0, len(network.labels)), np.float32)
    if network.loss == VECTOR:
        return paired(texts, lambda some: np.stack(_each(network, network.encode(some))))
    return np.stack(_each(network, network.encode(texts)))


def _each(network: TextEncoder, ids: Sequence[list[int]]) -> list[np.ndarray]:
    """Rows of ids -> the logits of each, (outputs,) or (s, outputs)."""
    import torch

    from savile.models._rows import TokenRows, sorted_batches

    tokens, found = TokenRows(ids, network.pad_id), [np.zeros(0, dtype=np.float32)] * len(ids)
    with torch.inference_mode():
        for rows in sorted_batches(tokens.lengths):
            padded, mask = tokens.padded(rows)
            logits = network(*(torch.from_numpy(one).to(network.device) for one in (padded, mask))).cpu().numpy()
            for row, one in zip(rows, logits, strict=True):
                found[row] = one[: len(ids[row])] if one.ndim == 2 else one
    return found


def tokenizer_files(network: TextEncoder) -> dict[str, Path | bytes]:
    """What turns texts into token ids, for forms that leave the network behind; it carries its own truncation length."""
    files: dict[str, Path | bytes] = {"tokenizer.json": network.tokenizer.to_str().encode()}
    told = read_with(network)
    return files | ({"tokens.json": canonical(told).encode()} if told else {})


def read_with(network: TextEncoder | SentenceEncoder) -> dict[str, Any]:
    """How texts are read beside the tokenizer, for ``tokens.json``; see `reading`."""
    pairs: dict[str, Any] = {"pairs": True} if getattr(network, "pairs", False) else {}
    return pairs | ({"facts": network.facts.known} if network.facts else {})


def tokens(files: Mapping[str, Path]) -> Callable[[Sequence[str]], list[list[int]]]:
    """Texts -> token ids, from the files of a form."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(files["tokenizer.json"]))
    tokenizer.no_padding()

    def read(texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]

    return reading(read, json.loads(files["tokens.json"].read_text()) if "tokens.json" in files else {})


def reading(
    read: Callable[[Sequence[str]], list[list[int]]], said: Mapping[str, Any]
) -> Callable[[Sequence[str]], list[list[int]]]:
    """What reads single texts, as it is, with facts, or for pairs, as the file ``tokens.json`` of a form says."""
    if said.get("facts"):
        read = Facts(said["facts"]).before(read)
    if not said.get("pairs"):
        return read
    from savile.models import _pairs

    return lambda texts: _pairs.encode(read, texts)


def cutter(files: Mapping[str, Path]) -> _spans.Cutter:
    """How a form that tags cuts texts, from its files."""
    from tokenizers import Tokenizer

    from savile.models._token_head import PlainCutter

    return PlainCutter(Tokenizer.from_file(str(files["tokenizer.json"])))


def module(network: TextEncoder) -> torch.nn.Module:
    """The torch module: ids and mask, int64 (n, s) -> logits (n, outputs), or (n, s, outputs) where it tags."""
    return network


def _fill(network: TextEncoder, files: Mapping[str, Path]) -> None:
    """Put the saved tensors in their places, every one of them."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = {f"head.{k}": v for k, v in load_file(files["head.safetensors"]).items()}
        for name in files:
            if name == "trunk.safetensors" or name.startswith("expert-"):
                tensors |= {f"trunk.{k}": v for k, v in load_file(files[name]).items()}
        if "adapter_model.safetensors" in files:
            inside = {_outside(name): name for name, _ in network.trunk.named_parameters() if ADAPTER.search(name)}
            adapter = load_file(files["adapter_model.safetensors"])
            tensors |= {f"trunk.{inside[k]}": v for k, v in adapter.items()}
        unexpected = network.load_state_dict(tensors, strict=False).unexpected_keys
        expected = {name for name, _ in network.trainable()} | {f"trunk.{name}" for name, _ in network.own()}
        expected -= set(tensors)
    except (SafetensorError, RuntimeError, KeyError) as error:
        raise CorruptError("weights that fit the network", str(error).partition("\n")[0], "Adapt again.") from error
    if unexpected or expected:
        raise CorruptError(
            "exactly the tensors the method trains",
            f"{len(unexpected)} unknown, {len(expected)} missing",
            "Adapt again with this version.",
        )


def _outside(name: str) -> str:
    """The name a tensor has in peft's files, where DoRA's lengths are called by their module."""
    return f"base_model.model.{ADAPTER.sub('', name)}".replace("lora_magnitude_vector.weight", "lora_magnitude_vector")


def _listed(value: Any) -> Any:
    return sorted(value) if isinstance(value, set) else str(value)
