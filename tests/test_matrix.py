"""Task x family x method: every cell works, from rows to a stored model whose answers make sense, or refuses with a reason."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from savile import testing
from savile.adaptation import adapt
from savile.base import answers, catalogue
from savile.base.errors import InputError
from savile.base.records import Dataset
from savile.models import Predictor

WORDS = {
    "card": ("card", "stolen", "blocked", "pin"),
    "order": ("parcel", "order", "late", "courier"),
    "refund": ("money", "refund", "charged", "twice"),
}
WHAT = {word: name for name, words in WORDS.items() for word in words}
FILLER = ("please", "the", "my", "is", "today")
PLAIN = [name for name in catalogue.names("families") if catalogue.get("families", name).trains == "own"]
TRAINED = [name for name in catalogue.names("families") if name not in PLAIN]
LEAST = {("encoder", "head"): 0.3, ("decoder", "head"): 0.2, ("decoder", "prompt"): 0.0}  # of bases with random weights
REFUSES = {
    ("any", "fusion"): "trained models to fuse",
    ("tag", "tabular"): "a task about rows",
    ("match", "tabular"): "reads two texts",
    ("rank", "tabular"): "reads two texts",
    ("embed", "tabular"): "reads two texts",
    ("embed", "retriever"): "two texts",
}
REFUSES |= {("answer", family): "a family that writes" for family in PLAIN}
REFUSES |= {
    ("tag", "joint"): "a task about rows",
    **{(task, "joint"): "reads two texts" for task in ("match", "rank", "embed")},
}
REFUSES |= {
    (task, "retriever"): "two texts" for task in ("classify", "multilabel", "score", "tag")
}  # cell -> the reason it gives
# without a head that learns, little beside a frozen decoder with random weights moves little
LEAST |= {("decoder", method): 0.25 for method in ("bottleneck", "ia3", "parallel", "peqa")}
NOT_READ = {("decoder", "match"): "reads two texts", ("decoder", "rank"): "reads two texts"}
NOT_READ |= {("decoder", "embed"): "reads two texts"}
NOT_READ |= {("decoder", "tag"): "a task learned by one of"}
NOT_READ |= {("encoder", "answer"): "a family that writes", ("sentence", "answer"): "a family that writes"}
WITHOUT_ATTENTION = dict.fromkeys(
    ("bottleneck", "ia3", "parallel", "prefix", "prefix_propagation", "prompt_pool"), "projection in each layer"
)
MADE_OF_OTHERS = dict.fromkeys(("adapter_fusion", "arrow", "domains", "merge"), "two adapters")
REFUSED = {  # family -> method -> the reason the method gives
    "decoder": {
        **MADE_OF_OTHERS,
        **dict.fromkeys(("prefix", "prefix_propagation", "prompt_pool"), "what is read"),
        "bitfit": "bias",
    },
    "encoder": {**MADE_OF_OTHERS, "prompt": "answers in words"},
    "sentence": {**MADE_OF_OTHERS, "prompt": "answers in words", **WITHOUT_ATTENTION},
}
STEPS = {"epochs": 12.0, "batch_rows": 16}
SLOW = {"unfreeze": {"epochs": 24.0}}  # its layers learn one after another
EVERY_TASK = ("full", "head", "lora")  # of the other methods, check_method runs each kind of loss
RATES = {
    "encoder": 5e-3,
    "sentence": 1e-3,
    "decoder": 5e-3,
    "prefix": 3e-2,
    "prefix_propagation": 3e-2,
    "prompt_pool": 3e-2,
    "ia3": 3e-2,
    "bitfit": 1e-2,
}
RATES |= {("decoder", "full"): 2e-3}  # at 5e-3 it is chance whether it learns a score


def rate(family, method):
    return RATES.get((family, method), RATES.get(method, RATES[family]))


OF_WORDS = {  # a base with random weights writes nothing unless all of it learns
    "full": {"freeze": 0, "freeze_embeddings": False, "learning_rate": 1e-2, "epochs": 24.0},
    "lora": {"steps": 8},
}


CELLS = [
    (family, method, task)
    for family in TRAINED
    for method in catalogue.names("methods")
    for task in (catalogue.names("tasks") if method in EVERY_TASK else ["classify"])
]


def dataset(task, rows=150):
    """Texts about one, several or no subjects; a number that says how many words are about cards and orders."""
    rng, names = np.random.default_rng(0), sorted(WORDS)
    texts, cells = [], []
    for row in range(rows + 120):
        about = (
            [names[row % 3]]
            if task in ("answer", "classify", "embed", "match", "rank")
            else [name for name in names if rng.random() < 0.4]
        )
        said = [word for name in about for word in rng.choice(WORDS[name], 2)]
        texts.append(" ".join(rng.permutation([*said, *rng.choice(FILLER, 3)])))
        spans = [
            [match.start(), match.end(), WHAT[match.group()]]
            for match in re.finditer(r"\w+", texts[-1])
            if match.group() in WHAT
        ]
        number = 10.0 + 5.0 * ("card" in about) - 3.0 * ("order" in about) + 0.2 * rng.normal()
        if task == "embed":
            texts[-1] = answers.pair(texts[-1], " ".join(WORDS[names[row % 3]]))
        if task in ("match", "rank"):
            other = names[(row + (row % 2) * (1 + row % 4 // 2)) % 3]  # every second pair is of two subjects
            said = list(rng.choice(WORDS[names[row % 3]], 2))
            second = " ".join([*rng.choice(WORDS[other], 2), *rng.choice(FILLER, 1)])
            texts[-1] = answers.pair(" ".join([*said, *rng.choice(FILLER, 1)]), second)
        same = ("alike", "apart")[row % 2]
        cell = {"match": same, "rank": str(int(same == "alike")), "classify": about[0] if about else "", "embed": "1"}
        cell["answer"] = f"it is about {names[row % 3]}"
        cells.append((cell | {"multilabel": "|".join(about), "score": f"{number:.4f}", "tag": json.dumps(spans)})[task])
    bounds = {"train": (0, rows), "test": (rows, rows + 60), "valid": (rows + 60, rows + 90), "calib": (rows + 90, rows + 120)}
    parts = {part: np.arange(*bound) for part, bound in bounds.items()}
    table = pa.table({"text": texts, "label": cells, "length": [len(text) for text in texts]})
    roles = {"text": "text", "label": "label"}
    return Dataset(table, roles, parts, task, answers.labels(task, cells))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    texts = [" ".join((*words, *FILLER)) for words in WORDS.values()]
    folder = tmp_path_factory.mktemp("bases")
    for name, tiny in (("encoder", testing.tiny_encoder), ("decoder", testing.tiny_decoder)):
        (folder / name).mkdir()
        tiny(folder / name, texts)
    return folder


def base(family, tiny):
    return "use-m" if family == "sentence" else str(tiny / family)


def test_a_page_that_is_no_longer_so_is_said_and_written_anew(tmp_path, monkeypatch):
    """Whether docs/matrix.md itself is so, `make check` says."""
    spec = importlib.util.spec_from_file_location("matrix", Path(__file__).parents[1] / "scripts" / "matrix.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert sum(line.startswith("| `") for line in script.PAGE.read_text(encoding="utf-8").splitlines()) >= 8
    monkeypatch.setattr(script, "PAGE", tmp_path / "matrix.md")
    monkeypatch.setattr(script, "page", lambda: "| `linear` | yes |\n| `later` | yes |\n")
    script.PAGE.write_text("| `linear` | no |\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=re.escape("| `linear` | no |")):
        script.main()
    assert script.PAGE.read_text(encoding="utf-8") == script.page()
    script.PAGE.write_text("| `linear` | yes |\n", encoding="utf-8")
    script.main()  # what came later may be missing


def score(model, data):
    """How well the trained form answers the test rows."""
    predict = Predictor(model, catalogue.get("families", model.family).FORM)
    outputs = predict(data.inputs(predict.reads, "test"))
    if data.task == "answer":
        assert outputs.logits.written.all()
    elif data.task == "embed":
        assert outputs.choice.shape[0] == 60
    elif data.task == "score":
        assert (outputs.low < outputs.choice).all()
        assert (outputs.choice < outputs.high).all()
    else:
        assert ((outputs.confidence >= 0) & (outputs.confidence <= 1)).all()
    return catalogue.get("tasks", data.task).score(outputs.choice, data.targets("test"))


@pytest.mark.parametrize("task", catalogue.names("tasks"))
@pytest.mark.parametrize("family", PLAIN)
def test_families_that_need_no_base(task, family, tiny, monkeypatch):
    from savile.adaptation import _folds

    data, settings = dataset(task), {}
    if family == "joint":  # it has a base after all
        monkeypatch.setattr(_folds, "FOLDS", 2)
        settings = {"base": str(tiny / "encoder"), "learning_rate": 5e-3, "least_steps": 80}
    refused = REFUSES.get((task, family), REFUSES.get(("any", family)))
    if refused:
        with pytest.raises(InputError, match=refused):
            adapt(data, family)
        return
    model = adapt(data, family, settings=settings)
    assert (model.task, model.family) == (task, family)
    assert score(model, data) > 0.6


@pytest.mark.slow
@pytest.mark.parametrize(("family", "method", "task"), CELLS)
def test_families_with_a_base_and_a_method(family, method, task, tiny):
    data = dataset(task)
    reason = REFUSED.get(family, {}).get(method) or NOT_READ.get((family, task))
    if (task, family, method) == ("answer", "decoder", "head"):
        reason = "changes what a language model writes"
    if reason:
        with pytest.raises(InputError, match=reason):
            adapt(data, base(family, tiny), method)
        return
    settings = {} if method in ("head", "prompt") else {**STEPS, **SLOW.get(method, {}), "learning_rate": rate(family, method)}
    settings |= OF_WORDS.get(method, {}) if task == "answer" else {}
    model = adapt(data, base(family, tiny), method, settings=settings)
    assert (model.task, model.family, model.method) == (task, family, method)
    if (task, method) == ("answer", "lora"):
        assert 0 < model.facts["valid"]["score"] < 1
        return
    least = 0.4 if (family, task) == ("decoder", "score") else 0.6
    assert score(model, data) >= LEAST.get((family, method), least)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "task"),
    [(one, task) for one in TRAINED for task in catalogue.names("tasks") if (one, task) not in NOT_READ and task != "answer"],
)
def test_served_forms_answer_as_trained_and_over_http(task, family, tiny):
    import asyncio

    from savile import compression, evaluation, serving
    from savile.base.store import Store
    from savile.serving import _bundle, _http

    data = Store.open().save(dataset(task))
    settings = {**STEPS, "learning_rate": rate(family, "full")}
    trained = adapt(data, base(family, tiny), "full", settings=settings)
    model = compression.compress(trained, data)
    served = model.facts["served"]
    assert served["engine"] is not None, model.facts["forms"]
    report = evaluation.evaluate(model, data, served["form"], served["engine"])
    assert report.body["parity"][served["form"]]["passed"], report.body["parity"]
    first = {
        "tag": "span_f1",
        "classify": "accuracy",
        "match": "accuracy",
        "rank": "ndcg_10",
        "embed": "ndcg_10",
        "multilabel": "micro_f1",
        "score": "mae",
    }[task]
    assert report.body["metric"] == first
    assert (report.body["business"] is None) == (task in ("score", "embed"))
    release = serving.release(model, served["form"], served["engine"], report, data, "tester")
    predictor = _bundle.opened(release)
    proof = _bundle.replay(predictor, release)
    assert proof["passed"], proof
    service = _http.Service(predictor, release, proof, None)

    async def ask():
        return json.loads(await service.answer(["my card was stolen, the courier is late", "hello"]))

    said = asyncio.run(ask())["answers"]
    service.close()
    keys = {
        "classify": {"label", "probability"},
        "match": {"label", "probability"},
        "rank": {"label", "probability"},
        "embed": {"similarity"},
        "multilabel": {"labels", "probability"},
        "score": {"value", "low", "high"},
        "tag": {"spans", "probability"},
    }
    assert all(set(answer) == keys[task] | {"abstain", "release"} for answer in said)
    assert said[0]["release"] == release.digest
