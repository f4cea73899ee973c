"""What a run would take, before it is run: tokens times the arithmetic of the base, over this machine's measured speed.

An estimate, no promise: constants were measured once, on two cores with AVX-512, and a budget in minutes caps the training.
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np

from savile.base.errors import SavileError
from savile.base.recipe import Recipe
from savile.flow._line import base

PROBE = 768  # rows and columns of the multiplied matrices
BF16_GAIN = 2.0  # training in bf16 against what numpy multiplies in fp32
CHARACTERS = 4.5  # a token, in English
PASSES = {"linear": 0.0, "head": 1.0, "full": 5.0, "lora": 10.0, "auto": 6.0}  # over every token, a backward pass counting two
FOLDS, SMALL = 5, 2_000  # fewer rows than this are judged out of fold
FIXED_SECONDS = {"start": 8.0, "compress": 45.0, "evaluate": 10.0}
LINEAR_SECONDS = 2e-5  # a character
MB = 1e6
IMPORTS_MB, LINEAR_MB = 900.0, 350.0


def estimate(recipe: Recipe, rows: int, characters: float) -> dict[str, float]:
    """Seconds, peak resident megabytes and megabytes on disk of following a recipe.

    Args:
        recipe: the recipe.
        rows: number of texts.
        characters: number of characters in all of them.
    """
    small = FOLDS * 0.8 + 1 if rows < SMALL else 1.0
    seconds = characters * LINEAR_SECONDS * small + FIXED_SECONDS["evaluate"]
    if base(recipe) == "linear":
        return _rounded(seconds, LINEAR_MB + characters / MB * 40, 5 + characters / MB * 3)
    weights_mb, parameters, hidden = _size("minilm" if recipe.model.base == "auto" else recipe.model.base)
    passes = PASSES.get(recipe.adapt.method, PASSES["full"])
    tokens = 2 * rows + characters / CHARACTERS
    training = small * passes * 2 * parameters * tokens / (speed() * BF16_GAIN)
    minutes = recipe.adapt.budget.minutes
    training = training if minutes is None else min(training, minutes * 60)
    seconds += training + FIXED_SECONDS["start"] + FIXED_SECONDS["compress"]
    memory = IMPORTS_MB + 8 * weights_mb + 8 * tokens * hidden / MB  # the frozen layers' output of every token is kept
    return _rounded(seconds, memory, 3.5 * weights_mb + 5 + characters / MB * 3)


def speed() -> float:
    """Floating-point operations a second when two fp32 matrices are multiplied, the best of three."""
    matrix = np.ones((PROBE, PROBE), dtype=np.float32)
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        matrix @ matrix
        best = min(best, time.perf_counter() - started)
    return 2.0 * PROBE**3 / best


def _size(name: str) -> tuple[float, float, int]:
    """Megabytes of a base's weights, parameters in its layers, width; a base that is not there has minilm's size."""
    from savile.models._bases import BASES, locate

    try:
        found = locate(name)
    except SavileError:
        if name not in BASES:
            raise
        return 91.0, 10.6e6, 384
    config: dict[str, Any] = json.loads((found.folder / "config.json").read_text()) if found.kind != "sentence" else {}
    hidden, layers = config.get("hidden_size", 384), config.get("num_hidden_layers", 6)
    weights = sum(file.stat().st_size for file in found.folder.glob("*.safetensors")) / MB
    return weights or 91.0, layers * (4.0 * hidden**2 + 2.0 * hidden * config.get("intermediate_size", 4 * hidden)), hidden


def _rounded(seconds: float, peak_rss_mb: float, disk_mb: float) -> dict[str, float]:
    return {"seconds": round(seconds), "peak_rss_mb": round(peak_rss_mb), "disk_mb": round(disk_mb)}
