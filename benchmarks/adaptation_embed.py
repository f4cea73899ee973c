"""Task `embed`: banking77 questions find their intent's name among all 77, and utterances of bustm those that mean the same.

10 training questions an intent (770 rows), all 3,080 test questions; bustm: the pairs of its training part that mean the
same, of its public test part likewise. Beside it: the frozen base and BM25. Nothing is chosen on test rows.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent))
from _report import cached, report
from savile.base import answers, catalogue
from savile.base.records import Calibration, Dataset

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve()
SETS = {"banking77": "minilm", "bustm": "use-m"}
SEEDS, EACH, SHORT = (0, 1, 2), 10, 64
FIGURES = ("ndcg_10", "recall_1", "recall_10", "mrr", "ndcg_10_short")


def main() -> None:
    for name in sys.argv[1:] or SETS:
        tuned = [measured(name, seed) for seed in SEEDS]
        peers = {peer: measured(name, None, peer) for peer in ("frozen", "bm25")}
        for figure in FIGURES:
            runs = [one[figure] for one in tuned]
            for peer, found in peers.items():
                if figure not in found:
                    continue
                report(
                    f"embed_{name}_{figure}", float(np.mean(runs)), figure, baseline=peer, baseline_value=found[figure],
                    seeds=len(runs), runs=runs,
                )  # fmt: skip
        print(name, "seconds:", [one["seconds"] for one in tuned])


def measured(name: str, seed: int | None, peer: str = "") -> dict[str, Any]:
    key = {"benchmark": "embed", "set": name, "seed": seed, "peer": peer}
    return cached(key, lambda: measure(name, seed or 0, peer))


def measure(name: str, seed: int, peer: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        os.environ["SAVILE_HOME"] = home
        train, test = {"banking77": banking, "bustm": bustm}[name](seed)
        data = dataset(train, test)
        if peer == "frozen":
            from savile.models import encoder, sentence

            family = {"minilm": encoder, "use-m": sentence}[SETS[name]]
            network = family.create(SETS[name], data.labels, "contrastive", pairs=True).eval()
            return figures(family.predict(network, data.texts("test")), data)
        from savile.adaptation import adapt
        from savile.models import Predictor

        if peer == "bm25":
            model = adapt(data, "linear")
            vectors = Predictor(model, "linear")(data.texts("test")).logits
            return {key: value for key, value in figures(vectors, data).items() if not key.endswith("short")}
        model = adapt(data, SETS[name], "full", settings={"sizes": [SHORT]}, seed=seed)
        found = figures(Predictor(model, "torch")(data.texts("test")).logits, data)
        return {**found, "seconds": model.facts["seconds"]}


def figures(vectors: np.ndarray, data: Dataset) -> dict[str, float]:
    """What the metric file measures, and NDCG at 10 of the first `SHORT` numbers of each vector."""
    from savile.base.contracts import Predictions
    from savile.models._calibrate import decide
    from savile.models._vectors import shortened

    head, metric = catalogue.get("tasks", "embed").head(1), catalogue.get("metrics", "retrieval")

    def measure(some: np.ndarray) -> dict[str, float]:
        rows = metric.by_query(Predictions(data.targets("test"), decide(head, some, Calibration()), data.labels))
        return dict(zip(metric.FIGURES, rows.mean(axis=0).tolist(), strict=True))

    width = min(SHORT, vectors.shape[1] // 2)
    short = np.concatenate([shortened(side, width) for side in np.split(vectors, 2, axis=1)], axis=1)
    return {**measure(vectors), "ndcg_10_short": measure(short)["ndcg_10"]}


def dataset(train: list[tuple[str, str]], test: list[tuple[str, str]]) -> Dataset:
    texts = [answers.pair(*pair) for pair in (*train, *test)]
    ends, none = len(train), np.arange(0)
    parts = {"train": np.arange(ends), "test": np.arange(ends, len(texts)), "valid": none, "calib": none}
    table = pa.table({"text": texts, "related": ["1"] * len(texts)})
    return Dataset(table, {"text": "text", "label": "related"}, parts, "embed", ("similarity",))


def banking(seed: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """`EACH` questions of each intent, drawn with the seed, and all test questions; the other text is the intent's name."""

    def read(path: Path) -> list[tuple[str, str]]:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            return [(row["text"], row["category"].replace("_", " ")) for row in csv.DictReader(file)]

    folder = SAMPLES / "intent-banking77"
    rows, test = read(folder / "train.csv.gz"), read(folder / "test.csv")
    rng, taken, chosen = np.random.default_rng(seed), dict[str, int](), []
    for place in rng.permutation(len(rows)):
        text, name = rows[place]
        if taken.get(name, 0) < EACH:
            taken[name] = taken.get(name, 0) + 1
            chosen.append((text, name))
    return chosen, test


def bustm(seed: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    def read(name: str) -> list[tuple[str, str]]:
        path = SAMPLES / "zh-fewclue" / name
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        return [(one["sentence1"], one["sentence2"]) for one in rows if one["label"] == "1"]

    return read("bustm_train_few_all.jsonl"), read("bustm_test_public.jsonl.gz")


if __name__ == "__main__":
    main()
