"""A language model tuned to 150 intents on two cores: how right it is.

clinc150, 20 training rows a class (the first of each in file order), in-scope; smollm2 is asked for the intent and can only
answer one. Parts, each of which goes on where it was stopped:

    python benchmarks/adaptation_decoder.py asked      zero-shot, labels named and not, on 300 test rows, two a class
    python benchmarks/adaptation_decoder.py tuned      LoRA, three passes; 1,500 test rows, ten a class
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from _report import HERE, report
from savile.base import events

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve() / "intent-clinc150"
BASE = os.environ.get("SAVILE_DECODER", "smollm2")
KEPT = HERE / ".cache" / "decoder"
A_CLASS = 20
FREEZE = 10


def rows(part: str, a_class: int) -> tuple[list[str], np.ndarray, list[str]]:
    """Texts, label indices and labels: the first rows of each class in file order."""
    with gzip.open(SAMPLES / "data_full.json.gz", "rt", encoding="utf-8") as file:
        pairs = json.load(file)[part]
    labels = sorted({label for _, label in pairs})
    seen, texts, targets = dict.fromkeys(labels, 0), [], []
    for text, label in pairs:
        if seen[label] < a_class:
            seen[label] += 1
            texts.append(text)
            targets.append(labels.index(label))
    return texts, np.array(targets), labels


def answered(network: Any, texts: list[str], name: str) -> np.ndarray:
    """Logits, kept batch by batch; in bf16 where the processor multiplies it."""
    import torch

    from savile.models import FitSettings
    from savile.models._rows import TokenRows, autocast
    from savile.models._source import precision

    kind = precision(FitSettings(), network.device)
    logits, tokens = [], TokenRows(network.encode(texts), network.pad_id)
    for start in range(0, len(texts), 50):
        path = KEPT / f"{name}-{start}.npy"
        if not path.exists():
            chosen = np.arange(start, min(len(texts), start + 50))
            ids, mask = (torch.from_numpy(one) for one in tokens.padded(chosen))
            with torch.inference_mode(), autocast(kind, network.device), network.lightened(kind):
                np.save(path, network(ids, mask).float().numpy())
        logits.append(np.load(path))
    return np.concatenate(logits)


def asked() -> None:
    """Zero-shot."""
    from savile.models import decoder

    texts, targets, labels = rows("test", 2)
    found = {}
    for listed in (False, True):
        network = decoder.create(BASE, labels)
        decoder.attach(network, "prompt", {"list_labels": listed})
        found["named" if listed else "not named"] = float(
            (answered(network.eval(), texts, f"asked-{listed}").argmax(1) == targets).mean()
        )
    report("smollm2_clinc150_zero_shot", max(found.values()), "accuracy", runs=found)


def lora(labels: Sequence[str]) -> Any:
    """The base with fresh updates beside its upper layers."""
    import torch

    from savile.models import decoder

    network = decoder.create(BASE, labels)
    torch.manual_seed(0)
    decoder.attach(network, "lora", {"freeze": FREEZE})
    return network


def tuned_network() -> tuple[Any, float]:
    """The tuned network, and the processor seconds training took."""
    from safetensors.torch import load_file, save_file

    from savile.models import FitSettings, decoder, fit

    texts, targets, labels = rows("train", A_CLASS)
    network = lora(labels)
    done, clock = KEPT / "tuned.safetensors", KEPT / "tuned.seconds"
    if not done.exists():
        started = time.process_time()
        fit(network, (texts, targets), FitSettings(**decoder.FIT["lora"]), checkpoint=KEPT / "training")
        clock.write_text(str(time.process_time() - started))
        save_file({name: p.detach().contiguous() for name, p in network.trainable()}, done)
    network.load_state_dict(load_file(done), strict=False)
    return network.eval(), float(clock.read_text())


def tuned() -> None:
    """LoRA on the answers alone."""
    network, seconds = tuned_network()
    texts, targets, _ = rows("test", 4)
    right = answered(network, texts, "tuned").argmax(1) == targets
    share = sum(p.numel() for _, p in network.trainable()) / sum(p.numel() for p in network.parameters())
    runs = {"processor seconds": round(seconds), "trainable_share": share, "rows": len(right)}
    report("smollm2_clinc150_constrained_labels", float(right.mean()), "accuracy", bar=0.85, runs=runs)


def told(event: events.Event) -> None:
    """Every tenth step, on stderr."""
    if event.kind != "progress" or event.facts["done"] % 10 == 0:
        print(f"{time.strftime('%T')} {event.kind} {event.facts}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    KEPT.mkdir(parents=True, exist_ok=True)
    with events.listening(told):
        {"asked": asked, "tuned": tuned}[sys.argv[1]]()
