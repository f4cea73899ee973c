"""What a model says: its answers, and what turned its logits into them. Records of `savile.base.records` carry both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Calibration:
    """What turns logits into decisions; lives with the model, fitted by `adapt`, refitted by `compress`, never by `evaluate`.

    Attributes:
        temperature: logits are divided by it (Guo et al. 2017).
        threshold: answers whose probability is below it are handed to a person; 0 never abstains.
        thresholds: one for each label instead, where they were asked for.
        slopes, biases: of each label's logit, before the division, where one number was not enough.
        steps, levels: a monotone curve that probabilities are bent by after it, where that was better.
        cut: with any number of labels, those at least this probable are given.
        shift, scale: a number is shift + scale * logit, the mean and the deviation of the training rows.
        spread: a number's interval reaches this far to either side and holds nine in ten (split conformal).
    """

    temperature: float = 1.0
    threshold: float = 0.0
    thresholds: tuple[float, ...] = ()
    slopes: tuple[float, ...] = ()
    biases: tuple[float, ...] = ()
    steps: tuple[float, ...] = ()
    levels: tuple[float, ...] = ()
    cut: float = 0.5
    shift: float = 0.0
    scale: float = 1.0
    spread: float = 0.0

    @classmethod
    def of_json(cls, said: Mapping[str, Any]) -> Calibration:
        """The calibration of its JSON form."""
        given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
        return cls(**given)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form: temperature and threshold always, the rest where it says something."""
        usual = {one.name: one.default for one in fields(self)}
        always = ("temperature", "threshold")
        told = {name: value for name, value in self.__dict__.items() if name in always or value != usual[name]}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}


@dataclass(frozen=True)
class Outputs:
    """Answers for n rows.

    Attributes:
        logits: uncalibrated, float32 (n, outputs).
        probabilities: calibrated, float64 (n, outputs); (n, 0) for numbers.
        choice: the answer in the form of the task's targets: index of the chosen label, int64 (n,); which labels are given,
            bool (n, outputs); or the number, float64 (n,).
        confidence: probability of the chosen label, or of the label least sure to be rightly given or left out, float64 (n,);
            NaN for numbers.
        abstain: True where a person should answer, bool (n,).
        low, high: the interval around a number that holds nine in ten, float64 (n,); None for labels.
    """

    logits: np.ndarray
    probabilities: np.ndarray
    choice: np.ndarray
    confidence: np.ndarray
    abstain: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    def rows(self, rows: np.ndarray | slice) -> Outputs:
        """The answers for some of the rows."""
        taken: dict[str, Any] = {name: None if array is None else array[rows] for name, array in vars(self).items()}
        return Outputs(**taken)
