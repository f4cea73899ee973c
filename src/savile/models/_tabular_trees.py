"""LightGBM as the trees of the tabular family: trained quietly and repeatably, kept as its own text, explained exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from savile.base.errors import CorruptError, MissingExtraError

MOST_ROUNDS, PATIENCE = 3_000, 60
MOST_TREES = 6_000  # with many labels a round is as many trees, and where a column gives labels away the loss falls for ever


@dataclass(frozen=True)
class Plan:
    """What is asked of a model of a table.

    Attributes:
        loss: ``cross_entropy``, ``binary_cross_entropy`` of one label, or ``squared_error``.
        outputs: scores a row: 1 for two labels and for a number, else one a label.
        seed: of bags and of sampling.
        threads: processor threads.
        pairs: surfaces of two columns that an additive model may have.
        absolute: whether trees make the mean absolute error of numbers small, not that of their squares.
    """

    loss: str
    outputs: int
    seed: int
    threads: int
    pairs: int = 0
    absolute: bool = False

    @property
    def params(self) -> dict[str, Any]:
        """What LightGBM is told whatever the model."""
        number = "regression_l1" if self.absolute else "regression"
        kind = number if self.loss == "squared_error" else "binary" if self.outputs == 1 else "multiclass"
        classes = {"num_class": self.outputs} if kind == "multiclass" else {}
        fixed = {"deterministic": True, "force_row_wise": True, "feature_pre_filter": False, "verbosity": -1}
        return {"objective": kind, "seed": self.seed, "num_threads": self.threads, **classes, **fixed}


@dataclass(frozen=True)
class Part:
    """Rows for the trees: values (n, features), targets (n,), and where scores begin, (n, outputs), or None."""

    values: np.ndarray
    targets: np.ndarray
    start: np.ndarray | None = None


def train(plan: Plan, settings: dict[str, Any], part: Part, held: Part | None, rounds: int = MOST_ROUNDS) -> Any:
    """A booster; with rows held out it stops when their loss has not fallen for `PATIENCE` rounds and keeps the best.

    Args:
        plan: what is asked.
        settings: LightGBM's parameters beside those of the plan; ``categorical`` lists the columns whose numbers are names.
        part: rows to learn from.
        held: rows to stop by.
        rounds: rounds at most, a tree for each output.
    """
    lightgbm, rounds = library(), min(rounds, MOST_TREES // plan.outputs)
    params = {**plan.params, **{name: value for name, value in settings.items() if name != "categorical"}}
    names: Any = list(settings.get("categorical", ())) or "auto"
    shaped = {"free_raw_data": False, "params": params, "categorical_feature": names}
    data = lightgbm.Dataset(part.values, part.targets, init_score=_start(part.start), **shaped)
    if held is None:
        return lightgbm.train(params, data, rounds)
    stop = lightgbm.early_stopping(PATIENCE, first_metric_only=True, verbose=False)
    aside = lightgbm.Dataset(held.values, held.targets, reference=data, init_score=_start(held.start), **shaped)
    return lightgbm.train(params, data, rounds, valid_sets=[aside], callbacks=[stop])


def scores(booster: Any, values: np.ndarray, outputs: int, threads: int = 1) -> np.ndarray:
    """Raw scores of rows, float64 (n, outputs)."""
    found = booster.predict(values, raw_score=True, num_threads=threads, num_iteration=booster.best_iteration or None)
    return np.asarray(found, dtype=np.float64).reshape(len(values), outputs)


def contributions(booster: Any, values: np.ndarray, outputs: int) -> np.ndarray:
    """What each feature adds to each score, float64 (n, features + 1, outputs), the base last (TreeSHAP, Lundberg et al. 2020).

    They sum to the raw score: the average over all orders in which the columns of a row may become known.
    """
    found = np.asarray(booster.predict(values, pred_contrib=True, num_threads=1, num_iteration=booster.best_iteration or None))
    return found.reshape(len(values), outputs, values.shape[1] + 1).transpose(0, 2, 1)


def text(booster: Any) -> bytes:
    """The booster as LightGBM writes it."""
    said: str = booster.model_to_string(num_iteration=booster.best_iteration or None)
    return said.encode()


def of_text(content: bytes) -> Any:
    """The booster of its text.

    Raises:
        CorruptError: the text is none.
    """
    lightgbm = library()
    try:
        return lightgbm.Booster(model_str=content.decode())
    except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
        raise CorruptError("trees as LightGBM writes them", str(error).partition("\n")[0], "Adapt again.") from error


def library() -> Any:
    """LightGBM.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import lightgbm
    except ModuleNotFoundError:
        raise MissingExtraError("lightgbm", "tables") from None
    return lightgbm


def _start(scores: np.ndarray | None) -> np.ndarray | None:
    """Scores (n, outputs) in the order LightGBM wants them: all rows of one output after another."""
    return None if scores is None else np.asarray(scores).ravel(order="F")


def bags(targets: np.ndarray, count: int, share: float, seed: int) -> Sequence[tuple[np.ndarray, np.ndarray]]:
    """Rows to learn from and rows held out, `count` times, the held ones with every label in its share."""
    rng, found = np.random.default_rng(seed), []
    classes = targets if targets.dtype.kind == "i" else np.zeros(len(targets), dtype=np.int64)
    for _ in range(count):
        order = rng.permutation(len(targets))
        order = order[np.argsort(classes[order], kind="stable")]
        held = np.zeros(len(targets), dtype=bool)
        step = 1 / share
        held[order[np.floor(np.arange(rng.random() * step, len(order), step)).astype(np.int64)]] = True
        found.append((np.flatnonzero(~held), np.flatnonzero(held)))
    return found
