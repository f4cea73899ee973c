"""Any causal language model of transformers: asked for a label, it spells one of the labels and says how likely it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from savile.base.contracts import Loss, Reads
from savile.base.errors import CorruptError, InputError
from savile.base.records import Model, canonical
from savile.models import encoder
from savile.models.encoder import module, predict, restored

if TYPE_CHECKING:
    from savile.models._decoder import TextDecoder

trains: Literal["loop", "own"] = "loop"
reads: Reads = "text"
FORM = "torch"
__all__ = ["FORM", "attach", "create", "load", "module", "predict", "reads", "save", "tokens", "tokenizer_files", "trains"]

SPELLS = True  # labels are its own words: where rows are few it has no less of a start
LOSSES = ("cross_entropy", "binary_cross_entropy", "squared_error")
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
    """A network on a base of this machine; where one label is asked for and `cosine` is true, it answers in words."""
    from savile.models._bases import locate
    from savile.models._decoder import TextDecoder

    found = locate(base)
    if found.kind != "decoder":
        raise InputError("a causal language model as base", f"{base}, a {found.kind} model", "Use smollm2, or one of your own.")
    if loss not in LOSSES:
        raise InputError(f"a task learned by one of {', '.join(LOSSES)}", loss, "Use an encoder, such as minilm.")
    words = cosine and loss == "cross_entropy"
    network = TextDecoder(found, labels, len(labels), words=words, max_length=max_length)
    network.loss = loss
    return network


def attach(network: TextDecoder, method: str, settings: Mapping[str, Any]) -> None:
    """Let an adaptation method freeze and add what it wants, and note it for `save`.

    Raises:
        InputError: the method puts tokens or keys before what is read, which the labels' own places do not bear.
    """
    if method in ("prefix", "prefix_propagation", "prompt_pool"):
        raise InputError("a method that adds nothing to what is read", method, "Use lora on a language model.")
    encoder.attach(network, method, settings)  # type: ignore[arg-type]


def save(network: TextDecoder) -> dict[str, Path | bytes]:
    """The files of the form ``torch``, as `savile.models.encoder.save` writes them, and the hash of the chat template."""
    files = encoder.save(network)  # type: ignore[arg-type]
    said = json.loads(bytes(files["network.json"]))  # type: ignore[arg-type]
    files["network.json"] = canonical({**said, "template": network.prompt.template, "listed": network.listed}).encode()
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
    if network.prompt.template != said["template"]:
        wanted, received = (one[:12] for one in (said["template"], network.prompt.template))
        do = "Bring back the tokenizer it was adapted with, or adapt again."
        raise CorruptError(f"the chat template with SHA-256 {wanted}…", f"{received}…", do)
    return network


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
