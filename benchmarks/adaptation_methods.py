"""Every method on ten rows a class of banking77: accuracy, share that learns, seconds, memory, file size.

``adaptation_methods.py`` measures what is missing, one process a cell, and prints the table; ``adaptation_methods.py METHOD…``
measures those only. Cells that were not run are marked so. Test rows are every second one of the given test set.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from _report import report

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve() / "intent-banking77"
CACHE = Path(__file__).parent / ".cache" / "methods"
ROWS, SEEDS = 10, (0, 1, 2)
# name of a row -> method and its settings
TABLE: dict[str, tuple[str, dict[str, Any]]] = {
    "full": ("full", {}),
    "head": ("head", {}),
    "lora": ("lora", {}),
    "lora q,v": ("lora", {"targets": "attention"}),
    "bitfit": ("bitfit", {}),
    "ia3": ("ia3", {}),
    "bottleneck": ("bottleneck", {}),
    "parallel": ("parallel", {}),
    "prefix": ("prefix", {}),
    "prefix_propagation": ("prefix_propagation", {}),
    "adalora": ("adalora", {}),
    "peqa": ("peqa", {}),
    "unfreeze": ("unfreeze", {}),
    "lora dora": ("lora", {"dora": True}),
    "lora rslora": ("lora", {"rslora": True, "alpha": 6}),
    "lora pissa": ("lora", {"start": "pissa"}),
    "autolora": ("autolora", {}),
    "bottleneck double": ("bottleneck", {"double": True}),
}


def main() -> None:
    if sys.argv[1:2] == ["--cell"]:
        cell(sys.argv[2], int(sys.argv[3]))
        return
    for seed in SEEDS[: int(os.environ.get("METHODS_SEEDS", "3"))]:
        for name in sys.argv[1:] or TABLE:
            if not kept(name, seed).exists():
                subprocess.run([sys.executable, __file__, "--cell", name, str(seed)], check=True)
    if not sys.argv[1:]:
        table()


def table() -> None:
    """The table, and the line of each row that was run."""
    found = {name: [json.loads(kept(name, s).read_text()) for s in SEEDS if kept(name, s).exists()] for name in TABLE}
    full = 100 * float(np.mean([one["accuracy"] for one in found["full"]]))
    print(f"{'method':20} accuracy       share   seconds  peak MB  file kB")
    for name, cells in found.items():
        if not cells:
            print(f"{name:20} not run")
            continue
        accuracy, mean = [100 * one["accuracy"] for one in cells], {k: float(np.mean([c[k] for c in cells])) for k in cells[0]}
        spread = f"{np.mean(accuracy):6.2f} ±{np.ptp(accuracy) / 2:5.2f}"
        print(
            f"{name:20} {spread} {100 * mean['share']:6.2f} % {mean['seconds']:8.1f} {mean['peak_mb']:8.0f} {mean['kb']:8.0f}"
        )
        seeds = len(cells)
        report(
            f"methods_banking77_10_{name}", float(np.mean(accuracy)), "accuracy, %", baseline="full", baseline_value=full,
            seeds=seeds, runs=cells,
        )  # fmt: skip
    light = {name: cells for name, cells in found.items() if cells and name != "head" and cells[0]["share"] <= 0.01}
    if light:
        best = max(light, key=lambda name: float(np.mean([one["accuracy"] for one in light[name]])))
        points = full - 100 * float(np.mean([one["accuracy"] for one in light[best]]))
        report(
            "methods_best_below_1_percent_points_below_full", points, f"points, {best}", bar=1.0, higher=False,
            baseline="full", baseline_value=full, ratio=None, seeds=len(light[best]),
        )  # fmt: skip


def kept(name: str, seed: int) -> Path:
    return CACHE / f"{name.replace(' ', '_')}-{seed}.json"


def sample(seed: int) -> tuple[list[str], np.ndarray, tuple[str, ...], list[str], np.ndarray]:
    """Texts and targets to learn from, labels, texts and targets to be tested on."""
    import pandas as pd

    train, test = (pd.read_csv(SAMPLES / name) for name in ("train.csv.gz", "test.csv"))
    text = next(name for name in train.columns if name != "category")
    labels = tuple(sorted(train["category"].unique()))
    chosen = train.groupby("category", group_keys=False).sample(ROWS, random_state=seed).sort_index()
    index = {label: i for i, label in enumerate(labels)}
    test = test.iloc[::2]
    gold = [np.array([index[label] for label in rows["category"]]) for rows in (chosen, test)]
    return chosen[text].tolist(), gold[0], labels, test[text].tolist(), gold[1]


def cell(name: str, seed: int) -> None:
    """Measure one method on one seed and keep what came out."""
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    from savile.adaptation import _folds
    from savile.base import catalogue
    from savile.models import FitSettings, encoder, fit
    from savile.models._source import Source, predict_rows

    (method, settings), (texts, targets, labels, asked, gold) = TABLE[name], sample(seed)
    plugin = catalogue.get("methods", method)
    train = _folds.with_label_names(texts, targets, labels)

    def fresh(chosen: Any) -> Any:
        made = encoder.create("minilm", labels, cosine=plugin.HEAD == "cosine")
        torch.manual_seed(seed)
        encoder.attach(made, method, vars(chosen))
        return made

    started, chosen = time.perf_counter(), plugin.Settings(**settings)
    if hasattr(plugin, "search"):
        chosen = plugin.search(train, chosen, fresh, seed)
    network = fresh(chosen)
    fit(network, train, FitSettings(**plugin.FIT_SMALL, seed=seed))
    seconds = time.perf_counter() - started
    rows = Source(network, (asked, gold), FitSettings(), depth=network.frozen_depth() if method == "head" else 0)
    accuracy = float((predict_rows(rows).argmax(1).numpy() == gold).mean())
    learning = [p.numel() for p in network.trunk.parameters() if p.requires_grad]
    size = sum(len(data) for key, data in encoder.save(network).items() if key.endswith(".safetensors"))
    found = {
        "accuracy": accuracy,
        "share": sum(learning) / sum(p.numel() for p in network.trunk.parameters()),
        "seconds": round(seconds, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "kb": round(size / 1000),
    }
    print(name, seed, found, flush=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    kept(name, seed).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
