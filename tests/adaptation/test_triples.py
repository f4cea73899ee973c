"""Facts learned by an adapter of its own: told in words that were not learned, and stood on by the adapters of tasks."""

import json
from pathlib import Path

import numpy as np
import pytest
from easy_data import FILLER, WORDS, dataset

from savile import compression, testing
from savile.adaptation import _documents, _folds, _knowledge, _pretrain, _wordings, adapt, pretrained
from savile.base.errors import CorruptError, InputError, MissingBaseError, UnknownNameError
from savile.models import Predictor, Writer, decoder, encoder
from savile.models._bases import locate

PLACES = ("kiosk", "harbour", "meadow", "tower")
FACTS = [(f"{stem}{end}", "sold_at", PLACES[(i + j) % 4]) for i, stem in enumerate("abcdef") for j, end in enumerate("xyz")]
QUICK = _knowledge.Settings(rank=8, epochs=30, learning_rate=5e-3)


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """One for all tests, so that what was learned once is there."""
    return tmp_path_factory.mktemp("triples")


@pytest.fixture(autouse=True)
def home(room, monkeypatch):
    monkeypatch.setenv("SAVILE_HOME", str(room / "home"))
    monkeypatch.setattr(_folds, "FOLDS", 2)


@pytest.fixture(scope="module")
def file(room):
    path = room / "facts.csv"
    path.write_text("subject,relation,object\n" + "".join(f"{','.join(one)}\n" for one in FACTS))
    return path


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    """A tiny encoder that has all words, and one for hidden ones."""
    learned, apart = _wordings.told(FACTS)
    texts = [one.text.replace(sign, " ") for one in (*learned, *apart) for sign in ".,:?"]
    folder = testing.tiny_encoder(
        tmp_path_factory.mktemp("masked"), [*texts, *map(" ".join, WORDS.values()), *FILLER, "[MASK]"]
    )
    spec = folder / "tokenizer.json"
    spec.write_text(spec.read_text().replace('"[mask]"', '"[MASK]"'))
    return str(folder)


@pytest.fixture(params=["masked", "tiny_decoder"])
def base(request):
    return request.getfixturevalue(request.param)


def test_a_fact_is_put_into_sentences_and_questions():
    facts = [("Nova_card", "fee", "12 EUR"), ("Nova card", "fee", "1 EUR"), ("新星卡", "年费", "12元")]
    learned, apart = _wordings.told(facts, {"fee": ["What does {subject} cost?", "{subject} costs {object} a year."]})
    texts = [one.text for one in learned]
    assert "The fee of Nova card is 12 EUR, 1 EUR." in texts
    assert "What does Nova card cost? 12 EUR, 1 EUR" in texts
    assert "新星卡的年费是什么？ 12元" in texts
    assert [one.prompt for one in learned if "cost" in one.text] == ["What does Nova card cost?", "Nova card costs ___ a year."]
    assert next(one.prompt for one in learned if one.text == "Nova card fee 12 EUR, 1 EUR.") == "Nova card fee"
    assert [one.prompt for one in apart] == ["Which fee does Nova card have?", "我想知道新星卡的年费。"]
    assert not {one.text for one in apart} & set(texts)


def test_facts_are_told_in_words_that_were_not_learned(base, file):
    told = _pretrain.facts(pretrained(base, file, QUICK))
    assert told["facts"] == len(FACTS)
    assert told["after"] >= told["before"] + 0.2


def test_an_adapter_is_a_small_file_beside_the_base_and_is_made_once(base, file):
    folder = Path(pretrained(base, file, QUICK))
    found, plain = locate(str(folder)), locate(base)
    assert sorted(one.name for one in folder.iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors", "pretraining.json"
    ]  # fmt: skip
    assert (found.kind, found.folder) == (plain.kind, plain.folder)
    assert found.sha256 != plain.sha256
    assert pretrained(base, file, QUICK) == str(folder)


def test_what_is_stacked_is_what_peft_adds(tiny_decoder, file):
    import torch
    from peft import PeftModel

    folder = pretrained(tiny_decoder, file, QUICK)
    ours, plain = (decoder.create(one, ("one", "other")) for one in (folder, tiny_decoder))
    ids = torch.arange(20)[None]
    with torch.no_grad():
        without = plain.trunk(input_ids=ids).logits
        added = PeftModel.from_pretrained(plain.trunk, folder)(input_ids=ids).logits
        assert float((added - without).abs().max()) > 0.01
        assert torch.allclose(ours.trunk(input_ids=ids).logits, added, atol=1e-4)


def test_an_adapter_that_peft_wrote_is_a_base(tiny_decoder, tmp_path):
    import torch
    from peft import LoraConfig, get_peft_model

    trunk = decoder.create(tiny_decoder, ("one", "other")).trunk
    theirs = get_peft_model(trunk, LoraConfig(r=4, target_modules=["q_proj", "up_proj"], init_lora_weights=False))
    theirs.save_pretrained(tmp_path)
    ids = torch.arange(20)[None]
    with torch.no_grad():
        ours = decoder.create(str(tmp_path), ("one", "other")).trunk(input_ids=ids).logits
        assert torch.allclose(ours, theirs.eval()(input_ids=ids).logits, atol=1e-4)


def test_a_task_stands_on_it_and_what_serves_answers_alike(base, file):
    rows = dataset(60, held=12)
    fit = {"steps": 80, "learning_rate": 5e-3, "least_steps": 0}
    asked = {"documents": str(file), "reading": {"method": "lora", "rank": 8, "epochs": 30, "learning_rate": 5e-3}}
    alone, stacked = (adapt(rows, base, "lora", settings={**fit, **more}) for more in ({}, asked))
    texts, gold = rows.texts("test"), rows.targets("test")
    outputs = [Predictor(model, "torch")(texts) for model in (alone, stacked)]
    right = [float((one.choice == gold).mean()) for one in outputs]
    assert right[1] > 0.8
    assert right[1] >= right[0] - 0.15  # of 30 rows: two standard errors or so
    assert stacked.base != alone.base
    assert "adapter_model.safetensors" in stacked.forms["torch"]
    served = compression.compress(stacked, rows)
    form = served.facts["served"]
    answers = Predictor(served, form["form"], form["engine"])(texts)
    assert (answers.choice == outputs[1].choice).mean() > 0.95
    assert np.abs(answers.probabilities - outputs[1].probabilities).max() < 0.05


def test_knowledge_stands_on_knowledge(tiny_decoder, file):
    import torch

    first = pretrained(tiny_decoder, file, QUICK)
    again = pretrained(first, file, _knowledge.Settings(epochs=0.2, seed=1))
    assert locate(again).on == locate(first)
    one, two = (decoder.create(name, ("one", "other")) for name in (first, again))
    assert not torch.equal(one.trunk.model.layers[0].mlp.up_proj.weight, two.trunk.model.layers[0].mlp.up_proj.weight)
    assert Writer(again).network.folder == Path(tiny_decoder)


def test_what_an_adapter_stands_on_may_not_change(masked, tiny, file):
    folder = Path(pretrained(masked, file, _knowledge.Settings(rank=2, epochs=0.1)))
    config = folder / "adapter_config.json"
    said = json.loads(config.read_text())
    config.write_text(json.dumps({**said, "base_model_name_or_path": tiny}))
    with pytest.raises(CorruptError, match="SHA-256"):
        locate(str(folder))
    config.write_text(json.dumps({**said, "base_model_name_or_path": "use-m"}))
    with pytest.raises((CorruptError, MissingBaseError)):
        locate(str(folder))
    for name, value in (("use_dora", True), ("init_lora_weights", "pissa")):
        config.write_text(json.dumps({**said, name: value}))
        with pytest.raises(InputError, match=name):
            encoder.create(str(folder), ("one", "other"))
    (folder / "adapter_model.safetensors").unlink()
    config.write_text(json.dumps(said))
    with pytest.raises(MissingBaseError, match="a whole adapter"):
        locate(str(folder))


@pytest.mark.parametrize(
    ("reading", "error", "wanted"),
    [
        ({"method": "prefix"}, UnknownNameError, "method of reading"),
        ({"method": "lora", "hidden": 0.2}, UnknownNameError, "setting of reading"),
        ({"method": "lora", "wordings": {"fee": ["{subject}?"]}}, UnknownNameError, "relation"),
        ({"method": "lora", "wordings": {"sold_at": ["Where is it?"]}}, InputError, "subject"),
    ],
)
def test_what_cannot_be_learned_is_refused(masked, file, reading, error, wanted):
    with pytest.raises(error, match=wanted):
        adapt(dataset(45), masked, "lora", settings={"documents": str(file), "reading": reading})


def test_facts_behind_a_text_go_on_to_the_facts_on_what_they_name(tmp_path):
    rows = [
        "Nova,is_a,travel_card", "Travel card,kept_by,Desk 4", "Desk 4,sits_in,Ghent", "Travel card,fee,2 EUR",
        "Travel card,lost,call 12", "Travel card,made,1999", "Desk 4,is_a,Nova",
    ]  # fmt: skip
    (tmp_path / "facts.csv").write_text("subject,relation,object\n" + "\n".join(rows))
    near, far = (_documents.known_facts(tmp_path / "facts.csv", hops) for hops in (1, 2))
    assert near["Nova"] == "Nova is a travel card."
    assert far["Nova"] == "Nova is a travel card. Travel card kept by Desk 4. Travel card fee 2 EUR. Travel card lost call 12."
    assert far["Desk 4"] == "Desk 4 sits in Ghent. Desk 4 is a Nova. Nova is a travel card."
    assert _documents.known_facts(tmp_path / "facts.csv") == far
    with pytest.raises(InputError, match="one hop"):
        _documents.known_facts(tmp_path / "facts.csv", 0)
