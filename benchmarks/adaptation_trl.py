"""Seconds to the loss of TRL's SFTTrainer after one epoch: smollm2 writes the intent of a message, learned beside its peer.

clinc150, 20 training rows a class, 3,000 rows; judged on three validation rows a class. Both sides start from the same unpacked
smollm2, read the same tokens (the chat template around message and intent; only the intent and the token that ends it are
learned) and train the same LoRA with the same batch size, peak rate and shape of schedule in bf16 on one core: the Trainer for
one epoch, ours, `savile.adaptation.learn_answers`, for one and a half, as what counts is the time to its loss. The Trainer has
bf16 weights, eager attention, fused AdamW, no gradient checkpoints and batches of 32, the fastest settings a row of those that
`settings` times. It runs twice, with rows by length and in random order; the figure is that of the order ours gains less on.
The peak rate was not chosen for either side.

Seconds are the process's own, building the network and tokenising included; seconds of the wall stand beside them. What ours
has learned is kept at several moments, outside the clock; one plain transformers network judges what all have learned.

    python benchmarks/adaptation_trl.py settings   milliseconds a row, by settings of the Trainer
    python benchmarks/adaptation_trl.py            the figure; goes on where it was stopped
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from _report import HERE, cached, report, source
from adaptation_decoder import A_CLASS, rows
from savile.base.records import digest

KEPT = HERE / ".cache" / "trl"
JUDGED = 3  # rows a class
SHARED = {"learning_rate": 1e-3, "batch": 32, "warmup": 0.1, "rank": 8, "alpha": 16, "weight_decay": 0.01, "seed": 0}
EPOCHS, MARKS = 1.5, 12  # of ours, and how often it is kept
ORDERS = ("group_by_length", "random")  # of the Trainer
STEPS = 8  # that `settings` times
TRIED: dict[str, dict[str, Any]] = {
    "fp32 weights": {"dtype": "float32"},
    "bf16 weights": {},
    "fused attention": {"attention": "sdpa"},
    "random order": {"train_sampling_strategy": "random"},
    "batches of 8": {"per_device_train_batch_size": 8},
    "batches of 16": {"per_device_train_batch_size": 16},
    "padding-free": {"padding_free": True, "max_length": None},
    "packed": {"packing": True, "max_length": 512, "per_device_train_batch_size": 1},
}
Adapter = dict[str, Any]


def main() -> None:
    ours, peers = curve("ours", epochs=EPOCHS), {order: curve("theirs", train_sampling_strategy=order)[-1] for order in ORDERS}
    reached = {order: next((at for at in ours if at[2] <= loss), None) for order, (*_, loss) in peers.items()}
    times = {order: peers[order][0] / at[0] if at else 0.0 for order, at in reached.items()}
    by_wall = {order: peers[order][1] / at[1] if at else 0.0 for order, at in reached.items()}
    least = min(times, key=lambda order: times[order])
    report(
        "smollm2_time_to_trl_loss",
        times[least],
        "times faster",
        bar=1.5,
        baseline=f"trl.SFTTrainer, one epoch, {least}, processor seconds",
        baseline_value=peers[least][0],
        ratio=times[least],
        runs={"times": times, "by the wall": by_wall, "processor and wall seconds, loss": {"ours": ours, **peers}},
    )


def curve(side: str, **what: Any) -> list[list[float]]:
    """Of each moment kept: seconds of the process, of the wall, and the loss."""
    return [[cpu, wall, judged(Path(path))] for cpu, wall, path in run(side, **what)["kept"]]


def run(side: str, **what: Any) -> dict[str, Any]:
    """One side in a process of its own, remembered: of each moment kept, seconds of the process, of the wall, and a file."""

    def measure() -> dict[str, Any]:
        command = [sys.executable, __file__, "one", json.dumps({"side": side, **what})]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{side} did not end well")
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return found

    return cached({"benchmark": "trl", "side": side, **SHARED, **what}, measure)


class Clock:
    """Seconds of this process and of the wall, stopped while what was learned is kept."""

    def __init__(self) -> None:
        self.kept: list[tuple[float, float, str]] = []
        self.pace = 0.0
        self.cpu, self.wall = time.process_time(), time.perf_counter()

    def now(self) -> tuple[float, float]:
        """Seconds of the process and of the wall."""
        return time.process_time() - self.cpu, time.perf_counter() - self.wall

    def keep(self, side: str, model: Any) -> None:
        """Write what a model has learned, while both stand."""
        from safetensors.torch import save_file

        cpu, wall = self.now()
        path = KEPT / f"{side}-{source()[:12]}-{len(self.kept)}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({_short(name): p.detach().contiguous() for name, p in model.named_parameters() if p.requires_grad}, path)
        self.kept.append((cpu, wall, str(path)))
        after = self.now()
        self.cpu, self.wall = self.cpu + after[0] - cpu, self.wall + after[1] - wall


def _short(name: str) -> str:
    """A parameter's name from the number of its layer on, which both sides share."""
    return name.partition(".layers.")[2]


def pairs(part: str, a_class: int) -> tuple[list[str], list[str]]:
    """Messages and intents in words."""
    from savile.models._decoder import _said

    texts, targets, labels = rows(part, a_class)
    return texts, [_said(labels[target]) for target in targets]


def ours(what: Mapping[str, Any]) -> Clock:
    """Ours, as one calls it."""
    from savile.adaptation import learn_answers
    from savile.base import events
    from savile.models import Writer
    from savile.models._decoder import INSTRUCTION

    texts, intents = pairs("train", A_CLASS)
    clock = Clock()
    lora = {"rank": SHARED["rank"], "alpha": SHARED["alpha"]}
    writer = Writer("smollm2", "lora", lora, instruction=INSTRUCTION)
    names = ("learning_rate", "warmup", "weight_decay", "seed")
    fit = {**{name: SHARED[name] for name in names}, "batch_rows": SHARED["batch"], "epochs": EPOCHS}

    def listen(event: events.Event) -> None:
        if event.kind == "progress":
            done, total = event.facts["done"], event.facts["total"]
            if done in {round(total * (mark + 1) / MARKS) for mark in range(MARKS)}:
                clock.keep("ours", writer.network.trunk)

    with events.listening(listen):
        learn_answers(writer, list(zip(texts, intents, strict=True)), fit)
    return clock


def theirs(what: Mapping[str, Any]) -> Clock:
    """TRL's Trainer; `what` may hold other settings of its than the best, ``dtype`` and ``attention``."""
    import torch
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    class Last(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            steps.append(clock.now())

    texts, intents = pairs("train", A_CLASS)
    given = dict(what)
    clock, steps = Clock(), list[tuple[float, float]]()
    torch.manual_seed(SHARED["seed"])  # of where LoRA starts
    tokenizer, network = _base(given.pop("dtype", "bfloat16"), given.pop("attention", "eager"))
    data = Dataset.from_dict({"prompt": [_asked(tokenizer, text) for text in texts], "completion": intents})
    with tempfile.TemporaryDirectory() as out:
        told: dict[str, Any] = {
            "num_train_epochs": 1,
            "learning_rate": SHARED["learning_rate"],
            "per_device_train_batch_size": SHARED["batch"],
            "warmup_steps": SHARED["warmup"],
            "lr_scheduler_type": "cosine",
            "weight_decay": SHARED["weight_decay"],
            "bf16": True,
            "gradient_checkpointing": False,
            "optim": "adamw_torch_fused",
            "train_sampling_strategy": ORDERS[0],
            "save_strategy": "no",
            "logging_strategy": "no",
            "report_to": [],
            "seed": SHARED["seed"],
            "use_cpu": True,
            "disable_tqdm": True,
        }
        trainer = SFTTrainer(
            model=network,
            args=SFTConfig(output_dir=out, **{**told, **given}),
            train_dataset=data,
            processing_class=tokenizer,
            peft_config=_lora(),
            callbacks=[Last()],
        )
        trainer.train()
    clock.keep(f"theirs-{trainer.args.train_sampling_strategy}", trainer.model)
    taken = float(np.median(np.diff([cpu for cpu, _ in steps])[1:])) / trainer.args.per_device_train_batch_size
    clock.pace = 1000 * taken * len(trainer.train_dataset) / len(texts)
    return clock


def _base(dtype: str, attention: str) -> tuple[Any, Any]:
    """Tokenizer and network of the unpacked smollm2, as transformers loads them."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from savile.models._bases import locate
    from savile.models._decoder import files_of

    folder = files_of(locate("smollm2"))
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype), attn_implementation=attention)
    return AutoTokenizer.from_pretrained(folder), network


def _lora() -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=SHARED["rank"], lora_alpha=SHARED["alpha"], target_modules="all-linear", bias="none", task_type="CAUSAL_LM"
    )


def _asked(tokenizer: Any, text: str) -> str:
    """The chat template up to the answer."""
    from savile.models._decoder import INSTRUCTION

    said = [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": text.strip()}]
    asked: str = tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
    return asked


def judged(path: Path) -> float:
    """Mean cross-entropy of an answer's tokens, validation rows, of smollm2 with what one side has learned."""
    key = {"benchmark": "trl", "judged": digest(path.read_bytes()), "rows": JUDGED}
    return float(cached(key, lambda: {"loss": judge(path)})["loss"])


def judge(path: Path) -> float:
    import torch
    from peft import get_peft_model
    from safetensors.torch import load_file

    tokenizer, network = _base("float32", "eager")
    network = get_peft_model(network, _lora()).eval()
    learned, own = load_file(path), {_short(name): p for name, p in network.named_parameters() if "lora_" in name}
    if learned.keys() != own.keys():
        raise SystemExit(f"{path} is of another adapter")
    with torch.no_grad():
        for name, tensor in learned.items():
            own[name].copy_(tensor)
    texts, intents = pairs("val", JUDGED)
    asked = [tokenizer(_asked(tokenizer, text)).input_ids for text in texts]
    answers = [tokenizer(f"{intent}{tokenizer.eos_token}").input_ids for intent in intents]
    total, tokens = 0.0, 0
    for start in range(0, len(texts), 30):
        some = list(zip(asked[start : start + 30], answers[start : start + 30], strict=True))
        ids = torch.full((len(some), max(len(one) + len(other) for one, other in some)), tokenizer.pad_token_id)
        due = torch.full_like(ids, -100)
        for i, (one, other) in enumerate(some):
            ids[i, : len(one) + len(other)] = torch.tensor(one + other)
            due[i, len(one) : len(one) + len(other)] = torch.tensor(other)
        # padding stands behind every token that counts, and a causal model does not look there
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            hidden = network.get_base_model().model(input_ids=ids).last_hidden_state[:, :-1]
            scores = network.get_base_model().lm_head(hidden[due[:, 1:] >= 0]).float()
        total += float(torch.nn.functional.cross_entropy(scores, due[:, 1:][due[:, 1:] >= 0], reduction="sum"))
        tokens += len(scores)
    return total / tokens


def settings() -> None:
    """Milliseconds a row of a few steps of the Trainer."""
    for name, what in TRIED.items():
        print(json.dumps({name: run("theirs", max_steps=STEPS, **what)["pace"]}), flush=True)


def one(what: dict[str, Any]) -> dict[str, Any]:
    """One side in this process; imports are over when its clock starts."""
    import peft  # noqa: F401
    import transformers
    import trl  # noqa: F401

    transformers.utils.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    clock = {"ours": ours, "theirs": theirs}[what.pop("side")](what)
    return {"kept": clock.kept, "pace": clock.pace}


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        print(json.dumps(one(json.loads(sys.argv[2]))))
    else:
        {"settings": settings}.get(sys.argv[1] if sys.argv[1:] else "", main)()
