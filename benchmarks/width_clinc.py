"""150 intents and what is none of them: clinc150 adapted with `full`, out-of-scope questions told by calibrated confidence.

The model learns from in-scope questions alone. The threshold that keeps 95 % of in-scope questions is set on the calibration
rows (in scope, never trained on); recall of the 1,000 out-of-scope test questions at it, and the share of in-scope test
questions it keeps, follow. Accuracy is that of all 4,500 in-scope test questions.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from _report import cached, report

KEPT = 0.95


def main() -> None:
    found = cached({"benchmark": "width_clinc"}, measure)
    floor = {"baseline": "TF-IDF and a linear model", "baseline_value": found["linear"]["accuracy"]}
    report("clinc_in_scope_accuracy", found["full"]["accuracy"], "accuracy", bar=0.955, **floor)
    floor["baseline_value"] = found["linear"]["recall"]
    report("clinc_out_of_scope_recall", found["full"]["recall"], "recall at 95 % kept", bar=0.70, **floor)
    report("clinc_in_scope_kept", found["full"]["kept"], "share of in-scope test questions")
    report("clinc_ece", found["full"]["ece"], "expected calibration error", bar=0.03, higher=False)


def measure() -> dict[str, Any]:
    """Figures of the tuned encoder and of the linear model."""
    from _sets import SETS

    train, test = SETS["clinc"]()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SAVILE_HOME"] = f"{folder}/home"
        path, own = Path(folder) / "clinc.csv", Path(folder) / "clinc_test.csv"
        train.to_csv(path, index=False)
        test[test["label"] != "oos"].to_csv(own, index=False)
        from savile import adaptation
        from savile.data import Options, prepare

        data = prepare(path, Options(task="classify", label="label", text="text", test=own, pii="keep"))
        strange = test[test["label"] == "oos"]["text"].tolist()
        models = {"linear": adaptation.adapt(data, "linear"), "full": adaptation.adapt(data, "minilm", "full")}
        return {name: _figures(model, data, strange) for name, model in models.items()}


def _figures(model: Any, data: Any, strange: list[str]) -> dict[str, float]:
    import numpy as np

    from savile.base.contracts import Predictions
    from savile.evaluation import calibration
    from savile.models import Predictor

    predict = Predictor(model, next(iter(model.forms)))
    inside, outside = predict(data.texts("test")), predict(strange)
    bar = np.quantile(predict(data.texts("calib")).confidence, 1 - KEPT)
    gold = data.targets("test", model.labels)
    measured = calibration.measure(Predictions(gold, inside, model.labels))
    return {
        "accuracy": float((inside.choice == gold).mean()),
        "recall": float((outside.confidence < bar).mean()),
        "kept": float((inside.confidence >= bar).mean()),
        "ece": measured["ece"].value,
    }


if __name__ == "__main__":
    main()
