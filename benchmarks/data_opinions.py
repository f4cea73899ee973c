"""Label distributions read off a small language model of this machine, against the 100 votes of ChaosNLI, in nats.

    python data_opinions.py

Items are those of VariErr that ChaosNLI has 100 votes of; what people said of them are VariErr's labels and explanations. The
model is smollm2 (135 M parameters); beside it what is told of the same items without any explanation, uniform shares, and the
raw shares of the few labels with one vote added to each.
"""

from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np

from _report import cached, report
from data_votes import NAMES, SAMPLES, read
from savile.data import _opinions
from savile.data._opinions import Item

ITEMS, ORDERS, CHOICES, PART = 20, 6, 1, 5
ABOUT = "Given the context, is the statement true (entailment), false (contradiction), or may it be either (neutral)?"


def items() -> tuple[list[Item], np.ndarray]:
    """Items, and the shares of 100 people, (n, 3)."""
    votes = {row["uid"].rstrip("enc"): row["label_counter"] for row in read("mnli_m")}
    found, shares = [], []
    for file in ("VariErrNLI_train.json.gz", "VariErrNLI_dev.json"):
        opened = gzip.open if file.endswith(".gz") else open
        with opened(SAMPLES / "labels-lewidi" / file, "rt", encoding="utf-8") as handle:
            for name, row in json.load(handle).items():
                if name in votes:
                    whys = row["other_info"]["explanations"]
                    said = tuple(zip((one.split(",")[0] for one in row["annotations"].values()), whys, strict=False))
                    text = f"Context: {row['text']['context']}\nStatement: {row['text']['statement']}"
                    found.append(Item(text, said))
                    shares.append([votes[name].get(label[0], 0) / 100 for label in NAMES])
    chosen = np.random.default_rng(0).permutation(len(found))[:ITEMS]
    return [found[i] for i in chosen], np.array(shares)[chosen]


def measure(start: int, explained: bool) -> dict[str, Any]:
    some = items()[0][start : start + PART]
    some = some if explained else [Item(one.text, ()) for one in some]
    return {"shares": _opinions.shares(_opinions.of_base("smollm2"), some, NAMES, ABOUT, (ORDERS, CHOICES, 0)).tolist()}


def divergence(due: np.ndarray, said: np.ndarray) -> float:
    """Mean Kullback-Leibler divergence of what is said from what is due."""
    return float(np.where(due > 0, due * np.log(np.maximum(due, 1e-12) / np.maximum(said, 1e-3)), 0.0).sum(axis=1).mean())


def main() -> None:
    asked, due = items()
    found = {}
    for explained in (True, False):
        keys = [{"benchmark": "opinions", "start": start, "explained": explained} for start in range(0, ITEMS, PART)]
        parts = [cached(key, lambda key=key: measure(key["start"], key["explained"])) for key in keys]
        found[explained] = np.concatenate([np.array(part["shares"]) for part in parts])
    counted = np.array([[1 + sum(label == name for label, _ in one.said) for name in NAMES] for one in asked], dtype=float)
    uniform, few = divergence(due, np.full(due.shape, 1 / 3)), divergence(due, counted / counted.sum(axis=1, keepdims=True))
    told, bare = divergence(due, found[True]), divergence(due, found[False])
    more = {"higher": False, "runs": [{"items": len(due), "uniform": uniform, "few_votes": few, "without": bare, "with": told}]}
    report(
        "hjd_smollm2_divergence_with_explanations",
        told,
        "nats",
        bar=bare,
        baseline="without_explanations",
        baseline_value=bare,
        **more,
    )
    report(
        "hjd_smollm2_divergence_without_explanations",
        bare,
        "nats",
        bar=uniform,
        baseline="uniform",
        baseline_value=uniform,
        **more,
    )


if __name__ == "__main__":
    main()
