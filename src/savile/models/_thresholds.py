"""Thresholds: from which probability on an answer needs no person, by what answers are worth or by how right they must be."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

RISK = 0.05  # chance that answers given without a person are right less often than was asked for
STARTS = (0.25, 0.5, 0.75, 1.0)  # shares of the rows at which the search begins


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
    candidates = np.concatenate([[0], _ends(sure)])
    best = candidates[len(candidates) - 1 - int(np.argmax(totals[candidates][::-1]))]
    if best == 0:
        return float(np.nextafter(sure[0], 2.0))
    return 0.0 if best == len(sure) else _between(sure, int(best))


def accuracy_threshold(confidence: np.ndarray, correct: np.ndarray, target: float, risk: float = RISK) -> float:
    """The lowest confidence from which answers are right at least as often as asked, and not by luck.

    Every candidate is a test that the answers above it are right less often than `target`, by the exact binomial tail (Clopper
    and Pearson 1934). The tests go from the surest rows downwards and stop where one fails, from several starts that share
    the risk (fixed sequence testing of Learn then Test, Angelopoulos et al. 2021), so with probability 1 - `risk` the share
    right on new rows like these is at least `target`, however few rows there are.

    Args:
        confidence: calibrated probability of the chosen label, (n,), of rows neither model nor map has seen.
        correct: whether the chosen label was right, bool (n,).
        target: share of the answers given that must be right, in (0, 1).
        risk: chance that the promise does not hold.

    Returns:
        The threshold; above 1, so that nothing is answered, when nothing can be promised.
    """
    from scipy.stats import binom

    nothing = float(np.nextafter(1.0, 2.0))
    order = np.argsort(-confidence, kind="stable")
    sure, wrong = confidence[order], np.cumsum(~correct[order])
    ends = _ends(sure)
    if not len(ends):
        return nothing
    places = sorted({int(np.searchsorted(ends, share * len(sure), side="left")) for share in STARTS})
    # a start where even no error at all would prove nothing is no start; errors play no part in that
    places = [place for place in places if binom.cdf(0, ends[place], 1 - target) <= risk / len(places)]
    if not places:
        return nothing
    proven = binom.cdf(wrong[ends - 1], ends, 1 - target) <= risk / len(places)
    best = -1
    for place in places:
        while place < len(ends) and proven[place]:
            best, place = max(best, place), place + 1
    if best < 0:
        return nothing
    return 0.0 if ends[best] == len(sure) else _between(sure, int(ends[best]))


def _ends(sure: np.ndarray) -> np.ndarray:
    """How many rows are at least as sure as each distinct confidence, in falling order; equal ones go together."""
    return np.flatnonzero(np.append(sure[:-1] != sure[1:], True)[: len(sure)]) + 1


def _between(sure: np.ndarray, count: int) -> float:
    """A threshold that lets the surest `count` rows through and no other."""
    return float((sure[count - 1] + sure[count]) / 2)
