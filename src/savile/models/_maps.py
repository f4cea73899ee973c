"""Maps from logits to honest probabilities, and the choice among them by cross-validated log loss.

``temperature`` divides the logits (Guo et al., ICML 2017). ``vector`` gives every label a slope and a bias of its own (the
vector scaling of the same paper; with two labels Platt's). ``isotonic`` bends the temperature's probabilities by the monotone
curve that fits best; with more than two labels one curve serves all, and the sum is brought back to 1 (Zhang, Kailkhura and
Han, ICML 2020). Between the centres of its steps the curve is linear (Oron and Flournoy 2017), so surer stays surer. A map
beyond the temperature is taken only when it is better by more than one standard error of the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from savile.base import answers
from savile.base.records import Calibration

FOLDS = 5
LEAST_ROWS = 100  # below this there is only the temperature
COMPARED_ROWS, MOST_ROWS = 4_000, 20_000  # rows that maps are compared on, and that the best of them is fitted on
MOST_LABELS = 30  # with more labels than this two numbers each are too many for a vector
SHRINK = 4.0  # rows that the belief in plain temperature weighs, for each number of a vector


def choose(logits: np.ndarray, gold: np.ndarray) -> Calibration:
    """The map of rows the model was not trained on.

    Args:
        logits: (n, labels).
        gold: label index of each row, int64 (n,).
    """
    if len(gold) < LEAST_ROWS:
        return temperature(logits, gold)
    best = _best(*_some(logits, gold, COMPARED_ROWS))
    return _kinds(logits.shape[1])[best](*_some(logits, gold, MOST_ROWS))


def _some(logits: np.ndarray, gold: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """At most so many rows, each label with its share."""
    rows = answers.drawn(gold, most, 0) if len(gold) > most else np.arange(len(gold))
    return logits[rows], gold[rows]


def _best(logits: np.ndarray, gold: np.ndarray) -> str:
    """The kind of map with the lowest cross-validated log loss, or the temperature where none is surely better."""
    losses = {kind: surprise(fit, logits, gold) for kind, fit in _kinds(logits.shape[1]).items()}
    usual = losses["temperature"]
    best = min(losses, key=lambda kind: float(losses[kind].mean()))
    gain = usual - losses[best]
    return best if best != "temperature" and gain.mean() > gain.std() / np.sqrt(len(gain)) else "temperature"


def again(fitted: Calibration) -> Callable[[np.ndarray, np.ndarray], Calibration]:
    """What fits a map of the same kind on other rows."""
    return vector if fitted.slopes else isotonic if fitted.steps else temperature


def fields(fitted: Calibration) -> dict[str, Any]:
    """The fields of a calibration that are its map."""
    return {name: getattr(fitted, name) for name in ("temperature", "slopes", "biases", "steps", "levels")}


def surprise(fit: Callable[[np.ndarray, np.ndarray], Calibration], logits: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """Negative log probability of each row's label, (n,), by a map fitted on the other folds."""
    found = crossed(fit, logits, gold)[np.arange(len(gold)), gold]
    return np.asarray(-np.log(np.clip(found, 1e-12, None)))


def crossed(fit: Callable[[np.ndarray, np.ndarray], Calibration], logits: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """Probabilities (n, labels) of each row by a map fitted on the other folds; folds go round within each label."""
    fold = np.empty(len(gold), dtype=np.int64)
    fold[np.argsort(gold, kind="stable")] = np.arange(len(gold)) % FOLDS
    found = np.empty(logits.shape)
    for number in range(FOLDS):
        inside, outside = fold != number, fold == number
        found[outside] = probabilities(logits[outside], fit(logits[inside], gold[inside]))
    return found


def probabilities(logits: np.ndarray, calibration: Calibration) -> np.ndarray:
    """Logits (n, labels) -> probabilities (n, labels), float64."""
    from scipy.special import softmax

    logits = np.asarray(logits, dtype=np.float64)
    if calibration.slopes:
        logits = logits * np.array(calibration.slopes) + np.array(calibration.biases)
    found: np.ndarray = softmax(logits / calibration.temperature, axis=1)
    if not calibration.steps:
        return found
    places, levels = np.array(calibration.steps), np.array(calibration.levels)
    if found.shape[1] == 2:
        second = np.interp(found[:, 1], places, levels)
        return np.column_stack([1.0 - second, second])
    bent = np.interp(found, places, levels)
    return np.asarray(bent / bent.sum(axis=1, keepdims=True))


def temperature(logits: np.ndarray, gold: np.ndarray) -> Calibration:
    """One number: see `fit_temperature`."""
    return Calibration(fit_temperature(logits, gold))


def vector(logits: np.ndarray, gold: np.ndarray) -> Calibration:
    """A slope and a bias for each label, on top of the temperature and drawn towards it.

    The draw keeps labels of few rows where the temperature puts them.
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax, softmax

    first = fit_temperature(logits, gold)
    scaled, labels = logits.astype(np.float64) / first, logits.shape[1]
    truth = np.eye(labels)[gold]

    def loss(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        slopes, biases = numbers[:labels], numbers[labels:]
        moved = scaled * slopes + biases
        left = softmax(moved, axis=1) - truth
        drawn = np.concatenate([slopes - 1.0, biases])
        value = -log_softmax(moved, axis=1)[np.arange(len(gold)), gold].sum() + SHRINK / 2 * (drawn**2).sum()
        return value, np.concatenate([(left * scaled).sum(0), left.sum(0)]) + SHRINK * drawn

    start = np.concatenate([np.ones(labels), np.zeros(labels)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.05, 20.0)] * labels + [(-20.0, 20.0)] * labels).x
    # kept as part of the logits, so that the temperature still divides everything
    slopes, biases = found[:labels], found[labels:] * first
    return Calibration(first, slopes=tuple(slopes.tolist()), biases=tuple(biases.tolist()))


def isotonic(logits: np.ndarray, gold: np.ndarray) -> Calibration:
    """A monotone curve on top of the temperature; its ends stay as far from 0 and 1 as so few rows can tell."""
    plain = temperature(logits, gold)
    found = probabilities(logits, plain)
    two = found.shape[1] == 2
    said = found[:, 1] if two else found.ravel()
    true = (gold == 1).astype(np.float64) if two else np.eye(found.shape[1])[gold].ravel()
    least = 1.0 / (len(gold) + 2.0)
    places, levels = monotone(said, true, least / (1 if two else max(found.shape[1] - 1, 1)), 1.0 - least)
    return Calibration(plain.temperature, steps=places, levels=levels)


def monotone(
    said: np.ndarray, true: np.ndarray, least: float, most: float | None = None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Isotonic regression: places and levels of a curve from probabilities, (n,), to how often what they say is true.

    `least` and `most`, by default 1 - `least`, are as near to 0 and 1 as so few rows can tell.
    """
    from scipy.optimize import isotonic_regression

    order = np.argsort(said, kind="stable")
    fitted = isotonic_regression(true[order])
    first, last = fitted.blocks[:-1], fitted.blocks[1:]
    centres = np.add.reduceat(said[order], first) / (last - first)
    places, levels = np.concatenate([[0.0], centres, [1.0]]), fitted.x[first]
    levels = np.clip(np.concatenate([levels[:1], levels, levels[-1:]]), least, 1.0 - least if most is None else most)
    kept = np.append(True, np.diff(places) > 1e-9)
    return tuple(places[kept].tolist()), tuple(levels[kept].tolist())


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


def _kinds(labels: int) -> dict[str, Callable[[np.ndarray, np.ndarray], Calibration]]:
    """The maps worth trying for so many labels."""
    found: dict[str, Callable[[np.ndarray, np.ndarray], Calibration]] = {"temperature": temperature, "isotonic": isotonic}
    return {**found, "vector": vector} if labels <= MOST_LABELS else found
