"""CLUENER with a model of its train part, on the processor, never shipped: ten types, and the four of people and firms.

Validation rows (600 of train) choose the bias; the published BiLSTM-CRF has 0.700 on the hidden test part.
"""

from __future__ import annotations

import gzip
import json
import random
from typing import Any

from _report import cached, report
from _sets import SAMPLES
from savile.base.contracts import Rows
from savile.base.outputs import spanned
from savile.models import _linear_tags
from savile.models._calibrate import calibrate, decide
from savile.tasks import tag

FOUR = ("name", "address", "company", "organization")
SIZES, VALID = (1_000, 3_000, 10_148), 600


def read(name: str) -> tuple[list[str], list[list[tuple[int, int, str]]]]:
    path = SAMPLES / "pii-cluener" / name
    content = gzip.decompress(path.read_bytes()) if name.endswith("gz") else path.read_bytes()
    rows = [json.loads(line) for line in content.decode().splitlines()]
    cells = [
        [(start, end + 1, label) for label, found in row["label"].items() for places in found.values() for start, end in places]
        for row in rows
    ]
    return [row["text"] for row in rows], cells


def measure(size: int) -> dict[str, Any]:
    texts, cells = read("train.jsonl.gz")
    asked, due = read("test.jsonl")
    labels = tag.labels(cells)
    head, order = tag.head(len(labels)), random.Random(0).sample(range(len(texts)), len(texts))
    valid, train = order[:VALID], order[VALID : VALID + size]
    gold = tag.targets(cells, labels)
    model = _linear_tags.fit(Rows([texts[i] for i in train], gold[train], labels), head.outputs)
    calibration = calibrate(head, _linear_tags.predict(model, [texts[i] for i in valid]), gold[valid])
    said, right = decide(head, _linear_tags.predict(model, asked), calibration).choice, tag.targets(due, labels)
    kept = {labels.index(label) for label in FOUR}
    some = [spanned([[span for span in spans if span.label in kept] for spans in rows]) for rows in (said, right)]
    each = {
        label: tag.score(*(spanned([[span for span in spans if span.label == i] for spans in rows]) for rows in (said, right)))
        for i, label in enumerate(labels)
    }
    return {"all": tag.score(said, right), "four": tag.score(*some), "each": each}


def main() -> None:
    for size in SIZES:
        found = cached({"benchmark": "data_tag", "size": size}, lambda size=size: measure(size))
        bars = (0.58, 0.60) if size == SIZES[-1] else (None, None)
        beside = {"baseline": "BiLSTM-CRF, published", "baseline_value": 0.70} if size == SIZES[-1] else {}
        runs = {label: round(score, 4) for label, score in found["each"].items()}
        report(f"CLUENER, ten types, linear, {size} rows", found["all"], "F1", bars[0], runs=runs, **beside)
        report(f"CLUENER, name, address, company, organization, linear, {size} rows", found["four"], "F1", bars[1])


if __name__ == "__main__":
    main()
