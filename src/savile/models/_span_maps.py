"""Calibration of spans: how readily tokens are left outside, and a map that makes the probability of a span honest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from savile.base.contracts import HeadSpec
from savile.base.outputs import Calibration, Outputs, Span, Tokens, spanned
from savile.models._spans import IGNORED, decoded, outside_doubt, token_targets

BIASES = tuple(np.arange(-2.0, 2.01, 0.25).tolist())  # of the logit of outside, that are tried
LEAST_SPANS = 50  # from which their probabilities get a map of their own
GAIN = 0.002  # by which F1 must rise for a bias to be taken


def calibrate(head: HeadSpec, logits: Tokens, gold: np.ndarray, start: Calibration) -> Calibration:
    """Temperature by the log loss of tokens; the bias of outside with the best F1; a monotone map of the probability of spans.

    Args:
        head: of the task.
        logits: of texts the model was not trained on.
        gold: their spans, object (n,).
        start: what is kept where there is nothing to fit.
    """
    from savile.models._maps import fit_temperature

    targets = token_gold(logits, gold)
    known = targets != IGNORED
    if not known.any():
        return start
    fitted = replace(start, temperature=fit_temperature(logits.flat[known], targets[known]), steps=(), levels=(), biases=())
    scores = {bias: _f1(decide(head, logits, _biased(fitted, head, bias)).choice, gold) for bias in BIASES}
    best = max(BIASES, key=lambda bias: (scores[bias], -abs(bias)))
    if scores[best] > scores[0.0] + GAIN:
        fitted = _biased(fitted, head, best)
    found = decide(head, logits, fitted).choice
    due = [{span.key for span in spans} for spans in gold]
    said = np.array([span.probability for spans in found for span in spans])
    true = np.array([span.key in keys for spans, keys in zip(found, due, strict=True) for span in spans], dtype=np.float64)
    return _mapped(fitted, said, true) if len(said) >= LEAST_SPANS else fitted


def decide(head: HeadSpec, logits: Tokens, calibration: Calibration) -> Outputs:
    """Logits of tokens -> calibrated spans."""
    flat = np.asarray(logits.flat, dtype=np.float64)
    if calibration.biases:
        flat = flat + np.array(calibration.biases)
    probabilities = logits.like(head.decode(flat / calibration.temperature))
    choice = decoded(probabilities)
    if calibration.steps:
        places, levels = np.array(calibration.steps), np.array(calibration.levels)
        choice = spanned([[_honest(span, places, levels) for span in spans] for spans in choice])
    least = np.array([min((span.probability for span in spans), default=1.0) for spans in choice])
    sure = np.minimum(least, outside_doubt(probabilities, choice))
    return Outputs(logits, probabilities, choice, sure, sure < calibration.threshold)


def log_losses(head: HeadSpec, logits: Tokens, gold: np.ndarray, calibration: Calibration) -> np.ndarray:
    """Negative log probability of what is right, the mean over each text's tokens, (n,); 0 of a text without tokens."""
    probabilities = decide(head, logits, calibration).probabilities
    targets = token_gold(logits, gold)
    each = -np.log(np.clip(probabilities.flat[np.arange(len(targets)), np.maximum(targets, 0)], 1e-15, 1.0))
    sums = np.zeros(len(logits))
    np.add.at(sums, logits.text, each)
    return np.asarray(sums / np.maximum(np.diff(logits.bounds), 1))


def token_gold(logits: Tokens, gold: np.ndarray) -> np.ndarray:
    """The BIO output that is right for each token, int64 (t,)."""
    rows = [
        token_targets(logits.places[start:end], spans)
        for start, end, spans in zip(logits.bounds, logits.bounds[1:], gold, strict=False)
    ]
    return np.concatenate([np.zeros(0, dtype=np.int64), *rows])


def same(choice: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """Whether the spans of each text are all right and none is missing, bool (n,)."""
    pairs = zip(choice, gold, strict=True)
    return np.array([{span.key for span in said} == {span.key for span in due} for said, due in pairs], dtype=bool)


def _f1(choice: np.ndarray, gold: np.ndarray) -> float:
    pairs = [({span.key for span in said}, {span.key for span in due}) for said, due in zip(choice, gold, strict=True)]
    return 2 * sum(len(a & b) for a, b in pairs) / max(1, sum(len(a) + len(b) for a, b in pairs))


def _biased(calibration: Calibration, head: HeadSpec, bias: float) -> Calibration:
    return replace(calibration, biases=(bias, *([0.0] * (head.outputs - 1)))) if bias else replace(calibration, biases=())


def _honest(span: Span, places: np.ndarray, levels: np.ndarray) -> Span:
    return span._replace(probability=float(np.interp(span.probability, places, levels)))


def _mapped(calibration: Calibration, said: np.ndarray, true: np.ndarray) -> Calibration:
    """The calibration with a monotone curve over the probabilities of spans (isotonic regression)."""
    from savile.models._maps import monotone

    places, levels = monotone(said, true, 1.0 / (len(said) + 2.0))
    return replace(calibration, steps=places, levels=levels)
