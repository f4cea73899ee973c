"""How good answers in words are: how likely the given ones are, and how near what is written comes to them.

Perplexity is the exponential of minus the mean log-probability of the tokens of the given answers, the one that ends each
included (Jelinek et al. 1977); it is measured on all rows. Of some rows, spread evenly, the answer is written, the likeliest
token behind the other: ``exact_match`` is the share that is as given but for spaces, ``token_f1`` the mean F1 of the words that
written and given answer share (Rajpurkar et al., EMNLP 2016).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from savile.base import catalogue, stats
from savile.base.contracts import Predictions, Value

tasks: tuple[str, ...] = ("answer",)
lower_is_better: tuple[str, ...] = ("perplexity",)
EXAMPLES = 8  # written answers that a report shows


def measure(predictions: Predictions, costs: Mapping[str, float] | None = None) -> dict[str, Any]:
    """``perplexity`` and ``token_f1`` with bootstrap intervals, ``exact_match`` (Wilson); ``written``, some of them."""
    likely, (same, shared) = predictions.outputs.logits.given, _near(predictions)
    rows = stats.ordered(likely)
    figures: dict[str, Any] = {"perplexity": stats.bootstrap(np.ones(len(rows)), lambda counts: _perplexity(counts, rows))[0]}
    if not len(same):
        return figures
    figures |= {"exact_match": stats.wilson(int(same.sum()), len(same)), "token_f1": stats.mean(shared)}
    return {**figures, "written": _shown(predictions)}


def compare(ours: Predictions, theirs: Predictions) -> dict[str, Value]:
    """Ours minus theirs on the same rows, each with its paired bootstrap interval; of perplexity, below 0 ours is better."""
    likely = (ours.outputs.logits.given, theirs.outputs.logits.given)
    found = stats.compared(likely[0], likely[1], _perplexity, ("perplexity",))
    both = ours.outputs.logits.written & theirs.outputs.logits.written
    if not both.any():
        return found
    near = [np.column_stack(_near(one, both)).astype(np.float64) for one in (ours, theirs)]
    return {**found, **stats.compared(near[0], near[1], _means, ("exact_match", "token_f1"))}


def _near(predictions: Predictions, rows: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Of each row that was written, whether it is as given, bool (m,), and the F1 of its words, float64 (m,)."""
    task, outputs = catalogue.get("tasks", "answer"), predictions.outputs
    chosen = np.flatnonzero(outputs.logits.written if rows is None else rows)
    pairs = [(str(outputs.choice[row]), str(predictions.gold[row])) for row in chosen]
    return np.array([task.same(*pair) for pair in pairs], dtype=bool), np.array([task.overlap(*pair) for pair in pairs])


def _perplexity(counts: np.ndarray, likely: np.ndarray) -> np.ndarray:
    """Counts (r, n), log-probabilities and tokens of n answers (n, 2) -> perplexity, (r, 1)."""
    total, tokens = (counts @ likely).T
    found: np.ndarray = np.exp(-total / tokens)[:, None]
    return found


def _means(counts: np.ndarray, rows: np.ndarray) -> np.ndarray:
    means: np.ndarray = counts @ rows / counts.sum(axis=1, keepdims=True)
    return means


def _shown(predictions: Predictions) -> list[dict[str, str]]:
    """A few answers beside those given, in the order of the given ones, then of the written: whatever the order of the rows."""
    outputs = predictions.outputs
    rows = np.flatnonzero(outputs.logits.written)
    pairs = sorted((str(predictions.gold[row]), str(outputs.choice[row])) for row in rows)
    chosen = np.unique(np.linspace(0, len(pairs) - 1, min(len(pairs), EXAMPLES)).astype(np.int64))
    return [{"given": pairs[place][0], "written": pairs[place][1]} for place in chosen]
