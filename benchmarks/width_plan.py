"""Plan against reality: time and peak memory of the runs of `width_raw_files.py`, raw files with a budget of 1.5 minutes.

Reads what those runs left under ``.cache/width_raw_files``: the plan each made before it worked (``answer.plan``), and the
seconds and the peak memory of its whole process, its start included. Runs that were refused before they trained have no plan
and are counted apart. Beside the plan stands what one would guess without it: the median of the other runs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from _report import report
from width_raw_files import RUNS

MEDIAN_BAR, TWICE = 0.20, 2.0


def off(planned: float, taken: float) -> float:
    return abs(planned - taken) / taken


def main() -> None:
    runs = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RUNS.glob("*.json"))}
    if not runs:
        sys.exit("No runs yet: benchmarks/width_raw_files.py makes them.")
    done = {name: run for name, run in runs.items() if (run["answer"].get("plan") or {}).get("actual")}
    over = []
    for said, figure in (("time", "seconds"), ("peak memory", "peak_rss_mb")):
        pairs = {name: (run["answer"]["plan"][figure], run[figure]) for name, run in done.items()}
        errors = {name: off(*pair) for name, pair in pairs.items()}
        for name, (planned, taken) in pairs.items():
            line = f"{name:<45} {said:<12} planned {planned:>7.0f} taken {taken:>7.0f} off {100 * errors[name]:>4.0f} %"
            print(line, file=sys.stderr)
        over += [f"{name}: {said}" for name, (planned, taken) in pairs.items() if taken > TWICE * planned]
        others = {name: median(taken for other, (_, taken) in pairs.items() if other != name) for name in pairs}
        guessed = median(off(others[name], taken) for name, (_, taken) in pairs.items())
        more: dict[str, Any] = {"runs": {name: round(error, 3) for name, error in errors.items()}}
        more |= {"baseline": "the median of the other runs", "baseline_value": guessed}
        report(f"plan_median_error_of_{said.replace(' ', '_')}", median(errors.values()), "share", MEDIAN_BAR, False, **more)
    report("plan_runs_over_twice", len(over), f"of {len(done)} runs", 0, False, runs=over)
    print(f"{len(done)} runs with a plan, {len(runs) - len(done)} refused before they trained", file=sys.stderr)


if __name__ == "__main__":
    main()
