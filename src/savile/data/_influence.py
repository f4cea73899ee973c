"""How much each training row moves the loss on other rows, through the parameters of a head on frozen features.

The head is multinomial logistic regression with a penalty, fitted to its optimum. There, taking row i out of n changes the loss
on a question q by g_q' H^-1 g_i / n to first order (Koh and Liang, ICML 2017), H the Hessian of the mean loss. The Hessian is
never built: conjugate gradients need only its products with vectors, and one solution serves all questions or all rows of a
source.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PENALTY = 1e-3  # of the mean loss; keeps the optimum unique and the system well conditioned
STEPS, ENOUGH = 300, 1e-8


@dataclass(frozen=True)
class Head:
    """Weights (d + 1, classes), the constant's last; inputs (n, d + 1) and label numbers (n,) it was fitted on."""

    weights: np.ndarray
    inputs: np.ndarray
    labels: np.ndarray

    def residuals(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Probabilities less indicator of the label, (n, classes): the gradient of each row's loss by its logits."""
        found = _softmax(inputs @ self.weights)
        found[np.arange(len(labels)), labels] -= 1.0
        return found


def fit(features: np.ndarray, labels: np.ndarray, classes: int) -> Head:
    """The optimum, by L-BFGS in float64."""
    from scipy.optimize import minimize

    inputs = _inputs(features)
    target = np.eye(classes)[labels]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(-1, classes)
        logits = inputs @ weights
        shift = logits.max(axis=1, keepdims=True)
        log_sum = shift[:, 0] + np.log(np.exp(logits - shift).sum(axis=1))
        mean = float((log_sum - (logits * target).sum(axis=1)).mean()) + 0.5 * PENALTY * float(flat @ flat)
        slope = inputs.T @ (_softmax(logits) - target) / len(inputs) + PENALTY * weights
        return mean, slope.ravel()

    found = minimize(
        loss, np.zeros(inputs.shape[1] * classes), jac=True, method="L-BFGS-B", options={"maxiter": 500, "gtol": 1e-7}
    )
    return Head(found.x.reshape(-1, classes), inputs, labels)


def values(head: Head, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What each row takes off the mean loss on questions, float64 (n,): positive where it helps.

    Args:
        head: fitted on the rows.
        features: of the questions, (q, d).
        labels: their label numbers, (q,).
    """
    questions = _inputs(features)
    slope = questions.T @ head.residuals(questions, labels) / len(labels)
    moved = _solve(head, slope[None])[0]
    return _per_row(head, moved) / len(head.labels)


def of_groups(head: Head, groups: np.ndarray, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What each group of rows takes off the loss on each question, the sum of its rows' values, float64 (groups, questions).

    Args:
        head: fitted on the rows.
        groups: share of each row that belongs to each group, (groups, n).
        features: of the questions, (q, d).
        labels: their label numbers, (q,).
    """
    questions = _inputs(features)
    residuals, asked = head.residuals(head.inputs, head.labels), head.residuals(questions, labels)
    slopes = np.stack([head.inputs.T @ (group[:, None] * residuals) for group in groups])
    moved = _solve(head, slopes)
    return np.asarray(np.einsum("gdc,qd,qc->gq", moved, questions, asked, optimize=True)) / len(head.labels)


def _per_row(head: Head, moved: np.ndarray) -> np.ndarray:
    """Product of each row's gradient with a direction (d + 1, classes)."""
    found: np.ndarray = ((head.inputs @ moved) * head.residuals(head.inputs, head.labels)).sum(axis=1)
    return found


def _solve(head: Head, slopes: np.ndarray) -> np.ndarray:
    """H^-1 times each slope (d + 1, classes), by conjugate gradients."""
    chances = _softmax(head.inputs @ head.weights)

    def times(direction: np.ndarray) -> np.ndarray:
        logits = head.inputs @ direction
        curved = chances * (logits - (chances * logits).sum(axis=1, keepdims=True))
        found: np.ndarray = head.inputs.T @ curved / len(chances) + PENALTY * direction
        return found

    return np.stack([_conjugate(times, slope) for slope in slopes])


def _conjugate(times, slope: np.ndarray) -> np.ndarray:  # type: ignore[no-untyped-def]
    found, rest = np.zeros_like(slope), slope.copy()
    direction, size = rest.copy(), float((rest * rest).sum())
    enough = ENOUGH**2 * max(size, 1e-300)
    for _ in range(STEPS):
        if size <= enough:
            break
        curved = times(direction)
        step = size / float((direction * curved).sum())
        found += step * direction
        rest -= step * curved
        size, before = float((rest * rest).sum()), size
        direction = rest + size / before * direction
    return found


def _inputs(features: np.ndarray) -> np.ndarray:
    return np.concatenate([features.astype(np.float64), np.ones((len(features), 1))], axis=1)


def _softmax(logits: np.ndarray) -> np.ndarray:
    found = np.exp(logits - logits.max(axis=1, keepdims=True))
    found /= found.sum(axis=1, keepdims=True)
    return np.asarray(found)
