"""Wrong labels found: 10 % of the labels of four sets made wrong, then governed with the step `labels` as anybody would.

    python data_labels.py [banking77_uniform banking77_nearest waimai phrasebank untouched tuned]

Nearest-class noise gives a label to one of the three classes whose mean TF-IDF vectors are most like its own. Beside each
figure: cleanlab's default flags over TF-IDF logistic regression, as measured once on the same sets. `untouched` drops the worst
14 % of banking77 as it is, and as many at random, and retrains a head; `tuned` all of minilm, once.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from _report import cached, report

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data"))
SEEDS = 3
SETS = {  # name: file, text, label, closest classes, bar, cleanlab's F1
    "banking77_uniform": ("intent-banking77/train.csv.gz", "text", "category", 0, 0.88, 0.755),
    "banking77_nearest": ("intent-banking77/train.csv.gz", "text", "category", 3, 0.78, 0.731),
    "waimai": ("zh-reviews/waimai_10k.csv.gz", "review", "label", 0, 0.65, 0.564),
    "phrasebank": ("fin-phrasebank/phrasebank.csv.gz", "sentence", "label", 0, 0.60, 0.375),
}


def main() -> None:
    for name in sys.argv[1:] or [*SETS, "untouched", "tuned"]:
        if name == "untouched":
            retrained(name, dropped, 5, "gain")
            continue
        if name == "tuned":
            retrained(name, tuned, 1, "gain_full")
            continue
        found = [
            cached({"benchmark": "labels", "set": name, "seed": seed}, lambda n=name, s=seed: one(n, s))
            for seed in range(SEEDS)
        ]
        mean = {key: float(np.mean([run[key] for run in found])) for key in found[0]}
        bar, usual = SETS[name][4:]
        common = {"seeds": SEEDS, "baseline": "cleanlab_default_tfidf_logistic", "baseline_value": usual, "runs": found}
        report(f"label_errors_f1_{name}", mean["f1"], "F1", bar=bar, **common)
        print(name, {key: round(value, 3) for key, value in mean.items()}, flush=True)


def one(name: str, seed: int) -> dict[str, Any]:
    """Noise put in, file governed, flags compared with what was put in."""
    import pandas as pd

    file, text, label, closest, _, _ = SETS[name]
    rows = pd.read_csv(SAMPLES / file)
    rows = rows[rows["agree_pct"] == 100] if "agree_pct" in rows else rows
    rows = rows[rows[text].notna()].reset_index(drop=True)
    names, true = np.unique(rows[label].astype(str), return_inverse=True)
    given = noisy(rows[text].tolist(), true, closest, seed)
    return scored(pd.DataFrame({"text": rows[text], "label": names[given]}), true != given, given)


def noisy(texts: list[str], true: np.ndarray, closest: int, seed: int) -> np.ndarray:
    """Labels of which a tenth is wrong."""
    rng, classes = np.random.default_rng(seed), int(true.max()) + 1
    rows = rng.choice(len(true), round(0.1 * len(true)), replace=False)
    given = true.copy()
    if not closest:
        given[rows] = (true[rows] + rng.integers(1, classes, len(rows))) % classes
        return given
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    terms = TfidfVectorizer(sublinear_tf=True).fit_transform(texts)
    means = normalize(np.stack([np.asarray(terms[true == label].mean(axis=0)).ravel() for label in range(classes)]))
    like = means @ means.T
    np.fill_diagonal(like, -1)
    given[rows] = np.argsort(-like, axis=1)[true[rows], rng.integers(0, closest, len(rows))]
    return given


def scored(rows: Any, wrong: np.ndarray, given: np.ndarray) -> dict[str, Any]:
    """Govern a file and compare."""
    from safetensors.numpy import load_file
    from sklearn.metrics import average_precision_score

    from savile import data

    with tempfile.TemporaryDirectory() as folder:
        os.environ["SAVILE_HOME"] = str(Path(folder) / "home")
        path = Path(folder) / "rows.csv"
        rows.to_csv(path, index=False)
        found = data.prepare(path, data.Options(label="label", text="text", steps={"labels": {}}))
        kept = load_file(str(found.files["labels/rows.safetensors"]))
    flags, kept = kept["flagged"].astype(bool), kept["wrong"]
    outcome = found.settings["steps"]["labels"]
    used = ~np.isnan(kept)
    return {
        **_f1(flags[used], wrong[used]),
        "average_precision": float(average_precision_score(wrong[used], kept[used])),
        "rate": outcome["rate"],
        "true_rate": float(wrong[used].mean()),
    }


def _f1(flags: np.ndarray, wrong: np.ndarray) -> dict[str, float]:
    hit = int((flags & wrong).sum())
    precision, recall = hit / max(1, int(flags.sum())), hit / max(1, int(wrong.sum()))
    return {"f1": 2 * precision * recall / max(1e-9, precision + recall), "precision": precision, "recall": recall}


def retrained(part: str, right: Callable[[Path, int], dict[str, Any]], seeds: int, name: str) -> None:
    """The worst 14 % of banking77's own training rows left out, and as many at random; what the rest teaches."""
    from savile.base import stats

    found = [
        cached({"benchmark": "labels", "set": part, "seed": seed}, lambda s=seed: at_home(right, s)) for seed in range(seeds)
    ]
    gain = np.mean([np.array(run["worst"]) - np.array(run["random"]) for run in found], axis=0)
    value = stats.mean(gain)
    accuracies = [{way: float(np.mean(run[way])) for way in ("all", "worst", "random") if way in run} for run in found]
    common = {"seeds": seeds, "runs": accuracies, "baseline": "dropping_at_random", "baseline_value": 0.0}
    report(f"banking77_drop_worst_14_{name}_over_random", value.value, "accuracy", bar=None, **common)
    print(part, value, accuracies, flush=True)


def at_home(right: Callable[[Path, int], dict[str, Any]], seed: int) -> dict[str, Any]:
    """What is measured in a folder that has a home of its own."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SAVILE_HOME"] = str(Path(folder) / "home")
        return right(Path(folder), seed)


def ways(folder: Path, seed: int) -> tuple[Any, dict[str, np.ndarray]]:
    """The prepared set, and the rows to learn from: all, without the worst, without as many at random."""
    import pandas as pd

    from savile import data

    for name in ("train", "test"):
        suffix = ".csv.gz" if (SAMPLES / f"intent-banking77/{name}.csv.gz").exists() else ".csv"
        pd.read_csv(SAMPLES / f"intent-banking77/{name}{suffix}").to_csv(folder / f"{name}.csv", index=False)
    steps = {"labels": {"share": 0.14, "repair": "drop", "seed": seed}}
    options = data.Options(label="category", text="text", test=folder / "test.csv")
    whole = data.prepare(folder / "train.csv", options)
    some = data.prepare(folder / "train.csv", data.Options(**{**vars(options), "steps": steps}))
    rows, kept = whole.parts["train"], some.parts["train"]
    rng = np.random.default_rng(seed)
    return whole, {"all": rows, "worst": kept, "random": rng.choice(rows, len(kept), replace=False)}


def dropped(folder: Path, seed: int) -> dict[str, Any]:
    """Whether each test row is answered right by a head that learned from all rows, without the worst, without random ones."""
    import torch

    from savile.data import _features
    from savile.models._head import best_strength, convex_head

    whole, found = ways(folder, seed)
    asked, features = whole.parts["test"], torch.from_numpy(_features.of_texts(whole.texts(), "minilm"))
    targets = torch.from_numpy(whole.targets())
    right: dict[str, Any] = {"kept": len(found["worst"])}
    for name, kept in found.items():
        strength = best_strength(features[kept], targets[kept], len(whole.labels), seed)
        weight, bias = convex_head(features[kept], targets[kept], len(whole.labels), strength)
        right[name] = ((features[asked] @ weight.T + bias).argmax(dim=1) == targets[asked]).int().tolist()
    return right


def tuned(folder: Path, seed: int) -> dict[str, Any]:
    """The same of all of minilm, without the worst and without random rows."""
    from savile.adaptation import adapt
    from savile.base import catalogue
    from savile.models import Predictor

    whole, found = ways(folder, seed)
    right: dict[str, Any] = {}
    for name in ("worst", "random"):
        data = replace(whole, parts={**whole.parts, "train": found[name]})
        model = adapt(data, "minilm", "full", seed=seed)
        predict = Predictor(model, catalogue.get("families", model.family).FORM)
        said = predict(data.inputs(predict.reads, "test")).choice
        right[name] = (np.asarray(said) == data.targets("test", model.labels)).astype(int).tolist()
        print(name, np.mean(right[name]), flush=True)
    return right


if __name__ == "__main__":
    main()
