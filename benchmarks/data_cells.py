"""Wrong cells: detection and end-to-end repair with 20 corrected rows, beside Raha and Baran; false repairs on clean copies.

The tool chooses the rows, five at a time; the clean file answers. As Raha does, the corrected rows count. A repaired cell is
one whose string changed; it is right when it equals the clean file's. Tax and movies have no bar and were never tuned on.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent))
from _report import cached, report
from savile.data import cells

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data"))
SEEDS, AT_ONCE, TIMES = 3, 5, 4
RAHA = {"hospital": 0.856, "flights": 0.771, "beers": 0.952, "rayyan": 0.788}
DETECTED = {"hospital": 0.87, "flights": 0.85, "beers": 0.97, "rayyan": 0.82}
REPAIRED = {"hospital": 0.70, "flights": 0.80, "beers": 0.88, "rayyan": 0.45}
OTHERS = ("tax", "movies")
EDITS = 0.001


def main() -> None:
    names = sys.argv[1:] or [*RAHA, *OTHERS]
    for name in names:
        runs = [
            cached({"benchmark": "data_cells", "set": name, "seed": seed}, lambda n=name, s=seed: measured(n, s))
            for seed in range(SEEDS)
        ]
        found = {key: [run[key] for run in runs] for key in runs[0]}
        common = {"seeds": SEEDS, "unit": "F1"}
        peer = {"baseline": "raha_rerun", "baseline_value": RAHA[name]} if name in RAHA else {}
        report(
            f"cells_detected_{name}", mean(found["detected"]), bar=DETECTED.get(name), runs=found["detected"], **peer, **common
        )
        report(f"cells_repaired_{name}", mean(found["repaired"]), bar=REPAIRED.get(name), runs=found["repaired"], **common)
        report(f"cells_seconds_{name}", mean(found["seconds"]), "s", runs=found["seconds"], seeds=SEEDS)
        clean = cached({"benchmark": "data_cells", "clean": name}, lambda n=name: {"edits": edits(n)})["edits"]
        report(f"cells_edited_on_clean_{name}", max(clean), "share of cells", bar=EDITS, higher=False, runs=clean)


def mean(values: list[float]) -> float:
    return float(np.mean(values))


def tables(name: str) -> tuple[pa.Table, pa.Table]:
    """The dirty and the clean table, all strings."""
    dirty, clean = (rows(name, kind) for kind in ("dirty", "clean"))
    header = dirty[0]
    return tuple(pa.table({c: [row[i] for row in body[1:]] for i, c in enumerate(header)}) for body in (dirty, clean))  # type: ignore[return-value]


def rows(name: str, kind: str) -> list[list[str]]:
    folder = SAMPLES / f"clean-{name}"
    plain = folder / f"{kind}.csv"
    raw = plain.read_bytes() if plain.exists() else gzip.decompress((folder / f"{kind}.csv.gz").read_bytes())
    return list(csv.reader(io.StringIO(raw.decode("utf-8"), newline="")))


def strings(table: pa.Table) -> np.ndarray:
    return np.array([column.to_pylist() for column in table.columns], dtype=object).T


def measured(name: str, seed: int) -> dict[str, float]:
    """Detection and repair with 20 rows corrected from the clean file."""
    dirty, clean = tables(name)
    before, right = strings(dirty), strings(clean)
    wrong, corrected = before != right, dict[int, list[str]]()
    start = time.perf_counter()
    for _ in range(TIMES):
        corrected |= {row: right[row].tolist() for row in cells.ask(dirty, corrected, AT_ONCE, seed)}
    found = cells.find(dirty, corrected, seed=seed)
    seconds = time.perf_counter() - start
    after = changed(before, found.repairs)
    edited = after != before
    good = (edited & (after == right)).sum()
    held = np.ones(len(before), dtype=bool)
    held[list(corrected)] = False
    return {
        "detected": f1((found.doubt > 0.5) & wrong, found.doubt > 0.5, wrong),
        "detected_without_corrected_rows": f1(((found.doubt > 0.5) & wrong)[held], (found.doubt > 0.5)[held], wrong[held]),
        "repaired": 2 * float(good) / float(edited.sum() + wrong.sum()),
        "seconds": seconds,
    }


def changed(before: np.ndarray, repairs: tuple[cells.Repair, ...]) -> np.ndarray:
    after = before.copy()
    for one in repairs:
        after[one.row, one.column] = one.new
    return after


def f1(both: np.ndarray, said: np.ndarray, true: np.ndarray) -> float:
    return 2 * float(both.sum()) / float(max(said.sum() + true.sum(), 1))


def edits(name: str) -> list[float]:
    """Share of cells changed in the clean table: without examples as ``--fix`` does, and with 20 rows found right."""
    clean = tables(name)[1]
    right = strings(clean)
    alone = [one for one in cells.find(clean).repairs if one.doubt * one.trust >= cells.SURE]
    rows = cells.ask(clean)
    taught = cells.find(clean, {row: right[row].tolist() for row in rows}).repairs
    return [len(found) / right.size for found in (alone, taught)]


if __name__ == "__main__":
    main()
