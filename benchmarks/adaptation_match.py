"""Task `match` on pairs of Chinese utterances (FewCLUE bustm): 160 training pairs, the threshold from 160 others.

Beside it: the frozen base with the best threshold on its cosine, and the linear model of shared characters.
"""

from __future__ import annotations

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
from savile.base import answers
from savile.base.records import Dataset

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve() / "zh-fewclue"
FILES = {"train": "bustm_train_few_all.jsonl", "dev": "bustm_dev_few_all.jsonl", "test": "bustm_test_public.jsonl.gz"}
METHODS = ("head", "bitfit")
BAR, SEEDS = 0.62, (0, 1, 2)


def main() -> None:
    runs = {method: [measured(method, seed) for seed in (SEEDS if method != "head" else (0,))] for method in METHODS}
    runs["linear"] = [measured("linear", 0)]
    frozen = runs["head"][0]["cosine"]
    for method, found in runs.items():
        accuracy = [one["accuracy"] for one in found]
        bar = BAR if method in METHODS else None
        report(
            f"match_bustm_{method}", float(np.mean(accuracy)), "accuracy", bar=bar, baseline="frozen cosine",
            baseline_value=frozen, seeds=len(found), runs=accuracy,
        )  # fmt: skip
        print(method, "chosen on dev:", [round(one["dev"], 4) for one in found], "seconds:", [one["seconds"] for one in found])
    best = max(METHODS, key=lambda method: np.mean([one["dev"] for one in runs[method]]))
    chosen = [one["accuracy"] for one in runs[best]]
    report(
        "match_bustm", float(np.mean(chosen)), "accuracy", bar=BAR, baseline="frozen cosine", baseline_value=frozen,
        seeds=len(chosen), runs={"method": best, "accuracy": chosen},
    )  # fmt: skip


def rows(part: str) -> tuple[list[str], list[str]]:
    path = SAMPLES / FILES[part]
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        found = [json.loads(line) for line in file]
    kept = [one for one in found if one["label"] in ("0", "1")]
    return [answers.pair(one["sentence1"], one["sentence2"]) for one in kept], [one["label"] for one in kept]


def measured(method: str, seed: int) -> dict[str, Any]:
    return cached({"benchmark": "match", "method": method, "seed": seed}, lambda: measure(method, seed))


def measure(method: str, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        os.environ["SAVILE_HOME"] = home
        from savile.adaptation import adapt
        from savile.models import Predictor

        parts = {part: rows(part) for part in FILES}
        texts, labels = ([one for part in FILES for one in parts[part][side]] for side in (0, 1))
        ends = np.cumsum([0, *(len(parts[part][0]) for part in FILES)])
        index = {part: np.arange(ends[i], ends[i + 1]) for i, part in enumerate(FILES)}
        given = {"train": index["train"], "test": index["test"], "valid": np.arange(0), "calib": np.arange(0)}
        table = pa.table({"text": texts, "label": labels})
        data = Dataset(table, {"text": "text", "label": "label"}, given, "match", ("0", "1"))
        model = adapt(data, *(("linear",) if method == "linear" else ("use-m", method)), seed=seed)
        predict = Predictor(model, "linear" if method == "linear" else "torch")
        gold = {part: np.array([label == "1" for label in parts[part][1]]) for part in FILES}
        scores = {part: predict(parts[part][0]).probabilities[:, 1] for part in ("dev", "test")}
        dev, accuracy = by_threshold(scores, gold)
        found = {"dev": dev, "accuracy": accuracy, "seconds": model.facts["seconds"]}
        if method == "head":
            found["cosine"] = by_threshold({part: cosine(predict.answerer, parts[part][0]) for part in scores}, gold)[1]
        return found


def by_threshold(scores: dict[str, np.ndarray], gold: dict[str, np.ndarray]) -> tuple[float, float]:
    """Accuracy on dev and on test, above the threshold that is best on dev."""
    ordered = np.sort(scores["dev"])
    middles = (ordered[1:] + ordered[:-1]) / 2
    threshold = max(middles, key=lambda middle: ((scores["dev"] > middle) == gold["dev"]).mean())
    return tuple(float(((scores[part] > threshold) == gold[part]).mean()) for part in ("dev", "test"))  # type: ignore[return-value]


def cosine(network: Any, texts: list[str]) -> np.ndarray:
    """The cosine of both texts of each row, by the frozen base."""
    import torch

    from savile.models._rows import TokenRows, embed

    return embed(network, TokenRows(network.encode(texts), network.pad_id), 0, torch.float32)[0][:, 0].numpy()


if __name__ == "__main__":
    main()
