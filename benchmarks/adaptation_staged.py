"""Five domains of clinc150 learnt one after another: what is forgotten, by the way of keeping, against learning them at once.

``adaptation_staged.py`` runs every way; ``adaptation_staged.py WAY…`` those. 30 rows to learn from, 5 to choose by and 30 to be
tested on of each of 75 intents; the domain of a test row is not given. After stage i, A[i, j] is the accuracy on domain j.
Average accuracy is the mean of the last row; backward transfer the mean of A[last, j] - A[j, j] over earlier domains; what is
lost is how far the average accuracy stays behind joint training. Rows that choose weights are those of the newest stage alone.
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

sys.path.insert(0, str(Path(__file__).parent))
from _report import cached, report

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve() / "intent-clinc150"
DOMAINS = ("banking", "travel", "kitchen_and_dining", "work", "home")
ROWS = {"train": 30, "valid": 5, "test": 30}
SEEDS = tuple(int(one) for one in os.environ.get("STAGED_SEEDS", "0,1,2").split(","))
WAYS: dict[str, Any] = {
    "nothing": "nothing",
    "replay": {"by": "replay", "memory": 750},
    "distil": {"by": "distil"},
    "ewc": {"by": "ewc"},
    "orthogonal": {"by": "orthogonal"},
    "domains": {"by": "domains", "memory": 750},
    "reversal": {"by": "reversal", "memory": 750},
    "pool": {"by": "pool"},
}
FIRST = {"pool": "prompt_pool"}  # way -> method of the first stage, where it is not lora


def main() -> None:
    asked = sys.argv[1:] or list(WAYS)
    joint = [cached({"benchmark": "staged", "way": "joint", "seed": seed}, lambda seed=seed: at_once(seed)) for seed in SEEDS]
    best = float(np.mean([one["average"] for one in joint]))
    report("staged_joint_average", best, "accuracy, %", seeds=len(SEEDS), runs=joint)
    lost = 0.0
    for way in dict.fromkeys(["nothing", *asked]):
        key = {"benchmark": "staged", "way": way, "settings": WAYS[way]}
        runs = [cached({**key, "seed": seed}, lambda way=way, seed=seed: one_by_one(way, seed)) for seed in SEEDS]
        average, back = (float(np.mean([run[name] for run in runs])) for name in ("average", "backward"))
        more: dict[str, Any] = {"baseline": "joint", "baseline_value": best, "seeds": len(SEEDS), "runs": runs}
        report(f"staged_{way}_average", average, "accuracy, %", **more)
        report(f"staged_{way}_backward", back, "points", seeds=len(SEEDS))
        lost = best - average if way == "nothing" else lost
        if way != "nothing":
            share = (best - average) / lost
            report(f"staged_{way}_lost_of_naive", share, "share", bar=0.25, higher=False, seeds=len(SEEDS))


def domain(name: str, seed: int) -> Any:
    """One domain as a data set: columns text and label, and rows of each part."""
    import pyarrow as pa

    from savile.base.records import Dataset

    intents = sorted(json.loads((SAMPLES / "domains.json").read_text())[name])
    with gzip.open(SAMPLES / "data_full.json.gz", "rt", encoding="utf-8") as file:
        every = json.load(file)
    rng, table, parts = np.random.default_rng(seed), [], {}
    for part, source in (("train", "train"), ("valid", "val"), ("test", "test")):
        begin = len(table)
        for intent in intents:
            rows = [row for row in every[source] if row[1] == intent]
            table += [rows[i] for i in rng.permutation(len(rows))[: ROWS[part]]]
        parts[part] = np.arange(begin, len(table), dtype=np.int64)
    columns = {"text": [text for text, _ in table], "label": [label for _, label in table]}
    parts["calib"] = parts["valid"]
    return Dataset(pa.table(columns), {"text": "text", "label": "label"}, parts, labels=tuple(intents), name=name)


def grown(data: Any, new: Any) -> Any:
    """The data with one more domain; only rows of that choose and calibrate."""
    from savile.data import appended

    made = appended(data, new)
    for part in ("valid", "calib"):
        stages = made.stages(part)
        made = made.select(part, made.parts[part][stages == stages.max()])
    return made


def accuracies(model: Any, domains: list[Any]) -> list[float]:
    from savile.models import Predictor

    predict = Predictor(model, "torch")
    return [100 * float((predict(one.texts("test")).choice == one.targets("test", model.labels)).mean()) for one in domains]


def one_by_one(way: str, seed: int) -> dict[str, Any]:
    """Every domain after the other."""
    from savile.adaptation import adapt

    with home():
        domains = [domain(name, seed) for name in DOMAINS]
        data, rows = domains[0], []
        model = adapt(data, "minilm", FIRST.get(way, "lora"), seed=seed, settings={"least_steps": 96})
        rows.append(accuracies(model, domains[:1]))
        for stage in range(1, len(domains)):
            data = grown(data, domains[stage])
            model = adapt(data, model.ref, seed=seed, settings={"keep": WAYS[way]})
            rows.append(accuracies(model, domains[: stage + 1]))
    back = float(np.mean([rows[-1][j] - rows[j][j] for j in range(len(domains) - 1)]))
    found = {"average": float(np.mean(rows[-1])), "backward": back, "table": rows}
    print(way, seed, json.dumps(found), flush=True)
    return found


def at_once(seed: int) -> dict[str, Any]:
    """All domains together."""
    from savile.adaptation import adapt
    from savile.data import appended

    with home():
        domains = [domain(name, seed) for name in DOMAINS]
        data = domains[0]
        for one in domains[1:]:
            data = appended(data, one)
        return {"average": float(np.mean(accuracies(adapt(data, "minilm", "lora", seed=seed), domains)))}


class home:  # noqa: N801  (reads like a word)
    """A store of its own."""

    def __enter__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        os.environ["SAVILE_HOME"] = self.folder.name

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()


if __name__ == "__main__":
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    main()
