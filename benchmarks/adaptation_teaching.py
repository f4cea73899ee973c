"""A small student taught by a large model's answers: without labels, and by a teacher that is wrong in one answer of five.

clinc150's in-scope rows. The teacher is minilm, tuned on 40 rows a class; the student is minilm with its base frozen and a new
head, on the 40 next rows a class, of which it sees the teacher's probabilities, the labels, or both. Both are asked the same
1,500 test rows. The noise is drawn once, seed 0: in 20 % of the rows the teacher's probabilities go to a wrong label.

    python benchmarks/adaptation_teaching.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from _report import report
from adaptation_decoder import rows

A_CLASS, TEST, NOISE = 40, 10, 0.2
FIXED = (0.25, 0.5, 0.75)  # weights of the teacher; the best of them on rows set apart stands for fixed weights


def answers(method: str, texts: list[str], targets: np.ndarray, labels: list[str], asked: list[str]) -> np.ndarray:
    """Logits for some texts, of minilm trained on others."""
    from savile.models import FitSettings, encoder, fit

    network = encoder.create("minilm", labels, cosine=method == "full")
    encoder.attach(network, method, {})
    fit(network, (texts, targets), FitSettings(**({"epochs": 2.0} if method == "full" else {"strength": 30.0})))
    return np.asarray(encoder.predict(network.eval(), asked))


def halves() -> tuple[Any, Any]:
    """The first rows of each class, which the teacher learns from, and the next, which the student sees."""
    texts, targets, labels = rows("train", 2 * A_CLASS)
    order = np.argsort(targets, kind="stable").reshape(len(labels), -1)
    parts = (order[:, :A_CLASS].ravel(), order[:, A_CLASS:].ravel())
    first, second = (([texts[row] for row in part], targets[part]) for part in parts)
    return first, second


def noisy(taught: np.ndarray, seed: int = 0) -> np.ndarray:
    """The teacher's probabilities, in one row of five turned round so that another label has the highest."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(taught)) < NOISE
    turns = rng.integers(1, taught.shape[1], len(taught))
    return np.array([np.roll(one, turn) if bad else one for one, turn, bad in zip(taught, turns, wrong, strict=True)])


def main() -> None:
    import torch

    from savile.adaptation._teaching import trust

    (early, early_gold), (texts, gold) = halves()
    test, wanted, labels = rows("test", TEST)
    valid, valid_gold, _ = rows("val", 10)
    logits = answers("full", early, early_gold, labels, [*texts, *test])
    taught = torch.from_numpy(logits[: len(texts)]).softmax(1).numpy()
    hard = np.eye(len(labels), dtype=np.float32)[gold]

    def student(targets: np.ndarray) -> tuple[float, float]:
        found = answers("head", texts, targets.astype(np.float32), labels, [*valid, *test]).argmax(1)
        return float((found[: len(valid)] == valid_gold).mean()), float((found[len(valid) :] == wanted).mean())

    teacher = float((logits[len(texts) :].argmax(1) == wanted).mean())
    on_gold, label_free = student(hard)[1], student(taught)[1]
    runs = {"teacher": teacher, "gold": on_gold, "label_free": label_free}
    report("taught_without_labels_points_below_gold", 100 * (on_gold - label_free), "points", bar=2.0, higher=False, runs=runs)
    spoilt = noisy(taught)
    weight = trust(torch.from_numpy(spoilt), torch.from_numpy(gold)).numpy()[:, None]
    adaptive = student(weight * spoilt + (1 - weight) * hard)[1]
    fixed = {share: student(share * spoilt + (1 - share) * hard) for share in FIXED}
    best = max(FIXED, key=lambda share: fixed[share][0])
    runs = {"fixed": {str(share): found[1] for share, found in fixed.items()}, "gold": on_gold}
    peer = {"baseline": f"fixed weight {best}", "baseline_value": fixed[best][1]}
    report("adaptive_teacher_20_percent_noise", adaptive, "accuracy", bar=fixed[best][1], runs=runs, **peer)


if __name__ == "__main__":
    main()
