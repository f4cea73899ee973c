"""Rows picked to be labelled next against rows drawn at random: accuracy on the test part after so many labels.

    python data_picking.py [banking77 clinc150]

Nobody has labelled anything at first; a batch is picked, labelled rightly, and the next one is picked knowing it, as with
`savile review --pick`. After each batch a logistic regression on embeddings learns from the labelled rows. A seed draws 6,000
of the training rows to pick from.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from _report import cached, report
from _sets import SAMPLES
from savile.data import _features, _pick

SEEDS, POOL, BATCH, BATCHES = 3, 6_000, 100, 5


def rows(name: str) -> dict[str, tuple[list[str], list[str]]]:
    """Part -> texts and labels; of clinc150 what is in scope."""
    import gzip
    import json

    import pandas as pd

    if name == "clinc150":
        with gzip.open(SAMPLES / "intent-clinc150" / "data_full.json.gz", "rt", encoding="utf-8") as file:
            read = json.load(file)
        return {part: tuple(map(list, zip(*read[part], strict=True))) for part in ("train", "test")}
    found = {part: pd.read_csv(next((SAMPLES / "intent-banking77").glob(f"{part}.csv*"))) for part in ("train", "test")}
    return {part: (table["text"].tolist(), table["category"].tolist()) for part, table in found.items()}


def measure(name: str) -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegression

    parts = rows(name)
    features = {part: _features.of_texts(texts, "minilm") for part, (texts, _) in parts.items()}
    names = sorted(set(parts["train"][1]))
    label = {part: np.array([names.index(one) for one in labels]) for part, (_, labels) in parts.items()}
    found: dict[str, Any] = {}
    for by in _pick.WAYS:
        for seed in range(SEEDS):
            pool = np.random.default_rng(seed).permutation(len(label["train"]))[:POOL]
            inside, true, known, right = features["train"][pool], label["train"][pool], np.full(POOL, -1), []
            for batch in range(BATCHES):
                picked = _pick.pick(inside, known, BATCH, by, 100 * seed + batch).rows
                known[picked] = true[picked]
                some = known >= 0
                machine = LogisticRegression(C=30.0, max_iter=200).fit(inside[some], known[some])
                right.append(float(machine.score(features["test"], label["test"])))
            found.setdefault(by, []).append(right)
    return found


def main() -> None:
    for name in sys.argv[1:] or ["banking77", "clinc150"]:
        found = cached({"benchmark": "picking", "set": name}, lambda name=name: measure(name))
        for by in found:
            for place in (1, BATCHES - 1):
                now, even = (100 * np.array([run[place] for run in found[one]]) for one in (by, "even"))
                more = {"baseline": "drawn_at_random", "baseline_value": float(even.mean()), "seeds": SEEDS}
                figure = f"{name}_accuracy_after_{BATCH * (place + 1)}_labels_picked_by_{by}"
                if by != "even":
                    report(figure, float(now.mean()), "accuracy points", runs=now.tolist(), **more)


if __name__ == "__main__":
    main()
