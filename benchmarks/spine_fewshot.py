"""Ten rows a class and no more: ``method: auto`` on banking77 beside the frozen probe, five draws."""

from __future__ import annotations

import csv
import gzip
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from _report import cached, report

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve() / "intent-banking77"
DRAWS, ROWS = 5, 10


def main() -> None:
    draws = [cached({"benchmark": "fewshot", "draw": draw}, lambda draw=draw: measure(draw)) for draw in range(DRAWS)]
    for draw in draws:
        print(draw, file=sys.stderr)
    auto, probe, linear = (statistics.mean(draw[name] for draw in draws) for name in ("auto", "head", "linear"))
    seeds = list(range(DRAWS))
    spread = {name: [draw[name] for draw in draws] for name in ("auto", "head", "linear")}
    report(
        "fewshot_auto_accuracy",
        auto,
        "accuracy",
        bar=0.85,
        baseline="frozen probe",
        baseline_value=probe,
        seeds=seeds,
        runs=spread,
    )
    least = min(draw["auto"] - draw["head"] for draw in draws)
    report("fewshot_auto_above_probe_in_the_worst_draw", 100 * least, "points", bar=0.0, baseline="frozen probe", seeds=seeds)
    report("fewshot_linear_accuracy", linear, "accuracy", seeds=seeds)


def measure(draw: int) -> dict[str, Any]:
    """Accuracy on the whole test set of what `auto` keeps, of the frozen probe and of the linear model."""
    from savile import data
    from savile.adaptation import adapt
    from savile.base import catalogue
    from savile.models import Predictor

    with tempfile.TemporaryDirectory() as folder:
        os.environ["SAVILE_HOME"] = f"{folder}/home"
        path = sample(draw, Path(folder) / "few.csv")
        found = data.govern(path, test=SAMPLES / "test.csv")
        texts, gold = found.texts("test"), found.targets("test")

        def accuracy(model: Any) -> float:
            form = catalogue.get("families", model.family).FORM
            return float((Predictor(model, form)(texts).choice == gold).mean())

        auto = adapt(found)
        probe, linear = adapt(found, method="head"), adapt(found, "linear")
        kept = {"kept": auto.method or auto.family, "why": auto.facts["why"], "seconds": auto.facts["seconds"]}
        return {"auto": accuracy(auto), "head": accuracy(probe), "linear": accuracy(linear), **kept}


def sample(draw: int, path: Path) -> Path:
    """Ten rows of each class, drawn at random, as a file of their own."""
    with gzip.open(SAMPLES / "train.csv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rng = np.random.default_rng(draw)
    order = rng.permutation(len(rows))
    by_label: dict[str, list[int]] = {}
    for i in order:
        by_label.setdefault(rows[i]["category"], []).append(int(i))
    chosen = sorted(i for rows_of in by_label.values() for i in rows_of[:ROWS])
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["text", "category"])
        writer.writeheader()
        writer.writerows({name: rows[i][name] for name in ("text", "category")} for i in chosen)
    return path


if __name__ == "__main__":
    main()
