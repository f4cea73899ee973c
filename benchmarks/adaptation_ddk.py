"""A small student taught by a stored model in ten domains: rows drawn where it is furthest behind (DDK), or alike.

clinc150's in-scope rows. The teacher is minilm tuned in full on 50 rows a class. The student is minilm under a small LoRA,
taught by `adapt.settings.teacher` on other rows, of which some domains have many and some few: from 50 a class down to 5, in an
order drawn by seed. Three students take the same number of steps: rows drawn alike, domains drawn alike, and by DDK. Judged on
all 4,500 test rows: in each domain, the perplexity of the student's label over that of the teacher's, and the worst domain's.

    python benchmarks/adaptation_ddk.py
"""

from __future__ import annotations

import gzip
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent))
from _report import cached, report
from savile.base.records import Dataset

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve() / "intent-clinc150"
SEEDS = (0, 1, 2)
A_CLASS, FEWEST = 50, 5
STUDENT = {"steps": 150, "rank": 4, "alpha": 8, "freeze": 4}
WAYS: dict[str, dict[str, Any]] = {
    "rows alike": {},
    "domains alike": {"column": "domain", "smooth": 0.0},
    "ddk": {"column": "domain"},
}


def main() -> None:
    runs = {way: [measured(way, seed) for seed in SEEDS] for way in WAYS}
    worst = {way: [max(one["ratios"].values()) for one in found] for way, found in runs.items()}
    mean = {way: [statistics.mean(one["ratios"].values()) for one in found] for way, found in runs.items()}
    said: dict[str, Any] = {"seeds": list(SEEDS), "higher": False}
    for way in ("rows alike", "domains alike"):
        name = way.replace(" ", "_")
        for what, found, slack in (("worst_domain", worst, 1.0), ("mean", mean, 1.01)):
            peer = statistics.mean(found[way])
            more = {"baseline": way, "baseline_value": peer, "runs": {"ddk": found["ddk"], way: found[way]}}
            value = statistics.mean(found["ddk"])
            report(
                f"ddk_{what}_perplexity_ratio_against_{name}", value, "times the teacher's", bar=peer * slack, **more, **said
            )
    accuracy = {way: [one["accuracy"] for one in found] for way, found in runs.items()}
    shares = [one["drawn"] for one in runs["ddk"]]
    report("ddk_accuracy", statistics.mean(accuracy["ddk"]), "accuracy", seeds=list(SEEDS), runs={**accuracy, "drawn": shares})


def measured(way: str, seed: int) -> dict[str, Any]:
    return cached({"benchmark": "ddk", "way": way, "seed": seed, **STUDENT}, lambda: measure(way, seed))


def measure(way: str, seed: int) -> dict[str, Any]:
    from savile.adaptation import adapt
    from savile.models import Predictor

    with tempfile.TemporaryDirectory() as home:
        os.environ["SAVILE_HOME"] = home
        whole, few = rows(seed)
        teacher = adapt(whole, "minilm", "full", seed=seed)
        told = {**STUDENT, "teacher": {"model": teacher.ref, **WAYS[way]}}
        student = adapt(few, "minilm", "lora", settings=told, seed=seed)
        gold = few.targets("test")
        domain = np.array(few.table.column("domain").take(few.parts["test"]).to_pylist())
        said = {name: Predictor(one, "torch")(few.texts("test")) for name, one in (("teacher", teacher), ("student", student))}
        loss = {name: -np.log(one.probabilities[np.arange(len(gold)), gold].clip(1e-9)) for name, one in said.items()}
        gap = loss["student"] - loss["teacher"]
        ratios = {str(one): float(np.exp(gap[domain == one].mean())) for one in np.unique(domain)}
        right = {f"{name} accuracy": float((one.choice == gold).mean()) for name, one in said.items()}
        found = {"ratios": ratios, "accuracy": right.pop("student accuracy"), **right, "drawn": student.facts.get("drawn")}
    print(json.dumps({"way": way, "seed": seed, **found}), file=sys.stderr, flush=True)
    return found


def rows(seed: int) -> tuple[Dataset, Dataset]:
    """What the teacher learns from, and what the student does; both are chosen, calibrated and tested on the same rows."""
    with gzip.open(SAMPLES / "data_full.json.gz", "rt", encoding="utf-8") as file:
        given = json.load(file)
    names = json.loads((SAMPLES / "domains.json").read_text())
    domain = {intent: name for name, intents in names.items() for intent in intents}
    order = [sorted(names)[i] for i in np.random.default_rng(seed).permutation(len(names))]
    kept = dict(zip(order, np.geomspace(A_CLASS, FEWEST, len(order)).round().astype(int).tolist(), strict=True))

    def some(part: str, first: int, most: dict[str, int]) -> list[dict[str, str]]:
        """Of each class the rows from the `first` on, as many as its domain has."""
        seen, found = dict.fromkeys(domain, 0), []
        for text, label in given[part]:
            if first <= seen[label] < first + most[domain[label]]:
                found.append({"text": text, "label": label, "domain": domain[label]})
            seen[label] += 1
        return found

    def alike(count: int) -> dict[str, int]:
        return dict.fromkeys(names, count)

    held = some("val", 0, alike(10)), some("val", 10, alike(10)), some("test", 0, alike(30))
    return _dataset(some("train", 0, alike(A_CLASS)), *held), _dataset(some("train", A_CLASS, kept), *held)


def _dataset(*parts: list[dict[str, str]]) -> Dataset:
    ends = np.cumsum([0, *map(len, parts)])
    place = {name: np.arange(*ends[i : i + 2]) for i, name in enumerate(("train", "valid", "calib", "test"))}
    table = pa.Table.from_pylist([row for part in parts for row in part])
    labels = tuple(sorted(set(table.column("label").to_pylist())))
    return Dataset(table, {"text": "text", "label": "label", "domain": "domain"}, place, labels=labels)


if __name__ == "__main__":
    main()
