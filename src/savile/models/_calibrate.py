"""Calibration: what turns logits into answers that mean what they say, for each kind of answer.

Labels get the temperature that makes probabilities honest and the threshold below which a person should answer; where any
number of labels may be given, also the probability from which one is. Numbers get an interval that holds nine in ten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from savile.base.contracts import HeadSpec
from savile.base.records import Calibration, Outputs

Decode = Callable[[np.ndarray], np.ndarray]
COVERAGE = 0.9  # of the interval around a number


def calibrate(
    head: HeadSpec,
    logits: np.ndarray,
    gold: np.ndarray,
    value: Mapping[str, float] | None = None,
    start: Calibration | None = None,
) -> Calibration:
    """The calibration that fits rows the model was not trained on.

    Args:
        head: of the task.
        logits: (n, outputs).
        gold: targets, see `savile.base.answers`; numbers in their own units.
        value: worth of a ``right`` answer, a ``wrong`` one and one by a ``person``; without it nothing is left to a person.
        start: what is kept where there is nothing to fit: units of a number, a threshold chosen before.
    """
    start = start or Calibration()
    if not len(gold):
        return start
    if head.loss == "squared_error":
        return replace(start, spread=conformal(np.abs(gold - decide(head, logits, start).choice)))
    fitted = replace(start, temperature=_temperature(head, logits, gold))
    if head.loss == "binary_cross_entropy":
        fitted = replace(fitted, cut=best_cut(head.decode(logits / fitted.temperature), gold))
    if value:
        answers = decide(head, logits, fitted)
        fitted = replace(fitted, threshold=cost_threshold(answers.confidence, right(answers.choice, gold), value))
    return fitted


def decide(head: HeadSpec, logits: np.ndarray, calibration: Calibration) -> Outputs:
    """Logits (n, outputs) -> calibrated answers."""
    if head.loss == "squared_error":
        number = calibration.shift + calibration.scale * head.decode(logits)[:, 0]
        unsure, nobody = np.full(len(number), np.nan), np.zeros(len(number), dtype=bool)
        low, high = number - calibration.spread, number + calibration.spread
        return Outputs(logits, np.zeros((len(number), 0)), number, unsure, nobody, low, high)
    probabilities = head.decode(logits / calibration.temperature)
    if head.loss == "binary_cross_entropy":
        choice = probabilities >= calibration.cut
        sure = np.where(choice, probabilities, 1.0 - probabilities).min(axis=1, initial=1.0)
    else:
        choice = probabilities.argmax(axis=1)
        sure = probabilities[np.arange(len(choice)), choice]
    return Outputs(logits, probabilities, choice, sure, sure < calibration.threshold)


def log_loss(head: HeadSpec, logits: np.ndarray, gold: np.ndarray, calibration: Calibration) -> float:
    """The mean of `log_losses`."""
    return float(log_losses(head, logits, gold, calibration).mean())


def log_losses(head: HeadSpec, logits: np.ndarray, gold: np.ndarray, calibration: Calibration) -> np.ndarray:
    """Negative log probability of what is right in each row, (n,), natural logarithm, with any number of labels the mean of
    all; of numbers the squared error in standard units.
    """
    if head.loss == "squared_error":
        return np.asarray(np.square((gold - decide(head, logits, calibration).choice) / calibration.scale))
    probabilities = np.clip(head.decode(logits / calibration.temperature), 1e-15, 1 - 1e-15)
    if head.loss == "binary_cross_entropy":
        return np.asarray(-np.log(np.where(gold > 0, probabilities, 1.0 - probabilities)).mean(axis=1))
    return np.asarray(-np.log(probabilities[np.arange(len(gold)), gold]))


def right(choice: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """Whether each answer is right as a whole, bool (n,)."""
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


def _temperature(head: HeadSpec, logits: np.ndarray, gold: np.ndarray) -> float:
    if head.loss == "cross_entropy":
        return fit_temperature(logits, gold)
    from scipy.optimize import minimize_scalar

    signed, logits = np.where(gold > 0, -1.0, 1.0), logits.astype(np.float64)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, signed * logits / np.exp(log_temperature)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded").x))


def fit_temperature(logits: np.ndarray, gold: np.ndarray) -> float:
    """The temperature with the lowest log loss (Guo et al., ICML 2017).

    Args:
        logits: (n, outputs), of rows the model was not trained on.
        gold: label index of each row, int64 (n,).

    Returns:
        A temperature in [0.05, 20]; 1 when there are no rows.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    if not len(gold):
        return 1.0
    logits = logits.astype(np.float64)
    chosen = logits[np.arange(len(gold)), gold]

    def loss(log_temperature: float) -> float:
        t = np.exp(log_temperature)
        return float(np.mean(logsumexp(logits / t, axis=1) - chosen / t))

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded").x))


def cost_threshold(confidence: np.ndarray, correct: np.ndarray, value: Mapping[str, float]) -> float:
    """The confidence below which handing the text to a person pays.

    Args:
        confidence: calibrated probability of the chosen label on rows the model was not trained on, (n,).
        correct: whether the chosen label was right, bool (n,).
        value: worth of a ``right`` answer, a ``wrong`` one and one given by a ``person``, in any one currency.

    Returns:
        The threshold with the highest total value on these rows; 0 answers everything. Ties go to the lower threshold.
    """
    order = np.argsort(-confidence, kind="stable")
    gains = np.where(correct[order], value["right"], value["wrong"]) - value["person"]
    # answering the k surest rows is worth the sum of their gains over a person; rows of equal confidence go together
    totals = np.concatenate([[0.0], np.cumsum(gains)])
    sure = confidence[order]
    ends = np.flatnonzero(np.append(sure[:-1] != sure[1:], True)) + 1
    candidates = np.concatenate([[0], ends])
    best = candidates[len(candidates) - 1 - int(np.argmax(totals[candidates][::-1]))]
    if best == len(sure):
        return 0.0
    return float(np.nextafter(sure[0], 2.0)) if best == 0 else float((sure[best - 1] + sure[best]) / 2)
