"""One process against two workers under Ray Train, on the same rows in the same order: loss curves, weights, seconds.

minilm tuned by `full` and smollm2 by `lora`, on rows of banking77, in fp32.
Both workers share one machine, so seconds say what starting and talking costs, not what a second machine brings.
"""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from _report import report
from savile.base.events import listening
from savile.models import FitSettings, fit

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve() / "intent-banking77"
CASES = {"minilm full": ("encoder", "minilm", "full", 256, 24), "smollm2 lora": ("decoder", "smollm2", "lora", 48, 4)}
TOLERANCE = 1e-3


def main() -> None:
    for name, case in CASES.items():
        one, two = (learned(case, workers) for workers in (1, 2))
        apart = float(np.abs(np.subtract(one["losses"], two["losses"])).max())
        report(
            f"ray_{name}_loss_apart", apart, f"largest difference over {len(one['losses'])} steps", bar=TOLERANCE, higher=False
        )
        report(
            f"ray_{name}_seconds", round(two["seconds"], 1), "s, starting included", higher=False, baseline="one process",
            baseline_value=round(one["seconds"], 1),
        )  # fmt: skip


def learned(case: tuple[str, str, str, int, int], workers: int) -> dict[str, Any]:
    """The loss of every step, and how long it took."""
    import pandas as pd
    import torch

    from savile.base import catalogue

    family, base, method, count, steps = case
    rows = pd.read_csv(SAMPLES / "train.csv.gz").sample(count, random_state=0)
    labels = sorted(set(rows["category"]))
    targets = np.array([labels.index(label) for label in rows["category"]], dtype=np.int64)
    plugin = catalogue.get("families", family)
    network = plugin.create(base, labels, max_length=48)
    torch.manual_seed(0)
    plugin.attach(network, method, {})
    settings = FitSettings(precision="fp32", steps=steps, batch_rows=16, learning_rate=3e-4)
    losses: list[float] = []
    started = time.perf_counter()
    with listening(lambda event: losses.append(event.facts["loss"]) if event.kind == "progress" else None):
        fit(network, (rows["text"].tolist(), targets), dataclasses.replace(settings, workers=workers))
    return {"losses": losses, "seconds": time.perf_counter() - started}


if __name__ == "__main__":
    main()
