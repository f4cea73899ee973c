"""Goals of `savile init --goal` against what a run does without one, on a set of each that is there.

- ``support``: banking77, 10 questions an intent (3 draws), macro F1 on all test questions.
- ``profile``: telco churn, a stratified fifth as test rows, AUC.
- ``forecast``: weekly sales of 45 stores beside those of one, two and 52 weeks before, the last 26 weeks as test rows, mean
  absolute error. Of each three seeds, and the seconds of adapting, too.

Not measured: ``sentiment`` and ``process`` settle the default's own method (their metric and threshold are what differs);
``code`` needs a base that does not come along.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from _report import cached, report
from adaptation_knowledge import banking, dataset, drawn

SEEDS = (0, 1, 2)
UNITS = {"support": "macro F1", "profile": "AUC", "forecast": "mean absolute error"}


def main() -> None:
    for goal in sys.argv[1:] or UNITS:
        runs = [{way: once(goal, way, seed) for way in ("goal", "default")} for seed in SEEDS]
        for figure in ("score", "seconds"):
            means = {way: float(np.mean([one[way][figure] for one in runs])) for way in ("goal", "default")}
            unit, higher = UNITS[goal] if figure == "score" else "s", figure == "score" and goal != "forecast"
            report(
                f"goal_{goal}_{figure}", means["goal"], unit, higher=higher, baseline="no goal",
                baseline_value=means["default"], seeds=len(runs), runs=[{way: one[way][figure] for way in one} for one in runs],
            )  # fmt: skip


def once(goal: str, way: str, seed: int) -> dict[str, Any]:
    return cached({"benchmark": "goals", "goal": goal, "way": way, "seed": seed}, lambda: measure(goal, way, seed))


def measure(goal: str, way: str, seed: int) -> dict[str, Any]:
    """The score of one way on the test rows, and how long adapting took."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["SAVILE_HOME"] = home
        from savile.adaptation import adapt
        from savile.flow._goals import settings
        from savile.models import Predictor

        own = settings(goal, {}) if way == "goal" else {}
        if goal == "support":
            rows, test = banking()
            data = dataset(drawn(rows, seed), test)
        else:
            from _sets import write
            from savile.data import Options, prepare

            train, held = write("telco" if goal == "profile" else "walmart", Path(home))
            task = "classify" if goal == "profile" else "score"
            data = prepare(train, Options(task=task, label="label", test=str(held)))
        base = own.get("model.family") or ("tabular" if "text" not in data.roles else "minilm")
        chosen = {key.rpartition(".")[2]: value for key, value in own.items() if key.startswith("adapt.settings.")}
        model = adapt(data, base, own.get("adapt.method", "auto"), settings=chosen, seed=seed)
        from savile.base import catalogue

        predict = Predictor(model, catalogue.get("families", model.family).FORM)
        outputs, gold = predict(data.inputs(predict.reads, "test")), data.targets("test", model.labels)
        if goal == "support":
            from sklearn.metrics import f1_score

            score = float(f1_score(gold, outputs.choice, average="macro"))
        elif goal == "forecast":
            score = float(np.abs(np.asarray(outputs.choice, dtype=float) - gold).mean())
        else:
            from sklearn.metrics import roc_auc_score

            score = float(roc_auc_score(gold, outputs.probabilities[:, 1]))
        return {"score": score, "seconds": model.facts["seconds"], "method": model.method or model.family}


if __name__ == "__main__":
    main()
