"""Stages: new labels join, and every way of keeping does what its paper says."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from easy_data import FILLER, WORDS, dataset

from savile import testing
from savile.adaptation import adapt, prompt_pool
from savile.adaptation._keeping import distil, ewc, reversal
from savile.adaptation._keeping._past import Past
from savile.base import catalogue
from savile.base.errors import InputError, UnknownNameError
from savile.base.records import Dataset
from savile.data import appended
from savile.models import FitSettings, Predictor, encoder, fit

pytestmark = pytest.mark.usefixtures("shared_home")

LATER = {"abroad": ("travel", "country", "abroad", "visa"), "insured": ("insurance", "policy", "claim", "cover")}
QUICK = {"precision": "fp32", "learning_rate": 3e-3, "least_steps": 90}
WAYS = {
    "replay": {"by": "replay", "memory": 60},
    "distil": {"by": "distil", "memory": 60},
    "ewc": {"by": "ewc", "weight": 100.0, "memory": 30},
    "orthogonal": {"by": "orthogonal", "memory": 60},
    "domains": {"by": "domains", "memory": 150},
    "reversal": {"by": "reversal", "memory": 60},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    texts = [" ".join((*words, *FILLER)) for words in (WORDS | LATER).values()]
    return str(testing.tiny_encoder(tmp_path_factory.mktemp("base"), texts))


@pytest.fixture(scope="module")
def made(base, shared_home):
    """The data of a first stage and a LoRA model of it, and the data with a stage of new labels."""
    first = dataset(150, held=30)
    model = adapt(first, base, "lora", settings={"epochs": 20.0, "learning_rate": 1e-2, "precision": "fp32"})
    return first, model, appended(replace(first, name="first"), later())


def later(rows=100, held=20):
    """Rows of two labels nobody has seen before."""
    rng, labels = np.random.default_rng(1), sorted(LATER)
    total = rows + 2 * held + 30
    said = [labels[i % len(labels)] for i in range(total)]
    texts = [" ".join([*rng.choice(LATER[label], 2), *rng.choice(FILLER, rng.integers(1, 5)), "my"]) for label in said]
    ends = np.cumsum([0, rows, held, held, 30])
    parts = {name: np.arange(ends[i], ends[i + 1]) for i, name in enumerate(("train", "valid", "calib", "test"))}
    return Dataset(
        pa.table({"text": texts, "label": said}), {"text": "text", "label": "label"}, parts, labels=tuple(labels), name="later"
    )


def network(model):
    return catalogue.get("families", model.family).load(model, "torch")


def accuracy(model, data):
    return float((Predictor(model, "torch")(data.texts("test")).choice == data.targets("test", model.labels)).mean())


def past(first, model, rows=30):
    texts = list(first.texts("train"))[:rows]
    return Past(np.arange(len(model.labels)), (texts, first.targets("train", model.labels)[:rows]), 0)


@pytest.fixture
def forgetful(made):
    """The model of the second stage without keeping; the store remembers it."""
    _, model, grown = made
    return adapt(grown, model.ref, settings={**QUICK, "keep": "nothing"})


def test_without_keeping_the_old_labels_are_lost(made, forgetful):
    first, model, _ = made
    assert accuracy(model, first) > 0.9
    assert accuracy(forgetful, later()) > 0.9
    assert accuracy(forgetful, first) < 0.85


@pytest.mark.parametrize("way", WAYS)
def test_new_labels_join_and_less_is_lost_than_without_keeping(made, forgetful, way):
    first, model, grown = made
    updated = adapt(grown, model.ref, settings={**QUICK, "keep": WAYS[way]})
    assert updated.labels == tuple(sorted([*WORDS, *LATER]))
    assert updated.facts["keep"] == way
    assert model.ref in updated.parents
    assert accuracy(updated, later()) > 0.6  # by chance 0.2
    assert accuracy(updated, first) > accuracy(forgetful, first) + 0.1


def test_the_rows_of_a_later_stage_are_told_from_the_first(made):
    first, _, grown = made
    assert grown.settings["stages"] == ["first", "later"]
    for part in ("train", "valid", "test"):
        said = np.array([grown.labels[i] for i in grown.targets(part, grown.labels)])
        assert np.array_equal(grown.stages(part) == 1, np.isin(said, sorted(LATER)))
    assert (grown.stages("test") == 0).sum() == len(first.parts["test"])


def test_distil_asks_nothing_of_a_network_that_answers_as_before_and_something_of_one_that_does_not(made):
    first, model, _ = made
    one, new = network(model), (list(first.texts("valid")), first.targets("valid", model.labels))
    assert distil.begin(one, past(first, model), new, distil.Settings(rows=8)) is new
    assert float(one.keeper.penalty(one).detach()) == pytest.approx(0.0, abs=1e-5)
    with torch.no_grad():
        one.head.weight.add_(torch.randn(one.head.weight.shape, generator=torch.Generator().manual_seed(0)))
    assert float(one.keeper.penalty(one).detach()) > 0.01


def test_ewc_pulls_by_importance_times_squared_distance(made):
    first, model, _ = made
    one, new = network(model), (list(first.texts("valid")), first.targets("valid", model.labels))
    ewc.begin(one, past(first, model), new, ewc.Settings(weight=4.0))
    keeper, total, count = one.keeper, 0.0, 0
    assert float(keeper.penalty(one)) == 0.0
    for importance in keeper.importance.values():
        assert float(importance.min()) >= 0.0
        total, count = total + float(importance.sum()), count + importance.numel()
    assert total / count == pytest.approx(1.0, rel=1e-3)
    expected = sum(float(importance.sum()) for importance in keeper.importance.values()) * 2.0 * 0.1**2
    with torch.no_grad():
        for _, parameter in one.trainable():
            parameter.add_(0.1)
    assert float(keeper.penalty(one).detach()) == pytest.approx(expected, rel=1e-3)


def test_orthogonal_adds_directions_at_right_angles_and_leaves_the_old_ones(made):
    _, model, grown = made
    updated = adapt(grown, model.ref, settings={**QUICK, "keep": WAYS["orthogonal"]})
    before, now = lora(network(model)), lora(network(updated))
    for name, old in before.items():
        rank = min(old.shape)
        wide = now[name]
        if "lora_A" in name:
            assert len(wide) == 2 * rank
            assert torch.allclose(wide[:rank], old, atol=1e-6)
            assert float((wide[rank:] @ old.T).abs().max()) < 1e-4
        else:
            assert wide.shape[1] == 2 * rank
            assert torch.allclose(wide[:, :rank], old, atol=1e-6)


def lora(one):
    return {name: p.detach() for name, p in one.trunk.named_parameters() if "lora_" in name}


def test_orthogonal_goes_on_from_lora_alone(base, made):
    first, _, grown = made
    full = adapt(first, base, "full", settings={"epochs": 1.0})
    with pytest.raises(InputError, match="full"):
        adapt(grown, full.ref, settings={**QUICK, "keep": "orthogonal"})


def test_a_setting_the_way_does_not_have_is_refused(made):
    _, model, grown = made
    with pytest.raises(UnknownNameError, match="weight"):
        adapt(grown, model.ref, settings={"keep": {"by": "replay", "weight": 1.0}})


def test_earlier_domains_keep_their_adapter_to_the_byte(made):
    first, model, grown = made
    updated = adapt(grown, model.ref, settings={**QUICK, "keep": WAYS["domains"]})
    now = network(updated)
    assert now.method == "domains"
    assert list(updated.facts["modules"]) == ["first", "later"]
    before = network(model)
    for name, old in lora(before).items():
        if "lora_A" in name:
            layer = now.trunk.get_submodule(name.partition(".lora_A")[0] + "_experts")
            assert torch.equal(layer.a[0], old)
    known = [updated.labels.index(label) for label in model.labels]
    texts = list(first.texts("test"))
    logits = [Predictor(one, "torch").logits(texts) for one in (model, updated)]
    heard = now_hears(now, texts) == 0
    assert heard.mean() > 0.9
    assert np.allclose(logits[0][heard], logits[1][heard][:, known], atol=1e-4)


def now_hears(one, texts):
    from savile.adaptation import domains

    return domains.routed(one, texts)


def test_a_module_that_does_not_exist_and_a_model_that_has_none_are_refused(base, made):
    first, model, grown = made
    full = adapt(first, base, "full", settings={"epochs": 1.0})
    with pytest.raises(InputError, match="of domains"):
        adapt(grown, full.ref, settings={**QUICK, "keep": "domains"})
    with pytest.raises(UnknownNameError, match="frist"):
        adapt(grown, model.ref, settings={**QUICK, "keep": {"by": "domains", "module": "frist"}})


def test_the_judge_teaches_the_trunk_to_hide_what_it_tells_apart(made):
    first, model, _ = made
    one, new = network(model), (list(later().texts("valid")), np.zeros(20, dtype=np.int64))
    assert reversal.strength(0.0) == 0.0
    assert reversal.strength(1.0) == pytest.approx(1.0, abs=1e-3)
    taught = reversal.begin(one, past(first, model), new, reversal.Settings(rows=8, weight=1.0))
    assert len(taught[0]) == 50
    weights = [p for name, p in one.trunk.named_parameters() if "lora_B" in name]
    judge = list(one.keeper.line.parameters())

    def slopes(step):
        one.keeper.begin_step(one, step, 100)
        torch.manual_seed(0)
        return torch.autograd.grad(one.keeper.penalty(one), [weights[0], judge[0]])

    quarter, end = slopes(26), slopes(101)
    assert torch.allclose(quarter[0] * reversal.strength(1.0), end[0] * reversal.strength(0.25), atol=1e-6)
    assert torch.equal(quarter[1], end[1])  # the judge itself learns as ever
    one.keeper.strength = -1.0  # turned twice: the plain slope
    torch.manual_seed(0)
    plain = torch.autograd.grad(one.keeper.penalty(one), weights[0])[0]
    assert torch.allclose(end[0], -reversal.strength(1.0) * plain, atol=1e-6)


def test_a_judge_needs_earlier_rows_and_a_trunk_that_learns(made):
    first, model, _ = made
    new = (list(later().texts("valid")), np.zeros(20, dtype=np.int64))
    with pytest.raises(InputError, match="earlier rows"):
        reversal.begin(network(model), past(first, model, rows=0), new, reversal.Settings())


@pytest.fixture(scope="module")
def pooled(base, made, shared_home):
    """A model with a pool of prompts, and the model of a second stage that adds to it."""
    first, _, grown = made
    quick = {"epochs": 20.0, "learning_rate": 3e-2, "precision": "fp32", "size": 4, "top": 2}
    model = adapt(first, base, "prompt_pool", settings=quick)
    updated = adapt(grown, model.ref, settings={**QUICK, "learning_rate": 3e-2, "keep": {"by": "pool", "prompts": 4}})
    return model, updated


def test_a_pool_is_widened_and_what_was_in_it_stands_still(made, pooled):
    first, _, _ = made
    model, updated = pooled
    assert accuracy(model, first) > 0.9
    before, now = (network(one).trunk.pool for one in (model, updated))
    assert len(before.keys) == 4
    assert len(now.keys) == 8
    assert torch.equal(before.keys, now.keys[:4])
    assert torch.equal(before.prompts, now.prompts[:4])
    assert not torch.equal(now.prompts[4:], torch.zeros_like(now.prompts[4:]))
    assert accuracy(updated, first) > 0.6


def test_texts_of_another_domain_choose_other_prompts(made, pooled):
    first, _, _ = made
    one = network(pooled[1])
    old, new = (prompt_pool.chosen_by(one, list(data.texts("test"))) for data in (first, later()))
    assert (new >= 4).float().mean() > (old >= 4).float().mean() + 0.3
    share = torch.stack([torch.bincount(chosen.flatten(), minlength=8).float() for chosen in (old, new)])
    joint = share / share.sum()
    expected = joint.sum(0, keepdim=True) * joint.sum(1, keepdim=True)
    assert float((joint * (joint / expected).clamp(min=1e-9).log()).sum()) > 0.05  # mutual information


def test_a_pool_needs_a_model_that_has_one(made):
    _, model, grown = made
    with pytest.raises(InputError, match="prompt_pool"):
        adapt(grown, model.ref, settings={**QUICK, "keep": "pool"})


PAGE = (Path(__file__).parents[2] / "docs" / "matrix.md").read_text(encoding="utf-8").partition("## Ways of keeping")[2]
TABLE = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("|")]
CELLS = [(row[0], way, said) for row in TABLE[2:] for way, said in zip(TABLE[0][1:], row[1:], strict=True)]


def test_every_way_of_keeping_is_in_the_matrix():
    assert TABLE[0][1:] == catalogue.names("keepers")
    assert len(CELLS) > 60


@pytest.mark.parametrize(("method", "way", "said"), CELLS)
def test_a_method_goes_on_by_a_way_or_is_refused_as_the_matrix_says(method, way, said, tiny):
    keeper = catalogue.get("keepers", way)
    one = encoder.create(tiny, ("card", "order"), max_length=16, cosine=method != "head")
    encoder.attach(one, method, asdict(catalogue.get("methods", method).Settings()))
    memory = (["late parcel", "refund money", "a late parcel", "money again"], np.array([0, 1, 0, 1]))
    new = (["parcel is late", "my money", "so late", "refund it"], np.array([0, 1, 0, 1]))
    one.head.weight.data.normal_(generator=torch.Generator().manual_seed(0))

    def begin():
        return keeper.begin(one, Past(np.arange(2), memory, 0, np.zeros(4, np.int64)), new, keeper.Settings())

    if said == "no":
        with pytest.raises(InputError):
            begin()
        return
    steps = 12 if method == "adalora" else 2  # which weighs ranks by what a few steps have shown
    fitted = fit(one, begin(), FitSettings(steps=steps, learning_rate=1e-3, precision="fp32"))
    assert fitted.steps == (1 if method == "head" else steps)
    one.keeper = None
    assert np.isfinite(encoder.predict(one, new[0])).all()
