"""Calibration: what turns logits into answers that mean what they say, for each kind of answer.

Labels get the map that makes probabilities honest (see `_maps`) and the threshold below which a person should answer (see
`_thresholds`); where any number of labels may be given, also the probability from which one is. Numbers get an interval that
holds nine in ten. Spans have a file of their own, `_span_maps`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from savile.base.contracts import HeadSpec
from savile.base.outputs import Replies
from savile.base.records import Calibration, Outputs
from savile.models import _maps, _span_maps
from savile.models._spans import TOKEN
from savile.models._thresholds import accuracy_threshold, cost_threshold
from savile.models._vectors import VECTOR
from savile.models._vectors import log_losses as vector_losses

Decode = Callable[[np.ndarray], np.ndarray]
COVERAGE = 0.9  # of the interval around a number


def calibrate(
    head: HeadSpec,
    logits: Any,
    gold: np.ndarray,
    value: Mapping[str, Any] | None = None,
    start: Calibration | None = None,
) -> Calibration:
    """The calibration that fits rows the model was not trained on.

    Args:
        head: of the task.
        logits: (n, outputs), or `Tokens`.
        gold: targets, see `savile.base.answers`; numbers in their own units.
        value: worth of a ``right`` answer, a ``wrong`` one and one by a ``person``, or the ``accuracy`` asked of answers that
            no person sees, or both; ``per_label`` true gives each label a threshold of its own. Without it nothing is left to
            a person.
        start: what is kept where there is nothing to fit: units of a number, a threshold chosen before.
    """
    start = start or Calibration()
    if not len(gold) or head.loss == VECTOR:
        return start
    if head.loss == "squared_error":
        return replace(start, spread=conformal(np.abs(gold - decide(head, logits, start).choice)))
    if head.loss == TOKEN:
        fitted = _span_maps.calibrate(head, logits, gold, start)
    elif head.loss == "cross_entropy":
        fitted = replace(start, **_maps.fields(_maps.choose(logits, gold)))
    else:
        fitted = replace(start, temperature=_temperature(logits, gold))
        fitted = replace(fitted, cut=best_cut(head.decode(logits / fitted.temperature), gold))
    return replace(fitted, **_thresholds(head, logits, gold, value, fitted)) if value else fitted


def _thresholds(head: HeadSpec, logits: Any, gold: np.ndarray, value: Mapping[str, Any], fitted: Calibration) -> dict[str, Any]:
    """The threshold, or one a label, that is worth most and as right as asked."""
    answers = decide(head, logits, replace(fitted, threshold=0.0, thresholds=()))
    sure, true = answers.confidence, right(answers.choice, gold)
    unseen, unseen_true, label = sure, true, answers.choice
    if head.loss == "cross_entropy" and len(gold) >= _maps.LEAST_ROWS:
        # a promise needs confidences that do not know the row's own label
        crossed = _maps.crossed(_maps.again(fitted), logits, gold)
        label = crossed.argmax(axis=1)
        unseen, unseen_true = crossed.max(axis=1), label == gold

    def lowest(rows: np.ndarray, unseen_rows: np.ndarray) -> float:
        costly = cost_threshold(sure[rows], true[rows], value) if "right" in value and rows.any() else 0.0
        if not value.get("accuracy"):
            return costly
        return max(costly, accuracy_threshold(unseen[unseen_rows], unseen_true[unseen_rows], value["accuracy"]))

    if value.get("per_label") and head.loss == "cross_entropy":
        each = range(logits.shape[1])
        return {"threshold": 0.0, "thresholds": tuple(lowest(answers.choice == one, label == one) for one in each)}
    everything = np.ones(len(gold), dtype=bool)
    return {"threshold": lowest(everything, everything), "thresholds": ()}


def decide(head: HeadSpec, logits: Any, calibration: Calibration) -> Outputs:
    """Logits (n, outputs), or `Tokens` -> calibrated answers."""
    if head.loss == TOKEN:
        return _span_maps.decide(head, logits, calibration)
    if head.loss == VECTOR or isinstance(logits, Replies):  # nothing is doubted, and nothing left to a person
        sure, nobody = np.full(len(logits), np.nan), np.zeros(len(logits), dtype=bool)
        said = logits.texts if isinstance(logits, Replies) else logits
        return Outputs(logits, np.zeros((len(logits), 0)), said, sure, nobody)
    if head.loss == "squared_error":
        number = calibration.shift + calibration.scale * head.decode(logits)[:, 0]
        unsure, nobody = np.full(len(number), np.nan), np.zeros(len(number), dtype=bool)
        low, high = number - calibration.spread, number + calibration.spread
        return Outputs(logits, np.zeros((len(number), 0)), number, unsure, nobody, low, high)
    probabilities = _probabilities(head, logits, calibration)
    bar: float | np.ndarray = calibration.threshold
    if head.loss == "binary_cross_entropy":
        choice = probabilities >= calibration.cut
        sure = np.where(choice, probabilities, 1.0 - probabilities).min(axis=1, initial=1.0)
    else:
        leaned = probabilities * np.exp(calibration.leans) if calibration.leans else probabilities
        choice = leaned.argmax(axis=1)
        sure = probabilities[np.arange(len(choice)), choice]
        bar = np.array(calibration.thresholds)[choice] if calibration.thresholds else bar
    return Outputs(logits, probabilities, choice, sure, sure < bar)


def _probabilities(head: HeadSpec, logits: np.ndarray, calibration: Calibration) -> np.ndarray:
    """Logits (n, outputs) -> honest probabilities (n, outputs)."""
    if calibration.slopes or calibration.steps:
        return _maps.probabilities(logits, calibration)
    return head.decode(logits / calibration.temperature)


def log_loss(head: HeadSpec, logits: Any, gold: np.ndarray, calibration: Calibration) -> float:
    """The mean of `log_losses`."""
    return float(log_losses(head, logits, gold, calibration).mean())


def log_losses(head: HeadSpec, logits: Any, gold: np.ndarray, calibration: Calibration) -> np.ndarray:
    """Negative log probability of what is right in each row, (n,), natural logarithm, with any number of labels the mean of
    all, of spans the mean of all tokens; of numbers the squared error in standard units, of vectors that of each pair among
    all second texts.
    """
    if head.loss == TOKEN:
        return _span_maps.log_losses(head, logits, gold, calibration)
    if head.loss == VECTOR:
        return vector_losses(logits, gold)
    if head.loss == "squared_error":
        return np.asarray(np.square((gold - decide(head, logits, calibration).choice) / calibration.scale))
    probabilities = np.clip(_probabilities(head, logits, calibration), 1e-15, 1 - 1e-15)
    if head.loss == "binary_cross_entropy":
        return np.asarray(-np.log(np.where(gold > 0, probabilities, 1.0 - probabilities)).mean(axis=1))
    return np.asarray(-np.log(probabilities[np.arange(len(gold)), gold]))


def right(choice: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """Whether each answer is right as a whole, bool (n,)."""
    if choice.dtype == object:
        return _span_maps.same(choice, gold)
    same: np.ndarray = choice == (gold > 0 if gold.ndim == 2 else gold)
    return np.asarray(same.all(axis=1)) if gold.ndim == 2 else same


def conformal(residuals: np.ndarray) -> float:
    """Half the width of an interval that holds `COVERAGE` of new rows like these (split conformal, Lei et al., JASA 2018)."""
    rank = int(np.ceil((len(residuals) + 1) * COVERAGE))
    return float(np.sort(residuals)[min(rank, len(residuals)) - 1])


def best_cut(probabilities: np.ndarray, gold: np.ndarray) -> float:
    """The probability from which labels are given, for the highest micro F1 on these rows; the middle one of equal ones."""
    order = np.argsort(-probabilities, axis=None, kind="stable")
    sure, true = probabilities.ravel()[order], (gold > 0).ravel()[order]
    f1 = 2 * np.cumsum(true) / (np.arange(1, len(true) + 1) + max(1, int(true.sum())))
    ends = np.append(sure[:-1] != sure[1:], True)  # equal probabilities are given together
    f1 = np.where(ends, f1, -1.0)
    if not true.any():
        return 0.5
    best = int(f1.argmax())
    lower = sure[best + 1] if best + 1 < len(sure) else 0.0
    return float(np.clip((sure[best] + lower) / 2, 0.05, 0.95))


def _temperature(logits: np.ndarray, gold: np.ndarray) -> float:
    """The temperature with the lowest log loss over all labels, each by itself."""
    from scipy.optimize import minimize_scalar

    signed, logits = np.where(gold > 0, -1.0, 1.0), logits.astype(np.float64)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, signed * logits / np.exp(log_temperature)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded").x))
