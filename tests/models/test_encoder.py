"""Networks on a base: saved and loaded, read by the ecosystem's own tools, refused when they do not fit."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from easy_rows import WORDS, rows

from savile.base.errors import CorruptError, InputError, MissingBaseError, UnknownNameError
from savile.base.mask import policy
from savile.base.records import Model
from savile.base.store import Store
from savile.models import FitSettings, Predictor, _bases, encoder, fit
from savile.models._predict import batches, pad

LABELS = tuple(sorted(WORDS))
QUICK = FitSettings(precision="fp32", epochs=1, learning_rate=3e-3)


def stored(network, folder):
    files = {}
    for name, data in encoder.save(network).items():
        files[name] = folder / name
        files[name].write_bytes(data)
    return Model("encoder", LABELS, forms={"torch": files})


@pytest.fixture
def trained(network):
    def make(method="full", **settings):
        made = network(method, **settings)
        fit(made, rows(60), QUICK)
        return made

    return make


@pytest.mark.parametrize("method", ["full", "lora", "head"])
def test_a_trained_network_comes_back_as_it_was(trained, tmp_path, method):
    made, (texts, _) = trained(method), rows(30, seed=2)
    loaded = encoder.load(stored(made, tmp_path))
    assert (loaded.method, loaded.method_settings) == (method, {})
    assert np.array_equal(encoder.predict(loaded, texts), encoder.predict(made, texts))


def test_a_model_stored_with_an_older_name_of_a_setting_comes_back(trained, tmp_path):
    made, (texts, _) = trained("lora", rank=4), rows(12, seed=2)
    model = stored(made, tmp_path)
    spec = json.loads((tmp_path / "network.json").read_text())
    (tmp_path / "network.json").write_text(json.dumps({**spec, "settings": {"rank": 4, "dropout": 0.0}}))
    loaded = encoder.load(model)
    assert loaded.method_settings == {"rank": 4, "lora_dropout": 0.0}
    assert np.array_equal(encoder.predict(loaded, texts), encoder.predict(made, texts))


def test_peft_reads_our_adapter(trained, tiny, tmp_path):
    from peft import PeftModel
    from transformers import AutoModel

    made, (texts, _) = trained("lora", rank=4), rows(12, seed=2)
    stored(made, tmp_path)
    theirs = PeftModel.from_pretrained(AutoModel.from_pretrained(tiny), tmp_path).eval()
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in made.encode(texts)], batch_first=True)
    mask = (ids > 0).long()
    with torch.inference_mode():
        ours = made.trunk(input_ids=ids, attention_mask=mask).last_hidden_state
        assert torch.allclose(theirs(input_ids=ids, attention_mask=mask).last_hidden_state, ours, atol=1e-5)


def test_long_texts_take_the_other_attention_and_answer_alike(tiny, monkeypatch):
    from savile.models import _network

    made = encoder.create(tiny, LABELS, max_length=32)
    torch.nn.init.normal_(made.head.weight)
    texts, _ = rows(12)
    expected = encoder.predict(made.eval(), texts)
    monkeypatch.setattr(_network, "EXPLICIT_ATTENTION_UP_TO", 0)
    assert np.abs(encoder.predict(made, texts) - expected).max() < 1e-4


def test_a_base_that_has_changed_is_refused(trained, tmp_path):
    model = stored(trained(), tmp_path)
    spec = json.loads((tmp_path / "network.json").read_text())
    (tmp_path / "network.json").write_text(json.dumps({**spec, "base_sha256": "0" * 64}))
    with pytest.raises(CorruptError, match="SHA-256"):
        encoder.load(model)


def test_weights_that_do_not_fit_are_refused(trained, tmp_path):
    model = stored(trained(), tmp_path)
    head = tmp_path / "head.safetensors"
    whole = head.read_bytes()
    head.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptError):
        encoder.load(model)
    head.write_bytes(whole)
    (tmp_path / "trunk.safetensors").unlink()
    without = {name: path for name, path in model.forms["torch"].items() if name != "trunk.safetensors"}
    with pytest.raises(CorruptError, match="missing"):
        encoder.load(replace(model, forms={"torch": without}))


def test_bases_that_cannot_be_used(tmp_path, monkeypatch):
    with pytest.raises(UnknownNameError, match="minilm"):
        _bases.locate("minilmm")
    with pytest.raises(MissingBaseError, match=r"config\.json"):
        _bases.locate(str(tmp_path))
    with pytest.raises(MissingBaseError, match="hub"):
        _bases.locate("nobody/nothing")
    with pytest.raises(InputError, match="an encoder"):
        encoder.create("smollm2", LABELS)
    monkeypatch.setitem(_bases.BASES, "minilm", replace(_bases.BASES["minilm"], sha256="0" * 64))
    with pytest.raises(CorruptError, match="Reinstall"):
        _bases.locate("minilm")
    monkeypatch.setitem(_bases.BASES, "minilm", replace(_bases.BASES["minilm"], package="no_such_package"))
    with pytest.raises(MissingBaseError, match="pip install"):
        _bases.locate("minilm")


def test_minilm_embeds_as_published():
    """Cosines of the model card's own pair, as sentence-transformers gives them."""
    made = encoder.create("minilm", LABELS)
    ids, mask = pad(made.encode(["This is an example sentence", "Each sentence is converted"]))
    with torch.inference_mode():
        pooled = made.eval().pooled(torch.from_numpy(ids), torch.from_numpy(mask))
    unit = torch.nn.functional.normalize(pooled, dim=-1)
    assert unit[0, :3].tolist() == pytest.approx([0.0676, 0.0635, 0.0487], abs=2e-4)


def test_the_predictor_masks_what_it_reads(trained, tmp_path):
    keys = Store.open().keys
    model = replace(stored(trained(), tmp_path), mask=policy(keys))
    seen = []
    predictor = Predictor(model, "torch")
    inner = predictor._logits
    predictor._logits = lambda texts: seen.extend(texts) or inner(texts)
    assert len(predictor(["my card is lost, ann.lee@example.com"]).choice) == 1
    assert "ann.lee" not in seen[0]
    assert "[EMAIL-" in seen[0]
    assert predictor([]).probabilities.shape == (0, 3)


def test_batches_hold_every_row_once_within_the_budgets():
    lengths = np.random.default_rng(0).integers(3, 300, size=1000)
    found = batches(lengths)
    assert sorted(np.concatenate(found).tolist()) == list(range(1000))
    assert all(len(rows) <= 64 and (len(rows) == 1 or len(rows) * lengths[rows].max() <= 4096) for rows in found)
