"""Seconds to the accuracy of `full` minus 0.3 point on banking77: `savile.models.fit` beside `transformers.Trainer`.

Both start from the same minilm and read the same files; tokenising, building the network and every evaluation of the test
texts are in the time. The Trainer gets bf16, dynamic padding, grouping by length, fused AdamW, one-cycle-like cosine decay, the
faster of torch's attentions for this length, and its learning rate and number of epochs from four trials on a third of the
training rows, scored on rows held out of that third; so do we. It is scored after every epoch, and its clock stops at the first
score at the target. Once more with fp32 and the Trainer's own batching, 8 rows in random order, at that learning rate. A
run is a process of its own, so that peak memory beyond the imports is its own.

    python benchmarks/spine_time_to_accuracy.py            everything; stops and resumes as it likes
    python benchmarks/spine_time_to_accuracy.py tricks     only tokens per second with each trick taken away
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from _report import cached, report

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve() / "intent-banking77"
SEEDS = (0, 1, 2)
TRIALS = {"savile": [(2e-4, 2), (2e-4, 3), (4e-4, 2), (4e-4, 3)], "trainer": [(1e-4, 8), (3e-4, 4), (3e-4, 8), (6e-4, 4)]}
SLACK = 0.003
PATIENCE = {"bf16": 5.0, "fp32": 6.0}  # times our seconds; a run past it is stopped after that epoch and counts with its time
BATCH = 64
LONGEST = 256


def main() -> None:
    if sys.argv[1:2] == ["one"]:
        print(json.dumps(one(json.loads(sys.argv[2]))))
        return
    if sys.argv[1:] != ["tricks"]:
        compare()
    tricks()


def compare() -> None:
    best = {side: max(TRIALS[side], key=lambda trial, side=side: trial_score(side, *trial)) for side in TRIALS}
    print(json.dumps({"chosen on a third of the rows": best}), file=sys.stderr)
    ours = [run(side="savile", rate=best["savile"][0], epochs=best["savile"][1], seed=seed, precision="bf16") for seed in SEEDS]
    target = statistics.mean(one["scores"][-1][1] for one in ours) - SLACK
    print(json.dumps({"target": target, "ours": ours}), file=sys.stderr)
    peer = {"side": "trainer", "rate": best["trainer"][0], "epochs": best["trainer"][1]}
    pace = statistics.median(reached(one, target) for one in ours)
    most = {name: round(times * pace, -1) for name, times in PATIENCE.items()}
    theirs = [run(**peer, seed=seed, precision="bf16", until=target, seconds=most["bf16"]) for seed in SEEDS]
    plain = [run(**peer, seed=SEEDS[0], precision="fp32", until=target, seconds=most["fp32"])]
    print(json.dumps({"theirs": theirs, "fp32": plain}), file=sys.stderr)
    seconds = {
        name: [reached(one, target) for one in runs] for name, runs in (("ours", ours), ("bf16", theirs), ("fp32", plain))
    }
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    for name, bar, seeds in (("bf16", 2.5, SEEDS), ("fp32", 5.0, SEEDS[:1])):
        report(
            f"time_to_accuracy_against_trainer_{name}",
            middle[name] / middle["ours"],
            "times faster",
            bar=bar,
            baseline=f"transformers.Trainer {name}, seconds to {target:.4f}",
            baseline_value=middle[name],
            ratio=middle[name] / middle["ours"],
            seeds=list(seeds),
            runs=seconds,
        )
    memory = {name: statistics.median(one["memory_mb"] for one in runs) for name, runs in (("ours", ours), ("bf16", theirs))}
    report(
        "training_memory_beyond_imports",
        memory["ours"] / memory["bf16"],
        "share of the Trainer's",
        bar=0.7,
        higher=False,
        baseline="transformers.Trainer bf16, MiB",
        baseline_value=memory["bf16"],
        ratio=memory["bf16"] / memory["ours"],
        seeds=list(SEEDS),
    )


def reached(one: dict[str, Any], target: float) -> float:
    """Seconds when a run's score first reached the target; a run that never did counts with all its time."""
    hits = [seconds for seconds, score in one["scores"] if score >= target]
    return float(hits[0] if hits else one["scores"][-1][0])


def trial_score(side: str, rate: float, epochs: int) -> float:
    return float(run(side=side, rate=rate, epochs=epochs, seed=0, precision="bf16", third=True)["scores"][-1][1])


def run(**what: Any) -> dict[str, Any]:
    """One run in a process of its own; remembered."""

    def measure() -> dict[str, Any]:
        command = [sys.executable, __file__, "one", json.dumps(what)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr[-3000:])
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        print(json.dumps({**what, **found}), file=sys.stderr, flush=True)
        return found

    return cached({"benchmark": "time_to_accuracy", **what}, measure)


def one(what: dict[str, Any]) -> dict[str, Any]:
    """Train once: scores are (seconds since the rows were in memory, accuracy), memory is the peak beyond the imports."""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    train, test, labels = rows(what.get("third", False))
    work = savile_run if what["side"] == "savile" else trainer_run
    torch.manual_seed(what["seed"])
    work_on = work(what, labels)  # imports are over when it returns
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scores = work_on(train, test)
    return {"scores": scores, "memory_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}


Rows = tuple[list[str], np.ndarray]


def rows(third: bool) -> tuple[Rows, Rows, list[str]]:
    """Training and scoring rows; with `third`, both from a third of the training file."""

    def read(path: Path) -> list[tuple[str, str]]:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
        return [(row["text"], row["category"]) for row in csv.DictReader(io.StringIO(text, newline=""))]

    train, test = read(SAMPLES / "train.csv.gz"), read(SAMPLES / "test.csv")
    labels = sorted({label for _, label in train})
    if third:
        order = np.random.default_rng(0).permutation(len(train))[: len(train) // 3]
        cut = len(order) * 4 // 5
        train, test = [train[i] for i in order[:cut]], [train[i] for i in order[cut:]]
    index = {label: i for i, label in enumerate(labels)}

    def split(part: list[tuple[str, str]]) -> Rows:
        return [text for text, _ in part], np.array([index[label] for _, label in part], dtype=np.int64)

    return split(train), split(test), labels


def savile_run(what: dict[str, Any], labels: list[str]) -> Any:
    from savile.base import events
    from savile.models import FitSettings, _fit, encoder

    network_of = encoder.create
    fit_it = _fit.fit

    def work(train: Rows, test: Rows) -> list[tuple[float, float]]:
        started, scores = time.perf_counter(), []

        def listen(event: events.Event) -> None:
            if event.kind == "evaluation":
                scores.append((time.perf_counter() - started, event.facts["score"]))

        network = network_of("minilm", labels, cosine=True, max_length=LONGEST)
        encoder.attach(network, "full", {})
        settings = FitSettings(
            learning_rate=what["rate"],
            epochs=what["epochs"],
            seed=what["seed"],
            precision=what["precision"],
            batch_rows=BATCH,
            evaluations=what["epochs"],
        )
        with events.listening(listen):
            fit_it(network, train, settings, valid=test)
        return scores

    return work


def trainer_run(what: dict[str, Any], labels: list[str]) -> Any:
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )
    from transformers.trainer_callback import TrainerCallback

    from savile.models._bases import locate

    best = what["precision"] == "bf16"
    folder = locate("minilm").folder

    class Texts(torch.utils.data.Dataset[Any]):
        def __init__(self, part: Rows, tokenizer: Any) -> None:
            self.encoded = tokenizer(part[0], truncation=True, max_length=LONGEST)
            self.targets = part[1].tolist()

        def __len__(self) -> int:
            return len(self.targets)

        def __getitem__(self, row: int) -> dict[str, Any]:
            return {**{name: values[row] for name, values in self.encoded.items()}, "labels": self.targets[row]}

    def work(train: Rows, test: Rows) -> list[tuple[float, float]]:
        started, scores = time.perf_counter(), []

        class Clock(TrainerCallback):  # type: ignore[misc]
            def on_evaluate(self, _: Any, __: Any, control: Any, metrics: dict[str, float], **___: Any) -> None:
                scores.append((time.perf_counter() - started, metrics["eval_accuracy"]))
                there = metrics["eval_accuracy"] >= what.get("until", 2.0)
                control.should_training_stop |= there or scores[-1][0] >= what.get("seconds", float("inf"))

        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, num_labels=len(labels), attn_implementation=os.environ.get("ATTENTION", "eager")
        )
        sides = Texts(train, tokenizer), Texts(test, tokenizer)
        with tempfile.TemporaryDirectory() as out:
            arguments = TrainingArguments(
                output_dir=out,
                num_train_epochs=what["epochs"],
                learning_rate=what["rate"],
                per_device_train_batch_size=BATCH if best else 8,
                per_device_eval_batch_size=BATCH if best else 8,
                warmup_steps=0.1,
                lr_scheduler_type="cosine",
                weight_decay=0.01,
                bf16=best,
                optim="adamw_torch_fused",
                train_sampling_strategy="group_by_length" if best else "random",
                eval_strategy="epoch",
                save_strategy="no",
                logging_strategy="no",
                report_to=[],
                seed=what["seed"],
                use_cpu=True,
                disable_tqdm=True,
            )
            Trainer(
                model=model,
                args=arguments,
                train_dataset=sides[0],
                eval_dataset=sides[1],
                data_collator=DataCollatorWithPadding(tokenizer),
                compute_metrics=lambda made: {"accuracy": float((made.predictions.argmax(1) == made.label_ids).mean())},
                callbacks=[Clock()],
            ).train()
        return scores

    return work


TRICKS: dict[str, dict[str, Any]] = {
    "all tricks": {},
    "without bf16": {"precision": "fp32"},
    "without keeping the frozen trunk": {"keep_frozen": False},
    "without freezing": {"freeze": 0, "freeze_embeddings": False},
    "without length buckets": {"buckets": False},
    "without explicit attention": {"explicit": False},
    "without the fused optimiser": {"fused": False},
}


def tricks() -> None:
    """Tokens a second over 200 steps, with each trick taken away in turn."""
    speeds = {name: cached({"benchmark": "tricks", "trick": name}, lambda name=name: trick(name)) for name in TRICKS}
    whole = speeds["all tricks"]["tokens_per_second"]
    for name, found in speeds.items():
        ratio = whole / found["tokens_per_second"]
        report(
            f"training_speed_{name.replace(' ', '_')}",
            found["tokens_per_second"],
            "tokens/s",
            baseline="all tricks",
            baseline_value=whole,
            ratio=ratio,
            seeds=[0],
        )


def trick(name: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, __file__, "trick", name], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measure_trick(name: str) -> dict[str, Any]:
    """The steps alone: the one pass that fills the kept trunk is not counted, as a longer run would spread it out."""
    import torch

    from savile.models import FitSettings, _fit, _network, _rows, encoder

    options = dict(TRICKS[name])
    if not options.pop("explicit", True):
        _network.EXPLICIT_ATTENTION_UP_TO = 0
    if not options.pop("buckets", True):
        _rows.SORTED_WINDOW = 1
        _fit.shuffled_batches = lambda lengths, rows, tokens, rng: np.array_split(  # type: ignore[assignment]
            rng.permutation(len(lengths)), -(-len(lengths) // rows)
        )
    if not options.pop("fused", True):
        fused = torch.optim.AdamW
        torch.optim.AdamW = lambda *a, **k: fused(*a, **{**k, "fused": False, "foreach": False})  # type: ignore[misc,assignment]
    frozen = {key: options.pop(key) for key in ("freeze", "freeze_embeddings") if key in options}
    train, _, labels = rows(False)
    network = encoder.create("minilm", labels, cosine=True, max_length=LONGEST)
    encoder.attach(network, "full", frozen)
    settings = FitSettings(steps=200, batch_rows=BATCH, **options)
    source = _fit.Source(network, train, settings)
    loop = _fit._Loop(source, settings, lambda predicted, gold: 0.0, _fit.team())
    started = time.perf_counter()
    fitted = loop.run(None, started)
    return {"tokens_per_second": fitted.tokens / fitted.seconds}


if __name__ == "__main__":
    if sys.argv[1:2] == ["trick"]:
        print(json.dumps(measure_trick(sys.argv[2])))
    else:
        main()
