"""What one command comes to on public sets of texts: `savile run TRAIN --test TEST`, nothing set but the label column and
how right an answer must be to be given without a person (97 %), which moves the threshold and nothing else.

Of each set: what the run picked, measured as it would serve, the keyword model and the frozen base beside it, the tuned base
by itself, the calibration error, and how right the answers were that were given. Choices are made on rows set apart from
training; the test rows are read once.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from _report import cached, report
from _sets import write

# set -> (figure, bar)
BARS = {
    "waimai": (("accuracy", 0.907),),
    "zh_news": (("accuracy", 0.930),),
    "hotel": (("accuracy", 0.90),),
    "phrasebank": (("accuracy", 0.85), ("macro_f1", 0.83)),
    "twitter": (("macro_f1", 0.80),),
}
ECE, TARGET, GIVEN = 0.03, 0.97, 0.965


def main() -> None:
    for name in sys.argv[1:] or BARS:
        found = cached({"benchmark": "width_texts", "set": name}, lambda name=name: run(name))
        rivals, tuned = found["baselines"], found["tuned"]
        for metric, bar in BARS[name]:
            report(
                f"{name}_{metric}",
                found["metrics"][metric]["value"],
                metric,
                bar=bar,
                baseline="TF-IDF and a linear model",
                baseline_value=rivals["linear"][metric]["value"],
            )
            report(f"{name}_{metric}_frozen_base", rivals["base"][metric]["value"], metric)
            report(f"{name}_{metric}_tuned_base_alone", tuned[metric], metric)
        decisions(name, found)
        print(f"{name}: {found['why']}", file=sys.stderr)


def decisions(name: str, found: dict[str, Any]) -> None:
    """The calibration error, and how right the answers were that a person need not see."""
    chance = found.get("ece_by_chance")
    more = {} if chance is None else {"baseline": "a model calibrated exactly, on as many rows", "baseline_value": chance}
    report(f"{name}_ece", found["metrics"]["ece"]["value"], "expected calibration error", bar=ECE, higher=False, **more)
    given = found["business"]
    if given["automated_share"]:
        more = {"baseline": "answers to everything", "baseline_value": found["metrics"]["accuracy"]["value"]}
        runs = {"automated_share": given["automated_share"]}
        report(f"{name}_accuracy_when_automated", given["accuracy_when_automated"], "accuracy", bar=GIVEN, runs=runs, **more)
    else:
        report(f"{name}_automated_share", 0.0, "share: nothing could be promised on the rows at hand")


def run(name: str) -> dict[str, Any]:
    """What `savile run --json` prints, why it picked what it picked, and the tuned candidate on the test rows."""
    with tempfile.TemporaryDirectory() as folder:
        found = run_in(name, folder)
        os.environ["SAVILE_HOME"] = f"{folder}/home"
        return {**found, **_tuned(found)}


def run_in(name: str, folder: str) -> dict[str, Any]:
    """What `savile run --json` prints for a set written to a folder; its home is ``home`` in there."""
    train, test = write(name, Path(folder))
    command = [str(Path(sys.executable).with_name("savile")), "run", train.name, "--test", test.name, "--label", "label"]
    command += ["--json", "--set", f"evaluate.value.accuracy={TARGET}"]
    environment = {**os.environ, "SAVILE_HOME": f"{folder}/home"}
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    found: dict[str, Any] = json.loads(done.stdout)
    return {**found, "ece_by_chance": by_chance(found["report"], Path(folder) / "home")}


def by_chance(ref: str, home: Path) -> float:
    """The calibration error to expect of probabilities that are exactly right, on the rows of a report.

    Each bin's gap is then a binomial's deviation, whose mean size is sqrt(2 p (1 - p) / (pi n)) in the normal approximation.
    """
    from savile.base.store import Store

    bins = Store(home).load(ref).body["tables"]["reliability"]
    rows = sum(one["n"] for one in bins)
    return sum(math.sqrt(2 * one["n"] * one["confidence"] * (1 - one["confidence"]) / math.pi) for one in bins) / rows


def _tuned(found: dict[str, Any]) -> dict[str, Any]:
    """The tuned base by itself: its trained form on the test rows, read after everything was chosen."""
    from sklearn.metrics import accuracy_score, f1_score

    from savile.base.store import Store
    from savile.models import Predictor

    store = Store.open()
    model, data = store.load(found["model"]), store.load(found["data"])
    tuned = next(row["model"] for row in model.facts["tried"] if row["candidate"] == "full")
    choice = Predictor(store.load(tuned), "torch")(data.inputs("text", "test")).choice
    gold = data.targets("test")
    figures = {"accuracy": accuracy_score(gold, choice), "macro_f1": f1_score(gold, choice, average="macro")}
    return {"tuned": {name: float(value) for name, value in figures.items()}, "why": model.facts["why"]}


if __name__ == "__main__":
    main()
