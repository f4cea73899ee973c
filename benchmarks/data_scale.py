"""Governing at scale: rows per second with and without finding copies, peak memory as rows grow, and what copies are found.

Rows are generated: 6 to 14 of 50,000 made-up words, drawn by Zipf's law, and a label; every twentieth repeats an earlier row,
every twentieth is an earlier row with 5 to 10 % of its characters edited. Each size is governed by the word `govern`, audit and
page included, in a process of its own, whose CPU seconds and peak resident memory count. The peer reads the first rows of the
smallest file with pandas and finds copies with datasketch's MinHash and LSH, at the one of its settings that finds most planted
copies at a precision of 0.98.

    python benchmarks/data_scale.py 100000 1000000 10000000
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from _report import report

SIZES = (100_000, 300_000, 1_000_000)
BLOCK, WORDS, LABELS = 5_000, 50_000, 8
ASKED = 10_000_000  # rows, of which memory has a bar
GRAMS, THRESHOLDS, PERMUTATIONS, PRECISION, PEER_ROWS = (3, 5), (0.4, 0.5, 0.6), 128, 0.98, 20_000


def main() -> None:
    sizes = [int(one) for one in sys.argv[1:]] or SIZES
    peers = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
            path = Path(folder) / "rows.csv"
            write(path, size)
            ours = child("govern", path, folder)
            if size == min(sizes):
                peers = child("peer", path, folder)
        runs = {"rows": size, **ours}
        with_copies, without = size / ours["seconds"], size / (ours["seconds"] - ours["copies_seconds"])
        common = {"baseline": f"pandas and datasketch, {peers['rows']} rows, {peers['setting']}"}
        more = {**common, "baseline_value": peers["rate"], "runs": runs}
        report(f"govern_with_copies_{size}_rows", with_copies, "rows/s of CPU", bar=6_000, **more)
        report(f"govern_without_copies_{size}_rows", without, "rows/s of CPU", bar=20_000, runs=runs)
        bar = 2 * 2**30 if size >= ASKED else None
        more = {**common, "baseline_value": peers["peak"], "runs": runs}
        report(f"govern_peak_memory_{size}_rows", ours["peak"], "bytes", bar=bar, higher=False, **more)
        more = {**common, "baseline_value": peers["recall"], "runs": runs}
        report(f"planted_copies_found_{size}_rows", ours["recall"], "share", bar=0.95, **more)
        report(f"found_copies_planted_{size}_rows", ours["precision"], "share", bar=PRECISION, runs=runs)


def write(path: Path, count: int) -> None:
    """The file, and beside it for each row the row it was copied from; a row that is no copy from itself."""
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    vocabulary = np.array(["".join(rng.choice(letters, size=n)) for n in rng.integers(2, 11, size=WORDS)])
    share = 1 / np.arange(1, WORDS + 1)
    steps = np.cumsum(share / share.sum())
    pool, known, origin = list[str](), list[int](), list[np.ndarray]()
    with path.open("w", encoding="utf-8") as file:
        file.write("message,queue\n")
        for start in range(0, count, BLOCK):
            many = min(BLOCK, count - start)
            lengths = rng.integers(6, 15, size=many)
            words = vocabulary[np.minimum(np.searchsorted(steps, rng.random(lengths.sum())), WORDS - 1)].tolist()
            ends = np.cumsum(lengths).tolist()
            texts = [" ".join(words[a:b]) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
            of, kind = np.arange(start, start + many), rng.random(many)
            for place in np.flatnonzero(kind < 0.1).tolist() if pool else []:
                which = int(rng.integers(len(pool)))
                of[place] = known[which]
                texts[place] = pool[which] if kind[place] < 0.05 else edited(pool[which], rng)
            alone = np.flatnonzero(of == np.arange(start, start + many))[:200].tolist()
            pool, known = pool + [texts[i] for i in alone], known + [start + i for i in alone]
            origin.append(of)
            labels = rng.integers(LABELS, size=many).tolist()
            file.write("".join(f"{text},queue {label}\n" for text, label in zip(texts, labels, strict=True)))
    np.save(path.with_suffix(".npy"), np.concatenate(origin))


def edited(text: str, rng: np.random.Generator) -> str:
    """The text after 5 to 10 % of edits: a character replaced, put in or left out."""
    copy = list(text)
    for _ in range(int(rng.integers(-(-len(text) // 20), len(text) // 10 + 1))):
        place, letter = int(rng.integers(len(copy))), "abcdefghijklmnopqrstuvwxyz "[rng.integers(27)]
        copy[place : place + int(rng.integers(2))] = [letter] if rng.random() < 0.67 else []
    return "".join(copy)


def child(what: str, path: Path, folder: str) -> dict[str, float]:
    """What a process of its own measured."""
    environment = {**os.environ, "SAVILE_HOME": str(Path(folder) / "home"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, __file__, what, str(path)], env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def govern(path: Path) -> dict[str, float]:
    """The word, with the step that finds copies timed and what it found kept."""
    import savile
    from savile.data import _copies, dedup

    spent, kept = [], []
    apply, find = dedup.apply, _copies.find

    def timed(draft):
        start = time.process_time()
        draft = apply(draft)
        spent.append(time.process_time() - start)
        return draft

    dedup.apply = timed
    _copies.find = lambda pieces, room: kept.append(find(pieces, room)) or kept[-1]
    start, wall = time.process_time(), time.perf_counter()
    savile.govern(path)
    seconds, wall = time.process_time() - start, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "wall": wall, "copies_seconds": sum(spent), "peak": peak, "exact": kept[0].exact} | found(
        path, kept[0].near, kept[0].same
    )


def found(path: Path, near: np.ndarray, same: np.ndarray) -> dict[str, float]:
    """Share of edited copies joined with their origin, and of joined texts that were planted or copied."""
    origin = np.load(path.with_suffix(".npy"))
    near, same, rows = np.asarray(near)[: len(origin)], np.asarray(same)[: len(origin)], np.arange(len(origin))
    planted = (origin != rows) & (same == rows)
    distinct = same == rows
    size = np.bincount(near[distinct], minlength=len(near))
    joined = distinct & (size[near] > 1)
    known = planted.copy()
    known[same[origin[planted]]] = True
    return {
        "recall": float((near[planted] == near[origin[planted]]).mean()),
        "precision": float(known[joined].mean()) if joined.any() else 1.0,
    }


def peer(path: Path) -> dict[str, float]:
    """pandas and datasketch at the best of their settings, on the first rows."""
    import pandas as pd
    from datasketch import MinHash, MinHashLSH

    best: dict[str, float] = {}
    for gram in GRAMS:
        start = time.process_time()
        texts = pd.read_csv(path, nrows=PEER_ROWS)["message"].fillna("").tolist()
        hashes = []
        for text in texts:
            one = MinHash(num_perm=PERMUTATIONS)
            one.update_batch([text[i : i + gram].encode() for i in range(max(1, len(text) - gram + 1))])
            hashes.append(one)
        hashing = time.process_time() - start
        for threshold in THRESHOLDS:
            start = time.process_time()
            index, family = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS), np.arange(len(texts))
            for place, one in enumerate(hashes):
                close = [other for other in index.query(one) if hashes[other].jaccard(one) >= threshold]
                index.insert(place, one)
                family[place] = min([place, *(family[other] for other in close)])
            seconds = hashing + time.process_time() - start
            same = np.unique(texts, return_index=True, return_inverse=True)
            said = part(path, family, same[1][same[2]])
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            now = {
                "setting": f"{gram}_grams_{threshold}",
                "rows": len(texts),
                "rate": len(texts) / seconds,
                "peak": peak,
                **said,
            }
            if not best or (now["precision"] >= PRECISION, now["recall"]) > (best["precision"] >= PRECISION, best["recall"]):
                best = now
    return best


def part(path: Path, family: np.ndarray, same: np.ndarray) -> dict[str, float]:
    """`found` of the first rows, where their origins are among them."""
    whole = np.load(path.with_suffix(".npy"))[: len(family)]
    few = path.with_name("few.csv")
    np.save(few.with_suffix(".npy"), whole)
    return found(few, family, same)


if __name__ == "__main__":
    if sys.argv[1:2] in (["govern"], ["peer"]):
        print(json.dumps(globals()[sys.argv[1]](Path(sys.argv[2]))))
    else:
        main()
