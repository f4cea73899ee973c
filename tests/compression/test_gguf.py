"""A tuned language model as safetensors and GGUF: read back by transformers alone, it answers as the trained one."""

import numpy as np
import pytest
import torch

from savile import testing
from savile.base import catalogue
from savile.base.errors import InputError, UnknownNameError
from savile.base.records import Model
from savile.compression import gguf
from savile.models import Predictor, decoder

LABELS = ("lost_card", "refund", "order late")
TEXTS = [f"{about} number {i}" for i in range(10) for about in ("my card is gone", "money back", "where is my parcel")]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A model whose adapter does something, and the network it came from."""
    base = str(testing.tiny_decoder(tmp_path_factory.mktemp("base"), TEXTS))
    network = decoder.create(base, LABELS).eval()
    decoder.attach(network, "lora", {})
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    folder = tmp_path_factory.mktemp("model")
    return on_disk(Model("decoder", LABELS, forms={"torch": decoder.save(network)}), folder), network


def on_disk(model, folder):
    for form, files in model.forms.items():
        for name, content in files.items():
            path = folder / f"{form}-{name}"
            path.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
            files[name] = path
    return model


def test_each_form_answers_as_trained(tuned, tmp_path):
    model, network = tuned
    made = on_disk(gguf.apply(model, TEXTS, gguf.Settings(gguf.FORMS)), tmp_path)
    assert set(made.forms) == {"torch", *gguf.FORMS}
    proof, trained = catalogue.get("metrics", "parity"), Predictor(model, "torch")
    forms = {form: Predictor(made, form, "transformers") for form in gguf.FORMS}
    found = proof.parity(forms, TEXTS, trained)
    assert all(one["passed"] for one in found.values()), found
    assert found["merged-fp32"]["max_abs_logit_diff"] < 1e-4
    assert found["gguf-f16"]["max_abs_logit_diff"] < 0.01
    assert 1e-6 < found["gguf-q8"]["max_abs_logit_diff"] < 0.2
    plain = decoder.create(network.base.name, LABELS).eval()
    assert np.abs(decoder.predict(plain, TEXTS) - trained.logits(TEXTS)).max() > 0.01


def test_another_program_reads_weights_tokenizer_and_template(tuned, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, network = tuned
    made = gguf.apply(model, [], gguf.Settings(("gguf-f16",)))
    (tmp_path / "model.gguf").write_bytes(made.forms["gguf-f16"]["model.gguf"])
    other = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="model.gguf", dtype=torch.float32).eval()
    ids = torch.tensor([[*network.prompt.before, *network.encode(TEXTS[:1])[0]]])
    with torch.inference_mode():
        assert (other(ids).logits - network.trunk(ids).logits).abs().max() < 0.01
    theirs = AutoTokenizer.from_pretrained(tmp_path, gguf_file="model.gguf")
    own = AutoTokenizer.from_pretrained(network.folder)
    assert theirs.chat_template == own.chat_template
    assert theirs("my card <|im_end|>")["input_ids"] == own("my card <|im_end|>")["input_ids"]


def test_what_cannot_be_written_is_said(tuned, tmp_path):
    model, _ = tuned
    with pytest.raises(UnknownNameError):
        gguf.apply(model, [], gguf.Settings(("gguf-q3",)))
    with pytest.raises(InputError, match="answers in words"):
        gguf.apply(Model("linear", LABELS, forms={}), [])
    narrow = decoder.create(tuned[1].base.name, LABELS).eval()
    decoder.attach(narrow, "bottleneck", {})
    added = on_disk(Model("decoder", LABELS, forms={"torch": decoder.save(narrow)}), tmp_path)
    with pytest.raises(InputError, match="one to which bottleneck adds"):
        gguf.apply(added, [], gguf.Settings(("gguf-f16",)))
