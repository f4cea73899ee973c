"""The search against drawing at random: 60 small trials are made once and written down; both are replayed on them.

``record`` makes the trials that are still missing in ``results/search_trials.jsonl``: minilm on 20 questions of each
banking77 intent, 48 steps, and 16 for the cheap trial of each. Without it both ways are replayed: 30 trials of the search,
half of them cheap, cost as much as 20 in full. What is compared is the hypervolume of what was trained in full, of score and
share (and energy) in powers of ten, 5 seeds.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent))
from _report import HERE, report
from savile.adaptation import _front, _search
from savile.adaptation._learners import Recipe
from savile.base.records import Dataset, canonical

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve()
TABLE = HERE / "results" / "search_trials.jsonl"
RANKED = {"adalora": True, "bitfit": False, "bottleneck": False, "full": False, "ia3": False, "lora": True}
RANKED |= {"parallel": False, "unfreeze": False}
FULL, CHEAP, TRIALS = 48, 16, 25
GOALS = (("score", "share"), ("score", "share", "energy"))
SEEDS, MORE = range(5), range(50)  # the bar's, and enough to tell luck from skill: every seed begins elsewhere


def main() -> None:
    if sys.argv[1:2] == ["record"]:
        record(float(sys.argv[2]) if len(sys.argv) > 2 else 9.0)
        return
    table = known()
    wanted = [(params, cheap) for params in grid() for cheap in (False, True)]
    missing = [one for one in wanted if key(*one) not in table]
    if missing:
        sys.exit(f"{len(missing)} of {len(wanted)} trials are missing; make them with: {sys.argv[0]} record MINUTES")
    for goals in GOALS:
        ours, random = ([replayed(table, goals, seed, way) for seed in MORE] for way in ("search", "random"))
        best = whole(table, goals)
        more = {"seeds": len(MORE), "search": float(np.mean(ours)), "random": float(np.mean(random))}
        ours, random = ours[: len(SEEDS)], random[: len(SEEDS)]
        mean = float(np.mean(random))
        report(
            f"search_hypervolume_{'_'.join(goals)}", float(np.mean(ours)), "share of that of all 60 trials", bar=mean,
            baseline="random at equal cost", baseline_value=mean, seeds=len(SEEDS),
            runs={"search": ours, "random": random, "all": best, "more": more},
        )  # fmt: skip


def grid() -> list[dict[str, Any]]:
    """The 60 settings."""
    return [
        {"method": method, "rate": rate, **({"rank": rank} if ranked else {})}
        for method, ranked in RANKED.items()
        for rate in _search.RATES
        for rank in (_search.RANKS if ranked else (0,))
    ]


def key(params: dict[str, Any], cheap: bool) -> str:
    return canonical([params, cheap])


def known() -> dict[str, dict[str, float]]:
    """What was written down."""
    if not TABLE.exists():
        return {}
    return {one["key"]: one["values"] for one in map(json.loads, TABLE.read_text(encoding="utf-8").splitlines())}


def record(minutes: float) -> None:
    """Make trials that are missing until the time is up."""
    from savile.adaptation._train import train

    started, data, table = time.perf_counter(), dataset(), known()
    TABLE.parent.mkdir(exist_ok=True)
    for params in grid():
        for cheap in (False, True):
            if key(params, cheap) in table:
                continue
            if time.perf_counter() - started > 60 * minutes:
                print("time is up")
                return
            with tempfile.TemporaryDirectory() as home:
                os.environ["SAVILE_HOME"] = home
                usual = _search._usual(data, Recipe("minilm", params["method"], {}, 0), params["method"])
                settings = {"learning_rate": usual.fit_settings.learning_rate * params["rate"], "batch_rows": 32}
                settings |= {"steps": CHEAP if cheap else FULL, "least_steps": 0, "evaluations": 1}
                if "rank" in params:
                    rank = params["rank"]
                    settings |= {"rank": rank, "alpha": 2 * rank}
                    settings |= {"start_rank": rank + rank // 2} if "start_rank" in usual.method_settings else {}
                model = train(data, Recipe("minilm", params["method"], settings, 0))
            values = dict(zip(_search.GOALS, _search.measured(model, list(_search.GOALS)), strict=True))
            with TABLE.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key(params, cheap), "values": values}) + "\n")
            print(params, cheap, {name: round(value, 6) for name, value in values.items()}, flush=True)
    print("all there")


def dataset() -> Dataset:
    """20 questions of each intent to learn from, 6 to choose by and 4 to calibrate on."""
    with gzip.open(SAMPLES / "intent-banking77" / "train.csv.gz", "rt", encoding="utf-8") as file:
        rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    rows = [rows[place] for place in np.random.default_rng(0).permutation(len(rows))]
    found: dict[str, list[int]] = {}
    for place, (_, name) in enumerate(rows):
        found.setdefault(name, []).append(place)
    cut = {"train": (0, 20), "valid": (20, 26), "calib": (26, 30), "test": (30, 31)}
    parts = {part: np.array(sorted(row for rows in found.values() for row in rows[a:b])) for part, (a, b) in cut.items()}
    table = pa.table({"text": [text for text, _ in rows], "label": [name for _, name in rows]})
    return Dataset(table, {"text": "text", "label": "label"}, parts, labels=tuple(sorted(found)))


def replayed(table: dict[str, dict[str, float]], goals: tuple[str, ...], seed: int, way: str) -> float:
    """The share of the hypervolume of all trials that one way comes to at the cost of 20 trials in full."""

    def values(params: Any, cheap: bool) -> tuple[float, ...]:
        return tuple(table[key(dict(params), cheap)][goal] for goal in goals)

    if way == "search":
        plan = _search.Plan(trials=TRIALS, goals=goals)
        trials = _search.explore(lambda asked: _search.proposed(asked, RANKED), values, plan, seed)
        found = [trial.values for trial in trials if not trial.cheap]
    else:
        cost = math.ceil(TRIALS - _search.MOST_CHEAP * (1 - CHEAP / FULL))
        chosen = np.random.default_rng(seed).permutation(len(grid()))[:cost]
        found = [values(grid()[place], False) for place in chosen]
    return volume(np.array(found), table, goals) / whole(table, goals)


def whole(table: dict[str, dict[str, float]], goals: tuple[str, ...]) -> float:
    return volume(np.array([[table[key(params, False)][goal] for goal in goals] for params in grid()]), table, goals)


def volume(values: np.ndarray, table: dict[str, dict[str, float]], goals: tuple[str, ...]) -> float:
    """Against the worst of every goal over all trials in full, a hundredth beyond it."""
    everything = _search.goodness(np.array([[table[key(params, False)][goal] for goal in goals] for params in grid()]))
    low, high = everything.min(axis=0), everything.max(axis=0)
    return _front.hypervolume((_search.goodness(values) - low) / (high - low), np.full(len(goals), -0.01))


if __name__ == "__main__":
    main()
