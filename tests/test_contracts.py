"""Everything the catalogue finds satisfies its contract; tasks, families, methods and metrics are run against it, too."""

from dataclasses import make_dataclass
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest

from savile import data, testing
from savile.base import answers, catalogue
from savile.base.contracts import HeadSpec, Loss, Method, Rows, Task, Tracked, Value
from savile.base.records import Model
from savile.tasks import classify

PLUG_INS = [(kind, name) for kind in testing.CONTRACTS for name in catalogue.names(kind)]
# methods with tests of their own: one trains nothing (tests/models/test_decoder.py), some need trained adapters
# (tests/adaptation/test_methods.py and test_library.py)
SPECIAL = ("prompt", "adapter_fusion", "arrow", "domains", "merge")
WRITING = ("adalora", "bottleneck", "full", "ia3", "lora", "parallel", "peqa", "unfreeze")  # what tunes a language model
LABELS = ("lost card", "refund", "order")


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """A tiny encoder with random weights, as a folder that transformers reads, and beside it a tiny decoder."""
    folder = tmp_path_factory.mktemp("bases")
    for name, tiny in (("base", testing.tiny_encoder), ("base-decoder", testing.tiny_decoder)):
        (folder / name).mkdir()
        tiny(folder / name)
    return str(folder / "base")


def _network(base, loss="cross_entropy"):
    import torch

    from savile.models import decoder, encoder

    torch.manual_seed(0)  # heads may start at random
    if loss == "next_token":
        return decoder.create(base + "-decoder", LABELS, loss, cosine=False, max_length=32)
    return encoder.create(base, LABELS, loss, cosine=False, max_length=32)


def _encoder(base):
    from savile.models import encoder

    network = _network(base).eval()
    encoder.attach(network, "full", {})
    return encoder.save(network)


def _linear(base):
    from savile.models import linear

    texts = ["card lost", "my card is gone", "refund please", "money back", "where is my order", "order late"]
    return linear.save(linear.fit(Rows(texts, np.array([0, 0, 1, 1, 2, 2]), LABELS)))


def _sentence(base):
    from savile.models import sentence

    network = sentence.create("use-m", LABELS, cosine=False, max_length=32).eval()
    sentence.attach(network, "full", {})
    return sentence.save(network)


def _decoder(base):
    from savile.models import decoder

    network = decoder.create(base + "-decoder", LABELS).eval()
    decoder.attach(network, "lora", {})
    return decoder.save(network)


def _fusion(base):
    from savile.models import fusion

    member = Model("linear", LABELS, forms={"linear": _linear(base)})
    return fusion.fuse([member, member], np.array([0.5, 2.0]))


def _table():
    rng = np.random.default_rng(0)
    amount, kind = rng.normal(size=90), np.array(["new", "old", "gone"])[rng.integers(3, size=90)]
    dates = [f"2025-0{1 + i % 9}-1{i % 9}" for i in range(90)]
    blank = [None if i % 7 == 0 else value for i, value in enumerate(amount.tolist())]
    return pa.table(
        {"amount": blank, "kind": kind.tolist(), "day": dates, "note": [f"row {i} is a {k} one" for i, k in enumerate(kind)]}
    )


def _tabular(base):
    from savile.models import tabular

    table = _table()
    targets = (np.nan_to_num(table.column("amount").to_numpy()) > 0).astype(np.int64) + (np.arange(90) % 5 == 0)
    return tabular.save(tabular.fit(Rows(table, targets, LABELS), "classify", tabular.Settings(base="")))


def _retriever(base):
    from savile.models import retriever

    texts = [answers.pair(f"card\ncase {i % 7}", f"card {i % 3} charger" if i % 2 else f"game {i}") for i in range(40)]
    return retriever.save(retriever.fit(Rows(texts, np.arange(40) % 2, LABELS[:2]), "rank"))


def _joint(base):
    from savile.models import joint

    settings = joint.Settings(base=base, text="note", least_steps=2, epochs=0.1)
    return joint.save(joint.fit(Rows(_table(), np.arange(90) % 3, LABELS), "classify", settings))


TRAINED = {
    "joint": _joint,
    "retriever": _retriever,
    "tabular": _tabular,
    "fusion": _fusion,
    "encoder": _encoder,
    "decoder": _decoder,
    "linear": _linear,
    "sentence": _sentence,
}  # family -> the files of a small trained model


@pytest.mark.parametrize(("kind", "name"), PLUG_INS)
def test_a_plug_in_has_what_its_contract_asks_for(kind, name):
    assert testing.missing(catalogue.get(kind, name), testing.CONTRACTS[kind]) == []


@pytest.mark.parametrize("name", catalogue.names("steps"))
def test_a_data_step_takes_a_draft_and_gives_one(name):
    step = catalogue.get("steps", name)
    assert callable(step.apply)
    if name not in data.STEPS:
        testing.check_step(step)


@pytest.mark.parametrize("name", catalogue.names("tasks"))
def test_tasks(name):
    testing.check_task(name)


@pytest.mark.parametrize("name", catalogue.names("metrics"))
def test_metrics(name):
    testing.check_metric(name)


@pytest.mark.parametrize("name", catalogue.names("policies"))
def test_policies(name):
    testing.check_policy(name)


@pytest.mark.parametrize("name", catalogue.names("families"))
def test_families(name, base):
    assert name in TRAINED, f"say in TRAINED how a small {name} is trained"
    family = catalogue.get("families", name)
    labels = LABELS[:2] if name == "retriever" else LABELS
    model = Model(name, labels, forms={family.FORM: TRAINED[name](base)})
    testing.check_family(name, model, *([_table()] if family.reads == "table" else []))


@pytest.mark.slow
@pytest.mark.parametrize("name", catalogue.names("trackers"))
def test_trackers(name, base, tmp_path):
    lacking = catalogue.get("trackers", name).available()
    if lacking:
        pytest.skip(f"no {lacking}: pip install 'savile[track]'")
    model = Model("linear", LABELS, forms={"linear": _linear(base)})
    curves = {"train/loss": [(1, 0.5), (2, 0.25)]}
    more = {"tags": {"verdict": "better"}, "summary": "Better.", "recipe": "", "files": {}, "form": "linear", "engine": None}
    tracked = Tracked("cards", "report@0123", {"family": "linear"}, {"test/accuracy": 0.9}, curves, model=model, **more)
    testing.check_tracker(name, tracked, tmp_path)


@pytest.mark.parametrize("loss", [loss for loss in get_args(Loss) if loss != "next_token"])
@pytest.mark.parametrize("name", [name for name in catalogue.names("methods") if name not in SPECIAL])
def test_methods(name, loss, base):
    testing.check_method(name, lambda: _network(base, loss))


@pytest.mark.parametrize("name", WRITING)
def test_methods_that_change_what_a_language_model_writes(name, base):
    testing.check_method(name, lambda: _network(base, "next_token"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"score": lambda predicted, gold: 2.0}, "score"),
        ({"score": lambda predicted: 1.0}, r"score\(predicted, gold\)"),
        ({"render": lambda example: "always the same"}, "keep the text"),
        ({"head": lambda width: HeadSpec(width, "cross_entropy", lambda logits: logits)}, "numbers in"),
        ({"head": lambda width: HeadSpec(width, "cross_entropy", lambda logits: logits[:, :1])}, "keep the shape"),
        ({"head": lambda width: HeadSpec(width, "hinge", classify.softmax)}, "outputs and one of"),
    ],
)
def test_a_task_that_breaks_its_contract_is_caught(changes, sentence):
    kept = {name: getattr(classify, name) for name in ("fields", "render", "head", "score")}
    with pytest.raises(AssertionError, match=sentence):
        testing.check_task(SimpleNamespace(**{**kept, **changes}))


def test_what_is_lacking_is_said():
    lacks = testing.missing(SimpleNamespace(fields=lambda: None, head=lambda: None), Task)
    assert [lack.partition(":")[0] for lack in lacks] == ["no function render", "head(width)", "no function score"]
    assert "no attribute Settings" in testing.missing(SimpleNamespace(), Method)


@pytest.mark.parametrize(
    ("figures", "sentence"),
    [
        (lambda gold: {"first": Value(float(gold[0]), -1.0, 9.0, 1), "last": float(gold[-1])}, "order of the rows"),
        (lambda gold: {"outside": Value(0.9, 0.1, 0.5, 10)}, "outside must lie"),
        (lambda gold: {"crowd": Value(0.5, 0.1, 0.9, 10_000)}, "crowd must say how many"),
        (lambda gold: {}, "at least one figure"),
    ],
)
def test_a_metric_that_breaks_its_contract_is_caught(figures, sentence):
    metric = SimpleNamespace(measure=lambda predictions, costs=None: figures(predictions.gold))
    with pytest.raises(AssertionError, match=sentence):
        testing.check_metric(metric)


def _shift(network, by):
    import torch

    with torch.no_grad():
        network.head.bias += torch.tensor(by)


def _moving_what_is_frozen(network):
    network.register_forward_pre_hook(lambda module, _: _shift(module, [1.0, 1.0, 1.0]))  # the same for all: no loss changes
    return [network.head.weight]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"attach": lambda network, settings: _shift(network, [0.0, 1.0, 2.0])}, r"attach\(\) must leave"),
        ({"merge": lambda network: _shift(network, [0.0, 1.0, 2.0])}, r"merge\(\) must leave"),
        ({"parameters": lambda network: []}, "what learns"),
        ({"parameters": _moving_what_is_frozen}, "must stay as it was"),
        ({"Settings": dict}, "a dataclass"),
        ({"Settings": make_dataclass("Settings", [("dropout", float, 0.1)], frozen=True)}, "must not use names .* dropout"),
    ],
)
def test_a_method_that_breaks_its_contract_is_caught(changes, sentence, base):
    full = catalogue.get("methods", "full")
    kept = {name: getattr(full, name) for name in ("Settings", "HEAD", "FIT", "FIT_SMALL", "attach", "parameters", "merge")}
    with pytest.raises(AssertionError, match=sentence):
        testing.check_method(SimpleNamespace(**{**kept, **changes}), lambda: _network(base))
