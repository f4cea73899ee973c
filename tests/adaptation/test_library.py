"""A library of adapters: they are compared, merged as peft merges them, routed by token and by text, shared within a budget."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from easy_data import FILLER
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from savile import testing
from savile.adaptation import _experts, _growth, _library, _merging, adapt, arrow, domains
from savile.base import catalogue
from savile.base.errors import InputError
from savile.base.events import listening
from savile.base.records import Dataset
from savile.base.store import Store
from savile.data import appended
from savile.models import FitSettings, Predictor, encoder, fit
from savile.models._bases import locate

pytestmark = pytest.mark.usefixtures("shared_home")

TASKS = {
    "bank": {"card": ("card", "stolen", "blocked", "pin"), "money": ("money", "refund", "charged", "twice")},
    "shop": {"late": ("parcel", "order", "late", "courier"), "size": ("shoe", "wide", "small", "boot")},
    "trip": {"visa": ("visa", "country", "abroad", "embassy"), "hotel": ("hotel", "room", "night", "bed")},
}
ROWS = {"train": 60, "valid": 12, "calib": 12, "test": 20}
QUICK = {"steps": 60, "learning_rate": 1e-2, "precision": "fp32", "rank": 4, "alpha": 8}


def dataset(task, seed=0):
    """A stored data set of the two labels of a task."""
    rng, labels, total = np.random.default_rng(seed), sorted(TASKS[task]), sum(ROWS.values())
    said = [labels[i % 2] for i in range(total)]
    texts = [" ".join([*rng.choice(TASKS[task][label], 2), *rng.choice(FILLER, 2), str(i)]) for i, label in enumerate(said)]
    ends = np.cumsum([0, *ROWS.values()])
    parts = {name: np.arange(ends[i], ends[i + 1]) for i, name in enumerate(ROWS)}
    table, roles = pa.table({"text": texts, "label": said}), {"text": "text", "label": "label"}
    return Store.open().save(Dataset(table, roles, parts, labels=tuple(labels), name=task))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    texts = [" ".join((*words, *FILLER)) for task in TASKS.values() for words in task.values()]
    return str(testing.tiny_encoder(tmp_path_factory.mktemp("base"), texts))


@pytest.fixture(scope="module")
def made(base, shared_home):
    """An adapter for each task, and the data of all of them, a stage each."""
    several = {task: dataset(task) for task in TASKS}
    refs = [adapt(data, base, "lora", settings=QUICK).ref for data in several.values()]
    first, *others = several.values()
    for one in others:
        first = appended(first, one)
    return refs, Store.open().save(first)


@pytest.fixture(scope="module")
def members(made, base, shared_home):
    return _library.read(made[0], locate(base))


def accuracy(model, data):
    return float((Predictor(model, "torch")(data.texts("test")).choice == data.targets("test", model.labels)).mean())


def test_an_adapter_is_read_as_what_it_adds(made, members, base):
    for ref, member in zip(made[0], members, strict=True):
        network = encoder.load(Store.open().load(ref))
        for name, (a, b) in member.updates.items():
            assert torch.allclose(b @ a, network.trunk.get_submodule(name).get_delta_weight("default"), atol=1e-6)
        unit = torch.nn.functional.normalize(torch.randn(3, network.width), dim=-1)
        assert torch.allclose(unit @ member.head[0].T + member.head[1], network.head(unit), atol=1e-4)


def test_how_alike_adapters_are_does_not_depend_on_their_factors(members):
    cosines = _library.similarity(members)
    whole = [torch.cat([(b @ a).flatten() for a, b in member.updates.values()]).double() for member in members]
    for i, one in enumerate(whole):
        for j, other in enumerate(whole):
            assert cosines[i, j] == pytest.approx(float(one @ other / (one.norm() * other.norm())), abs=1e-6)
    turn = torch.linalg.qr(torch.randn(members[0].rank, members[0].rank))[0]
    turned = {name: (turn.T @ a, b @ turn) for name, (a, b) in members[0].updates.items()}
    again = _library.similarity([replace(members[0], updates=turned), *members[1:]])
    assert np.allclose(again, cosines, atol=1e-5)


def test_clusters_are_those_that_were_planted():
    dice = torch.Generator().manual_seed(0)
    centres = [torch.randn(12, 16, generator=dice) for _ in range(3)]

    def member(number):
        whole = centres[number % 3] + 0.4 * torch.randn(12, 16, generator=dice)
        update = _merging.low_rank(torch.eye(16), whole, 12)
        return _library.Member(f"m{number}", f"m{number}", ("a",), {"layer": update}, (torch.zeros(1, 4), torch.zeros(1)))

    several = [member(number) for number in range(12)]
    assert _library.clusters(several[:9]) == [0, 1, 2] * 3
    assert _library.clusters(several, 3) == [0, 1, 2] * 4
    assert len(set(_library.clusters(several, 5))) == 5
    with pytest.raises(InputError, match="12 clusters"):
        _library.clusters(several, 13)


PARITY = [
    ("linear", "svd", {}),
    ("ties", "ties_svd", {"density": 0.4}),
    ("magnitude", "magnitude_prune_svd", {"density": 0.3}),
]


@pytest.mark.parametrize(("how", "theirs", "density"), PARITY)
def test_merged_it_is_what_peft_makes(how, theirs, density):
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    plain = torch.nn.Sequential(torch.nn.Linear(10, 14))
    model = get_peft_model(plain, LoraConfig(r=3, lora_alpha=6, target_modules=["0"], init_lora_weights=False), "one")
    model.add_adapter("two", LoraConfig(r=2, lora_alpha=2, target_modules=["0"], init_lora_weights=False))
    layer = model.base_model.model[0]
    several = [
        {"0": (layer.lora_A[name].weight.detach(), layer.lora_B[name].weight.detach() * layer.scaling[name])}
        for name in ("one", "two")
    ]
    weights = [0.7, 1.3]
    model.add_weighted_adapter(["one", "two"], weights, "both", combination_type=theirs, svd_rank=4, **density)
    a, b = _merging.merged(several, how, weights, density.get("density", 1.0), 4)["0"]
    assert torch.allclose(b @ a, layer.get_delta_weight("both"), atol=1e-5)


@pytest.mark.parametrize(("how", "theirs"), [("dare", "dare_linear"), ("dare_ties", "dare_ties")])
def test_what_is_dropped_by_chance_is_dropped_as_by_peft(how, theirs):
    from peft.utils import merge_utils

    updates, weights = torch.randn(3, 9, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0.7, 1.3, -0.2])
    torch.manual_seed(5)  # theirs drops by the generator of the process
    expected = getattr(merge_utils, theirs)(list(updates), weights, 0.6)
    found = _merging.combined(updates, how, weights, 0.6, torch.Generator().manual_seed(5))
    assert torch.allclose(found, expected, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 4), st.lists(st.floats(-2, 2, width=32), min_size=2, max_size=3))
def test_a_sum_of_full_rank_is_the_sum_and_of_a_lower_one_the_nearest(seed, rank, weights):
    dice = torch.Generator().manual_seed(seed)
    several = [{"x": (torch.randn(rank, 6, generator=dice), torch.randn(5, rank, generator=dice))} for _ in weights]
    whole = sum(w * one["x"][1] @ one["x"][0] for w, one in zip(weights, several, strict=True))
    a, b = _merging.merged(several, "linear", weights, 0.5, rank * len(weights))["x"]
    assert torch.allclose(b @ a, whole, atol=1e-4)
    first, last = _merging.merged(several, "linear", weights, 0.5, 1)["x"]
    values = torch.linalg.svdvals(whole)
    assert float((whole - last @ first).norm()) == pytest.approx(float(values[1:].norm()), abs=1e-3)


def test_one_adapter_merged_with_itself_stays_what_it_is(members):
    for how in ("linear", "ties"):
        merged = _merging.merged([members[0].updates] * 2, how, (), 1.0, 0)
        for name, (a, b) in members[0].updates.items():
            assert torch.allclose(merged[name][1] @ merged[name][0], b @ a, atol=1e-4)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"how": "mean"}, "how among"),
        ({"weights": (1.0,)}, "weights, one an adapter"),
        ({"density": 0.0}, "a density above 0"),
        ({"adapters": ()}, "two adapters"),
    ],
)
def test_merges_that_cannot_be_are_refused(asked, wanted, made, base):
    network = encoder.create(base, ("a", "b"), cosine=False)
    with pytest.raises(InputError, match=wanted):
        encoder.attach(network, "merge", {"adapters": tuple(made[0]), **asked})


def test_adapters_of_other_methods_and_bases_are_refused(made, base, tmp_path):
    other = str(testing.tiny_encoder(tmp_path, ["another base"]))
    with pytest.raises(InputError, match="plain lora"):
        encoder.attach(encoder.create(other, ("a", "b")), "arrow", {"adapters": made[0]})
    wrong = adapt(dataset("bank"), base, "head")
    with pytest.raises(InputError, match="plain lora"):
        encoder.attach(encoder.create(base, ("a", "b")), "arrow", {"adapters": [made[0][0], wrong.ref]})


@pytest.mark.parametrize("method", ["merge", "arrow", "domains"])
def test_one_model_answers_for_all_and_stands_alone(method, made, base, tmp_path):
    refs, data = made
    model = adapt(data, base, method, settings={"adapters": refs, "precision": "fp32"})
    assert set(refs) < set(model.parents)
    assert model.labels == tuple(sorted(label for task in TASKS.values() for label in task))
    assert accuracy(model, data) > 0.9
    moved = {name: Path(tmp_path / name) for name in model.forms["torch"]}
    for name, path in moved.items():
        path.write_bytes(Path(model.forms["torch"][name]).read_bytes())
    alone = encoder.load(replace(model, forms={"torch": moved}))
    texts = [*data.texts("test")[:9], *(text for text in testing.TEXTS if text)]
    assert np.allclose(encoder.predict(alone, texts), encoder.predict(encoder.load(model), texts), atol=1e-5)
    testing.check_family("encoder", model, texts)


def test_what_is_merged_is_a_model_of_lora_that_loads_in_peft(made, base):
    from peft import PeftModel
    from transformers import AutoModel

    refs, data = made
    model = adapt(data, base, "merge", settings={"adapters": refs, "precision": "fp32"})
    network = encoder.load(model)
    assert network.method == "lora"
    folder = Path(model.forms["torch"]["adapter_config.json"])
    trunk = AutoModel.from_pretrained(network.base.folder, attn_implementation="eager")
    there = {name: Path(path) for name, path in model.forms["torch"].items() if name.startswith("adapter")}
    kept = folder.parent.parent / "for_peft"
    kept.mkdir(exist_ok=True)
    for name, path in there.items():
        (kept / name).write_bytes(path.read_bytes())
    alone = PeftModel.from_pretrained(trunk, kept).eval()
    ids, mask = testing._batch(network)
    with torch.inference_mode():
        assert torch.allclose(
            alone(input_ids=ids, attention_mask=mask).last_hidden_state,
            network.trunk(input_ids=ids, attention_mask=mask).last_hidden_state,
            atol=1e-5,
        )


def test_arrow_answers_as_that_of_peft(members, base):
    from peft import ArrowConfig
    from peft.tuners.lora.arrow import ArrowLoraLinearLayer

    network = encoder.create(base, ("a", "b"), cosine=False)
    encoder.attach(
        network,
        "arrow",
        {"adapters": [member.ref for member in members], "top": 2, "router_temperature": 0.7, "prototypes": "singular"},
    )
    _, experts = next(iter(_experts.each(network)))
    names = [f"task_{number}" for number in range(len(members))]
    config = ArrowConfig(top_k=2, router_temperature=0.7, rng_seed=0)
    config.task_adapter_names, config.gks_adapter_names = names, []
    theirs = ArrowLoraLinearLayer(experts.a[0].shape[1], config)
    sides = [
        {name: torch.nn.Linear(*reversed(one.shape), bias=False) for name, one in zip(names, side, strict=True)}
        for side in (experts.a, experts.b)
    ]
    for side, own in zip(sides, (experts.a, experts.b), strict=True):
        for name, one in zip(names, own, strict=True):
            side[name].weight = one
    theirs.top_right_singular_vec_from_BA = lambda a, b: _merging.low_rank(a.detach(), b.detach(), 1)[0][0]
    theirs.build_prototypes(*sides)
    x = torch.randn(2, 7, experts.a[0].shape[1])
    with torch.no_grad():
        expected = theirs(x, *sides, torch.nn.Identity(), dict.fromkeys(names, 1.0))
        assert torch.allclose(experts(x, arrow.heard(experts, x, 2, 0.7)), expected, atol=1e-5)
    for number, member in enumerate(members):
        a, b = next(update for name, update in member.updates.items() if name == next(_experts.each(network))[0])
        first = torch.linalg.svd(b @ a).Vh[0]
        assert float((first @ experts.prototypes[number, 0]).abs()) == pytest.approx(1.0, abs=1e-4)


def test_what_an_adapter_learned_is_what_its_start_did_not_have(members, base):
    network = encoder.create(base, ("a", "b"))
    torch.manual_seed(0)
    encoder.attach(network, "lora", {"rank": 4, "alpha": 8})
    state, said = torch.get_rng_state(), []
    _library._start.cache_clear()
    with listening(said.append):
        learned = _library.learned(members[0], locate(base))
    assert torch.equal(torch.get_rng_state(), state)
    assert not said
    for name, (a, _) in members[0].updates.items():
        start = network.trunk.get_submodule(name).lora_A["default"].weight.detach()
        near = float(torch.nn.functional.cosine_similarity(a.flatten(), start.flatten(), dim=0)) > _library.NEAR
        assert torch.equal(learned[name], a - start if near else a)
    a = torch.randn(2, 500)
    elsewhere = _library._learned({"x": (a, a.T), "y": (a, a.T)}, {"x": torch.randn(2, 500), "y": a + 0.1})
    assert torch.equal(elsewhere["x"], a)
    assert torch.allclose(elsewhere["y"], torch.full((2, 500), -0.1), atol=1e-6)
    strange = replace(members[0], updates={name: (torch.randn_like(a), b) for name, (a, b) in members[0].updates.items()})
    with listening(said.append):
        assert all(torch.equal(one, strange.updates[name][0]) for name, one in _library.learned(strange, locate(base)).items())
    assert "No start of" in said[-1].facts["text"]


def test_prototypes_lie_where_an_adapter_was_shown_tokens_and_others_were_not():
    dice = torch.Generator().manual_seed(0)
    own = torch.linalg.qr(torch.randn(12, 12, generator=dice))[0][:4].unflatten(0, (2, 2))  # two directions of each task
    common = torch.full((12,), 3.0)

    def tokens(task, count=200):
        return common + torch.randn(count, 2, generator=dice) @ own[task] + 0.1 * torch.randn(count, 12, generator=dice)

    seen = torch.cat([tokens(0), tokens(1)])
    experts = arrow.Routed(torch.nn.Linear(12, 3), (3, 2))
    # rows that training adds are sums of tokens, and of what all of them share
    added = [torch.randn(rank, 2, generator=dice) @ own[task] + common for task, rank in ((0, 3), (1, 2))]
    experts.learn(added, seen.mean(0), torch.cov(seen.T))
    for task in range(2):
        assert float((experts.scores(tokens(task)[None])[0].argmax(1) == task).float().mean()) > 0.9
    experts.learn([added[0], None], seen.mean(0), torch.cov(seen.T))
    assert (experts.scores(seen[None])[..., 1] == 0).all()
    wide = arrow.Routed(torch.nn.Linear(12, 3), (20, 2))
    wide.learn([torch.randn(20, 12, generator=dice), added[1]], seen.mean(0), torch.cov(seen.T))
    assert wide.scores(seen[None]).isfinite().all()


def test_an_arrow_of_an_earlier_version_is_refused(base):
    with pytest.raises(InputError, match="earlier version"):
        encoder.attach(encoder.create(base, ("a", "b")), "arrow", {"adapters": (), "temperature": 1.0})


def test_arrow_hears_the_adapter_of_a_text_most(made, base):
    refs, data = made
    found = {}
    for prototypes in ("learned", "singular"):
        chosen = {"adapters": refs, "top": 2, "router_temperature": 0.5, "prototypes": prototypes, "precision": "fp32"}
        network = encoder.load(adapt(data, base, "arrow", settings=chosen))
        assert network.method_settings["router_temperature"] == 0.5  # not that of the loop, which would go by "temperature"
        shares = arrow.recovered(network, list(data.texts("test")))
        assert torch.allclose(shares.sum(1), torch.ones(len(shares)), atol=1e-5)
        found[prototypes] = float((shares.argmax(1).numpy() == data.stages("test")).mean())
    assert found["learned"] > max(0.6, found["singular"])  # a base of random weights tells tasks apart by their words alone
    with pytest.raises(InputError, match="learned, singular"):
        encoder.attach(encoder.create(base, ("a", "b")), "arrow", {"adapters": refs, "prototypes": "trained"})


@pytest.mark.parametrize("known", [0.95, 0.8])
def test_a_router_of_few_rows_takes_the_share_it_is_asked_for_and_no_strangers(known):
    dice, width, labels = torch.Generator().manual_seed(0), 64, 24

    def near(centres, each):
        whose = np.repeat(np.arange(len(centres)), each)
        spread = 0.09 * torch.randn(len(whose), width, generator=dice)
        return torch.nn.functional.normalize(centres[whose] + spread, dim=-1), whose

    centres = torch.nn.functional.normalize(torch.randn(labels + 40, width, generator=dice), dim=-1)
    (unit, label), (unseen, _), (strangers, _) = (
        near(centres[:labels], 8),
        near(centres[:labels], 40),
        near(centres[labels:], 5),
    )
    router = domains.Router(width, 0, 2)
    router.learn(unit, label, label % 2, known)
    assert known - 0.04 < float(router(unseen).sum(1).mean().detach()) < known + 0.12  # centres of all rows are a little nearer
    assert float(router(strangers).sum(1).mean().detach()) < 0.05


def test_the_router_knows_whose_a_text_is_and_leaves_what_is_strange_to_the_base(made, base):
    refs, data = made
    network = encoder.load(adapt(data, base, "domains", settings={"adapters": refs, "precision": "fp32"}))
    found = domains.routed(network, list(data.texts("test")))
    assert (found == data.stages("test")).mean() > 0.9
    router = network.trunk.router
    router.limit.data = torch.tensor(-1.0)
    assert (domains.routed(network, ["anything"]) == -1).all()
    plain = encoder.create(base, ("a", "b"))
    ids, mask = testing._batch(network)
    with torch.inference_mode():
        assert torch.equal(network.pooled(ids, mask), plain.pooled(ids, mask))


def test_one_adapter_of_many_learns_on_alone_and_the_others_stay_to_the_byte(made, base):
    refs, data = made
    model = adapt(data, base, "domains", settings={"adapters": refs, "precision": "fp32"})
    grown = Store.open().save(appended(data, dataset("shop", seed=9)))
    keep = {"by": "domains", "module": "shop"}
    later = adapt(grown, model.ref, settings={"keep": keep, "steps": 20, "precision": "fp32", "learning_rate": 1e-2})
    before, after = model.facts["modules"], later.facts["modules"]
    assert {name for name in before if before[name] != after[name]} == {"shop"}
    files = [{name: Path(path).read_bytes() for name, path in one.forms["torch"].items()} for one in (model, later)]
    assert [files[0][f"expert-{i}.safetensors"] == files[1][f"expert-{i}.safetensors"] for i in range(3)] == [True, False, True]
    bank = dataset("bank")
    logits = [Predictor(one, "torch").logits(bank.texts("test"))[:, list(range(6))] for one in (model, later)]
    own = [model.labels.index(label) for label in bank.labels]
    assert np.allclose(logits[0][:, own], logits[1][:, own], atol=1e-5)


def test_adapters_are_shared_and_cut_until_they_fit_and_it_is_said_what_that_cost(made, base):
    refs, data = made
    whole = _growth.within(data, refs, base)
    assert whole.steps == ()
    assert whole.settings == {"groups": [[0], [1], [2]], "ranks": [4, 4, 4]}
    two = _growth.within(data, refs, base, most=2)
    assert sorted(len(group) for group in two.settings["groups"]) == [1, 2]
    assert "share one" in two.steps[0].what
    assert "cosine" in two.steps[0].why
    network = encoder.create(base, ("a", "b"), cosine=False)
    encoder.attach(network, "domains", {"adapters": refs, **two.settings})
    small = _growth.within(data, refs, base, max_mb=0.4 * size(refs, base))
    assert small.steps[-1].megabytes <= 0.4 * size(refs, base)
    assert [step.megabytes for step in small.steps] == sorted((step.megabytes for step in small.steps), reverse=True)
    lost = np.mean([alone - now for alone, now in small.scores.values()])
    assert small.steps[-1].lost == pytest.approx(lost)
    model = adapt(data, base, "domains", settings={"adapters": refs, "precision": "fp32", **small.settings})
    stored = [load_file(path) for name, path in model.forms["torch"].items() if name.startswith("expert")]
    assert sum(one.size for tensors in stored for one in tensors.values()) * 4e-6 == pytest.approx(small.steps[-1].megabytes)
    with pytest.raises(InputError, match="one adapter fits"):
        _growth.within(data, refs, base, max_mb=1e-6)


def size(refs, base):
    members = _library.read(refs, locate(base))
    return sum(4 * (a.numel() + b.numel()) for member in members for a, b in member.updates.values()) / 1e6


def test_rows_that_do_not_say_whose_they_are_are_refused(made, base):
    refs, data = made
    mixed = replace(data, roles={role: name for role, name in data.roles.items() if role != "stage"}, ref="")
    assert accuracy(adapt(mixed, base, "domains", settings={"adapters": refs, "precision": "fp32"}), data) > 0.9
    known = [("a", "b"), ("b", "c")]
    with pytest.raises(InputError, match="one adapter each knows"):
        _library.by_label(known, ("a", "b", "c"), np.array([0, 1, 2]))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["arrow", "domains"])
def test_exported_it_answers_as_attached(method, made, base):
    import onnxruntime

    from savile.compression._graphs import to_onnx

    refs, data = made
    network = encoder.load(adapt(data, base, method, settings={"adapters": refs, "precision": "fp32"}))
    texts = list(data.texts("test"))[:12]
    attached = encoder.predict(network, texts)
    catalogue.get("methods", network.method).merge(network)
    session = onnxruntime.InferenceSession(to_onnx(network, network.encode(texts)), providers=["CPUExecutionProvider"])
    asked = {one.name for one in session.get_inputs()}
    for text, expected in zip(texts, attached, strict=True):
        ids = np.array(network.encode([text]))
        places = np.arange(ids.shape[1])[None]
        given = {"ids": ids, "mask": np.ones_like(ids), "positions": places, "texts": np.zeros_like(ids)}
        given["pool"] = np.full(ids.shape, 1 / ids.shape[1], np.float32)
        found = session.run(None, {name: given[name] for name in asked})[0][0]
        assert np.abs(found - expected).max() < 1e-3


def test_a_merged_model_learns_on(made, base):
    refs, data = made
    network = encoder.load(adapt(data, base, "merge", settings={"adapters": refs, "precision": "fp32"}))
    before = {name: p.detach().clone() for name, p in network.trainable()}
    targets = data.targets("train", network.labels)
    fit(network, (list(data.texts("train")), targets), FitSettings(steps=4, learning_rate=1e-3, precision="fp32"))
    assert any("lora_A" in name and not torch.equal(p, before[name]) for name, p in network.trainable())
