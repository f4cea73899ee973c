"""What one may set in the training loop, and what it says when it is done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from savile.base.errors import InputError
from savile.models._vectors import TEMPERATURE

AT_LEAST: dict[str, float] = {  # a name -> what its setting may not fall below
    **dict.fromkeys(("batch_rows", "batch_tokens", "accumulate", "runs", "evaluations", "ascents", "workers"), 1),
    **dict.fromkeys(("steps", "least_steps", "most_steps", "most_rows", "patience", "clip", "weight_decay", "rdrop"), 0),
    **dict.fromkeys(("minutes", "strength", "epsilon", "checkpoint_seconds"), 0),
}
ABOVE = ("epochs", "learning_rate", "temperature")  # zero
SHARES = ("dropout", "label_smoothing", "warmup", "decay")


@dataclass(frozen=True)
class FitSettings:
    """How to train. Defaults suit a small encoder with a head that starts at the class means.

    Attributes:
        epochs: passes over the rows; `steps`, when given, overrides it.
        least_steps: as many steps at least, however few the rows are.
        most_steps: as many steps at most, whatever else is asked; 0 sets no limit.
        most_rows: as many rows at most, drawn at random; 0 sets no limit.
        runs: how many times to train from the same start, each with a seed of its own; the mean of the weights is kept.
        learning_rate: peak of the schedule.
        optimizer: ``adamw`` (decoupled weight decay, Loshchilov and Hutter 2019) or ``sgd`` with momentum 0.9.
        schedule: how the rate falls after warm-up.
        warmup: share of the steps in which the rate rises from zero.
        weight_decay: on matrices only, never on biases and norms.
        dropout: probability in every dropout layer of the trunk; frozen layers see none when their output is kept.
        batch_rows: rows a batch at most.
        batch_tokens: padded tokens a batch at most.
        accumulate: batches whose gradients are added before a step.
        clip: largest gradient norm; 0 switches clipping off.
        class_weights: ``balanced`` weighs classes by inverse frequency.
        label_smoothing: share of the target spread over all labels.
        rdrop: weight of the disagreement of two dropout passes (R-Drop); needs dropout.
        adversarial: whether embeddings are moved against the model while it learns: ``fgm``, or ``freelb`` in `ascents` steps.
        epsilon: length by which a text's embeddings are moved.
        ascents: steps of ``freelb``.
        average: weights that are kept: the ``last``, an exponential mean (``ema``), or the mean of the last quarter (``swa``).
        decay: of the exponential mean; less in the first steps.
        precision: ``auto`` is bf16 where the processor multiplies it natively, else fp32.
        keep_frozen: compute the layers below the first learning one once and keep their output.
        evaluations: how often the validation rows are scored, evenly spaced, when they are given.
        patience: evaluations without a better score before training stops; 0 never stops early.
        strength: inverse L2 penalty when only the head learns; 0 chooses it by cross-validation.
        temperature: of vectors, what cosines are divided by.
        sizes: of vectors, how many of their first numbers are to be vectors, too.
        minutes: time budget; becomes `most_rows` and `most_steps` by measured probes before step 1, and is forgotten.
        checkpoint_seconds: least time between two checkpoints.
        workers: processes that train together, each with its share of every batch, under Ray Train.
        sharded: whether each of them holds a share of a language model's frozen matrices (FSDP), not all of them (DDP).
        seed: of the order of rows and of dropout.
    """

    epochs: float = 2.0
    steps: int = 0
    least_steps: int = 0
    most_steps: int = 0
    most_rows: int = 0
    runs: int = 1
    learning_rate: float = 4e-4
    optimizer: Literal["adamw", "sgd"] = "adamw"
    schedule: Literal["one_cycle", "cosine", "linear", "constant"] = "one_cycle"
    warmup: float = 0.1
    weight_decay: float = 0.01
    dropout: float = 0.0
    batch_rows: int = 64
    batch_tokens: int = 4096
    accumulate: int = 1
    clip: float = 1.0
    class_weights: Literal["none", "balanced"] = "none"
    label_smoothing: float = 0.0
    rdrop: float = 0.0
    adversarial: Literal["none", "fgm", "freelb"] = "none"
    epsilon: float = 0.1
    ascents: int = 3
    average: Literal["last", "ema", "swa"] = "last"
    decay: float = 0.99
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    keep_frozen: bool = True
    evaluations: int = 4
    patience: int = 0
    strength: float = 0.0
    temperature: float = TEMPERATURE
    sizes: tuple[int, ...] = ()
    minutes: float = 0.0
    checkpoint_seconds: float = 30.0
    workers: int = 1
    sharded: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in AT_LEAST.items():
            _hold(name, getattr(self, name), getattr(self, name) >= least, f"of {least} or more")
        for name in ABOVE:
            _hold(name, getattr(self, name), getattr(self, name) > 0, "above 0")
        for name in SHARES:
            _hold(name, getattr(self, name), 0 <= getattr(self, name) <= 1, "from 0 to 1")


def _hold(name: str, value: float, within: bool, wanted: str) -> None:
    """Nothing, or an error where a number is out of its range."""
    if not within:
        raise InputError(f"a setting {name} {wanted}", f"{value}", f"Correct {name}.")


@dataclass(frozen=True)
class Fitted:
    """What training did.

    Attributes:
        steps: optimiser steps taken.
        seconds: wall-clock time of this call.
        history: one entry an evaluation: step, training loss, validation score and loss.
        best: validation score of the weights that were kept, or None without validation rows.
        tokens: tokens trained on, padding left out.
        precision: what matrix products ran in.
    """

    steps: int
    seconds: float
    history: tuple[dict[str, Any], ...] = ()
    best: float | None = None
    tokens: int = 0
    precision: str = "fp32"
    settings: FitSettings = field(default_factory=FitSettings)
