"""What a run would take when nothing was ever tried here: tokens times the arithmetic of the base, over this machine's speed.

An estimate, no promise: constants were measured once, on two cores with AVX-512, and a budget in minutes caps the training.
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np

from savile.base import answers, machine
from savile.base.errors import SavileError
from savile.base.recipe import Recipe
from savile.base.records import Dataset
from savile.flow import _past
from savile.flow._forecast import Forecast, prices
from savile.flow._line import base

PROBE = 768  # rows and columns of the multiplied matrices
BF16_GAIN = 2.0  # training in bf16 against what numpy multiplies in fp32
CHARACTERS = 4.5  # a token, in English
PASSES = {"head": 1.0, "full": 5.0, "lora": 10.0, "auto": 6.0}  # over every token, a backward pass counting two
FOLDS = 5.0
START, COMPRESS, EVALUATE = 8.0, 30.0, 4.0  # seconds, whatever the rows
LINEAR_SECONDS = 2e-5  # a character
CELLS = 1e-4  # seconds a cell of a table
MB = 1e6
IMPORTS, ALONE = 900 * MB, 350 * MB  # bytes with torch, and without
WIDTH = 384


def estimate(recipe: Recipe, data: Dataset) -> Forecast:
    """What following a recipe on governed rows takes."""
    rows, few = data.table.num_rows, not len(data.parts.get("valid", ()))
    text = data.roles.get("text")
    characters = float(sum(len(one or "") for one in data.column("text"))) if text else 0.0
    folds = FOLDS if few else 1.0
    own = folds * (characters * LINEAR_SECONDS + (0 if text else rows * data.table.num_columns * CELLS))
    stages = {"govern": 0.0, "adapt": own, "compress": 0.0, "evaluate": EVALUATE}
    if base(recipe) in ("linear", "tabular") or not text:
        peak, disk = ALONE + 40 * characters, 5 * MB + 3 * characters
        return Forecast(stages, 1.0, peak, disk, prices(recipe), _past.factors(), basis="modelled")
    usual = "smollm2" if answers.in_words(data.task) else "minilm"
    weights, parameters = _size(usual if recipe.model.base == "auto" else recipe.model.base)
    tokens = 2 * rows + characters / CHARACTERS
    passes = PASSES.get(recipe.adapt.method, PASSES["full"])
    training = folds * passes * 2 * parameters * tokens / (speed() * BF16_GAIN)
    minutes = recipe.adapt.budget.minutes
    stages["adapt"] += START + (training if minutes is None else min(training, minutes * 60))
    stages["compress"] = COMPRESS
    peak = IMPORTS + 8 * weights + 8 * tokens * WIDTH  # the frozen layers' output of every token is kept
    busy = float(machine.available_threads())
    return Forecast(
        stages, busy, peak, 3.5 * weights + 5 * MB + 3 * characters, prices(recipe), _past.factors(), basis="modelled"
    )


def speed() -> float:
    """Floating-point operations a second when two fp32 matrices are multiplied, the best of three."""
    matrix = np.ones((PROBE, PROBE), dtype=np.float32)
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        matrix @ matrix
        best = min(best, time.perf_counter() - started)
    return 2.0 * PROBE**3 / best


def _size(name: str) -> tuple[float, float]:
    """Bytes of a base's weights and parameters in its layers; a base that is not there has minilm's size."""
    from savile.models._bases import BASES, locate

    try:
        found = locate(name)
    except SavileError:
        if name not in BASES:
            raise
        return 91 * MB, 10.6e6
    config: dict[str, Any] = json.loads((found.folder / "config.json").read_text()) if found.kind != "sentence" else {}
    hidden, layers = config.get("hidden_size", WIDTH), config.get("num_hidden_layers", 6)
    weights = sum(float(file.stat().st_size) for file in found.folder.glob("*.safetensors"))
    return weights or 91 * MB, layers * (4.0 * hidden**2 + 2.0 * hidden * config.get("intermediate_size", 4 * hidden))
