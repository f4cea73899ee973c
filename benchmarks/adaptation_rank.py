"""Task `rank` on purchases of video games: the next one among 20 candidates, for 200 users.

Candidates are the held-out target and the first 19 other ids of the published random list, shuffled with seed 0. Whoever is
asked about, rows to learn from end before the last history item, which validates. BM25 and popularity stand beside it.
"""

from __future__ import annotations

import gzip
import os
import random
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent))
from _report import cached, report
from savile.base import answers
from savile.base.contracts import Predictions
from savile.base.records import Dataset, Outputs

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve() / "rec-games"
BAR, WRONG, LEARNT_FROM = 45.0, 3, 12_000  # candidates that are wrong a right one; users with candidates of their own
SEEDS = (0, 1, 2)


def main() -> None:
    found = [cached({"benchmark": "rank", "seed": seed}, partial(measure, seed)) for seed in SEEDS]
    for part in ("valid", "test"):
        values = [one[part]["ndcg_10"] for one in found]
        report(
            f"rank_games_{part}_ndcg_10", float(np.mean(values)), "%", bar=BAR if part == "test" else None, baseline="BM25",
            baseline_value=found[0]["bm25"][part], seeds=list(SEEDS), runs=values,
        )  # fmt: skip
    print("popularity:", found[0]["popularity"], "BM25:", found[0]["bm25"], "seconds:", [one["seconds"] for one in found])
    print("published, like protocol: BM25 34.6, UniSRec 40.7, GPT-3.5 50.3, GPT-4 62.9; mrr and first:", found[0]["test"])


def lines(name: str) -> list[list[str]]:
    with gzip.open(SAMPLES / name, "rt", encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file]


def measure(seed: int) -> dict[str, Any]:
    titles = dict(lines("items.tsv.gz")[1:])
    sequences = {user: (history.split(), target) for user, history, target in lines("sequences_leave_one_out.tsv.gz")[1:]}
    asked = {user: ids.split() for user, ids in lines("candidates/games200_random.tsv.gz") if user in sequences}
    rng, every = random.Random(seed), list(titles)
    rows = []
    users = sorted(sequences)
    rng.shuffle(users)
    for place, user in enumerate(users):
        history = sequences[user][0][:-1]  # the last one validates
        if len(history) < 2:
            continue
        query = "\n".join(titles[item] for item in history[:-1])
        wrong = [rng.choice(every) for _ in range(WRONG)] if place < LEARNT_FROM else []
        rows += [(query, titles[item], label) for item, label in ((history[-1], "1"), *((item, "0") for item in wrong))]
    started = time.perf_counter()
    predict = trained(rows, seed)
    seconds = time.perf_counter() - started
    found: dict[str, Any] = {"seconds": round(seconds, 1), "bm25": {}, "popularity": {}}
    for part in ("valid", "test"):
        questions = [question(user, asked[user], sequences[user], part) for user in asked]
        texts = [answers.pair("\n".join(titles[i] for i in h), titles[c]) for h, cs, _ in questions for c in cs]
        right = np.array([c == t for _, cs, t in questions for c in cs])
        queries = np.repeat(np.arange(len(questions)), [len(cs) for _, cs, _ in questions])
        found[part] = scored(predict(texts).probabilities[:, 1], right, queries)
        found["bm25"][part] = scored(bm25(titles, questions), right, queries)["ndcg_10"]
        often = popularity(sequences)
        found["popularity"][part] = scored([often.get(c, 0) for _, cs, _ in questions for c in cs], right, queries)["ndcg_10"]
    return found


def question(user: str, ids: list[str], sequence: tuple[list[str], str], part: str) -> tuple[list[str], list[str], str]:
    """History, candidates and target: of validation the last history item."""
    history, target = (sequence[0][:-1], sequence[0][-1]) if part == "valid" else sequence
    candidates = [*[one for one in ids if one != target][:19], target]
    random.Random(0).shuffle(candidates)
    return history, candidates, target


def trained(rows: list[tuple[str, str, str]], seed: int) -> Any:
    """The model that `adapt` makes, as `savile run --task rank` would."""
    os.environ["SAVILE_HOME"] = tempfile.mkdtemp()
    from savile.adaptation import adapt
    from savile.models import Predictor

    order = np.random.default_rng(seed).permutation(len(rows))
    held, texts = 2000, [answers.pair(query, item) for query, item, _ in rows]
    parts = {"train": order[2 * held :], "valid": order[:held], "calib": order[held : 2 * held], "test": np.arange(0)}
    table = pa.table({"text": texts, "label": [label for _, _, label in rows]})
    data = Dataset(table, {"text": "text", "label": "label"}, parts, "rank", ("0", "1"))
    return Predictor(adapt(data, "retriever", seed=seed), "retriever")


def scored(scores: Any, right: np.ndarray, queries: np.ndarray) -> dict[str, float]:
    from savile.evaluation import ranking

    probabilities = np.column_stack([np.zeros(len(right)), np.asarray(scores, dtype=np.float64)])
    nothing = np.zeros(len(right), dtype=np.int64)
    outputs = Outputs(probabilities, probabilities, nothing, probabilities[:, 1], nothing > 0)
    figures = ranking.measure(Predictions(right.astype(np.int64), outputs, ("0", "1"), queries=queries))
    return {name: 100 * figure.value for name, figure in figures.items()}


def popularity(sequences: dict[str, tuple[list[str], str]]) -> dict[str, int]:
    from collections import Counter

    return Counter(item for history, _ in sequences.values() for item in history[:-1])


def bm25(
    titles: dict[str, str], questions: list[tuple[list[str], list[str], str]], k: float = 1.2, b: float = 0.75
) -> list[float]:
    """Candidate titles as documents, the titles of the history as the question (Robertson and Zaragoza 2009)."""
    import math
    from collections import Counter

    from savile.models._occurrence import pieces

    words = {item: Counter(pieces(title)) for item, title in titles.items()}
    often = Counter(word for counts in words.values() for word in counts)
    mean = sum(counts.total() for counts in words.values()) / len(words)
    found = []
    for history, candidates, _ in questions:
        asked = Counter(word for item in history for word in words[item])
        for item in candidates:
            length = k * (1 - b + b * words[item].total() / mean)
            rarity = {word: math.log(1 + (len(words) - often[word] + 0.5) / (often[word] + 0.5)) for word in words[item]}
            found.append(sum(asked[w] * rarity[w] * n * (k + 1) / (n + length) for w, n in words[item].items() if w in asked))
    return found


if __name__ == "__main__":
    main()
