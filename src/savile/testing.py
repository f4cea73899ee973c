"""Conformance checks for authors of plug-ins: each holds a plug-in against its contract and against what users rely on.

A check takes a plug-in by its catalogue name or as an object, runs it on small made-up data, and raises `AssertionError` with
one sentence for the first thing that is not so. `tests/test_contracts.py` runs them over everything the catalogue finds::

    def test_my_task():
        savile.testing.check_task("urgency")
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import numpy as np

from savile._made_up import CELLS, GOLD, SAID, TEXTS, simulated_predictions, small_loss
from savile._made_up import tiny_decoder as tiny_decoder  # for authors, too
from savile._made_up import tiny_encoder as tiny_encoder
from savile.adaptation._asked import taken
from savile.adaptation._keeping import Keeper
from savile.base import answers, catalogue, contracts
from savile.base.contracts import Fields, Loss, Predictions, Tracked, Value
from savile.base.records import Calibration, Model

CONTRACTS: dict[str, type] = {
    "tasks": contracts.Task,
    "families": contracts.Family,
    "methods": contracts.Method,
    "keepers": Keeper,
    "techniques": contracts.Technique,
    "metrics": contracts.Metric,
    "engines": contracts.Engine,
    "trackers": contracts.Tracker,
    "policies": contracts.Policy,
    "apps": contracts.App,
}


def missing(plugin: Any, contract: type) -> list[str]:
    """What a plug-in lacks of a contract, in words: attributes, functions, and arguments callers pass; empty when nothing."""
    lacks = [f"no attribute {name}" for name in inspect.get_annotations(contract) if not hasattr(plugin, name)]
    for name, asked in vars(contract).items():
        if name.startswith("_") or not inspect.isfunction(asked):
            continue
        offered = getattr(plugin, name, None)
        if not callable(offered):
            lacks.append(f"no function {name}")
            continue
        wanted = [p for p in inspect.signature(asked).parameters.values() if p.name != "self"]
        needed = [p for p in wanted if p.default is inspect.Parameter.empty]
        for passed in (wanted, needed):
            try:
                inspect.signature(offered).bind(*passed)
            except TypeError as error:
                lacks.append(f"{name}({', '.join(p.name for p in passed)}): {error}")
                break
    return lacks


def check_task(task: Any) -> None:
    """Fields that do not overlap, texts rendered whole, sound answers, a score in [0, 1] that is 1 for the truth."""
    task = _plugin("tasks", task)
    fields = task.fields()
    _require(isinstance(fields, Fields) and fields.required, "fields() must name at least one required role")
    _require(not set(fields.required) & set(fields.optional), "a role cannot be required and optional")
    for text in TEXTS:
        rendered = task.render(dict.fromkeys((*fields.required, *fields.optional), text))
        _require(isinstance(rendered, str) and text in rendered, f"render() must keep the text {text[:20]!r}")
    _require(isinstance(task.render(dict.fromkeys(fields.required)), str), "render() must bear missing values")
    for width in (2, 3, 77):
        spec = task.head(width)
        _require(spec.outputs >= 1 and spec.loss in get_args(Loss), f"head({width}) needs outputs and one of {get_args(Loss)}")
        _check_decode(spec.decode, spec.outputs, spec.loss)
    gold, wrong = GOLD[task.head(3).loss]
    _require(task.score(SAID.get(task.head(3).loss, gold), gold) == 1.0, "score() of the truth must be 1")
    _require(0.0 <= task.score(wrong, gold) < 1.0, "score() of nothing but errors must be in [0, 1)")
    _require(0.0 <= task.score(gold[:0], gold[:0]) <= 1.0, "score() of no rows must be in [0, 1]")
    _check_labels(task)


def _check_labels(task: Any) -> None:
    """The values of a label column become labels and targets that fit the head."""
    if not hasattr(task, "targets"):
        return
    cells = CELLS[task.head(2).loss]
    labels = task.labels(cells)
    spec, targets = task.head(len(labels)), task.targets(cells, labels)
    named = (spec.outputs - 1) // 2 if spec.loss == "token_cross_entropy" else spec.outputs
    _require(len(labels) == named, "labels() must name each output")
    shape = {"binary_cross_entropy": (3, spec.outputs)}.get(spec.loss, (3,))
    kind = GOLD[spec.loss][0].dtype
    _require(targets.shape == shape and targets.dtype == kind, f"targets() must give {kind} {shape}")
    _require(task.targets([], labels).shape == (0, *shape[1:]), "targets() must bear no rows")


def _check_decode(decode: Callable[[np.ndarray], np.ndarray], outputs: int, loss: str) -> None:
    rng = np.random.default_rng(0)
    logits = np.concatenate([rng.normal(size=(5, outputs)), np.full((1, outputs), 1e4), rng.normal(size=(1, outputs)) * 1e4])
    probabilities = decode(logits.astype(np.float32))
    _require(probabilities.shape == logits.shape, "decode() must keep the shape")
    sound = ((probabilities >= 0) & (probabilities <= 1)).all() or loss in ("squared_error", "contrastive", "next_token")
    _require(bool(sound), "decode() must give numbers in [0, 1], for large logits, too")
    order = rng.permutation(len(logits))
    _require(np.allclose(decode(logits[order].astype(np.float32)), probabilities[order]), "decode() must treat rows alone")
    _require(decode(np.zeros((0, outputs), dtype=np.float32)).shape == (0, outputs), "decode() must bear no rows")


def check_step(step: Any) -> None:
    """A step that recipes may ask for: settings that are checked, and a place behind a step that every file goes through."""
    from savile import data

    step = catalogue.get("steps", step) if isinstance(step, str) else step
    lacks = missing(step, contracts.Step)
    _require(not lacks, "; ".join(lacks))
    _require(dataclasses.is_dataclass(step.Settings), "Settings must be a dataclass")
    _require(step.Settings.__dataclass_params__.frozen, "Settings must be frozen")
    _require(getattr(step.Settings, "__pydantic_config__", {}).get("extra") == "forbid", "Settings must forbid unknown keys")
    _require(step.AFTER in data.STEPS, f"AFTER must be one of {', '.join(data.STEPS)}")


def check_metric(metric: Any, predictions: Predictions | None = None) -> None:
    """Figures within their intervals, tables that JSON can hold, and the same for the rows in any order.

    Args:
        metric: the metric.
        predictions: what is measured; by default 400 simulated answers of the first task it is for, with a column to slice by.
    """
    metric = _plugin("metrics", metric)
    predictions = predictions or simulated_predictions(task=getattr(metric, "tasks", ("classify",))[0])
    measured = metric.measure(predictions)
    _require(isinstance(measured, dict) and measured, "measure() must give at least one figure")
    for name, figure in measured.items():
        if isinstance(figure, Value):
            _require(figure.low <= figure.value <= figure.high, f"{name} must lie in its interval")
            _require(0 < figure.n <= len(predictions.gold), f"{name} must say how many rows are behind it")
    order = np.random.default_rng(1).permutation(len(predictions.gold))
    again = metric.measure(_reordered(predictions, order))
    _require(_close(_plain(measured), _plain(again)), "measure() must not depend on the order of the rows")


def check_family(family: Any, model: Model, texts: Sequence[str] = TEXTS) -> None:
    """A trained model of the family answers alike after save and load, alone and in company.

    Args:
        family: the family.
        model: a trained model of it; forms may be bytes or paths.
        texts: what is asked; of a family that reads tables, a table with its feature columns.
    """
    family = _plugin("families", family)
    _require(family.trains in ("loop", "own"), "trains must be loop or own")
    _require(family.reads in ("text", "table"), "reads must be text or table")
    wanted = ("fit", "Settings") if family.trains == "own" else ("create", "attach", "module")
    _require(all(hasattr(family, name) for name in wanted), "own families have fit and Settings, loop families create")
    with TemporaryDirectory() as folder:
        answerer = family.load(_on_disk(model, family.FORM, Path(folder) / "given"), family.FORM)
        logits = family.predict(answerer, texts)
        shaped = logits.shape == (len(texts), len(model.labels)) and logits.dtype == np.float32
        _require(shaped, "predict() gives float32 (n, labels)")
        _require(bool(np.isfinite(logits).all()), "predict() must answer any text with finite numbers")
        saved = dataclasses.replace(model, forms={family.FORM: family.save(answerer)})
        again = family.load(_on_disk(saved, family.FORM, Path(folder) / "saved"), family.FORM)
        _require(np.array_equal(family.predict(again, texts), logits), "save() and load() must give the same answers")
        alone = np.concatenate([family.predict(again, answers.take(texts, [row])) for row in range(len(texts))])
        _require(np.allclose(alone, logits, atol=1e-4), "an answer must not depend on the other texts")


def check_method(method: Any, network: Callable[[], Any], settings: Any = None) -> None:
    """What is frozen stays frozen, attached it answers as before, steps lower the loss, merged it answers as attached.

    Args:
        method: the method.
        network: makes a small network of a loop family, fresh but equal each time, with at least two labels.
        settings: of the method; None is its defaults.
    """
    import torch

    method = _plugin("methods", method)
    _require(dataclasses.is_dataclass(method.Settings), "Settings must be a dataclass")
    _require(method.Settings.__dataclass_params__.frozen, "Settings must be frozen")
    _require(method.HEAD in ("cosine", "linear"), "HEAD must be cosine or linear")
    both = taken() & {one.name for one in dataclasses.fields(method.Settings)}
    _require(not both, f"Settings must not use names that settings of others have: {', '.join(sorted(both))}")
    plain, attached = network().eval(), network().eval()
    for one in (plain, attached):
        _wake(one)
    method.attach(attached, settings or method.Settings())
    attached.eval()  # what was added, too
    kept = _differ(plain, attached) < 1e-5 or not getattr(method, "KEEPS", True)
    _require(kept, "attach() must leave every answer as it is")
    learning = method.parameters(attached)
    _require(len(learning) > 0 and all(p.requires_grad for p in learning), "parameters() must give what learns")
    learns = {id(p) for p in learning}
    frozen = {name: p.detach().clone() for name, p in attached.named_parameters() if id(p) not in learns}
    losses = _few_steps(attached, learning)
    _require(losses[-1] < losses[0], "the loss must fall on a handful of rows")
    after = dict(attached.named_parameters())
    _require(all(torch.equal(after[name], value) for name, value in frozen.items()), "what does not learn must stay as it was")
    merged = [_logits(attached)]
    method.merge(attached)
    merged.append(_logits(attached))
    _require(float((merged[0] - merged[1]).abs().max()) < 1e-4, "merge() must leave every answer as it is")


def _wake(network: Any) -> None:
    """A head that is zero at the start would hide what the trunk answers."""
    import torch

    torch.manual_seed(0)
    with torch.no_grad():
        getattr(network.head, "weight", torch.empty(0)).normal_()


def _few_steps(network: Any, learning: Sequence[Any], steps: int = 20) -> list[float]:
    import torch

    ids, mask = _batch(network)
    targets = torch.arange(len(ids)) % len(network.labels)
    if network.loss == "token_cross_entropy":
        targets = (ids % len(network.head.bias)) * mask
    if network.loss == "binary_cross_entropy":
        targets = torch.nn.functional.one_hot(targets, len(network.labels)).float()
    optimiser, losses = torch.optim.Adam(learning, lr=1e-2), []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = small_loss(network, ids, mask, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(loss.item())
    return losses


def _batch(network: Any) -> tuple[Any, Any]:
    import torch

    rows = network.encode([text for text in TEXTS if text])
    longest = max(len(row) for row in rows)
    ids = torch.tensor([row + [network.pad_id] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return ids, mask


def _logits(network: Any) -> Any:
    import torch

    with torch.inference_mode():
        return network(*_batch(network))


def _differ(one: Any, other: Any) -> float:
    return float((_logits(one) - _logits(other)).abs().max())


def check_engine(engine: Any, files: dict[str, Path], ids: np.ndarray, expected: np.ndarray) -> None:
    """It says whether it can run here, and when it can, runs a form as expected, whatever the batch.

    Args:
        engine: the engine.
        files: a form it can open.
        ids: token ids without padding, int64 (n, s), n >= 2.
        expected: logits of those rows, (n, outputs).
    """
    engine = _plugin("engines", engine)
    reason = engine.available()
    _require(reason is None or isinstance(reason, str), "available() gives None or the reason why not")
    if reason is not None:
        return
    run, mask = engine.open(files, 1), np.ones_like(ids)
    logits = run(ids, mask)
    _require(logits.shape == expected.shape and logits.dtype == np.float32, "a run gives float32 (n, outputs)")
    _require(bool((logits.argmax(axis=1) == expected.argmax(axis=1)).all()), "the engine must choose what was expected")
    alone = np.concatenate([run(ids[i : i + 1], mask[i : i + 1]) for i in range(len(ids))])
    _require(np.allclose(alone, logits, atol=0.05), "an answer must not depend on the other rows")


def check_technique(technique: Any, model: Model, calibration: Sequence[str]) -> None:
    """It adds at least one form with files, and leaves everything else of the model as it was.

    Args:
        technique: the technique.
        model: a trained model it can work on.
        calibration: training texts.
    """
    technique = _plugin("techniques", technique)
    forms = dict(model.forms)
    changed = technique.apply(model, calibration)
    added = set(changed.forms) - set(forms)
    _require(bool(added), "apply() must add a form")
    _require(all(changed.forms[form] for form in added), "a form must have files")
    _require(all(changed.forms[form] == forms[form] for form in forms), "apply() must keep the forms that were there")
    _require(
        (changed.labels, changed.task, changed.mask) == (model.labels, model.task, model.mask),
        "apply() keeps labels, task and mask",
    )


def check_app(app: Any) -> None:
    """A recipe that holds with its data policy and bars, a sample that can be governed, words and pages in each language."""
    from savile import data
    from savile._testing_apps import check_work, frozen
    from savile.base import recipe as recipes

    app = _plugin("apps", app)
    _require(app.task in catalogue.names("tasks"), "task must be one of the catalogue")
    _require(len(app.languages) >= 2, "pages come in at least two languages")
    for route in app.routes:
        _require(route.path.startswith("/v1/") and route.summary, "a route needs a path under /v1/ and a summary")
        _require(route.access in ("key", "open"), "a route needs an access policy: key or open")
        frozen(route.asks, "what a route asks")
    frozen(app.Settings, "Settings")
    bars = app.gates()
    _require(bars and all(key.startswith("evaluate.") for key in bars), "gates() must set bars, as evaluate.<key>")
    for language in app.languages:
        settings = app.recipe(language)
        _require("data.pii" in settings, "recipe() must say what happens to personal data (data.pii)")
        _require(bars.items() <= settings.items(), "recipe() must hold the bars of gates()")
        recipe = recipes.make(settings)
        _require(
            recipe.task.kind == app.task and Path(recipe.data.source) == app.sample(language), "recipe() is for the sample"
        )
        seen = data.inspect(app.sample(language))
        _require(set(app.sources().required) <= set(seen.roles), "the sample must have the roles of sources()")
        _require(min(seen.labels.values()) >= 10, "the sample needs ten rows of each label")
        label = next(iter(seen.labels))
        _require(app.reply(label, 0.99, False, language) != app.reply(label, 0.2, True, language), "reply() must tell apart")
        _require(len(app.questions(language)) >= 3, "questions() must give three texts")
        pages = app.pages(language)
        _require(bool(pages) and all(f'lang="{language}' in page for page in pages.values()), "pages() must say its language")
        check_work(app, language, recipe, tuple(seen.labels))


def check_policy(policy: Any) -> None:
    """Over no capacity, deterministic, pure, nobody starves, and a replayed log gives the same decisions to the byte."""
    from savile import _testing

    _testing.check_policy(_plugin("policies", policy))


def check_tracker(tracker: Any, tracked: Tracked, folder: Path) -> None:
    """Everything stays in the folder it is given, and a run it knows already is written once."""
    tracker = _plugin("trackers", tracker)
    _require(tracker.available() is None, f"a package it needs is missing: {tracker.available()}")
    place = tracker.write(tracked, folder)
    _require(isinstance(place, str) and str(folder) in place, "write() must say where in its folder the run is")
    _require(any(path.is_file() for path in folder.rglob("*")), "write() must leave something in its folder")
    _require(tracker.write(tracked, folder) == place, "write() of the same run must give the same place")


def _reordered(predictions: Predictions, order: np.ndarray) -> Predictions:
    slices = {name: [column[i] for i in order] for name, column in predictions.slices.items()}
    outputs = predictions.outputs.rows(order)
    queries = None if predictions.queries is None else predictions.queries[order]
    return dataclasses.replace(predictions, gold=predictions.gold[order], outputs=outputs, slices=slices, queries=queries)


def _on_disk(model: Model, form: str, folder: Path) -> Model:
    """The model with the files of a form written to a folder, as the store hands them out."""
    files = {}
    for name, data in model.forms[form].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.read_bytes())
        files[name] = path
    return dataclasses.replace(model, forms={form: files}, calibrations={form: Calibration()})


def _plain(measured: dict[str, Any]) -> Any:
    """Figures as JSON has them; a TypeError or ValueError when it cannot."""
    return json.loads(json.dumps({k: v.as_dict() if isinstance(v, Value) else v for k, v in measured.items()}, allow_nan=False))


def _close(one: Any, other: Any) -> bool:
    """Equal but for rounding."""
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(_close(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(_close, one, other))
    if isinstance(one, float):
        return bool(np.isclose(one, other, rtol=1e-9, atol=1e-12))
    return bool(one == other)


def _plugin(kind: str, named: Any) -> Any:
    """The plug-in, which must have everything its contract asks for."""
    plugin = catalogue.get(kind, named) if isinstance(named, str) else named
    lacks = missing(plugin, CONTRACTS[kind])
    _require(not lacks, f"{getattr(plugin, '__name__', plugin)}: {'; '.join(lacks)}")
    return plugin


def _require(holds: Any, sentence: str) -> None:
    if not holds:
        raise AssertionError(sentence)
