"""Several annotators: 10 of 100 votes of ChaosNLI put together, and mistakes of VariErr told from honest variation.

    python data_votes.py [snli mnli_m varierr]

Divergence is Jensen and Shannon's distance (the root, base 2) to the other 90 votes. An error of VariErr is a label that the
five first annotators or 10 of the 100 later ones gave and that no expert upheld; an honest one was upheld by some and is not
the majority's. A label's rank is its chance of being a mistake.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from _report import report
from savile import data
from savile.data import _votes

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data"))
SEEDS, NAMES = 5, ("contradiction", "entailment", "neutral")


def main() -> None:
    for name in sys.argv[1:] or ["snli", "mnli_m", "varierr"]:
        varierr() if name == "varierr" else chaos(name)


def chaos(name: str) -> None:
    """Shares of ten votes, as a step of governing writes them, against the other ninety."""
    rows = read(name)
    everybody = np.array([[row["label_counter"].get(label[0], 0) for label in NAMES] for row in rows])
    found = []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        ten = np.stack([rng.multivariate_hypergeometric(one, 10) for one in everybody])
        rest = (everybody - ten) / 90
        shares = governed([row["example"]["premise"] + " / " + row["example"]["hypothesis"] for row in rows], ten)
        ways = {"shares": shares, "raw": ten / 10, "majority": np.eye(3)[ten.argmax(axis=1)]}
        found.append({way: float(distance(one, rest).mean()) for way, one in ways.items()})
    mean = {way: float(np.mean([run[way] for run in found])) for way in found[0]}
    common = {"higher": False, "seeds": SEEDS, "runs": found}
    more = {"baseline": "raw_mean_of_ten_votes", "baseline_value": mean["raw"]}
    report(f"chaosnli_{name}_distance_of_ten_votes", mean["shares"], "JSD", bar=mean["raw"], **more, **common)
    more = {"baseline": "majority_one_hot", "baseline_value": mean["majority"]}
    report(f"chaosnli_{name}_distance_against_majority", mean["shares"], "JSD", bar=mean["majority"] / 2, **more, **common)


def governed(texts: list[str], counted: np.ndarray) -> np.ndarray:
    """The shares that the step `votes` keeps."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SAVILE_HOME"] = str(Path(folder) / "home")
        path = Path(folder) / "votes.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "votes"])
            writer.writerows(
                (text, json.dumps(dict(zip(NAMES, one.tolist(), strict=True))))
                for text, one in zip(texts, counted, strict=True)
            )
        kept = data.prepare(path, data.Options(text="text", steps={"votes": {"columns": ["votes"]}}))
    read = [json.loads(cell) for cell in kept.column("shares")]
    return np.array([[one[name] for name in NAMES] for one in read])


def varierr() -> None:
    """How often an error has a greater chance of being a mistake than an honest minority label has."""
    upheld = {}
    for file in ("VariErrNLI_train.json.gz", "VariErrNLI_dev.json", "VariErrNLI_test.json"):
        opened = gzip.open if file.endswith(".gz") else open
        with opened(SAMPLES / "labels-lewidi" / file, "rt", encoding="utf-8") as handle:
            for item, row in json.load(handle).items():
                upheld[item] = {name for name in NAMES if float(row["soft_label"][name]["1"]) > 0}
    rows = [row for row in read("mnli_m") if row["uid"].rstrip("enc") in upheld]
    found = []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        cast = []
        for row in rows:
            hundred = np.repeat(np.arange(3), [row["label_counter"].get(label[0], 0) for label in NAMES])
            cast.append([*(NAMES.index(label) for label in row["old_labels"]), *rng.choice(hundred, 10, replace=False)])
        votes = np.array([[int(one) for one in row] for row in cast])
        counted = _votes.counts(votes, 3)
        slip = _votes.doubts(counted)
        errors, honest = [], []
        raw_errors, raw_honest = [], []
        for place, row in enumerate(rows):
            for label, name in enumerate(NAMES):
                given = votes[place] == label
                if not given.any() or label == counted[place].argmax():
                    continue
                wrong = name not in upheld[row["uid"].rstrip("enc")]
                (errors if wrong else honest).append(slip[place, label])
                (raw_errors if wrong else raw_honest).append(-counted[place, label])
        found.append(
            {"auc": auc(errors, honest), "by_count": auc(raw_errors, raw_honest), "errors": len(errors), "honest": len(honest)}
        )
    mean = {name: float(np.mean([run[name] for run in found])) for name in found[0]}
    more = {"baseline": "fewest_votes_first", "baseline_value": mean["by_count"], "seeds": SEEDS, "runs": found}
    report("varierr_errors_above_honest_variation", mean["auc"], "AUC", bar=0.5, **more)


def auc(errors: list[float], honest: list[float]) -> float:
    """How often the first is greater than the second; ties count half."""
    one, other = np.array(errors)[:, None], np.array(honest)[None]
    return float(((one > other) + 0.5 * (one == other)).mean())


def read(name: str) -> list[dict]:
    with gzip.open(SAMPLES / "labels-chaosnli" / f"chaosNLI_{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Jensen-Shannon distance of each row."""
    middle = (one + other) / 2

    def divergence(first: np.ndarray) -> np.ndarray:
        return np.where(first > 0, first * np.log2(np.maximum(first, 1e-12) / np.maximum(middle, 1e-12)), 0.0).sum(axis=1)

    return np.sqrt(np.maximum(0.0, (divergence(one) + divergence(other)) / 2))


if __name__ == "__main__":
    main()
