"""A library of fifteen adapters on minilm: is a text's task found, what do routes and merges answer, what does growth cost?

Tasks: the ten domains of clinc150, 20 labels of banking77, bitext, phrasebank, airline tweets, departments of clothing reviews.
Of each label up to 8 rows are learned from (24 of tasks with few labels), 4 choose and calibrate, 6 are tested on. Each task
has a LoRA adapter trained alone for 24 steps. Every way then fits one head for all labels on the same training rows, and
nothing else. The task of a text is never given. ``LIBRARY_SEEDS=0,1`` says which seeds; what a seed that was stopped has
trained is kept.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from _report import HERE, cached, report

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve()
SEEDS = tuple(int(one) for one in os.environ.get("LIBRARY_SEEDS", "0").split(","))
ROWS = {"train": 8, "valid": 2, "calib": 2, "test": 6}
FEW_LABELS, MORE = 6, 3  # so many labels or fewer, and three times the rows
SHORT = {"max_length": 48}
LORA = {"steps": 24, "batch_rows": 32, "rank": 8, "alpha": 16, "evaluations": 2, **SHORT}
BUDGETS = {"half": 0.5}  # share of the megabytes of all adapters
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "uniform merge": ("merge", {"how": "linear"}),
    "ties": ("merge", {"how": "ties"}),
    "arrow": ("arrow", {"top": 3}),
    "domains": ("domains", {}),
}


def main() -> None:
    runs = [cached({"benchmark": "library", "part": "routes", "seed": seed}, lambda seed=seed: routes(seed)) for seed in SEEDS]
    more: dict[str, Any] = {"seeds": len(SEEDS)}

    def mean(*path: str) -> float:
        return float(np.mean([_at(run, path) for run in runs]))

    found = [run["found"]["arrow"] for run in runs]
    report("library_arrow_task_found", mean("found", "arrow"), "%", bar=60.0, **more, runs=found)
    report("library_router_task_found", mean("found", "domains"), "%", **more)
    report("library_router_strangers_left_to_base", mean("found", "strangers"), "%", **more)
    report("library_alone_task_given_accuracy", mean("alone"), "%", **more, runs=[run["each"] for run in runs])
    merge = mean("accuracy", "uniform merge")
    for way in WAYS:
        values = [run["accuracy"][way] for run in runs]
        peer: dict[str, Any] = {} if way == "uniform merge" else {"baseline": "uniform merge", "baseline_value": merge}
        bar = {"bar": merge} if way == "arrow" else {}
        report(f"library_{way.replace(' ', '_')}_accuracy", mean("accuracy", way), "%", **bar, **peer, **more, runs=values)
    kept = [cached({"benchmark": "library", "part": "growth", "seed": seed}, lambda seed=seed: growth(seed)) for seed in SEEDS]
    for name in BUDGETS:
        value = float(np.mean([one[name]["accuracy"] for one in kept]))
        peer = {"baseline": "domains, all", "baseline_value": mean("accuracy", "domains"), **more}
        report(f"library_growth_{name}_accuracy", value, "%", **peer, runs=[one[name] for one in kept])


def _at(run: Any, path: tuple[str, ...]) -> float:
    for name in path:
        run = run[name]
    return float(run)


def tasks(seed: int) -> Iterator[tuple[str, list[tuple[str, str]], list[tuple[str, str]]]]:
    """Name, rows to learn and to choose from, and rows to be tested on, of each task; rows are (text, label)."""
    import pandas as pd

    clinc = json.loads(gzip.decompress((SAMPLES / "intent-clinc150" / "data_full.json.gz").read_bytes()))
    for name, intents in sorted(json.loads((SAMPLES / "intent-clinc150" / "domains.json").read_text()).items()):
        inside = [[(text, f"{name}: {label}") for text, label in clinc[part] if label in intents] for part in ("train", "test")]
        yield name, inside[0], inside[1]

    def read(path: str, text: str, label: str) -> list[tuple[str, str]]:
        rows = pd.read_csv(SAMPLES / path)[[text, label]].dropna()
        return [(str(one), f"{Path(path).parent.name}: {other}") for one, other in rows.itertuples(index=False)]

    banking = [read(f"intent-banking77/{part}", "text", "category") for part in ("train.csv.gz", "test.csv")]
    chosen = set(np.random.default_rng(0).permutation(sorted({label for _, label in banking[0]}))[:20])
    yield "banking77", *([row for row in part if row[1] in chosen] for part in banking)
    yield "bitext", *(read(f"intent-bitext/{part}", "utterance", "intent") for part in ("train.csv.gz", "test.csv"))
    for name, path, text, label in (
        ("phrasebank", "fin-phrasebank/phrasebank.csv.gz", "sentence", "label"),
        ("airline", "feedback-airline/airline_tweets.csv.gz", "text", "airline_sentiment"),
        ("clothing", "feedback-clothing/reviews_sample.csv.gz", "Review Text", "Department Name"),
    ):
        rows = read(path, text, label)
        order = np.random.default_rng(seed).permutation(len(rows))
        cut = len(rows) // 2
        yield name, [rows[i] for i in order[:cut]], [rows[i] for i in order[cut:]]


def dataset(name: str, learn: list[tuple[str, str]], test: list[tuple[str, str]], seed: int) -> Any:
    """A task as a stored data set."""
    import pyarrow as pa

    from savile.base.records import Dataset
    from savile.base.store import Store

    rng, labels = np.random.default_rng(seed), sorted({label for _, label in learn})
    times = MORE if len(labels) <= FEW_LABELS else 1
    rows: list[tuple[str, str]] = []
    parts: dict[str, Any] = {part: [] for part in ROWS}
    for label in labels:
        pools = {"train": [row for row in learn if row[1] == label], "test": [row for row in test if row[1] == label]}
        pools = {part: [pool[i] for i in rng.permutation(len(pool))] for part, pool in pools.items()}
        taken = 0
        for part, count in ROWS.items():
            pool, begin = (pools["test"], 0) if part == "test" else (pools["train"], taken)
            inside = pool[begin : begin + count * times]
            taken += 0 if part == "test" else len(inside)
            parts[part] += range(len(rows), len(rows) + len(inside))
            rows += inside
    table = pa.table({"text": [text for text, _ in rows], "label": [label for _, label in rows]})
    parts = {part: np.array(chosen, dtype=np.int64) for part, chosen in parts.items()}
    return Store.open().save(Dataset(table, {"text": "text", "label": "label"}, parts, labels=tuple(labels), name=name))


def library(seed: int) -> tuple[list[Any], list[Any], Any]:
    """The data and the model of each task, and the data of all of them, in a store of their own."""
    from savile.adaptation import adapt
    from savile.base.store import Store
    from savile.data import appended

    os.environ["SAVILE_HOME"] = str(HERE / ".cache" / f"library-{seed}")
    several = [dataset(name, learn, test, seed) for name, learn, test in tasks(seed)]
    models = [adapt(data, "minilm", "lora", settings=LORA, seed=seed) for data in several]
    whole = several[0]
    for data in several[1:]:
        whole = appended(whole, data)
    return several, models, Store.open().save(whole)


def routes(seed: int) -> dict[str, Any]:
    """Whose a text is found to be, and what each way answers."""
    from savile.adaptation import _library, adapt, arrow, domains
    from savile.models import Predictor, encoder
    from savile.models._bases import locate

    several, models, whole = library(seed)
    alone = [_right(Predictor(model, "torch"), data) for model, data in zip(models, several, strict=True)]
    refs, texts, stage = [model.ref for model in models], list(whole.texts("test")), whole.stages("test")
    found: dict[str, Any] = {"accuracy": {}, "found": {}, "alone": float(np.mean(alone)), "each": alone}
    for way, (method, settings) in WAYS.items():
        model = adapt(whole, "minilm", method, settings={**settings, **SHORT, "adapters": refs}, seed=seed)
        found["accuracy"][way] = _right(Predictor(model, "torch"), whole)
        network = encoder.load(model)
        if method == "arrow":
            found["found"]["arrow"] = 100 * float((arrow.recovered(network, texts).argmax(1).numpy() == stage).mean())
        if method == "domains":
            found["found"]["domains"] = 100 * float((domains.routed(network, texts) == stage).mean())
            found["found"]["strangers"] = 100 * float((domains.routed(network, _strangers()) == -1).mean())
        print(way, json.dumps(found["accuracy"]), json.dumps(found["found"]), flush=True)
    members = _library.read(refs, locate("minilm"))
    return {**found, "clusters": dict(zip([one.name for one in members], _library.clusters(members), strict=True))}


def growth(seed: int) -> dict[str, Any]:
    """What is answered with adapters shared and cut to a share of their bytes."""
    from savile.adaptation import _library, adapt, within
    from savile.models import Predictor
    from savile.models._bases import locate

    _, models, whole = library(seed)
    refs, found = [model.ref for model in models], {}
    members = _library.read(refs, locate("minilm"))
    megabytes = 4e-6 * sum(a.numel() + b.numel() for one in members for a, b in one.updates.values())
    for name, share in BUDGETS.items():
        grown = within(whole, refs, "minilm", share * megabytes)
        settings = {"adapters": refs, **SHORT, **grown.settings}
        measured = _right(Predictor(adapt(whole, "minilm", "domains", settings=settings, seed=seed), "torch"), whole)
        last = grown.steps[-1]
        said = {"accuracy": measured, "megabytes": last.megabytes, "of": megabytes, "lost_on_validation": last.lost}
        found[name] = {**said, "steps": [[step.what, step.why] for step in grown.steps]}
        print(name, json.dumps(found[name]), flush=True)
    return found


def _right(predict: Any, data: Any) -> float:
    return 100 * float((predict(data.texts("test")).choice == data.targets("test", predict.labels)).mean())


def _strangers() -> list[str]:
    """Texts that are of none of the tasks."""
    clinc = json.loads(gzip.decompress((SAMPLES / "intent-clinc150" / "data_full.json.gz").read_bytes()))
    return [text for text, _ in clinc["oos_test"]]


if __name__ == "__main__":
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    main()
