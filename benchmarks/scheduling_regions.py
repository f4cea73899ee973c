"""Cost and carbon of a week of Philly's jobs in six US regions, by forecasts only, beside FIFO, best fit, SRPT and a bound.

Prints what part of the saving of an oracle (linear program with true durations, prices and carbon, divisible jobs) is
reached, and the saving in money with CO2 at 80 EUR/t, in money and in CO2, against each baseline, with deadlines met beside
it. Capacity of every region is capped. See `_regions` for what is replayed and what is modelled.

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
OURS: dict[str, dict[str, Any]] = {"region_lp": {}}
BASELINES = ("first_fit", "best_fit", "srpt")


def main() -> None:
    seeds = [cached({"benchmark": "regions", "seed": seed, "jobs": JOBS}, lambda seed=seed: measure(seed)) for seed in SEEDS]
    share = [_saving(one, "first_fit") / (1 - one["oracle"] / one["first_fit"]["eur"]) for one in seeds]
    report(
        "regions_share_of_oracle_saving",
        statistics.median(share),
        "share",
        bar=0.8,
        seeds=list(SEEDS),
        runs=share,
        baseline="oracle saving against first_fit",
        baseline_value=statistics.median(1 - one["oracle"] / one["first_fit"]["eur"] for one in seeds),
        ratio=statistics.median(share),
    )
    met = [one["region_lp"]["deadlines_met"] - one["first_fit"]["deadlines_met"] for one in seeds]
    report("regions_deadlines_met_above_fifo", min(met), "share", bar=0.0, seeds=list(SEEDS), runs=met)
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
    chosen = {name: policy(name) for name in BASELINES} | {name: policy(name, **more) for name, more in OURS.items()}
    for name, each in chosen.items():
        outcome = run(each, SimBackend(given, round_s=ROUND_S))
        found[name] = {**paid(outcome), **{k: outcome.figures[k] for k in ("deadlines_met", "jct_mean_s", "preemptions")}}
        print({"seed": seed, "policy": name, **found[name]}, file=sys.stderr, flush=True)
    return {**found, "oracle": oracle(given)}


def _saving(one: dict[str, Any], name: str, kind: str = "eur") -> float:
    return 1 - float(one["region_lp"][kind]) / float(one[name][kind])


if __name__ == "__main__":
    main()
