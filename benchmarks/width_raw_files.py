"""`savile run` on copies of 20 raw files: no option but the label column and a budget of 1.5 minutes; a verdict or a refusal.

Every run is a process of its own with a home of its own. What it planned (`--dry-run`), what it came to, the seconds and the
peak memory it really took are kept as one JSON file a run under ``.cache/width_raw_files``, for `width_plan`. A run that is
there for this source code is not repeated.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from _report import HERE, report, source

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data"))
RUNS = HERE / ".cache" / "width_raw_files"
MINUTES = 1.5
FILES = {
    "intent-banking77/train.csv.gz": "category",
    "intent-bitext/train.csv.gz": "intent",
    "intent-clinc150/data_full.json.gz": None,
    "fin-phrasebank/phrasebank.csv.gz": "label",
    "fin-twitter/train.csv.gz": "label",
    "fin-fiqa/FiQA_post.json": "info",
    "fin-zh-news/titles_7046.csv.gz": "label",
    "zh-reviews/waimai_10k.csv.gz": "label",
    "zh-reviews/ChnSentiCorp_htl_all.csv.gz": "label",
    "zh-tnews/dev.jsonl.gz": "label",
    "zh-fewclue/eprstmt_test_public.jsonl": "label",
    "feedback-airline/airline_tweets.csv.gz": "airline_sentiment",
    "feedback-clothing/reviews_sample.csv.gz": "Rating",
    "labels-chaosnli/chaosNLI_snli.jsonl.gz": "majority_label",
    "credit-german/german.csv": "target",
    "credit-taiwan/taiwan_default.csv.gz": "default",
    "credit-heloc/heloc.csv.gz": "RiskPerformance",
    "churn-telco/telco_churn.csv.gz": "Churn",
    "retail-walmart/walmart_weekly.csv.gz": "Weekly_Sales",
    "gpu-philly/philly_jobs.csv.gz": "cluster",
}
VERDICTS = ("better", "not_proven", "worse", "refused")


def main() -> None:
    runs = {name: kept(name, label) for name, label in FILES.items()}
    for name, run in runs.items():
        print(f"{name:45} {told(run)}", file=sys.stderr)
    clear = sum(is_clear(run) for run in runs.values())
    outcomes = {name: told(run) for name, run in runs.items()}
    report("raw_files_answered", clear, "of 20 runs", bar=len(FILES), higher=True, runs=outcomes)
    verdicts = sum("verdict" in run["answer"] for run in runs.values())
    report("raw_files_with_a_verdict", verdicts, "of 20 runs")


def kept(name: str, label: str | None) -> dict[str, Any]:
    """The run of one file, done now or before with this source code."""
    path = RUNS / f"{name.replace('/', '--')}.json"
    if path.exists():
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if known["source"] == source():
            return known
    run = measured(name, label)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(run, ensure_ascii=False, indent=1), encoding="utf-8")
    return run


def measured(name: str, label: str | None) -> dict[str, Any]:
    """Copy a file, plan the run, run it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / Path(name).name
        shutil.copy(SAMPLES / name, copy)
        arguments = ["run", str(copy), "--set", f"adapt.budget.minutes={MINUTES}"]
        arguments += [] if label is None else ["--label", label]
        planned = command([*arguments, "--dry-run"], folder)
        ran = command(arguments, folder)
    plan = planned["answer"].get("plan")
    return {
        "file": name,
        "label": label,
        "minutes": MINUTES,
        "plan": plan,
        "planned_in": planned["seconds"],
        **ran,
        "source": source(),
    }


def command(arguments: list[str], folder: str) -> dict[str, Any]:
    """One `savile` process: exit code, the JSON it answered, wall-clock seconds, peak memory, the end of its messages."""
    environment = {**os.environ, "SAVILE_HOME": f"{folder}/home", "COLUMNS": "400"}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "savile.cli", *arguments, "--json"], stdout=out, stderr=err, env=environment, text=True
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        texts = [file.seek(0) or file.read() for file in (out, err)]
    lines = texts[0].splitlines()
    answer = json.loads(lines[-1]) if len(lines) == 1 else {}
    messages = [line for line in texts[1].splitlines() if not line.startswith("{")]
    return {
        **{"exit": process.returncode, "answer": answer, "seconds": seconds, "peak_rss_mb": usage.ru_maxrss * 1024 / 1e6},
        "messages": messages[-12:],
    }


def is_clear(run: dict[str, Any]) -> bool:
    """A verdict with the exit code that belongs to it, or a refusal in one sentence and no traceback."""
    answer, code = run["answer"], run["exit"]
    if answer.get("verdict") in VERDICTS:
        return code == (3 if answer["verdict"] == "refused" else 0)
    error = answer.get("error", {})
    said = all(error.get(part) for part in ("code", "wanted", "received", "do"))
    return said and code in (2, 3, 4) and not any("Traceback" in line for line in run["messages"])


def told(run: dict[str, Any]) -> str:
    answer = run["answer"]
    took = f"{run['seconds']:.0f} s, {run['peak_rss_mb']:.0f} MB"
    if answer.get("verdict"):
        metric, first = next(iter(answer["metrics"].items()))
        return f"{answer['verdict']}, {metric} {first['value']:.3f} ({took})"
    error = answer.get("error", {"code": "no answer", "received": " ".join(run["messages"][-2:])})
    return f"exit {run['exit']}, {error['code']}: {error['received'][:90]} ({took})"


if __name__ == "__main__":
    main()
