"""What two methods promise beside ten rows a class: adapters fused on a small task, prefixes on long documents.

    python benchmarks/adaptation_relations.py [fusion] [long]

- ``fusion``: bottleneck adapters of bitext, of airline tweets and of a small task (five questions of each of twenty banking77
  intents) are fused on the small task: accuracy against its own adapter alone, and how far the attention over adapters has come
  from looking at all alike (entropy over its logarithm).
- ``long``: documents of at least 512 tokens, questions of clinc150 strung together, a quarter of the document's domain and the
  rest of all: prefixes that pass through the layers against keys and values in front, accuracy and calibration error.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from _report import cached, report

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve()
SEEDS = (0, 1, 2)
STEPS, SMALL = 120, 5  # steps of an adapter of a large task; rows a class of the small one
WORDS, OWN = 560, 0.25  # words of a document, each a token or more, and the share of its questions that are of its domain
DOCUMENTS = {"train": 16, "valid": 4, "calib": 4, "test": 16}  # of each of ten domains
LONG = {"max_length": 512, "batch_rows": 8, "epochs": 3.0, "evaluations": 2}

Row = tuple[str, str]


def main() -> None:
    for part in sys.argv[1:] or ("fusion", "long"):
        {"fusion": fusion, "long": long}[part]()


def fusion() -> None:
    runs = [cached({"benchmark": "relations", "part": "fusion", "seed": seed}, lambda s=seed: fused(s)) for seed in SEEDS]
    own, ours = (float(np.mean([one[name] for one in runs])) for name in ("alone", "fused"))
    more: dict[str, Any] = {"seeds": len(SEEDS), "runs": runs}
    report("methods_must_hold_fusion_against_own_adapter", ours - own, "points", -0.5, **more)
    report("methods_must_hold_fusion_entropy", float(np.mean([one["entropy"] for one in runs])), "of even", 0.98, False, **more)


def long() -> None:
    runs = {}
    for method in ("prefix", "prefix_propagation"):
        key = {"benchmark": "relations", "part": "long", "method": method}
        runs[method] = [cached({**key, "seed": seed}, lambda s=seed, m=method: read(m, s)) for seed in SEEDS]
    means = {m: {k: float(np.mean([one[k] for one in some])) for k in ("accuracy", "ece")} for m, some in runs.items()}
    ours, peer = means["prefix_propagation"], means["prefix"]
    more: dict[str, Any] = {"seeds": len(SEEDS), "baseline": "prefix", "runs": runs}
    report("methods_must_hold_prefix_propagation_long", ours["accuracy"], "accuracy, %", peer["accuracy"] - 1,
           **more, baseline_value=peer["accuracy"])  # fmt: skip
    report("methods_must_hold_prefix_propagation_long_ece", ours["ece"], "ECE", peer["ece"] + 0.01, False,
           **more, baseline_value=peer["ece"])  # fmt: skip


def fused(seed: int) -> dict[str, float]:
    """Accuracy of the small task by its own adapter and by three fused, and the entropy of the attention."""
    import pandas as pd
    import torch

    from savile.adaptation import adapt, adapter_fusion
    from savile.models import Predictor, encoder

    with tempfile.TemporaryDirectory() as home:
        os.environ["SAVILE_HOME"] = home
        rng, refs = np.random.default_rng(seed), []
        for path, text, label in (
            ("intent-bitext/train.csv.gz", "utterance", "intent"),
            ("feedback-airline/airline_tweets.csv.gz", "text", "airline_sentiment"),
        ):
            rows = pd.read_csv(SAMPLES / path)[[text, label]].dropna().sample(2_000, random_state=seed)
            data = dataset([(str(a), str(b)) for a, b in rows.itertuples(index=False)], (0.8, 0.1, 0.1))
            refs.append(adapt(data, "minilm", "bottleneck", settings={"steps": STEPS}, seed=seed).ref)
        train, test = (pd.read_csv(SAMPLES / "intent-banking77" / name) for name in ("train.csv.gz", "test.csv"))
        names = rng.permutation(sorted(train["category"].unique()))[:20]
        few, asked = (rows[rows["category"].isin(names)] for rows in (train, test))
        few = few.groupby("category", group_keys=False).sample(SMALL + 4, random_state=seed)
        order = few.groupby("category").cumcount().to_numpy()
        rows = [tuple(row) for some in (few, asked) for row in some[["text", "category"]].itertuples(index=False)]
        ends = len(few)
        parts = {
            "train": np.flatnonzero(order < SMALL),
            "valid": np.flatnonzero((order >= SMALL) & (order < SMALL + 2)),
            "calib": np.flatnonzero(order >= SMALL + 2),
            "test": np.arange(ends, len(rows)),
        }
        data = stored(rows, parts)
        own = adapt(data, "minilm", "bottleneck", seed=seed)
        both = adapt(data, "minilm", "adapter_fusion", settings={"adapters": [own.ref, *refs]}, seed=seed)
        network = encoder.load(both)
        encoder.predict(network, list(data.texts("test"))[:64])
        weights = [m.weights.reshape(-1, 3) for m in network.trunk.modules() if isinstance(m, adapter_fusion.Fusion)]
        shares = torch.cat(weights).clamp(min=1e-9)
        entropy = float(-(shares * shares.log()).sum(-1).mean() / np.log(3))
        right = [
            100 * float((Predictor(model, "torch")(data.texts("test")).choice == data.targets("test", model.labels)).mean())
            for model in (own, both)
        ]
        return {"alone": right[0], "fused": right[1], "entropy": entropy}


def read(method: str, seed: int) -> dict[str, float]:
    """Accuracy and calibration error of one method on long documents."""
    from savile.adaptation import adapt
    from savile.models import Predictor

    with tempfile.TemporaryDirectory() as home:
        os.environ["SAVILE_HOME"] = home
        rows, parts = documents(seed)
        data = stored(rows, parts)
        model = adapt(data, "minilm", method, settings=LONG, seed=seed)
        outputs, gold = Predictor(model, "torch")(data.texts("test")), data.targets("test", model.labels)
        right = outputs.choice == gold
        return {"accuracy": 100 * float(right.mean()), "ece": ece(outputs.probabilities.max(1), right)}


def ece(sure: np.ndarray, right: np.ndarray) -> float:
    """Calibration error over ten bins of equal width: how sure (n,) against how often right (n,)."""
    place = np.minimum((10 * sure).astype(int), 9)
    return float(sum(abs((sure - right)[place == one].sum()) for one in range(10)) / len(sure))


def documents(seed: int) -> tuple[list[Row], dict[str, np.ndarray]]:
    """Documents with their domain, and which are for what; documents to be tested on are of questions of the test part."""
    folder, rng = SAMPLES / "intent-clinc150", np.random.default_rng(seed)
    clinc = json.loads(gzip.decompress((folder / "data_full.json.gz").read_bytes()))
    domains = json.loads((folder / "domains.json").read_text())
    rows: list[Row] = []
    parts: dict[str, Any] = {part: [] for part in DOCUMENTS}
    for part, count in DOCUMENTS.items():
        pool = clinc["test" if part == "test" else "train"]
        inside = {name: [text for text, label in pool if label in intents] for name, intents in domains.items()}
        every = [text for texts in inside.values() for text in texts]
        for name, texts in sorted(inside.items()):
            for _ in range(count):
                words: list[str] = []
                while len(words) < WORDS:
                    source = texts if rng.random() < OWN else every
                    words += [*source[rng.integers(len(source))].split(), "."]
                parts[part].append(len(rows))
                rows.append((" ".join(words), name))
    return rows, {part: np.array(chosen) for part, chosen in parts.items()}


def dataset(rows: Sequence[Row], shares: tuple[float, float, float]) -> Any:
    """Rows cut into train, valid and calib, one behind the other."""
    ends = np.cumsum([round(share * len(rows)) for share in shares])
    train, valid, calib = np.split(np.arange(len(rows)), ends[:2])
    return stored(rows, {"train": train, "valid": valid, "calib": calib, "test": np.arange(0)})


def stored(rows: Sequence[Row], parts: dict[str, np.ndarray]) -> Any:
    import pyarrow as pa

    from savile.base.records import Dataset
    from savile.base.store import Store

    table = pa.table({"text": [text for text, _ in rows], "label": [label for _, label in rows]})
    labels = tuple(sorted({label for _, label in rows}))
    return Store.open().save(Dataset(table, {"text": "text", "label": "label"}, parts, labels=labels))


if __name__ == "__main__":
    main()
