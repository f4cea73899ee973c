"""Capacity, residency, gangs, no starvation, determinism: 10,000 random worlds, spread over the policies."""

import sys
from pathlib import Path

from _report import cached, report

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "scheduling"))
from test_properties import QUICK, SLOW, outcome_held

WORLDS, BLOCK = 10_010, 91  # 110 blocks, five for each of 22 policies
NAMES = (*QUICK, *SLOW)


def block(name, first):
    failed = []
    for seed in range(first, first + BLOCK):
        try:
            assert not outcome_held(name, seed, 1 + seed % (14 if name in QUICK else 4)).kernel.waits, "nobody starves"
        except Exception as error:  # a violation is what is counted
            failed.append(f"{seed}: {error}")
    return {"failed": failed}


def main():
    blocks = [(NAMES[i % len(NAMES)], 1_000_000 + i * BLOCK) for i in range(WORLDS // BLOCK)]
    runs = [cached({"benchmark": "properties", "policy": n, "first": f}, lambda n=n, f=f: block(n, f)) for n, f in blocks]
    failed = [line for run in runs for line in run["failed"]]
    print(*failed[:20], sep="\n", file=sys.stderr)
    what = f"worlds of {WORLDS} in which capacity, residency, a gang, starvation or determinism fails, {len(NAMES)} policies"
    report(what, len(failed), "", 0.0, higher=False, seeds=WORLDS)  # fmt: skip


if __name__ == "__main__":
    main()
