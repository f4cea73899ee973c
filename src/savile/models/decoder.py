"""Any causal language model of transformers: asked for a label, it spells one of the labels and says how likely it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from savile.base.answers import NEXT
from savile.base.contracts import Loss, Reads
from savile.base.errors import CorruptError, InputError
from savile.base.outputs import Replies
from savile.base.records import Model, canonical
from savile.models import encoder
from savile.models.encoder import module, restored

if TYPE_CHECKING:
    import numpy as np

    from savile.models._decoder import TextDecoder

trains: Literal["loop", "own"] = "loop"
reads: Reads = "text"
FORM = "torch"
__all__ = [
    "FORM",
    "answers",
    "attach",
    "create",
    "fill",
    "likely",
    "load",
    "module",
    "predict",
    "reads",
    "save",
    "save_whole",
    "tokenizer_files",
    "tokens",
    "trains",
    "whole",
]
WHOLE = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json")

WRITES = True  # answers in words, too
SPELLS = True  # labels are its own words: where rows are few it has no less of a start
LOSSES = ("cross_entropy", "binary_cross_entropy", "squared_error", NEXT)
TUNED = "lora"  # what `auto` tries beside a new head
EXPORTS = ("openvino-bf16",)  # what `compress` makes unless more is asked for: a graph in fp32 is half a gigabyte
# adapters of small language models learn at up to 1e-3 (Hu et al., ICLR 2022); the head of labels needs no start
FIT: Mapping[str, Mapping[str, Any]] = {
    "lora": {"learning_rate": 1e-3, "epochs": 3.0, "batch_rows": 32},
    "full": {"learning_rate": 1e-4, "epochs": 2.0, "batch_rows": 32},
}
FIT_SMALL: Mapping[str, Mapping[str, Any]] = FIT


def create(
    base: str, labels: Sequence[str], loss: Loss = "cross_entropy", *, cosine: bool = True, max_length: int = 256
) -> TextDecoder:
    """A network on a base of this machine; it answers in words where words or, `cosine` being true, one label is asked for."""
    from savile.models._bases import locate
    from savile.models._decoder import TextDecoder

    found = locate(base)
    if found.kind != "decoder":
        raise InputError("a causal language model as base", f"{base}, a {found.kind} model", "Use smollm2, or one of your own.")
    if loss not in LOSSES:
        raise InputError(f"a task learned by one of {', '.join(LOSSES)}", loss, "Use an encoder, such as minilm.")
    words = loss == NEXT or (cosine and loss == "cross_entropy")
    network = TextDecoder(found, labels, len(labels), words=words, max_length=max_length)
    network.loss = loss
    return network


def answers(network: TextDecoder, instruction: str, given: Sequence[str]) -> None:
    """Ask it for answers in words, as long as the longest of those that it learns from.

    Args:
        network: whose task is to answer in words.
        instruction: what stands before every prompt; empty for the usual one.
        given: answers to learn from.
    """
    from savile.models import _answers

    network.instruct(instruction or _answers.INSTRUCTION)
    lengths = _answers.tokenised(network, [""] * len(given), given).answers.lengths
    network.longest = int(lengths.max(initial=1))


def likely(network: TextDecoder, prompts: Sequence[str], given: Sequence[str]) -> np.ndarray:
    """Log-probability of the answer given to each prompt, and how many tokens it has, float64 (n, 2)."""
    from savile.models import _answers

    return _answers.likely(network, prompts, given)


def predict(network: TextDecoder, texts: Sequence[str]) -> Any:
    """Texts -> logits in fp32, (n, outputs), or what is written in answer to each, the likeliest token behind the other."""
    if network.loss != NEXT:
        return encoder.predict(network, texts)  # type: ignore[arg-type]
    if not len(texts):
        return Replies.of([], [])
    from savile.models import _answers

    return _answers.reply(network, texts, network.longest)


def attach(network: TextDecoder, method: str, settings: Mapping[str, Any]) -> None:
    """Let an adaptation method freeze and add what it wants, and note it for `save`.

    Raises:
        InputError: the method puts tokens or keys before what is read, which the labels' own places do not bear, or only a
            head would learn where there is none.
    """
    if method == "head" and network.loss == NEXT:
        do = "Use lora, or prompt to ask the base as it is."
        raise InputError("a method that changes what a language model writes", "head", do)
    if method in ("prefix", "prefix_propagation", "prompt_pool"):
        raise InputError("a method that adds nothing to what is read", method, "Use lora on a language model.")
    encoder.attach(network, method, settings)  # type: ignore[arg-type]


def save(network: TextDecoder) -> dict[str, Path | bytes]:
    """The files of the form ``torch``, as `savile.models.encoder.save` writes them, and the hash of the chat template."""
    files = encoder.save(network)  # type: ignore[arg-type]
    said = json.loads(bytes(files["network.json"]))  # type: ignore[arg-type]
    said |= {"template": network.prompt.template, "listed": network.listed}
    said |= {"instruction": network.instruction, "longest": network.longest} if network.loss == NEXT else {}
    files["network.json"] = canonical(said).encode()
    if "adapter_config.json" in files:
        config = json.loads(bytes(files["adapter_config.json"]))  # type: ignore[arg-type]
        files["adapter_config.json"] = json.dumps({**config, "task_type": "CAUSAL_LM"}, indent=1, sort_keys=True).encode()
    return files


def load(model: Model, form: str = FORM) -> TextDecoder:
    """The network of a saved model, in evaluation mode.

    Raises:
        CorruptError: base or chat template on this machine are not those the model was adapted with, or a file does not fit.
    """
    network: TextDecoder = restored(model, form, create, encoder._fill)
    said = json.loads(Path(str(model.forms[form]["network.json"])).read_text())
    if network.loss == NEXT:
        network.instruct(said["instruction"])
        network.longest = said["longest"]
    _same_template(network, said)
    return network


def fill(network: TextDecoder, said: Mapping[str, Any], files: Mapping[str, Path]) -> None:
    """Put saved tensors into a network that is made as ``network.json`` says.

    Raises:
        CorruptError: base or chat template on this machine are not those it was adapted with, or a file does not fit.
    """
    if network.base.sha256 != said["base_sha256"]:
        wanted, received = (one[:12] for one in (said["base_sha256"], network.base.sha256))
        do = "Bring back the old base, or tune again on this one."
        raise CorruptError(f"the base {said['base']} with SHA-256 {wanted}…", f"{received}…", do)
    _same_template(network, said)
    encoder._fill(network, files)  # type: ignore[arg-type]


def _same_template(network: TextDecoder, said: Mapping[str, Any]) -> None:
    if network.prompt.template != said["template"]:
        wanted, received = (one[:12] for one in (said["template"], network.prompt.template))
        do = "Bring back the tokenizer it was adapted with, or adapt again."
        raise CorruptError(f"the chat template with SHA-256 {wanted}…", f"{received}…", do)


def whole(network: TextDecoder) -> None:
    """Nothing, where all that was learned is in the base's own weights, so that other programs can read it.

    Raises:
        InputError: something that a method added is there still.
    """
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        plain = AutoModelForCausalLM.from_config(network.trunk.config).state_dict()
    if plain.keys() != network.trunk.state_dict().keys():
        do = "Use lora or another method that is merged into the base."
        raise InputError("a language model like its base, for other programs", f"one to which {network.method} adds", do)


def save_whole(network: TextDecoder, folder: Path) -> None:
    """Write a language model, adapters merged, in the Hugging Face layout, with the tokenizer and the chat template.

    Raises:
        InputError: see `whole`.
    """
    whole(network)
    network.trunk.save_pretrained(folder)
    for name in WHOLE:
        if (network.folder / name).is_file():
            (folder / name).write_bytes((network.folder / name).read_bytes())


def tokenizer_files(network: TextDecoder) -> dict[str, Path | bytes]:
    """What turns texts into token ids, for forms that leave the network behind."""
    network.tokenizer.no_truncation()
    said = {**network.prompt.as_json(), "max_length": network.max_length, "ways": network._ways() if network.speaks else []}
    network.tokenizer.no_truncation()
    return {"tokenizer.json": network.tokenizer.to_str().encode(), "prompt.json": canonical(said).encode()}


def tokens(files: Mapping[str, Path]) -> Callable[[Sequence[str]], list[list[int]]]:
    """Texts -> token ids, from the files of a form."""
    from savile.models._prompt import reader_of_files

    return reader_of_files(files)
