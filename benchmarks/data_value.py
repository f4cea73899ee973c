"""Value of rows: KNN-Shapley timed and held against its definition, flipped labels of banking77, dropping rows, copies.

For copies, 2,000 rows of banking77 belong to four owners by lot, who share a budget of 1,000. Then one of them brings every
row twice, or a fifth owner brings that one's rows again; the figure is what they are paid together for one paid before.
Beside it the same by the plain values of rows, each of which is paid for by itself. `data_value.py copies` measures that
alone.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import math
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from _report import report
from savile import data
from savile.data import _features, _removal, _shapley
from savile.data._shapley import Points

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data"))
SEEDS = 3
BUDGET = 1_000.0


def main() -> None:
    copies()
    if sys.argv[1:] == ["copies"]:
        return
    report("knn_shapley_10k_x_1k_seconds", seconds(), "s", bar=30, higher=False)
    report("knn_shapley_brute_force_difference", worst_difference(), "absolute", bar=1e-9, higher=False, seeds=20)
    with gzip.open(SAMPLES / "intent-banking77" / "train.csv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    labels = np.unique([row["category"] for row in rows], return_inverse=True)[1]
    features = _features.of_texts([row["text"] for row in rows], "minilm")
    found = [flipped(features, labels, seed) for seed in range(SEEDS)]
    recalls, gains = [one[0] for one in found], [one[1] for one in found]
    common = {"seeds": SEEDS, "baseline": "random_order", "baseline_value": 0.2}
    report("flipped_labels_in_bottom_fifth", float(np.mean(recalls)), "recall", bar=0.6, runs=recalls, **common)
    value = [gain["value"] for gain in gains]
    more = {"seeds": SEEDS, "baseline": "random_removal", "baseline_value": 0.0, "runs": gains}
    report("dropping_up_to_a_fifth_gain_over_random", float(np.mean(value)), "accuracy", **more)


def copies() -> None:
    """What copying pays."""
    runs = [copied(seed) for seed in range(SEEDS)]
    common = {"bar": 1.02, "higher": False, "seeds": SEEDS, "baseline": "rows_paid_one_by_one"}
    for name in ("own", "another's"):
        ours, plain = [run[name] for run in runs], float(np.mean([run[f"{name}, plain"] for run in runs]))
        title = f"paid_for_copies_of_{'own' if name == 'own' else 'another_owners'}_rows"
        report(title, float(np.mean(ours)), "of what was paid before", baseline_value=plain, runs=ours, **common)


def copied(seed: int) -> dict[str, float]:
    """Price of the first owner's rows when they come twice, from that owner or from another, as a share of what it was."""
    with gzip.open(SAMPLES / "intent-banking77" / "train.csv.gz", "rt", encoding="utf-8") as file:
        every = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    rng = np.random.default_rng(seed)
    rows = [(*every[i], f"owner {rng.integers(4)}") for i in rng.choice(len(every), 2_000, replace=False).tolist()]
    mine = [row for row in rows if row[2] == "owner 0"]
    cases = {"before": rows, "own": rows + mine, "another's": rows + [(text, label, "copier") for text, label, _ in mine]}
    paid = {name: prices(case) for name, case in cases.items()}
    found = {}
    for name in ("own", "another's"):
        for kind, place in (("", 0), (", plain", 1)):
            found[name + kind] = paid[name][place] / paid["before"][place]
    return found


def prices(rows: list[tuple[str, str, str]]) -> tuple[float, float]:
    """Paid to owner 0 and to whoever copies it: by the step, and by plain values of the same rows and questions."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label", "owner"), *rows])
        options = data.Options(label="label", text="text", steps={"value": {"owner": "owner", "budget": BUDGET}})
        seen = data.inspect(path, options).data
    paid = {one["owner"]: one["price"]["value"] for one in seen.settings["steps"]["value"]["owners"]}
    texts, labels, owners = (np.array(column, dtype=object) for column in zip(*rows, strict=True))
    labels = np.unique(labels.astype(str), return_inverse=True)[1]
    asked = np.array(seen.parts["test"])
    asked = asked[asked < len(rows)]
    learnt = np.setdiff1d(np.arange(len(rows)), np.flatnonzero(np.isin(texts, texts[asked])))
    features = _features.of_texts(texts.tolist(), None)
    values = _shapley.values(Points(features[learnt], labels[learnt]), Points(features[asked], labels[asked]), 10)
    totals = {name: max(float(values[owners[learnt] == name].sum()), 0.0) for name in set(owners.tolist())}
    whose = ("owner 0", "copier")
    return sum(paid.get(n, 0.0) for n in whose), BUDGET * sum(totals.get(n, 0.0) for n in whose) / sum(totals.values())


def seconds() -> float:
    rng = np.random.default_rng(0)
    rows, questions = (Points(rng.normal(size=(n, 384)).astype(np.float32), rng.integers(77, size=n)) for n in (10_000, 1_000))
    start = time.perf_counter()
    _shapley.values(rows, questions, 10)
    return time.perf_counter() - start


def worst_difference() -> float:
    """The largest difference to the definition over 20 small problems, both utilities."""
    worst = 0.0
    for seed, soft in itertools.product(range(10), (0, 3)):
        rng = np.random.default_rng(seed)
        rows = Points(rng.normal(size=(8, 4)), rng.integers(3, size=8))
        question = Points(rng.normal(size=(1, 4)), rng.integers(3, size=1))
        order = np.argsort(((rows.features - question.features[0]) ** 2).sum(axis=1), kind="stable").tolist()

        def worth(some, order=order, rows=rows, question=question, soft=soft) -> float:
            near = sorted(some, key=order.index)[:3]
            right = sum(rows.labels[row] == question.labels[0] for row in near)
            if not near:
                return 1 / soft if soft else 0.0
            return right / (len(near) if soft else 3)

        for one in range(8):
            others, exact = [row for row in range(8) if row != one], 0.0
            for size in range(8):
                share = math.factorial(size) * math.factorial(7 - size) / math.factorial(8)
                exact += share * sum(worth((*some, one)) - worth(some) for some in itertools.combinations(others, size))
            worst = max(worst, abs(exact - _shapley.values(rows, question, 3, soft)[one]))
    return worst


def flipped(features: np.ndarray, true: np.ndarray, seed: int) -> tuple[float, dict[str, float]]:
    """10 % of labels flipped: share of flips among the lowest fifth by 1,000 questions, and the gain of dropping by value."""
    rng = np.random.default_rng(seed)
    labels, flip = true.copy(), rng.random(len(true)) < 0.1
    labels[flip] = (true[flip] + rng.integers(1, true.max() + 1, flip.sum())) % (true.max() + 1)
    order = rng.permutation(len(labels))
    asked, held, rows = order[:1_000], order[1_000:1_500], order[1_500:]
    values = _shapley.values(Points(features[rows], labels[rows]), Points(features[asked], labels[asked]), 10)
    lowest = rows[np.argsort(values)[: round(0.2 * len(rows))]]
    curve = _removal.curve(features, labels, rows, (np.arange(len(rows)), held), values, seed)
    print(seed, [round(one, 3) for one in curve["least_valuable"]], [round(one[0], 3) for one in curve["random"]], flush=True)
    return float(flip[lowest].sum() / flip[rows].sum()), curve["gain"]


if __name__ == "__main__":
    main()
