"""Questions saved by letting a small model label what it is sure of; a stand-in for a language model errs 5 % of the time.

    python data_cascade.py [hotel waimai shopping clinc150]

At most 8,000 rows of each set, drawn evenly; nobody knows a label but the stand-in. Points lost are of accuracy against asking
about every row.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from _report import cached, report
from savile.data import _cascade, _held_out

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data"))
ROWS, TOLERANCE, MOST = 8_000, 0.01, 0.4  # as the step `ask` has them
FILES = {"hotel": "ChnSentiCorp_htl_all", "waimai": "waimai_10k", "shopping": "online_shopping_10_cats"}


def main() -> None:
    for name in sys.argv[1:] or [*FILES, "clinc150"]:
        found = cached({"benchmark": "cascade", "set": name, "rows": ROWS}, lambda name=name: one(name))
        report(f"cascade_{name}_calls_saved", found["saved"], "share", bar=0.6, baseline="every_row_asked", runs=[found])
        report(f"cascade_{name}_points_lost", found["loss"], "accuracy points", bar=1.0, higher=False, runs=[found])


def one(name: str) -> dict[str, Any]:
    texts, labels = rows(name)
    chosen = np.random.default_rng(0).permutation(len(texts))[:ROWS]
    texts, true = [texts[i] for i in chosen], np.unique(np.array(labels)[chosen], return_inverse=True)[1]
    classes, rng = int(true.max()) + 1, np.random.default_rng(1)
    wrong = rng.random(len(true)) < 0.05
    answers = np.where(wrong, (true + rng.integers(1, classes, len(true))) % classes, true)
    views = _held_out.of_texts(texts, np.full(len(texts), -1), classes, _held_out.base_for("auto", texts))
    got = _cascade.run(views, classes, lambda some: answers[some], (TOLERANCE, round(MOST * len(texts))))
    everything, cascade = float((answers == true).mean()), float((got.label == true).mean())
    loss = 100 * (everything - cascade)
    return {"saved": 1 - float(got.asked.mean()), "loss": loss, "all_asked": everything, "cascade": cascade, "rate": got.rate}


def rows(name: str) -> tuple[list[str], list[str]]:
    if name == "clinc150":
        with gzip.open(SAMPLES / "intent-clinc150" / "data_full.json.gz", "rt", encoding="utf-8") as file:
            pairs = json.load(file)["train"]
        return [text for text, _ in pairs], [label for _, label in pairs]
    path = next((SAMPLES / "zh-reviews").glob(f"{FILES[name]}*"))
    with gzip.open(path, "rt", encoding="utf-8") as file:
        read = [row for row in csv.DictReader(file) if row["review"]]
    return [row["review"] for row in read], [row["label"] for row in read]


if __name__ == "__main__":
    main()
