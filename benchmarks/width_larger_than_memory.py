"""Files larger than the memory a process may have: a csv, a JSON lines and a Parquet file are governed under `setrlimit`.

Each file is three times the limit set on the process's own data (RLIMIT_DATA). The figure is the peak resident memory as a
share of the file's size; beside it, whether reading the whole csv with pyarrow comes through under the same limit.
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
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent))
from _report import report

LIMIT = int(os.environ.get("LIMIT_MB", "320")) << 20
TIMES = 3
ROWS = 50_000  # of a block that is written again and again, its numbers counted up
GOVERN = """
import sys
from savile import data
seen = data.inspect(sys.argv[1])
print(seen.rows, *[found.evidence for found in seen.findings if found.rule == "sampled"])
"""
WHOLE = "import sys, pyarrow.csv as csv; print(csv.read_csv(sys.argv[1]).num_rows)"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("csv", "jsonl", "parquet"):
            path = Path(folder) / f"tickets.{name}"
            rows = write(path, TIMES * LIMIT)
            size = path.stat().st_size
            code, said, seconds, peak = limited(GOVERN, path)
            runs = {
                "rows": rows,
                "file_mb": size / 1e6,
                "limit_mb": LIMIT / 1e6,
                "seconds": seconds,
                "exit": code,
                "said": said,
            }
            whole = limited(WHOLE, path)[0] if name == "csv" else None
            more = {"baseline": "pyarrow.csv.read_csv, exit code", "baseline_value": whole} if name == "csv" else {}
            value = peak / size if code == 0 else float("inf")
            report(
                f"peak_memory_of_{name}_over_file_size", value, "share", bar=0.2, higher=False, runs=runs, ratio=None, **more
            )
            path.unlink()


def write(path: Path, size: int) -> int:
    """A file of so many bytes; how many rows it has."""
    rng = np.random.default_rng(0)
    words = np.array(
        ["parcel", "refund", "order", "late", "please", "card", "where", "money", "today", "account", "login", "help"]
    )
    labels = np.array(["cancel", "status", "refund", "other"])[rng.integers(4, size=ROWS)]
    texts = [" ".join(row) for row in words[rng.integers(len(words), size=(ROWS, 12))]]
    done, schema = 0, pa.schema([("id", pa.int64()), ("text", pa.string()), ("label", pa.string())])
    writer = pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) if path.suffix == ".parquet" else None
    with path.open("ab") as file:
        if path.suffix == ".csv":
            file.write(b"id,text,label\n")
        while path.stat().st_size < size:
            numbers = np.arange(done, done + ROWS)
            marked = [f"{text} {number}" for text, number in zip(texts, numbers, strict=True)]
            if writer is not None:
                writer.write_table(pa.table({"id": numbers, "text": marked, "label": labels}, schema))
            else:
                rows = zip(numbers.tolist(), marked, labels.tolist(), strict=True)
                csv = path.suffix == ".csv"
                lines = (f"{i},{t},{x}\n" if csv else json.dumps({"id": i, "text": t, "label": x}) + "\n" for i, t, x in rows)
                file.write("".join(lines).encode())
                file.flush()
            done += ROWS
    if writer is not None:
        writer.close()
    return done


def limited(code: str, path: Path) -> tuple[int, str, float, float]:
    """Run a line of Python under the limit: exit code, what it said, seconds, peak resident bytes."""
    environment = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(path)],
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT)),
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read().strip().splitlines()[-1:]
    return process.returncode, " ".join(said)[:300], time.perf_counter() - start, usage.ru_maxrss * 1024


if __name__ == "__main__":
    main()
