"""CLUENER with models of its train part, on the processor, never shipped: ten types, and the four of people and firms.

A linear model by rows, and use-m, all of it tuned. Validation rows (600 of train) choose the bias of the linear one; the
published BiLSTM-CRF has 0.700 on the hidden test part.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
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
    return scores(said, right, labels)


def scores(said: Any, right: Any, labels: Sequence[str]) -> dict[str, Any]:
    """F1 of all types, of the four, and of each."""

    def only(kept: set[int]) -> float:
        return tag.score(
            *(spanned([[span for span in spans if span.label in kept] for spans in rows]) for rows in (said, right))
        )

    four = {labels.index(label) for label in FOUR}
    return {"all": tag.score(said, right), "four": only(four), "each": {name: only({i}) for i, name in enumerate(labels)}}


def files(folder: Path, most: int = SIZES[-1] + VALID) -> tuple[Path, Path]:
    """The first rows to learn from, and those to be tested on, as JSON lines of texts and spans."""
    paths = folder / "train.jsonl", folder / "test.jsonl"
    for path, given in zip(paths, ("train.jsonl.gz", "test.jsonl"), strict=True):
        texts, cells = read(given)
        spans = [[{"start": start, "end": end, "label": label} for start, end, label in cell] for cell in cells]
        rows = [{"text": text, "label": cell} for text, cell in zip(texts, spans, strict=True)]
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        path.write_text("".join(lines[:most] if path == paths[0] else lines), encoding="utf-8")
    return paths


def tuned() -> dict[str, Any]:
    """All of use-m tuned, as `savile adapt` does without a budget."""
    from savile.adaptation import adapt
    from savile.data import Options, prepare
    from savile.models import Predictor

    with tempfile.TemporaryDirectory() as home:
        os.environ["SAVILE_HOME"] = home
        train, test = files(Path(home))
        data = prepare(train, Options(task="tag", text="text", label="label", test=str(test)))
        model = adapt(data, "use-m", "full", seed=0)
        found = scores(Predictor(model, "torch")(data.texts("test")).choice, data.targets("test", model.labels), model.labels)
        return {**found, "rows": len(data.parts["train"]), "seconds": model.facts["seconds"]}


def main() -> None:
    for size in SIZES:
        found = cached({"benchmark": "data_tag", "size": size}, lambda size=size: measure(size))
        bars = (0.58, 0.60) if size == SIZES[-1] else (None, None)
        beside = {"baseline": "BiLSTM-CRF, published", "baseline_value": 0.70} if size == SIZES[-1] else {}
        runs = {label: round(score, 4) for label, score in found["each"].items()}
        report(f"CLUENER, ten types, linear, {size} rows", found["all"], "F1", bars[0], runs=runs, **beside)
        report(f"CLUENER, name, address, company, organization, linear, {size} rows", found["four"], "F1", bars[1])
    found, beside = cached({"benchmark": "data_tag", "size": "use-m"}, tuned), {"baseline": "BiLSTM-CRF, published"}
    runs = {**{label: round(score, 4) for label, score in found["each"].items()}, "seconds": found["seconds"]}
    said = f"use-m, {found['rows']} rows"
    report(f"CLUENER, ten types, {said}", found["all"], "F1", 0.58, runs=runs, **beside, baseline_value=0.70)
    report(f"CLUENER, name, address, company, organization, {said}", found["four"], "F1", 0.60)


if __name__ == "__main__":
    main()
