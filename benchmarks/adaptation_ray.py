"""One process against two workers under Ray Train, on the same rows in the same order: loss curves, seconds, memory.

minilm tuned by `full` and smollm2 by `lora`, on rows of banking77, in fp32; smollm2 again with its frozen matrices held in
shares (FSDP), where the bytes of weights on each worker are counted, too.
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
from savile.base.events import Event, listening
from savile.models import FitSettings, fit

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve() / "intent-banking77"
CASES = {"minilm full": ("encoder", "minilm", "full", 256, 24), "smollm2 lora": ("decoder", "smollm2", "lora", 48, 4)}
SHARED = "smollm2 lora"
TOLERANCE = 1e-3


def main() -> None:
    for name, case in CASES.items():
        one = learned(case, 1)
        compared(name, one, learned(case, 2))
        if name == SHARED:
            shared = learned(case, 2, sharded=True)
            compared(f"{name} sharded", one, shared)
            report(
                f"ray_{name} sharded_mb", round(shared["held"] / 1e6, 1), "MB of weights on each worker", higher=False,
                baseline="a copy", baseline_value=round(shared["whole"] / 1e6, 1),
            )  # fmt: skip


def compared(name: str, one: dict[str, Any], two: dict[str, Any]) -> None:
    """How far the losses of one process and of two workers are apart, and how long they took."""
    apart = float(np.abs(np.subtract(one["losses"], two["losses"])).max())
    steps = len(one["losses"])
    report(f"ray_{name}_loss_apart", apart, f"largest difference over {steps} steps", bar=TOLERANCE, higher=False)
    report(
        f"ray_{name}_seconds", round(two["seconds"], 1), "s, starting included", higher=False, baseline="one process",
        baseline_value=round(one["seconds"], 1),
    )  # fmt: skip


def learned(case: tuple[str, str, str, int, int], workers: int, sharded: bool = False) -> dict[str, Any]:
    """The loss of every step, how long it took, and the bytes of weights on each worker that holds a share."""
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
    heard: list[Event] = []
    started = time.perf_counter()
    with listening(heard.append):
        fit(network, (rows["text"].tolist(), targets), dataclasses.replace(settings, workers=workers, sharded=sharded))
    seconds = time.perf_counter() - started
    found: dict[str, Any] = {"losses": [event.facts["loss"] for event in heard if event.kind == "progress"], "seconds": seconds}
    for event in heard:
        found |= {name: event.facts[name] for name in ("held", "whole") if name in event.facts}
    return found


if __name__ == "__main__":
    main()
