"""Stages: new labels join, and every way of keeping does what its paper says."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from easy_data import FILLER, WORDS, dataset

from savile import testing
from savile.adaptation import adapt
from savile.adaptation._keeping import distil, ewc
from savile.adaptation._keeping._past import Past
from savile.base import catalogue
from savile.base.errors import InputError, UnknownNameError
from savile.base.records import Dataset
from savile.data import appended
from savile.models import Predictor

LATER = {"abroad": ("travel", "country", "abroad", "visa"), "insured": ("insurance", "policy", "claim", "cover")}
QUICK = {"precision": "fp32", "learning_rate": 3e-3, "least_steps": 90}
WAYS = {
    "replay": {"by": "replay", "memory": 60},
    "distil": {"by": "distil", "memory": 60},
    "ewc": {"by": "ewc", "weight": 100.0, "memory": 30},
    "orthogonal": {"by": "orthogonal", "memory": 60},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    texts = [" ".join((*words, *FILLER)) for words in (WORDS | LATER).values()]
    return str(testing.tiny_encoder(tmp_path_factory.mktemp("base"), texts))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _at_home(home, monkeypatch):
    monkeypatch.setenv("SAVILE_HOME", str(home))


@pytest.fixture(scope="module")
def made(base, home):
    """The data of a first stage and a LoRA model of it, and the data with a stage of new labels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAVILE_HOME", str(home))
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
