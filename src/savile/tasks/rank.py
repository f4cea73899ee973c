"""Which of several candidates goes with a query: a row is a query, a candidate and whether it is right.

Rows of one query are seen or held out together. Candidates are ordered by the probability of being right, and what is measured
is how high the right ones stand (NDCG at 10).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from savile.base.contracts import HeadSpec
from savile.base.errors import DataError
from savile.tasks._texts import fields, render
from savile.tasks.classify import softmax

__all__ = ["FAMILY", "GROUPED", "METRIC", "PAIRS", "RANKED", "SIGNS", "fields", "head", "labels", "render", "score"]

PAIRS = True  # a query and a candidate a row
GROUPED = True  # rows of one query stay together
RANKED = True  # measured query by query; candidates are chosen by their probabilities, not by the label
METRIC = "ndcg_10"
FAMILY = "retriever"  # tried before others
SIGNS = (("0", "1"), ("no", "yes"), ("false", "true"), ("n", "y"), ("否", "是"))


def labels(values: Sequence[Any]) -> tuple[str, ...]:
    """Wrong and right, in this order.

    Raises:
        DataError: other values than 0 and 1, no and yes, or false and true.
    """
    found = {str(value) for value in values}
    for signs in SIGNS:
        if {value.casefold() for value in found} <= set(signs):
            spelled = {value.casefold(): value for value in sorted(found)}
            return tuple(spelled.get(sign, sign) for sign in signs)
    do = "Write 1 where the candidate is right and 0 where it is not, or use the task classify."
    raise DataError("0 and 1 in the label column of candidates", ", ".join(sorted(found)[:5]), do)


def head(width: int) -> HeadSpec:
    """One output a label, softmax on top."""
    return HeadSpec(outputs=width, loss="cross_entropy", decode=softmax)


def score(predicted: Sequence[Any], gold: Sequence[Any]) -> float:
    """Share of candidates told right from wrong; 0 for no rows."""
    return float(np.mean(np.asarray(predicted) == np.asarray(gold))) if len(gold) else 0.0
