"""Calibration: the temperature that makes probabilities honest, and the threshold below which a person should answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

Decode = Callable[[np.ndarray], np.ndarray]


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


def decide(probabilities: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Calibrated probabilities (n, outputs) -> choice int64 (n,), its confidence (n,), and whether to abstain, bool (n,)."""
    choice = probabilities.argmax(axis=1)
    confidence = probabilities[np.arange(len(choice)), choice]
    return choice, confidence, confidence < threshold
