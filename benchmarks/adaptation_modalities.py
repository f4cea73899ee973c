"""A label that neither text nor picture tells alone: each way of fusing against two models whose answers are added.

Composed rows: a message names the colour that was ordered, a photo shows what came on a noisy ground, and the label says
whether they agree. One in two does, whatever the text and whatever the picture. Late ensembling has the weights that are best
on validation rows.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import numpy as np
import pyarrow as pa

from _report import cached, report
from savile._made_up import picture
from savile.base import catalogue, media
from savile.base.contracts import Rows
from savile.base.records import Calibration
from savile.models import fusion, joint

COLOURS = {"red": (210, 50, 40), "green": (40, 170, 70), "blue": (50, 80, 210), "yellow": (220, 200, 60)}
SAID = (
    "hello, i ordered the {} mug last week and here is what was in the parcel", "is this the {} one? see the photo",
    "my {} scarf has come, please have a look", "the order says {}, the picture shows what i have got",
)  # fmt: skip
TRAIN, VALID, TEST, SEEDS = 480, 160, 320, (0, 1, 2)
FUSINGS = ("late", "gated", "cross")


def main() -> None:
    seeds = [int(one) for one in sys.argv[1:]] or list(SEEDS)
    runs = [cached({"benchmark": "modalities", "seed": seed}, lambda seed=seed: measured(seed)) for seed in seeds]
    ensembled = [100 * one["ensemble"] for one in runs]
    for name in ("text", "picture", "ensemble", *FUSINGS):
        found = [100 * one[name] for one in runs]
        report(
            f"modalities_{name}", float(np.mean(found)), "accuracy, %", baseline="late ensembling",
            baseline_value=float(np.mean(ensembled)), seeds=len(found), runs=found,
        )  # fmt: skip


def rows(count: int, rng: np.random.Generator) -> Rows:
    names = sorted(COLOURS)
    ordered, agrees = rng.integers(0, 4, count), rng.random(count) < 0.5
    came = np.where(agrees, ordered, (ordered + rng.integers(1, 4, count)) % 4)
    texts = [str(rng.choice(SAID)).format(names[one]) for one in ordered]
    table = pa.table({"said": texts, "photo": [media.packed(drawn(names[one], rng), "image") for one in came]})
    return Rows(table, agrees.astype(np.int64), ("wrong", "right"))


def drawn(colour: str, rng: np.random.Generator) -> bytes:
    pixels = rng.integers(60, 200, (32, 32, 3))
    top, left, size = rng.integers(0, 16), rng.integers(0, 16), rng.integers(8, 16)
    pixels[top : top + size, left : left + size] = np.array(COLOURS[colour]) + rng.integers(-25, 26, 3)
    return picture(pixels.clip(0, 255).astype(np.uint8))


def measured(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    train, valid, test = (rows(count, rng) for count in (TRAIN, VALID, TEST))
    train = dataclasses.replace(train, seed=seed)
    plain = joint.Settings(text="said", epochs=6, least_steps=90)
    alone = {
        "text": dataclasses.replace(plain, without=("photo",)),
        "picture": dataclasses.replace(plain, without=("said",), text=""),
    }
    members = {name: joint.fit(train, "classify", settings) for name, settings in alone.items()}
    logits = {name: [joint.predict(one, part.inputs) for part in (valid, test)] for name, one in members.items()}
    head = catalogue.get("tasks", "classify").head(2)
    weights = fusion.best_weights(head, [one[0] for one in logits.values()], valid.targets, Calibration())
    answers = {name: one[1] for name, one in logits.items()}
    answers["ensemble"] = fusion.together([one[1] for one in logits.values()], weights)
    for fusing in FUSINGS:
        made = joint.fit(train, "classify", dataclasses.replace(plain, fusing=fusing))
        answers[fusing] = joint.predict(made, test.inputs)
    return {name: float((one.argmax(1) == test.targets).mean()) for name, one in answers.items()}


if __name__ == "__main__":
    main()
