"""Which property holds for which way of sharing unlike devices: 200 random markets each, failures included.

Prints, for each mechanism and property, the share of markets in which it held; what theory promises must hold in all of them.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from _report import cached, report
from savile.scheduling import _properties

INSTANCES, MISREPORTS, SEED = 200, 40, 0
PROMISED = {
    "equal": {"sharing_incentive", "envy_free", "strategy_proof"},
    "max_min": {"sharing_incentive", "efficient"},
    "efficient": {"efficient"},
    "proportional": {"sharing_incentive", "envy_free", "efficient"},
    "strategy_proof": {"envy_free", "strategy_proof"},
}


def main() -> None:
    found = cached({"benchmark": "sharing", "instances": INSTANCES, "misreports": MISREPORTS}, measure)
    for mechanism, shares in found.items():
        for name, share in shares.items():
            bar = 1.0 if name in PROMISED[mechanism] else None
            report(f"{mechanism}: {name}", share, "share of markets", bar=bar, seeds=[SEED])


def measure() -> dict[str, dict[str, float]]:
    table = _properties.table(INSTANCES, MISREPORTS, SEED)
    print(_properties.shown(table), file=sys.stderr)
    return {name: {each: held.held / held.instances for each, held in row.items()} for name, row in table.items()}


if __name__ == "__main__":
    main()
