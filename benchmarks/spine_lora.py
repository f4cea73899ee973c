"""LoRA on every linear layer beside `full` on banking77: accuracy, identity at the start, merged against attached, size."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from _report import cached, report
from savile import data
from savile.base import catalogue
from savile.base.records import Dataset, Model

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve() / "intent-banking77"
SEEDS = (0, 1, 2)


def main() -> None:
    runs = {method: [measured(method, seed) for seed in SEEDS] for method in ("full", "lora")}
    accuracy = {method: [one["accuracy"] for one in found] for method, found in runs.items()}
    lora, full = statistics.mean(accuracy["lora"]), statistics.mean(accuracy["full"])
    report(
        "lora_points_below_full",
        100 * (full - lora),
        "points",
        bar=1.0,
        higher=False,
        baseline="full",
        **shown(full),
        runs=accuracy,
    )
    proof = {name: max(one[name] for one in runs["lora"]) for name in ("identity", "merge")}
    report("lora_identity_at_start", proof["identity"], "largest logit difference", bar=1e-5, higher=False, seeds=list(SEEDS))
    report(
        "lora_merged_against_attached", proof["merge"], "largest logit difference", bar=1e-4, higher=False, seeds=list(SEEDS)
    )
    first = {method: found[0] for method, found in runs.items()}
    report(
        "lora_trainable_share",
        first["lora"]["share"],
        "share",
        baseline="full",
        baseline_value=first["full"]["share"],
        higher=False,
    )
    report(
        "lora_file_size", first["lora"]["size"], "bytes", baseline="full", baseline_value=first["full"]["size"], higher=False
    )


def shown(full: float) -> dict[str, Any]:
    return {"baseline_value": 100 * full, "ratio": None, "seeds": list(SEEDS)}


def measured(method: str, seed: int) -> dict[str, Any]:
    return cached({"benchmark": "lora", "method": method, "seed": seed}, lambda: measure(method, seed))


def measure(method: str, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        os.environ["SAVILE_HOME"] = home
        found = data.govern(SAMPLES / "train.csv.gz", test=SAMPLES / "test.csv")
        from savile.adaptation import adapt

        model = adapt(found, "minilm", method, seed=seed)
        return {**scored(model, found), **(proofs(model, found) if method == "lora" else {})}


def scored(model: Model, found: Dataset) -> dict[str, Any]:
    from savile.models import Predictor

    answers = Predictor(model, "torch")(found.texts("test"))
    size = sum(Path(str(path)).stat().st_size for name, path in model.forms["torch"].items() if name.endswith(".safetensors"))
    accuracy = float((answers.choice == found.targets("test")).mean())
    return {"accuracy": accuracy, "share": model.facts["trainable_share"], "size": size, "seconds": model.facts["seconds"]}


def proofs(model: Model, found: Dataset) -> dict[str, float]:
    """Largest difference of logits: fresh adapters against the bare base, trained adapters merged against attached."""
    from savile.models import encoder

    texts = found.texts("test")[:200]
    plain = encoder.create("minilm", found.labels, cosine=True)
    fresh = encoder.create("minilm", found.labels, cosine=True)
    for network in (plain, fresh):
        network.head.load_state_dict(encoder.load(model).head.state_dict())
        network.eval()
    encoder.attach(fresh, "lora", {})
    trained = encoder.load(model)
    attached = encoder.predict(trained, texts)
    catalogue.get("methods", "lora").merge(trained)
    pairs = {
        "identity": (encoder.predict(plain, texts), encoder.predict(fresh, texts)),
        "merge": (attached, encoder.predict(trained, texts)),
    }
    return {name: float(np.abs(one - other).max()) for name, (one, other) in pairs.items()}


if __name__ == "__main__":
    main()
