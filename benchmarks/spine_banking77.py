"""The main job: `savile run` on banking77 as published, minilm, method `full`, one command; three seeds.

Accuracy and calibration are those of the form that would serve, on its engine, over all 3,080 test rows; the
linear model and the frozen probe are measured in the same command. What the proof says of every form goes with it.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from _report import cached, report

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve() / "intent-banking77"
SEEDS = (0, 1, 2)


def main() -> None:
    runs = [cached({"benchmark": "banking77", "seed": seed}, lambda seed=seed: run(seed)) for seed in SEEDS]

    def every(*path: str) -> list[float]:
        return [dig(one, path) for one in runs]

    ours = every("metrics", "accuracy", "value")
    base, linear = (every("baselines", name, "accuracy", "value") for name in ("base", "linear"))
    seeds, middle = list(SEEDS), statistics.median
    report(
        "banking77_accuracy",
        middle(ours),
        "accuracy",
        bar=0.933,
        baseline="frozen probe",
        baseline_value=middle(base),
        seeds=seeds,
        runs=ours,
    )
    report("banking77_accuracy_linear", middle(linear), "accuracy", seeds=seeds, runs=linear)
    report("banking77_accuracy_frozen_probe", middle(base), "accuracy", seeds=seeds, runs=base)
    ece = every("metrics", "ece", "value")
    report("banking77_ece", middle(ece), "expected calibration error", bar=0.03, higher=False, seeds=seeds, runs=ece)
    seconds = every("seconds")
    report("banking77_run_seconds", middle(seconds), "s", higher=False, seeds=seeds, runs=seconds)


def run(seed: int) -> dict[str, Any]:
    """What `savile run --json` prints, and how long the whole command took."""
    import time

    with tempfile.TemporaryDirectory() as folder:
        for name in ("train.csv.gz", "test.csv"):
            shutil.copy(SAMPLES / name, folder)
        command = [str(Path(sys.executable).with_name("savile")), "run", "train.csv.gz", "--test", "test.csv", "--json"]
        command += ["--set", "adapt.method=full", "--set", f"adapt.seed={seed}"]
        started = time.perf_counter()
        environment = {**os.environ, "SAVILE_HOME": f"{folder}/home"}
        done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        print(done.stdout[:3000], file=sys.stderr)
        return {**found, "seconds": time.perf_counter() - started}


def dig(found: Any, path: tuple[str, ...]) -> float:
    for name in path:
        found = found[name]
    return float(found)


if __name__ == "__main__":
    main()
