"""The proof that the model you serve is the model you tested: a served form against the trained one, text by text.

A flip is a text that the form answers otherwise than the trained form does in fp32: with another label; where any number of
labels is given, with one more or one less; where a number is asked for, with one that differs by more than 0.05 standard
deviations of the training rows. Allowed are no flips at the same precision, 0.3 % in bf16 and f16, and 0.5 % in int8 and q8,
and only on close calls: texts whose two best labels the trained form holds within 0.05 of each other, with any number of
labels a flipped label whose probability is within 0.025 of the cut, and numbers that differ by no more than 0.2 deviations.
Where spans are asked for, a text flips when one of its spans does, and is a close call when one of its tokens is. A vector
flips when it moves by more than 0.05 of its length, and may on no account by more than 0.2. An answer in words flips when one
of its tokens does, and is never a close call. Temperatures change no answer, so
a form's own calibration plays no part. The logits must also be on the trained form's scale: a scale that is wrong everywhere
flips nothing and still spoils every probability.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from savile.base.contracts import Predictions
from savile.base.outputs import Replies, Tokens
from savile.base.records import Outputs
from savile.models._calibrate import right

GOLDEN_ROWS = 1_000
ALLOWED = {"bf16": 0.003, "f16": 0.003, "int8": 0.005, "q8": 0.005}
CLOSE = 0.05
MOVED, FAR = 0.05, 0.2  # of a number, in standard deviations of the training rows
SCALE_SLACK = 0.1
LEAST = 1e-12  # below which probabilities are alike

Predict = Callable[[Any], Outputs]


def measure(predictions: Predictions, costs: Mapping[str, float] | None = None) -> dict[str, Any]:
    """``close_calls``: how many answers a lower precision may flip, and the share of all they are."""
    if is_number(predictions.outputs) or is_vector(predictions.outputs) or is_text(predictions.outputs):
        return {"close_calls": {"rows": 0, "share": 0.0}}
    close = margins(predictions.outputs) < CLOSE
    return {"close_calls": {"rows": int(close.sum()), "share": float(close.mean())}}


def parity(forms: Mapping[str, Predict], golden: Any, reference: Predict) -> dict[str, dict[str, Any]]:
    """Compare each form with the trained one.

    Args:
        forms: form name, which ends in its precision (``openvino-bf16``), -> what answers with that form.
        golden: the texts, or the rows of a table, see `golden_rows`.
        reference: what answers with the trained form, in fp32.

    Returns:
        form -> ``flips``, ``n``, ``share``, ``allowed`` (share), ``wide_flips`` (flips on no close call), ``scale`` (of the
        form's logits on the trained form's, 1 when equal), ``max_abs_logit_diff``, ``passed``, ``reason`` when not passed.
    """
    trained = reference(golden)
    return {name: _prove(trained, predict(golden), allowance(name)) for name, predict in forms.items()}


def golden_rows(n: int) -> np.ndarray:
    """Which of n test rows are replayed: all, or 1,000 spread evenly, since test files are often sorted by label."""
    return np.arange(n) if n <= GOLDEN_ROWS else np.linspace(0, n - 1, GOLDEN_ROWS).astype(np.int64)


def allowance(form: str) -> float:
    """The share of flips a form may have, by the precision its name ends in."""
    return ALLOWED.get(form.rpartition("-")[2], 0.0)


def is_number(outputs: Outputs) -> bool:
    """Whether the answers are numbers."""
    return outputs.low is not None


def is_vector(outputs: Outputs) -> bool:
    """Whether the answers are the vectors of two texts each."""
    return outputs.choice.ndim == 2 and outputs.choice.dtype.kind == "f"


def is_text(outputs: Outputs) -> bool:
    """Whether the answers are words."""
    return isinstance(outputs.logits, Replies)


def margins(outputs: Outputs) -> np.ndarray:
    """How far each answer is from another one, (n,).

    Probability of the best label minus that of the second best, of a text with spans that of its least sure token; with any
    number of labels, twice the distance to the cut of the label nearest to it; numbers and words are never close calls.
    """
    if is_number(outputs) or is_vector(outputs) or is_text(outputs):
        return np.ones(len(outputs.choice))
    if isinstance(outputs.probabilities, Tokens):
        return _least_margins(outputs.probabilities)
    if outputs.choice.ndim == 2:
        return np.asarray(_distances(outputs).min(axis=1, initial=1.0))
    best = np.sort(outputs.probabilities, axis=1)
    margin: np.ndarray = best[:, -1] - best[:, -2]
    return margin


def moved(trained: Outputs, served: Outputs, learned: bool = False) -> float:
    """How far a form moves its answers at most, where 1 is as far as it takes to change one that is not in doubt.

    Flips are few, and whether the next thousand rows hold one that is not allowed can hardly be told from them; every row
    tells how far answers move. Both sides are calibrated alike. By label: the most that the best label loses on the second
    best, over `CLOSE`; with any number of labels the most that a probability moves, over half of that; of numbers over `FAR`.

    On rows that the model has `learned` from it is sure, so that probabilities hide how far the logits move; counted is what
    their way would be on an even call: a gap of logits makes half as much there between two labels, and a quarter for a label
    alone.
    """
    if is_number(trained):
        return float(np.abs(trained.logits - served.logits).max(initial=0.0)) / FAR
    if is_vector(trained):
        return float(_apart(trained, served).max(initial=0.0)) / FAR
    if trained.choice.ndim == 2:
        before, now = trained.probabilities, served.probabilities
        if learned:
            before, now = ((_logs(one) - _logs(1 - one)) / 4 for one in (before, now))
        return float(np.abs(before - now).max(initial=0.0)) / (CLOSE / 2)
    tokens = isinstance(trained.probabilities, Tokens)
    before, now = (one.probabilities.flat if tokens else one.probabilities for one in (trained, served))
    chosen = before.argmax(axis=1) if tokens else trained.choice
    if learned:
        before, now = _logs(before) / 2, _logs(now) / 2
    return float((_lead(before, chosen) - _lead(now, chosen)).max(initial=0.0)) / CLOSE


def _logs(probabilities: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(np.maximum(probabilities, LEAST)))


def _least_margins(probabilities: Tokens) -> np.ndarray:
    """Of each text, the margin of its least sure token, (n,); 1 of a text without tokens."""
    best = np.sort(probabilities.flat, axis=1)
    found: np.ndarray = np.ones(len(probabilities))
    np.minimum.at(found, probabilities.text, best[:, -1] - best[:, -2])
    return found


def _lead(probabilities: np.ndarray, choice: np.ndarray) -> np.ndarray:
    """Probability of the chosen label minus the highest of the others, (n,)."""
    others, rows = probabilities.copy(), np.arange(len(choice))
    others[rows, choice] = -np.inf
    lead: np.ndarray = probabilities[rows, choice] - others.max(axis=1)
    return lead


def _distances(outputs: Outputs) -> np.ndarray:
    """Twice the distance of each label's probability from the cut, (n, labels): the cut lies between what is given and not."""
    given, probabilities = outputs.choice, outputs.probabilities
    low = probabilities[~given].max(initial=0.0)
    high = probabilities[given].min(initial=1.0)
    distances: np.ndarray = 2 * np.abs(probabilities - (low + high) / 2)
    return distances


def _flips(trained: Outputs, served: Outputs) -> tuple[np.ndarray, np.ndarray]:
    """Which answers changed, and which of those changed where the trained form was not in doubt, bool (n,) each."""
    if is_number(trained):
        moved = np.abs(trained.logits - served.logits)[:, 0]
        return moved > MOVED, moved > FAR
    if is_vector(trained):
        moved = _apart(trained, served)
        return moved > MOVED, moved > FAR
    if is_text(trained):
        changed = np.array(
            [ours.tokens.tolist() != theirs.tokens.tolist() for ours, theirs in _each(trained, served)], dtype=bool
        )
        return changed, changed
    if trained.choice.dtype == object:
        changed = ~right(served.choice, trained.choice)
        return changed, changed & (margins(trained) >= CLOSE)
    if trained.choice.ndim == 2:
        changed = trained.choice != (served.logits > _edge(trained))
        return changed.any(axis=1), (changed & (_distances(trained) >= CLOSE)).any(axis=1)
    flipped = trained.logits.argmax(axis=1) != served.logits.argmax(axis=1)
    return flipped, flipped & (margins(trained) >= CLOSE)


def _each(trained: Outputs, served: Outputs) -> list[tuple[Replies, Replies]]:
    """The replies of both, one by one."""
    rows = [slice(row, row + 1) for row in range(len(trained.logits))]
    return [(trained.logits[row], served.logits[row]) for row in rows]


def _apart(trained: Outputs, served: Outputs) -> np.ndarray:
    """How far the vectors of each row have moved, the farther of both, as a share of their length, (n,)."""
    sides = [np.asarray(one.logits, dtype=np.float64).reshape(len(one.logits), 2, -1) for one in (trained, served)]
    lengths = np.linalg.norm(sides[0], axis=2)
    moved = np.linalg.norm(sides[1] - sides[0], axis=2) / np.where(lengths > 0, lengths, 1.0)
    return np.asarray(moved.max(axis=1, initial=0.0))


def _edge(outputs: Outputs) -> float:
    """The logit from which labels are given."""
    low = outputs.logits[~outputs.choice].max(initial=-np.inf)
    high = outputs.logits[outputs.choice].min(initial=np.inf)
    if not np.isfinite(low):
        return float(high) - 1.0 if np.isfinite(high) else 0.0
    return float(low + high) / 2 if np.isfinite(high) else float(low)


def _prove(trained: Outputs, served: Outputs, allowed: float) -> dict[str, Any]:
    """One form's entry of the proof; where a share of the rows is less than one row, one close call may flip."""
    flipped, far = _flips(trained, served)
    n, flips, wide = len(flipped), int(flipped.sum()), int(far.sum())
    allowed = max(allowed, 1 / n) if allowed and n else allowed
    one, other = (_numbers(found.logits) for found in (trained, served))
    finite = bool(np.isfinite(other).all())
    scale = _scale(one, other) if finite else None
    if scale is None:
        reason = "some answers are not numbers"
    elif wide:
        reason = f"{wide} of {n} answers changed where the trained form was not in doubt"
    elif flips / n > allowed:
        reason = f"{flips} of {n} answers changed; allowed are {100 * allowed:.2g} %"
    elif abs(scale - 1) > SCALE_SLACK:
        reason = f"the logits are {scale:.2f} times the trained form's"
    else:
        reason = ""
    return {
        "flips": flips,
        "n": n,
        "share": flips / n,
        "allowed": allowed,
        "wide_flips": wide,
        "scale": scale,
        "max_abs_logit_diff": float(np.abs(one - other).max(initial=0.0)) if finite else None,
        "passed": not reason,
        "reason": reason,
    }


def _numbers(logits: Any) -> np.ndarray:
    """Logits as one array; of words there are none."""
    if isinstance(logits, Replies):
        return np.zeros((len(logits), 1))
    return logits.flat if isinstance(logits, Tokens) else logits


def _scale(trained: np.ndarray, served: np.ndarray) -> float:
    """Least-squares factor from the trained form's logits to the served form's, each row centred."""
    axis = 1 if trained.shape[1] > 1 else 0  # a single output says nothing but in comparison with other rows
    one = trained - trained.mean(axis=axis, keepdims=True, dtype=np.float64)
    other = served - served.mean(axis=axis, keepdims=True, dtype=np.float64)
    power = float(np.square(one).sum())
    return float((one * other).sum() / power) if power else 1.0
