"""Governing: rows per second on banking77, and near copies beside MinHash with LSH, both against exact Jaccard similarity.

20,000 Chinese reviews, 1,000 of them copied with one character in fifty changed; what counts as a near copy is decided by the
exact Jaccard similarity of character 5-grams, 0.85 and above, over all pairs that share a gram.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rensa

sys.path.insert(0, str(Path(__file__).parent))
from _report import report
from savile import data
from savile.data import _similar, dedup, sources

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data"))
REVIEWS, COPIES, EDITS = 20_000, 1_000, 0.02
PERMUTATIONS, BANDS = 128, 16


def main() -> None:
    rate, rows = govern_rate()
    report("govern_banking77", rate, "rows/s", bar=rows / 3, higher=True)
    texts = planted()
    truth = exact_pairs(texts)
    ours, ours_rate = timed(join, texts)
    theirs, theirs_rate = timed(minhash, texts)
    common = {"unit": "share", "bar": 1.0, "higher": True}
    report("near_copies_recall", share(truth, ours), baseline="minhash_lsh", baseline_value=share(truth, theirs), **common)
    report("near_copies_precision", share(ours, truth), baseline="minhash_lsh", baseline_value=share(theirs, truth), **common)
    report("near_copies_rate", ours_rate, "docs/s", bar=10_000, higher=True, baseline="minhash_lsh", baseline_value=theirs_rate)


def govern_rate() -> tuple[float, int]:
    """Rows per second of CPU, store and page included, imports not."""
    train, test = (SAMPLES / "intent-banking77" / name for name in ("train.csv.gz", "test.csv"))
    data.inspect(train)
    with tempfile.TemporaryDirectory() as home:
        os.environ["SAVILE_HOME"] = home
        start = time.process_time()
        rows = data.govern(train, test=test).table.num_rows
        return rows / (time.process_time() - start), rows


def planted() -> list[str]:
    """Reviews and edited copies of some of them, in normal form, each text once."""
    rng = np.random.default_rng(0)
    table = sources.read(SAMPLES / "zh-reviews" / "online_shopping_10_cats.csv.gz").table
    reviews = [text for text in table.column("review").to_pylist() if text]
    texts = [reviews[i] for i in rng.choice(len(reviews), REVIEWS, replace=False)]
    letters = list("".join(texts[:500]))
    for text in texts[:COPIES]:
        copy = list(text)
        for place in np.flatnonzero(rng.random(len(copy)) < EDITS):
            copy[place] = letters[rng.integers(len(letters))]
        texts.append("".join(copy))
    return sorted({dedup.normal(text) for text in texts})


def grams(text: str) -> set[str]:
    return {text[i : i + 5] for i in range(max(1, len(text) - 4))}


def exact_pairs(texts: list[str]) -> set[tuple[int, int]]:
    """Every pair at or above the threshold, by counting shared grams pair by pair."""
    sets = [grams(text) for text in texts]
    holders: dict[str, list[int]] = {}
    pairs = set()
    for i, mine in enumerate(sets):
        shared: dict[int, int] = {}
        for gram in mine:
            for j in holders.setdefault(gram, []):
                shared[j] = shared.get(j, 0) + 1
            holders[gram].append(i)
        pairs |= {(j, i) for j, count in shared.items() if count >= 0.85 * (len(mine) + len(sets[j]) - count) - 1e-9}
    return pairs


def join(texts: list[str]) -> set[tuple[int, int]]:
    """The pairs our families hold together; of a family of more than two, those that are similar themselves."""
    family = _similar.families(texts).alike
    pairs = set()
    for number in np.flatnonzero(np.bincount(family) > 1):
        members = np.flatnonzero(family == number)
        pairs |= {
            (int(i), int(j)) for i in members for j in members if i < j and (len(members) == 2 or close(texts[i], texts[j]))
        }
    return pairs


def close(first: str, second: str) -> bool:
    one, other = grams(first), grams(second)
    return len(one & other) >= 0.85 * len(one | other) - 1e-9


def minhash(texts: list[str]) -> set[tuple[int, int]]:
    """The usual way: signatures of 128 permutations, banded; candidates kept when the signatures agree on 85 %."""
    hashes = rensa.RMinHash.from_token_sets([list(grams(text)) for text in texts], PERMUTATIONS, 42)
    index = rensa.RMinHashLSH(0.85, PERMUTATIONS, BANDS)
    index.insert_many(hashes)
    found = enumerate(index.query_all(hashes))
    return {(i, j) for i, near in found for j in near if i < j and hashes[i].jaccard(hashes[j]) >= 0.85}


def timed(way, texts: list[str]) -> tuple[set[tuple[int, int]], float]:
    start = time.process_time()
    pairs = way(texts)
    return pairs, len(texts) / (time.process_time() - start)


def share(wanted: set[tuple[int, int]], found: set[tuple[int, int]]) -> float:
    """How much of the first is in the second."""
    return len(wanted & found) / max(len(wanted), 1)


if __name__ == "__main__":
    main()
