"""What each method promises beside the contract: shares, budgets, exact starts, files that others read, refusals."""

import copy
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from savile import testing
from savile.adaptation import _prefix, peqa
from savile.adaptation._asked import split, taken
from savile.base import catalogue
from savile.base.errors import InputError
from savile.base.events import listening
from savile.base.records import Model
from savile.models import FitSettings, encoder, fit

WORDS = {
    "card": ("card", "stolen", "blocked", "pin"),
    "order": ("parcel", "order", "late", "courier"),
    "refund": ("money", "refund", "charged", "twice"),
}
LABELS = tuple(WORDS)
TEXTS = [text for text in testing.TEXTS if text]
MADE_OF_OTHERS = ("adapter_fusion", "arrow", "domains", "merge")
WITHOUT_ATTENTION = ("bottleneck", "ia3", "parallel", "prefix", "prefix_propagation", "prompt_pool")


def rows(count, seed=0):
    """Texts of a few words, two of them of the class, and the class of each."""
    rng = np.random.default_rng(seed)
    targets = np.arange(count) % len(LABELS)
    filler = ("please", "the", "my", "is")
    texts = [" ".join([*rng.choice(WORDS[LABELS[i]], 2), *rng.choice(filler, rng.integers(1, 5))]) for i in targets]
    return texts, targets.astype(np.int64)


@pytest.fixture
def network(tiny):
    """Makes a fresh network with a method attached."""

    def make(method, **settings):
        made = encoder.create(tiny, LABELS, cosine=method != "head", max_length=32)
        torch.manual_seed(0)
        encoder.attach(made, method, settings)
        return made

    return make


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A base of minilm's shape, with weights of no meaning."""
    from transformers import BertConfig, BertModel

    folder = testing.tiny_encoder(tmp_path_factory.mktemp("wide"))
    shape = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=30522, max_position_embeddings=512, **shape)).save_pretrained(folder)
    return str(folder)


SHARES = [
    ("lora", {"targets": "attention"}, 0.0032),
    ("lora", {}, 0.0146),
    ("bottleneck", {}, 0.0050),
    ("bottleneck", {"double": True}, 0.0100),
    ("parallel", {}, 0.0050),
    ("prefix", {}, 0.0061),
    ("prefix_propagation", {}, 0.0030),
    ("peqa", {"group": 64}, 0.0073),
    ("peqa", {"group": 0}, 0.0009),
]


@pytest.mark.slow
def test_shares_of_a_small_base(wide):
    fresh = encoder.create(wide, LABELS)
    whole = sum(p.numel() for p in fresh.trunk.parameters())
    for method, settings, expected in SHARES:
        made = copy.deepcopy(fresh)
        encoder.attach(made, method, settings)
        share = sum(p.numel() for p in made.trunk.parameters() if p.requires_grad) / whole
        assert share == pytest.approx(expected, rel=0.06), (method, settings)


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("lora", {"rslora": True, "rank": 4}),
        ("lora", {"dora": True}),
        ("lora", {"start": "pissa", "rank": 4}),
        ("lora", {"ranks": {"query": 2, "1.output.dense": 0}}),
        ("bottleneck", {"double": True, "norms": True}),
        ("prefix_propagation", {"length": 3}),
        ("autolora", {"ranks": {"query": 1}}),
        ("bitfit", {"norms": True}),
    ],
)
def test_settings_keep_the_contract(method, settings, tiny):
    plugin = catalogue.get("methods", method)
    testing.check_method(plugin, lambda: encoder.create(tiny, LABELS, cosine=False, max_length=32), plugin.Settings(**settings))


@pytest.mark.parametrize("settings", [{}, {"rslora": True}, {"dora": True}, {"start": "pissa"}, {"ranks": {"query": 2}}])
def test_lora_of_any_kind_loads_in_peft_alone(settings, network, tmp_path):
    trained = network("lora", **settings)
    fit(trained, rows(60), FitSettings(steps=6, learning_rate=5e-3, precision="fp32"))
    alone, ours, plain = _loads_in_peft(trained, tmp_path)
    assert torch.allclose(alone, ours, atol=1e-5)
    assert not torch.allclose(plain, ours, atol=1e-4)


@pytest.mark.parametrize("method", ["ia3", "adalora"])
def test_other_adapters_of_peft_load_in_peft_alone(method, network, tmp_path):
    trained = network(method)
    fit(trained, rows(60), FitSettings(steps=6, learning_rate=5e-2, precision="fp32"))
    alone, ours, plain = _loads_in_peft(trained, tmp_path)
    assert torch.allclose(alone, ours, atol=1e-5)
    assert not torch.allclose(plain, ours, atol=1e-4)


def _loads_in_peft(trained, folder):
    """Embeddings of some texts by peft alone, by us, and by the untouched base."""
    from peft import PeftModel
    from transformers import AutoModel

    for name, data in encoder.save(trained).items():
        (folder / name).write_bytes(data)
    alone = PeftModel.from_pretrained(
        AutoModel.from_pretrained(trained.base.folder, attn_implementation="eager"), folder
    ).eval()
    ids, mask = testing._batch(trained)
    with torch.inference_mode():
        hidden = alone(input_ids=ids, attention_mask=mask).last_hidden_state
        plain = encoder.create(trained.base.name, LABELS)
        return trained.pool(hidden, mask), trained.pooled(ids, mask), plain.pooled(ids, mask)


@pytest.mark.parametrize(
    "method", [name for name in catalogue.names("methods") if name not in (*MADE_OF_OTHERS, "head", "prompt")]
)
def test_saved_and_loaded_it_answers_alike_alone_and_in_company(method, network, tmp_path):
    trained = network(method)
    fitted = fit(trained, rows(90), FitSettings(steps=12, learning_rate=5e-3, precision="fp32"), valid=rows(30, 1))
    assert fitted.best is not None
    model = Model("encoder", LABELS, forms={"torch": encoder.save(trained)})
    testing.check_family("encoder", model, [text for text in testing.TEXTS if text])


def test_adalora_keeps_no_early_weights_above_its_budget(network):
    made = network("adalora", start_rank=6, rank=2)
    wrong = (rows(30)[0], (rows(30)[1] + 1) % len(LABELS))  # the longer it learns the worse it scores
    fitted = fit(made, rows(90), FitSettings(steps=20, learning_rate=2e-2, precision="fp32", evaluations=10), valid=wrong)
    merits = [(one["score"], -one["valid_loss"]) for one in fitted.history]
    assert merits.index(max(merits)) < 6  # the best weights of all are above the budget
    left = _left(made)
    assert sum(left) <= 2 * len(left)


def test_adalora_keeps_to_its_budget_and_goes_on_bit_for_bit(network, tmp_path, monkeypatch):
    settings = FitSettings(steps=20, learning_rate=2e-2, precision="fp32", checkpoint_seconds=0.0)
    made = network("adalora", start_rank=6, rank=2)
    fit(made, rows(90), settings)
    left = _left(made)
    assert sum(left) <= 2 * len(left)
    assert sum(left) >= 2 * len(left) - 2  # equal importances share a place
    assert len(set(left)) > 1

    killed = network("adalora", start_rank=6, rank=2)
    from savile.models import _fit

    advance = _fit._Loop._advance

    def until(loop):
        if loop.step == 9:
            raise KeyboardInterrupt
        advance(loop)

    monkeypatch.setattr(_fit._Loop, "_advance", until)
    with pytest.raises(KeyboardInterrupt):
        fit(killed, rows(90), settings, checkpoint=tmp_path / "run")
    monkeypatch.setattr(_fit._Loop, "_advance", advance)
    again = network("adalora", start_rank=6, rank=2)
    fit(again, rows(90), settings, checkpoint=tmp_path / "run")
    for (name, one), (_, other) in zip(made.trainable(), again.trainable(), strict=True):
        assert torch.equal(one, other), name


@pytest.mark.parametrize("name", catalogue.names("methods"))
def test_no_setting_of_a_method_is_named_as_one_of_the_loop(name):
    assert not taken() & {one.name for one in dataclasses.fields(catalogue.get("methods", name).Settings)}


def test_the_dropout_of_lora_is_its_own_and_goes_on_bit_for_bit(network, tmp_path):
    kinds = {"method": catalogue.get("methods", "lora").Settings, "fit": FitSettings}
    chosen, _ = split({"lora_dropout": 0.3, "dropout": 0.1}, kinds)
    assert chosen == {"method": {"lora_dropout": 0.3}, "fit": {"dropout": 0.1}}
    settings = FitSettings(steps=8, learning_rate=5e-3, precision="fp32", checkpoint_seconds=0.0)
    plain, whole = network("lora"), network("lora", lora_dropout=0.3)
    fit(plain, rows(60), settings)
    fit(whole, rows(60), settings)
    apart = [not torch.equal(one, other) for (_, one), (_, other) in zip(plain.trainable(), whole.trainable(), strict=True)]
    assert all(apart)
    trunk = {name: one.p for name, one in whole.trunk.named_modules() if isinstance(one, torch.nn.Dropout)}
    assert {p for name, p in trunk.items() if "lora_dropout" in name} == {0.3}
    assert {p for name, p in trunk.items() if "lora_dropout" not in name} == {0.0}  # as the loop says

    def stop(event):
        if event.kind == "progress" and event.facts["done"] == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), listening(stop):
        fit(network("lora", lora_dropout=0.3), rows(60), settings, checkpoint=tmp_path / "run")
    again = network("lora", lora_dropout=0.3)
    fit(again, rows(60), settings, checkpoint=tmp_path / "run")
    for (name, one), (_, other) in zip(whole.trainable(), again.trainable(), strict=True):
        assert torch.equal(one, other), name
    texts = rows(9)[0]
    assert np.array_equal(encoder.predict(again, texts), encoder.predict(again, texts))  # nothing is dropped in answers


def _left(network):
    return [int((p != 0).sum()) for name, p in network.trunk.named_parameters() if "lora_E" in name]


def test_autolora_finds_ranks_that_differ_and_are_fewer(network):
    plugin = catalogue.get("methods", "autolora")
    quick = plugin.Settings(search_steps=15, rank=4)
    found = plugin.search(rows(90), quick, lambda settings: network("autolora", **vars(settings)))
    ranks = list(found.ranks.values())
    assert sum(ranks) < 4 * len(ranks)
    assert len(set(ranks)) > 1
    assert plugin.search(rows(9), found, None) is found
    made = network("autolora", **vars(found))
    sizes = [len(p) for name, p in made.trunk.named_parameters() if "lora_A" in name]
    assert sorted(sizes) == sorted(ranks)


def test_pissa_takes_out_of_the_base_what_it_lets_learn(network):
    plain, made = network("head"), network("lora", start="pissa", rank=4, targets="attention")
    name = "encoder.layer.0.attention.self.query"
    layer = made.trunk.get_submodule(name)
    whole = plain.trunk.get_submodule(name).weight
    assert torch.allclose(layer.base_layer.weight + layer.get_delta_weight("default"), whole, atol=1e-5)
    taken = torch.linalg.svdvals(layer.get_delta_weight("default"))[:4]
    assert torch.allclose(taken, torch.linalg.svdvals(whole)[:4], atol=1e-4)


def test_prefix_with_open_gates_is_that_of_peft(tiny):
    from peft import PrefixTuningConfig, get_peft_model
    from transformers import AutoModel

    made = encoder.create(tiny, LABELS).eval()
    encoder.attach(made, "prefix", {"length": 5, "gate": 1.0})
    trunk = AutoModel.from_pretrained(made.base.folder, attn_implementation="eager")
    theirs = get_peft_model(trunk, PrefixTuningConfig(task_type="FEATURE_EXTRACTION", num_virtual_tokens=5)).eval()
    pairs = [getattr(block.front, kind) for block in _prefix.blocks(made) for kind in ("keys", "values")]
    flat = torch.stack([pair.detach() for pair in pairs], dim=1).reshape(5, -1)
    theirs.prompt_encoder["default"].embedding.weight.data.copy_(flat)
    ids, mask = (one[:, :20] for one in testing._batch(made))
    behind = torch.arange(5, 25).unsqueeze(0)  # theirs counts the prefix when it numbers the text
    with torch.inference_mode():
        ours = made.trunk(input_ids=ids, attention_mask=mask, position_ids=behind)
        other = theirs(input_ids=ids, attention_mask=mask)
    real = mask.bool()
    assert torch.allclose(ours.last_hidden_state[real], other.last_hidden_state[real], atol=1e-5)


def test_prefix_propagation_has_half_the_weights_of_prefix(network):
    def own(method):
        made = network(method, length=16)
        return sum(p.numel() for name, p in made.trunk.named_parameters() if p.requires_grad and "gate" not in name)

    assert 2 * own("prefix_propagation") == own("prefix")


def test_peqa_of_fewer_bits_loses_more_and_is_small(wide):
    network = encoder.create(wide, LABELS)
    linear = network.trunk.get_submodule("encoder.layer.0.intermediate.dense")
    rounded = {bits: peqa.QuantisedLinear(linear, bits, 32) for bits in (3, 4, 8)}
    error = {bits: float((made.weight() - linear.weight).square().mean().detach()) for bits, made in rounded.items()}
    assert error[8] < error[4] < error[3]
    assert float((rounded[8].weight() - linear.weight).abs().max().detach()) < 1e-3
    assert rounded[4].stored_bytes() <= linear.weight.numel() * 4 / 6
    codes = torch.randint(0, 16, (33,), dtype=torch.uint8)
    assert torch.equal(peqa.unpack(peqa.pack(codes, 4), 4)[:33], codes)


def test_learning_scales_makes_up_for_rounding_and_the_more_of_fewer_bits():
    torch.manual_seed(0)
    chain = torch.softmax(2 * torch.randn(64, 64), dim=-1)  # which word follows which
    words, asked = torch.randint(64, (20_000,)), torch.randint(64, (20_000,))
    nexts, due = (torch.multinomial(chain[some], 1).squeeze(1) for some in (words, asked))
    model = torch.nn.Sequential(
        torch.nn.Embedding(64, 32), torch.nn.Linear(32, 96), torch.nn.GELU(), torch.nn.Linear(96, 32), torch.nn.GELU(),
        torch.nn.Linear(32, 64),
    )  # fmt: skip

    def learnt(network, learning, steps, rate):
        optimiser = torch.optim.Adam(learning, lr=rate)
        for _ in range(steps):
            places = torch.randint(len(words), (256,))
            loss = torch.nn.functional.cross_entropy(network(words[places]), nexts[places])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return network

    def perplexity(network):
        with torch.no_grad():
            return float(torch.nn.functional.cross_entropy(network(asked), due).exp())

    learnt(model, model.parameters(), 400, 1e-2)
    best, gains = perplexity(model), {}
    for bits in (3, 4):
        rounded = copy.deepcopy(model).requires_grad_(False)
        for place in (1, 3):
            rounded[place] = peqa.QuantisedLinear(rounded[place], bits, 32)
        before = perplexity(rounded)
        scales = [module.scale for module in rounded if isinstance(module, peqa.QuantisedLinear)]
        gains[bits] = before - perplexity(learnt(rounded, scales, 100, 3e-3))
        assert before > best
    assert gains[3] > gains[4] > 0


def test_peqa_of_two_tasks_differs_in_scales_alone(network, tmp_path):
    one, other = network("peqa"), network("peqa")
    texts, targets = rows(60)
    for made, shift in ((one, 0), (other, 1)):
        fit(made, (texts, (targets + shift) % 3), FitSettings(steps=5, learning_rate=5e-3, precision="fp32"))
    for (name, a), (_, b) in zip(one.trunk.named_buffers(), other.trunk.named_buffers(), strict=True):
        assert torch.equal(a, b), name
    differing = {name for (name, a), (_, b) in zip(one.trunk.named_parameters(), other.trunk.named_parameters(), strict=True)
                 if not torch.equal(a, b)}  # fmt: skip
    assert differing
    assert all(name.endswith(".scale") for name in differing)


def test_unfreezing_begins_at_the_top(network):
    made = network("unfreeze", freeze=0, within=1.0)
    before = {name: p.detach().clone() for name, p in made.trunk.named_parameters()}
    fit(made, rows(60), FitSettings(steps=8, most_steps=8, learning_rate=1e-3, precision="fp32"))
    moved = {name for name, p in made.trunk.named_parameters() if not torch.equal(p, before[name])}
    assert any("layer.2." in name for name in moved)
    half = network("unfreeze", freeze=0, within=2.0)
    fit(half, rows(60), FitSettings(steps=8, learning_rate=1e-3, precision="fp32"))
    moved = {name for name, p in half.trunk.named_parameters() if not torch.equal(p, before[name])}
    assert any("layer.2." in name for name in moved)
    assert not any("layer.0." in name or "layer.1." in name for name in moved)


def test_fused_adapters_are_frozen_and_heard_apart(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("SAVILE_HOME", str(tmp_path / "home"))
    refs = [_stored_adapter(tiny, seed) for seed in (0, 1)]
    plugin = catalogue.get("methods", "adapter_fusion")

    def fresh():
        return encoder.create(tiny, LABELS, cosine=False, max_length=32)

    for settings in ({}, {"rank": 0, "values": True}):
        testing.check_method(plugin, fresh, plugin.Settings(tuple(refs), **settings))
    made = encoder.create(tiny, LABELS, max_length=32)
    encoder.attach(made, "adapter_fusion", {"adapters": refs})
    fit(made, rows(90), FitSettings(steps=60, learning_rate=2e-2, precision="fp32"))
    encoder.predict(made, TEXTS)
    weights = torch.cat([m.weights.reshape(-1, 2) for m in made.trunk.modules() if isinstance(m, plugin.Fusion)])
    entropy = -(weights * weights.log()).sum(-1).mean()
    assert entropy < 0.98 * np.log(2)
    testing.check_family("encoder", Model("encoder", LABELS, forms={"torch": encoder.save(made)}), TEXTS)
    with pytest.raises(InputError, match="two adapters"):
        encoder.attach(fresh(), "adapter_fusion", {"adapters": refs[:1]})


def _stored_adapter(base, seed):
    from savile.base.store import Store

    made = encoder.create(base, LABELS, max_length=32)
    encoder.attach(made, "bottleneck", {"reduction": 4})
    texts, targets = rows(60, seed)
    fit(made, (texts, (targets * (seed + 1)) % 3), FitSettings(steps=30, learning_rate=1e-2, precision="fp32"))
    model = Model("encoder", LABELS, base=base, base_digest=made.base.sha256, method="bottleneck",
                  forms={"torch": encoder.save(made)})  # fmt: skip
    return Store.open().save(model).ref


@pytest.mark.slow
@pytest.mark.parametrize("method", ["prefix", "prefix_propagation", "parallel", "peqa", "prompt_pool"])
def test_exported_it_answers_as_attached(method, network):
    import onnxruntime

    from savile.compression._graphs import to_onnx

    made = network(method)
    fit(made, rows(60), FitSettings(steps=6, learning_rate=5e-3, precision="fp32"))
    texts = rows(40, 3)[0]
    attached = encoder.predict(made, texts)
    catalogue.get("methods", method).merge(made)
    onnx = to_onnx(made, made.encode(texts))
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    asked = {one.name for one in session.get_inputs()}
    found = []
    for text in texts:
        ids = np.array(made.encode([text]))
        given = {"ids": ids, "mask": np.ones_like(ids)}
        if "pool" in asked:
            positions = np.arange(ids.shape[1])[None]
            given |= {
                "positions": positions,
                "texts": np.zeros_like(ids),
                "pool": np.full(ids.shape, 1 / ids.shape[1], np.float32),
            }
        found.append(session.run(None, {name: given[name] for name in asked})[0][0])
    assert np.abs(np.stack(found) - attached).max() < 1e-3


@pytest.mark.parametrize("method", WITHOUT_ATTENTION)
def test_a_base_without_attention_refuses_what_needs_it(method):
    from savile.models import sentence

    network = sentence.create("use-m", LABELS)
    with pytest.raises(InputError, match="projection in each layer") as caught:
        sentence.attach(network, method, {})
    assert "use-m" in str(caught.value)


@pytest.mark.parametrize(
    ("method", "settings", "wanted"),
    [
        ("adalora", {"start_rank": 4, "rank": 4}, "rank < start_rank"),
        ("adapter_fusion", {}, "two adapters"),
        ("lora", {"ranks": {"no such layer": 2}}, "ends of names"),
        ("lora", {"start": "pissa", "dora": True}, "one start"),
        ("peqa", {"bits": 9}, "bits"),
        ("peqa", {"group": 5}, "groups that divide"),
        ("peqa", {"group": -1}, "groups that divide"),
        ("bottleneck", {"reduction": 100}, "bottleneck of at least 1"),
        ("bottleneck", {"reduction": 0}, "bottleneck of at least 1"),
        ("parallel", {"reduction": 0}, "bottleneck of at least 1"),
        ("prefix", {"length": -1}, "length of 1 or more"),
        ("prefix_propagation", {"length": 0}, "length of 1 or more"),
        ("adalora", {"warm": 0.6, "rest": 0.5}, "leave steps between"),
        ("adalora", {"orthogonal": -1}, "no weight below 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(method, settings, wanted, network):
    with pytest.raises(InputError, match=wanted):
        network(method, **settings)


def test_a_roberta_and_a_distilbert_carry_every_method(tmp_path):
    from transformers import DistilBertConfig, DistilBertModel, RobertaConfig, RobertaModel

    shapes = {
        "roberta": RobertaModel(RobertaConfig(vocab_size=40, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
                                              intermediate_size=64, max_position_embeddings=66, pad_token_id=0)),
        "distilbert": DistilBertModel(DistilBertConfig(vocab_size=40, dim=32, n_layers=2, n_heads=2, hidden_dim=64)),
    }  # fmt: skip
    for name, model in shapes.items():
        folder = testing.tiny_encoder(tmp_path / name)
        model.resize_token_embeddings(len(json.loads(Path(folder / "tokenizer.json").read_text())["model"]["vocab"]))
        model.save_pretrained(folder)
        for method in catalogue.names("methods"):
            if method not in (*MADE_OF_OTHERS, "head", "full", "prompt"):
                testing.check_method(method, lambda at=str(folder): encoder.create(at, LABELS, cosine=False, max_length=32))
