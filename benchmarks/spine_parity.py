"""The proof that the model you serve is the model you tested, for every form of a banking77 model, on 1,000 test inputs.

Each form is held against the trained one in fp32: share of changed answers, how many of them where the trained form was in no
doubt. Then two faults are planted in the form that would serve, logits on a wrong scale and a tokenizer with words in another
order, and both must be refused.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from _report import cached, report
from savile import data
from savile.base.records import Model, Outputs

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve() / "intent-banking77"
SCALE = 1.3


def main() -> None:
    found = cached({"benchmark": "parity"}, measure)
    for form, proof in found["forms"].items():
        print(form, json.dumps(proof), file=sys.stderr)
        report(f"parity_{form}_flips", proof["share"], "share of answers", bar=proof["allowed"], higher=False)
        report(f"parity_{form}_flips_without_doubt", proof["wide_flips"], "answers", bar=0, higher=False)
    report("parity_planted_faults_refused", sum(found["refused"].values()), "of 2", bar=2, runs=found["refused"])


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SAVILE_HOME"] = f"{folder}/home"
        from savile.adaptation import adapt
        from savile.compression import compress
        from savile.evaluation import parity
        from savile.models import Predictor

        rows = data.govern(SAMPLES / "train.csv.gz", test=SAMPLES / "test.csv")
        model = compress(adapt(rows, method="full"), rows)
        texts = rows.texts("test")
        golden = [texts[row] for row in parity.golden_rows(len(texts))]
        engines = {form: facts["engine"] for form, facts in model.facts["forms"].items() if form != "torch"}
        forms = {form: Predictor(model, form, engine) for form, engine in engines.items()}
        trained = Predictor(model, "torch")
        proofs = parity.parity(forms, golden, trained)
        served = model.facts["served"]
        planted = {
            "wrong scale": scaled(forms[served["form"]]),
            "swapped tokenizer": Predictor(swapped(model, served["form"], Path(folder)), served["form"], served["engine"]),
        }
        refused = {
            name: not parity.parity({served["form"]: predict}, golden, trained)[served["form"]]["passed"]
            for name, predict in planted.items()
        }
        return {"forms": proofs, "refused": refused}


def scaled(predict: Any) -> Any:
    """The same answers from logits on a wrong scale, as a wrong quantisation scale gives."""

    def answer(texts: list[str]) -> Outputs:
        found: Outputs = predict.decide(predict.logits(texts) * SCALE)
        return found

    return answer


def swapped(model: Model, form: str, folder: Path) -> Model:
    """The model with two words of its tokenizer exchanged for each other, over and over."""
    path = Path(str(model.forms[form]["tokenizer.json"]))
    spec = json.loads(path.read_text(encoding="utf-8"))
    words = spec["model"]["vocab"]
    names = [name for name in words if name.isalpha()]
    numbers = [words[name] for name in names]
    words.update(zip(names, numbers[1:] + numbers[:1], strict=True))
    aside = folder / "tokenizer.json"
    aside.write_text(json.dumps(spec), encoding="utf-8")
    return replace(model, forms={**model.forms, form: {**model.forms[form], "tokenizer.json": aside}})


if __name__ == "__main__":
    main()
