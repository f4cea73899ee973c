"""Preferences and words of control on a real language model.

    python benchmarks/adaptation_preference.py goals      MODPO with the whole weight on the first goal beside DPO, step by step
    python benchmarks/adaptation_preference.py control    asked for a score from 1 to 5, how long an answer comes out

Control: clinc150 questions of two parts (train to learn from, test to ask). An answer of score k says k things in a row, so
its score is how many words it has; learned behind ``[length: k]`` and asked for each k, what is achieved is compared by rank.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from _report import report
from adaptation_decoder import BASE, rows

THINGS = ("Thank you for asking.", "We look into it.", "You hear from us today.", "Please keep your number.", "We help.")
LEARNED, ASKED = 40, 6


def goals() -> None:
    """The losses of six steps by both, from the same start."""
    from savile.adaptation._preference import Preference, PreferenceSettings, prefer
    from savile.models._writer import Writer

    texts, _, _ = rows("train", 1)
    pairs = [Preference(text, " ".join(THINGS[:2]), THINGS[4], (0.5 - i % 2,)) for i, text in enumerate(texts[:24])]
    losses = []
    for weights in ((1.0,), (1.0, 0.0)):
        fit = {"steps": 6, "learning_rate": 5e-4, "batch_rows": 4}
        fitted = prefer(Writer(BASE, "lora", {"freeze": 20}), pairs, PreferenceSettings(weights=weights, fit=fit))
        losses.append([entry["loss"] for entry in fitted.history])
    apart = max(abs(one - other) for one, other in zip(*losses, strict=True))
    report("smollm2_modpo_1_0_is_dpo", apart, "largest difference of a step's loss", bar=0.0, higher=False, runs=losses)


def control() -> None:
    """Spearman's correlation of the score asked for and the words of the answer."""
    from scipy.stats import spearmanr

    from savile.adaptation._preference import controlled, learn_answers
    from savile.models._writer import Writer

    prompts, questions = rows("train", 1)[0][:LEARNED], rows("test", 1)[0][:ASKED]
    scores = range(1, len(THINGS) + 1)
    pairs = [(controlled(text, {"length": k}), " ".join(THINGS[:k])) for text in prompts for k in scores]
    writer, started = Writer(BASE, "lora"), time.process_time()
    # the loss stays at what it is without the word, 0.1, for some seventy steps, and then falls to nothing
    learn_answers(writer, pairs, {"epochs": 5.0, "batch_rows": 8, "learning_rate": 2e-3})
    seconds = time.process_time() - started
    asked = [(k, controlled(text, {"length": k})) for text in questions for k in scores]
    words = [len(answer.split()) for answer in writer.reply([prompt for _, prompt in asked], 48)]
    wanted = [k for k, _ in asked]
    means = {k: sum(w for one, w in zip(wanted, words, strict=True) if one == k) / ASKED for k in scores}
    runs = {"words by score": means, "answers": len(words), "processor seconds of training": round(seconds)}
    report("smollm2_control_word_spearman", float(spearmanr(wanted, words).statistic), "rank correlation", bar=0.5, runs=runs)


if __name__ == "__main__":
    {"goals": goals, "control": control}[sys.argv[1]]()
