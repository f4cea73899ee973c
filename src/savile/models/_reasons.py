"""Why an answer is what it is: the columns, or the words, that speak for it and against it.

Tables and the linear model say it exactly: the weights and the base sum to the score. Any other model is asked again without
each word (occlusion, Zeiler and Fergus 2014), through the very form and engine that answer, so those weights are what each
word alone is worth and sum to nothing in particular. A weight counts what speaks for the answer given against the average of
the other labels, in log-odds before calibration; of a number, in its own units.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.base import catalogue
from savile.base.answers import NEXT
from savile.models._spans import TOKEN
from savile.models._vectors import VECTOR

if TYPE_CHECKING:
    from savile.models._predict import Predictor

MOST_PIECES = 40  # of a text that are left out one after another; words of longer texts go together
PIECE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]+(?:['’-]\w+)*")


@dataclass(frozen=True)
class Reason:
    """One reason: the column or the words, what the row says there (empty for words), and how much it speaks for the answer."""

    what: str
    value: str
    weight: float


@dataclass(frozen=True)
class Contributions:
    """What a family's `contributions(answerer, inputs)` gives: exactly what makes up the logits.

    Attributes:
        names: what is weighed in each row, columns or words.
        values: what the row says there, empty for words.
        weights: of each row, float64 (its names, outputs).
        base: float64 (n, outputs); with the weights it sums to the logits.
    """

    names: Sequence[Sequence[str]]
    values: Sequence[Sequence[str]]
    weights: Sequence[np.ndarray]
    base: np.ndarray


@dataclass(frozen=True)
class Explained:
    """The reasons for one answer, the weightiest first.

    Attributes:
        reasons: all of them; see `Reason`.
        score: of the answer, in the units of the weights.
        base: what is left when nothing is known of the row; None where the weights do not sum to the score.
    """

    reasons: tuple[Reason, ...]
    score: float
    base: float | None


def explain(predictor: Predictor, inputs: Any) -> list[Explained]:
    """The reasons for the answers to some texts or rows.

    Args:
        predictor: what answers.
        inputs: texts, a table, or rows by column name, as the predictor takes them.
    """
    if not len(inputs):
        return []
    if predictor.head.loss == TOKEN:
        return [Explained((), 0.0, None)] * len(inputs)  # a span is its own reason
    if predictor.head.loss in (VECTOR, NEXT):
        return [Explained((), 0.0, None)] * len(inputs)  # vectors and words have no label to speak for
    family = catalogue.get("families", predictor.model.family)
    asked = predictor.masked(inputs)
    outputs = predictor.decide(predictor._logits(asked))
    target = _target(outputs)
    if not predictor.exact:
        return [_occluded(predictor, text, row) for text, row in zip(asked, target, strict=True)]
    found, scale = family.contributions(predictor.answerer, asked), _scale(predictor)
    explained = []
    for row, label in enumerate(target):
        names, said = found.names[row], found.values[row]
        each = _margin(found.weights[row], label) * scale
        base = float(_margin(found.base[row], label) * scale + (predictor.calibration.shift if label < 0 else 0.0))
        reasons = [Reason(name, value, float(weight)) for name, value, weight in zip(names, said, each, strict=True)]
        explained.append(_sorted(reasons, base + float(each.sum()), base))
    return explained


def _target(outputs: Any) -> np.ndarray:
    """Which label is explained of each row: the one chosen, of several the most probable; -1 for a number."""
    if outputs.low is not None:
        return np.full(len(outputs.logits), -1)
    chosen: np.ndarray = outputs.choice if outputs.choice.ndim == 1 else outputs.probabilities.argmax(axis=1)
    return chosen


def _scale(predictor: Predictor) -> float:
    return predictor.calibration.scale if predictor.head.loss == "squared_error" else 1.0


def _margin(values: np.ndarray, label: int) -> np.ndarray:
    """Values (…, outputs) -> the label's against the average of the others, (…)."""
    if label < 0 or values.shape[-1] == 1:
        return np.asarray(values[..., 0])
    others = (values.sum(axis=-1) - values[..., label]) / (values.shape[-1] - 1)
    return np.asarray(values[..., label] - others)


def _occluded(predictor: Predictor, text: str, label: int) -> Explained:
    """The score with every piece of the text minus the score without each."""
    pieces = pieces_of(text)
    without = [text[:start] + " " + text[end:] for start, end in pieces]
    logits = predictor._logits([text, *without]).astype(np.float64)
    scores = _margin(logits, label) * _scale(predictor)
    reasons = [Reason(text[a:b], "", float(scores[0] - left)) for (a, b), left in zip(pieces, scores[1:], strict=True)]
    return _sorted(reasons, float(scores[0]) + (predictor.calibration.shift if label < 0 else 0.0), None)


def pieces_of(text: str) -> list[tuple[int, int]]:
    """Where the words of a text begin and end, Chinese characters one by one; neighbours go together when there are many."""
    found = [match.span() for match in PIECE.finditer(text)]
    together = -(-len(found) // MOST_PIECES) if found else 1
    return [(found[i][0], found[min(i + together, len(found)) - 1][1]) for i in range(0, len(found), together)]


def _sorted(reasons: Sequence[Reason], score: float, base: float | None) -> Explained:
    return Explained(tuple(sorted(reasons, key=lambda reason: -abs(reason.weight))), score, base)
