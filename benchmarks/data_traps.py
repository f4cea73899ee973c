"""Traps known to lie in public data sets: each must be found by the audit, and legal values must not be called errors."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent))
from _report import report
from savile.data import _audit, _audit_checks

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data"))
FOREIGN = 1_668


def main() -> None:
    found = {**price(), **tables(), **leaks(), **versions()}
    for name, held in found.items():
        print(f"{'found ' if held else 'MISSED'} {name}", flush=True)
    report("traps_found", sum(found.values()), f"of {len(found)}", bar=len(found), runs=found)


def evidence(file: str, **asked) -> dict[str, str]:
    """Rule -> what was seen, all columns together."""
    seen: dict[str, str] = {}
    for issue in _audit.audit(file, _audit.read(SAMPLES / file), _audit.Asked(**asked)).issues:
        seen[issue.rule] = f"{seen.get(issue.rule, '')} {issue.evidence}"
    return seen


def price() -> dict[str, bool]:
    seen = evidence("energy-price/DAM_prices_BE.csv.gz")
    return {
        "3,724 hours without a price": "3,724 cells" in seen.get("blank_number", ""),
        "3 hours twice": "3 times" in seen.get("series_repeat", ""),
        "618 negative prices are no errors": "618" in seen["negative_values"] and not {"coded_missing", "wrong_cell"} & {*seen},
    }


def tables() -> dict[str, bool]:
    telco = evidence("churn-telco/telco_churn.csv.gz", label="Churn")
    heloc = evidence("credit-heloc/heloc.csv.gz", label="RiskPerformance")
    stores = evidence("retail-walmart/walmart_weekly.csv.gz")
    return {
        "11 blanks among numbers": "11 cells of the number column 'TotalCharges'" in telco.get("blank_number", ""),
        "-7, -8, -9 are kinds of missing": all(f"'-{code}'" in heloc.get("coded_missing", "") for code in (7, 8, 9)),
        "5 store-weeks gone": "5 steps of 168 hours" in stores.get("series_gap", ""),
    }


def leaks() -> dict[str, bool]:
    test = _audit.read(SAMPLES / "fin-zh-news/articles_2400.csv.gz")
    news = evidence("fin-zh-news/titles_7046.csv.gz", test=test, label="label")
    own = _audit.read(SAMPLES / "fin-twitter/train.csv.gz")
    other = _audit.read(SAMPLES / "fin-phrasebank/phrasebank.csv.gz").slice(0, FOREIGN)
    both = pa.concat_tables([own, pa.table({"text": other.column("sentence"), "label": other.column("label")})])
    mixed, alone = (_audit.audit("twitter", table, _audit.Asked()).issues for table in (both, own))
    shifted = [issue for issue in mixed if issue.rule == "source_shift"]
    return {
        "53 % of test titles in the other file": "(53%)" in news.get("leakage", ""),
        "1,668 foreign rows at the end": bool(shifted) and abs(len(shifted[0].rows) - FOREIGN) < 100,
        "one source is not called two": not any(issue.rule == "source_shift" for issue in alone),
    }


def versions() -> dict[str, bool]:
    dirty, clean = (_audit.read(SAMPLES / f"clean-tax/{name}.csv.gz") for name in ("dirty", "clean"))
    found = list(_audit_checks.versions(dirty, clean))
    value = sum(len(issue.rows) for issue in found if issue.rule == "changed_value")
    form = sum(len(issue.rows) for issue in found if issue.rule == "format_drift")
    return {"375 values changed, 5,843 forms": (value, form) == (375, 5_843)}


if __name__ == "__main__":
    main()
