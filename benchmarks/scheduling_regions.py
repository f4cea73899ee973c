"""Cost and carbon of a week of Philly's jobs in six US regions, by forecasts only, beside FIFO, best fit, SRPT and a bound.

Prints what part of the saving of an oracle (linear program with true durations, prices and carbon, divisible jobs) is
reached, and the saving in money with CO2 at 80 EUR/t, in money and in CO2, against each baseline, with deadlines met beside
it. Capacity of every region is capped. Prices of the next day are known from 13 o'clock on, as they are to every buyer; the
share is also printed for prices that are known only when they hold. See `_regions` for what is replayed and what is modelled.

    python benchmarks/scheduling_regions.py
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from _regions import oracle, paid, world
from _report import cached, report
from savile.scheduling import SimBackend, policy, run

SEEDS = (0, 1, 2)
JOBS, ROUND_S = 600, 900.0
OURS = "region_lp"
KNOWN = {"prices known as the day-ahead market publishes them": OURS, "prices known when they hold": "unpublished"}
BASELINES = ("first_fit", "best_fit", "srpt")


def main() -> None:
    seeds = [cached({"benchmark": "regions", "seed": seed, "jobs": JOBS}, lambda seed=seed: measure(seed)) for seed in SEEDS]
    for name, ours in KNOWN.items():
        share = [_saving(one, "first_fit", ours=ours) / (1 - one["oracle"] / one["first_fit"]["eur"]) for one in seeds]
        report(
            f"regions_share_of_oracle_saving, {name}",
            statistics.median(share),
            "share",
            bar=0.8,
            seeds=list(SEEDS),
            runs=share,
            baseline="oracle saving against first_fit",
            baseline_value=statistics.median(1 - one["oracle"] / one["first_fit"]["eur"] for one in seeds),
            ratio=statistics.median(share),
        )
        met = [one[ours]["deadlines_met"] - one["first_fit"]["deadlines_met"] for one in seeds]
        report(f"regions_deadlines_met_above_fifo, {name}", min(met), "share", bar=0.0, seeds=list(SEEDS), runs=met)
    for name in BASELINES:
        for kind in ("eur", "energy_eur", "kg"):
            saved = [_saving(one, name, kind) for one in seeds]
            report(
                f"regions_saving_{kind}_against_{name}",
                statistics.median(saved),
                "share",
                bar=0.15,
                seeds=list(SEEDS),
                runs=saved,
                baseline=name,
                baseline_value=statistics.median(one[name][kind] for one in seeds),
                ratio=1 / (1 - statistics.median(saved)),
            )


def measure(seed: int) -> dict[str, Any]:
    """One week: what each policy paid, and the bound."""
    given, found = world(seed, JOBS), {}
    runs = {name: (name, given) for name in (*BASELINES, OURS)} | {"unpublished": (OURS, world(seed, JOBS, published=False))}
    for name, (chosen, there) in runs.items():
        outcome = run(policy(chosen), SimBackend(there, round_s=ROUND_S))
        found[name] = {**paid(outcome), **{k: outcome.figures[k] for k in ("deadlines_met", "jct_mean_s", "preemptions")}}
        print({"seed": seed, "policy": name, **found[name]}, file=sys.stderr, flush=True)
    return {**found, "oracle": oracle(given)}


def _saving(one: dict[str, Any], name: str, kind: str = "eur", ours: str = OURS) -> float:
    return 1 - float(one[ours][kind]) / float(one[name][kind])


if __name__ == "__main__":
    main()
