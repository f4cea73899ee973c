"""Every method on ten rows a class of banking77: accuracy, share that learns, seconds, memory, file size. Five of them besides
on four whole sets, as `savile adapt` trains them without a budget, one seed.

``adaptation_methods.py`` measures what is missing, one process a cell, and prints the tables; ``adaptation_methods.py METHOD…``
measures those of ten rows a class only, ``adaptation_methods.py --wide [SET…]`` those of whole sets. Cells that were not run
are marked so. Test rows of ten a class are every second one of the given test set; whole sets have theirs (banking77, CLUENER)
or a stratified fifth, and of all but banking77 at most 5,000 rows to learn from.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
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
    "lora rank 3": ("lora", {"rank": 3, "alpha": 6}),
    "autolora": ("autolora", {}),
    "bottleneck double": ("bottleneck", {"double": True}),
    "prompt_pool": ("prompt_pool", {}),
}
# made of adapters of other tasks; see adaptation_library.py and adaptation_relations.py
ELSEWHERE = ("adapter_fusion", "merge", "arrow", "domains")
# whole sets: base and unit; five methods of the table, the last two the best below 1 % of the weights on ten rows a class
WIDE = {
    "banking77": ("minilm", "accuracy, %"),
    "phrasebank": ("minilm", "accuracy, %"),
    "cluener": ("use-m", "F1 of spans, %"),
    "zh_reviews": ("use-m", "accuracy, %"),
}
FIVE, MOST = ("full", "head", "lora", "bitfit", "bottleneck"), 5_000


def main() -> None:
    if sys.argv[1:2] == ["--cell"]:
        cell(sys.argv[2], int(sys.argv[3]))
        return
    if sys.argv[1:2] == ["--wide-cell"]:
        wide_cell(sys.argv[2], sys.argv[3])
        return
    if sys.argv[1:2] != ["--wide"]:
        narrow()
    if sys.argv[1:2] in ([], ["--wide"]):
        for name in sys.argv[2:] or WIDE:
            for method in FIVE:
                if not kept(f"{name} {method}", 0).exists():
                    subprocess.run([sys.executable, __file__, "--wide-cell", name, method], check=True)
            wide_table(name)


def narrow() -> None:
    for seed in SEEDS[: int(os.environ.get("METHODS_SEEDS", "3"))]:
        for name in sys.argv[1:] or TABLE:
            if not kept(name, seed).exists():
                subprocess.run([sys.executable, __file__, "--cell", name, str(seed)], check=True)
    if not sys.argv[1:]:
        table()


def wide_table(name: str) -> None:
    """The table of a whole set, and the line of each method."""
    base, unit = WIDE[name]
    found = {method: json.loads(kept(f"{name} {method}", 0).read_text()) for method in FIVE}
    print(f"{name}, {base}: method   score   share   seconds  peak MB  file kB")
    for method, one in found.items():
        if "refused" in one:
            print(f"{method:20} {one['refused']}")
            continue
        costs = f"{100 * one['share']:6.2f} % {one['seconds']:8.1f} {one['peak_mb']:8.0f} {one['kb']:8.0f}"
        print(f"{method:20} {one['score']:6.2f} {costs}")
        report(
            f"methods_{name}_{method}", one["score"], unit, baseline="full", baseline_value=found["full"]["score"], runs=[one]
        )


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
    for name in ELSEWHERE:
        print(f"{name:20} not run: made of adapters of other tasks")
    held(found)
    light = {name: cells for name, cells in found.items() if cells and name != "head" and cells[0]["share"] <= 0.01}
    if light:
        best = max(light, key=lambda name: float(np.mean([one["accuracy"] for one in light[name]])))
        points = full - 100 * float(np.mean([one["accuracy"] for one in light[best]]))
        report(
            "methods_best_below_1_percent_points_below_full", points, f"points, {best}", bar=1.0, higher=False,
            baseline="full", baseline_value=full, ratio=None, seeds=len(light[best]),
        )  # fmt: skip


def held(found: dict[str, list[dict[str, Any]]]) -> None:
    """What must hold between the rows of the table, by the papers of the methods; a noise of half a point is allowed."""

    def of(name: str, what: str = "accuracy") -> float:
        return 100 * float(np.mean([one[what] for one in found[name]]))

    relations: dict[str, tuple[tuple[str, ...], Any, float]] = {
        "bottleneck_above_head": (("bottleneck", "head"), lambda: of("bottleneck") - of("head"), 0.0),
        "bottleneck_against_full": (("bottleneck", "full"), lambda: of("bottleneck") - of("full"), -1.0),
        "prefix_above_head": (("prefix", "head"), lambda: of("prefix") - of("head"), 0.0),
        "lora_q,v_against_full": (("lora q,v", "full"), lambda: of("lora q,v") - of("full"), -1.0),
        "parallel_against_bottleneck": (("parallel", "bottleneck"), lambda: of("parallel") - of("bottleneck"), -0.5),
        "autolora_against_lora_of_its_size": (("autolora", "lora rank 3"), lambda: of("autolora") - of("lora rank 3"), -0.5),
        "adalora_against_lora": (("adalora", "lora"), lambda: of("adalora") - of("lora"), -0.5),
    }
    for name, (needed, points, bar) in relations.items():
        if all(found[one] for one in needed):
            seeds = min(len(found[one]) for one in needed)
            report(f"methods_must_hold_{name}", points(), "points", bar=bar, seeds=seeds)
    if found["lora q,v"]:
        report("methods_must_hold_lora_q,v_share", of("lora q,v", "share"), "%", bar=1.0, higher=False)
    if found["autolora"] and found["lora"]:
        share = of("autolora", "share") / of("lora", "share")
        report("methods_must_hold_autolora_ranks_of_lora_8", share, "of its ranks", bar=1.0, higher=False)


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


def wide_cell(name: str, method: str) -> None:
    """Measure one method on one whole set, as a user would train it, and keep what came out."""
    from savile.adaptation import adapt
    from savile.base import catalogue
    from savile.base.errors import SavileError
    from savile.data import Options, prepare
    from savile.models import Predictor

    with tempfile.TemporaryDirectory() as home:
        os.environ["SAVILE_HOME"] = home
        train, test = whole(name, Path(home))
        tags = name == "cluener"
        data = prepare(train, Options(task="tag" if tags else "classify", text="text", label="label", test=str(test)))
        try:
            model = adapt(data, WIDE[name][0], method, seed=0)
        except SavileError as refusal:
            found: dict[str, Any] = {"refused": str(refusal)}
        else:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            outputs, gold = Predictor(model, "torch")(data.texts("test")), data.targets("test", model.labels)
            right = (
                catalogue.get("tasks", "tag").score(outputs.choice, gold) if tags else float((outputs.choice == gold).mean())
            )
            found = {
                "score": 100 * right,
                "share": model.facts["trainable_share"],
                "seconds": model.facts["seconds"],
                "peak_mb": round(peak),
                "kb": round(sum(Path(str(file)).stat().st_size for file in model.forms["torch"].values()) / 1000),
                "rows": len(data.parts["train"]),
            }
    print(name, method, found, flush=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    kept(f"{name} {method}", 0).write_text(json.dumps(found))


def whole(name: str, folder: Path) -> tuple[Path, Path]:
    """The files of a whole set: what is learned from, and what is tested."""
    import pandas as pd

    from _sets import write
    from data_tag import files

    if name == "zh_reviews":
        train, test = write("waimai", folder)
    elif name == "phrasebank":
        return write(name, folder)
    elif name == "banking77":
        paths = folder / "train.csv", folder / "test.csv"
        for path, given in zip(paths, ("train.csv.gz", "test.csv"), strict=True):
            pd.read_csv(SAMPLES / given).rename(columns={"category": "label"}).to_csv(path, index=False)
        return paths
    else:
        return files(folder, MOST)
    pd.read_csv(train).sample(MOST, random_state=0).to_csv(train, index=False)
    return train, test


if __name__ == "__main__":
    main()
