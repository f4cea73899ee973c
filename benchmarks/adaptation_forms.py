"""A tuned language model in other programs' files: each answers as the trained one, and the adapter loads in peft alone.

smollm2 with an update beside every linear layer that moves its answers (random, seed 0: what is written is held to account,
not what was learned), asked for one of 15 of clinc150's intents, evenly spaced, on one test row of each intent.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from _report import report
from adaptation_decoder import BASE, rows

INTENTS = 15
STRENGTH = 0.02  # deviation of the second matrix of each update


def moved(labels: list[str]) -> Any:
    """The base with updates that do something."""
    import torch

    from savile.models import decoder

    network = decoder.create(BASE, labels).eval()
    torch.manual_seed(0)
    decoder.attach(network, "lora", {})
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=STRENGTH)
    return network


def on_disk(model: Any, folder: Path) -> Any:
    """The model with its files as files."""
    for form, files in model.forms.items():
        (folder / form).mkdir(exist_ok=True)
        for name, content in files.items():
            if isinstance(content, bytes):
                files[name] = folder / form / name
                files[name].write_bytes(content)
    return model


def alone(network: Any, files: Any, text: str) -> tuple[float, float]:
    """Largest difference of a logit between the adapter in peft alone and here, and between here and the bare base."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    ids = torch.tensor([[*network.prompt.before, *network.encode([text])[0]]])
    with torch.inference_mode():
        bare = AutoModelForCausalLM.from_pretrained(network.folder, dtype=torch.float32).eval()
        plain, own = bare(ids).logits, network.trunk(ids).logits
        adapted = PeftModel.from_pretrained(bare, Path(files["adapter_config.json"]).parent).eval()
        return float((adapted(ids).logits - own).abs().max()), float((plain - own).abs().max())


def main() -> None:
    from savile.base import catalogue
    from savile.base.records import Model
    from savile.compression import gguf
    from savile.models import Predictor, decoder

    texts, targets, labels = rows("test", 1)
    chosen = np.linspace(0, len(labels) - 1, INTENTS).astype(int)
    texts = [texts[row] for row, target in enumerate(targets) if target in chosen]
    network = moved([labels[one] for one in chosen])
    with TemporaryDirectory() as place:
        folder = Path(place)
        model = on_disk(Model("decoder", network.labels, forms={"torch": decoder.save(network)}), folder)
        off, by = alone(network, model.forms["torch"], texts[0])
        report("smollm2_adapter_in_peft_alone", off, "largest logit difference", bar=1e-4, higher=False, runs={"base": by})
        trained = Predictor(model, "torch")
        made = on_disk(gguf.apply(model, texts, gguf.Settings(gguf.FORMS)), folder)
        proof = catalogue.get("metrics", "parity")
        forms = {form: Predictor(made, form, "transformers") for form in gguf.FORMS}
        for form, found in proof.parity(forms, texts, trained).items():
            allowed = found["allowed"] * found["n"]
            report(f"smollm2_{form}_flips", found["flips"], "answers", bar=allowed, higher=False, runs=found)


if __name__ == "__main__":
    main()
