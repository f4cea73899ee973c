"""Self-training and augmentation: accuracy on the test part with and without, few labelled rows and many without a label.

    python data_semi.py [self_train augment] [banking77 clinc150]

Ten rows of each label are labelled, up to 3,000 more are not; the family `linear`, words alone, learns from what the step gives
and is judged by the published test part, which no step sees. Three draws. Each run also keeps what the step itself expected.
"""

from __future__ import annotations

import csv
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from _report import cached, report
from data_picking import rows

SEEDS, EACH, OPEN, TESTED = 3, 10, 3_000, 2_000
STEPS = {"self_train": {"base": "words"}, "augment": {"encoder": "words"}}


def main() -> None:
    steps = [one for one in sys.argv[1:] if one in STEPS] or list(STEPS)
    for name in [one for one in sys.argv[1:] if one not in STEPS] or ["banking77", "clinc150"]:
        for step in steps:
            keys = [{"benchmark": "semi", "set": name, "step": step, "seed": seed} for seed in range(SEEDS)]
            runs = [cached(key, lambda key=key: measure(key["set"], key["step"], key["seed"])) for key in keys]
            usual, mean = (100 * float(np.mean([run[way] for run in runs])) for way in ("without", "with"))
            more = {"baseline": "the labelled rows alone", "baseline_value": usual, "seeds": SEEDS, "runs": runs}
            report(f"{name}_{EACH}_a_label_{step}_accuracy", mean, "accuracy points", **more)


def measure(name: str, step: str, seed: int) -> dict[str, Any]:
    import savile
    from savile import data
    from savile.models._predict import Predictor

    parts, rng = rows(name), np.random.default_rng(seed)
    texts, labels = parts["train"]
    order = rng.permutation(len(texts))
    met, given, bare = dict[str, int](), [], []
    for row in order.tolist():
        met[labels[row]] = met.get(labels[row], 0) + 1
        (given if met[labels[row]] <= EACH else bare).append(row)
    lines = [[texts[row], labels[row]] for row in given]
    lines += [[texts[row], ""] for row in bare[:OPEN]] if step == "self_train" else []
    asked = rng.permutation(len(parts["test"][0]))[:TESTED]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SAVILE_HOME"] = str(Path(folder) / "home")
        tested = [[parts["test"][0][row], parts["test"][1][row]] for row in asked]
        for file, content in (("train.csv", lines), ("given.csv", [one for one in lines if one[1]]), ("test.csv", tested)):
            with (Path(folder) / file).open("w", newline="") as opened:
                csv.writer(opened).writerows([["text", "label"], *content])
        found: dict[str, Any] = {}
        for way, file, steps in (("without", "given.csv", {}), ("with", "train.csv", {step: STEPS[step]})):
            options = data.Options(label="label", text="text", test=Path(folder) / "test.csv", steps=steps)
            taught = data.prepare(Path(folder) / file, options)
            model = savile.adapt(taught, model="linear")
            said = Predictor(model, next(iter(model.forms)))(taught.texts("test")).choice
            found[way] = float((said == taught.targets("test")).mean())
            found |= taught.settings.get("steps", {})
    return found


if __name__ == "__main__":
    main()
