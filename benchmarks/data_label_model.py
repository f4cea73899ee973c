"""Labels from labelling functions against the majority of their votes, on four sets with 11 to 20 functions each.

    python data_label_model.py [food hotel stocks domains]

The functions are words and phrases (`_functions`). Judged are rows that at least one speaks of; where votes are tied the
majority is right by chance. `known` has 100 rows with their right label, which are not judged: they are learnt from and decide
where the models answer. Three seeds draw 3,000 rows, folds and known rows.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import sys
from typing import Any

import numpy as np

import _functions
from _report import cached, report
from _sets import SAMPLES
from savile.data import _held_out, _label_model, _votes

SEEDS, ROWS, KNOWN = 3, 3_000, 100
FUNCTIONS = {
    "food": _functions.FOOD,
    "hotel": _functions.HOTEL,
    "stocks": _functions.STOCKS,
    "domains": _functions.DOMAINS,
}


def main() -> None:
    for name in sys.argv[1:] or FUNCTIONS:
        for known in (0, KNOWN):
            found = cached({"benchmark": "label_model", "set": name, "known": known}, lambda n=name, k=known: measure(n, k))
            usual, mean = (100 * float(np.mean([run[way] for run in found["runs"]])) for way in ("majority", "model"))
            more = {"baseline": "majority_of_votes", "baseline_value": usual, "seeds": SEEDS, "runs": found["runs"]}
            report(f"label_model_{name}_{known}_rows_known", mean, "accuracy points", bar=usual, **more)


def measure(name: str, known: int) -> dict[str, Any]:
    texts, labels = rows(name)
    return {"runs": [one(texts, labels, FUNCTIONS[name], known, seed) for seed in range(SEEDS)]}


def one(texts: list[str], labels: list[str], functions: list[tuple[str, str]], known: int, seed: int) -> dict[str, Any]:
    chosen = np.random.default_rng(seed).permutation(len(texts))[:ROWS]
    some = [texts[i] for i in chosen]
    names, true = np.unique(np.array(labels)[chosen], return_inverse=True)
    number = {label: place for place, label in enumerate(names.tolist())}
    votes = np.array([[number[label] if re.search(words, text.lower()) else -1 for label, words in functions] for text in some])
    told = np.where(np.arange(len(some)) < known, true, -1)
    views = _held_out.of_texts(some, told, len(names), "")
    found = _label_model.fit(votes, views, len(names), told, seed)
    plain = _votes.majority(_votes.counts(votes, len(names)))
    judged = (votes >= 0).any(axis=1) & (told < 0)
    right = float((found.chance.argmax(axis=1) == true)[judged].mean())
    usual = float(plain[judged, true[judged]].mean())
    return {"model": right, "majority": usual, "method": found.method, "covered": float((votes >= 0).any(axis=1).mean())}


def rows(name: str) -> tuple[list[str], list[str]]:
    """Texts and what is right."""
    if name == "domains":
        with gzip.open(SAMPLES / "intent-clinc150" / "data_full.json.gz", "rt", encoding="utf-8") as file:
            pairs = json.load(file)["train"]
        domains = json.loads((SAMPLES / "intent-clinc150" / "domains.json").read_text(encoding="utf-8"))
        of = {intent: domain for domain, intents in domains.items() for intent in intents}
        return [text for text, _ in pairs], [of[intent] for _, intent in pairs]
    file, column = {
        "food": ("zh-reviews/waimai_10k.csv.gz", "review"),
        "hotel": ("zh-reviews/ChnSentiCorp_htl_all.csv.gz", "review"),
        "stocks": ("fin-zh-news/titles_7046.csv.gz", "title"),
    }[name]
    with gzip.open(SAMPLES / file, "rt", encoding="utf-8") as opened:
        read = [row for row in csv.DictReader(opened) if row[column]]
    return [row[column] for row in read], [row["label"] for row in read]


if __name__ == "__main__":
    main()
