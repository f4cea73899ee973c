"""500 corrected records become what serves: how long it takes, what it gains, what it costs, and whether anybody notices.

banking77. The model that serves was trained on 40 rows a label, but of ten labels, drawn by the seed, on three: that is what it
is weak at. People correct 500 records of those ten (50 a label, none of them seen); ``savile improve`` makes the update, tests
it beside the old model and puts it in place, while a server that follows ``champion`` answers one client without a pause.
Accuracy is asked of the server itself, before and after, on the published test rows: of the ten labels, and of all others.

    python benchmarks/adaptation_event_update.py [SEED …]
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from _report import cached, report

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve() / "intent-banking77"
SLICE, ROWS, WEAK, CORRECTED = 10, 40, 3, 50
SWAP_SECONDS, START_SECONDS = 60.0, 120.0
MINUTES = 3  # in which the model to be corrected is made
ASKED = 128  # texts a request

Rows = list[tuple[str, str]]


def main() -> None:
    seeds = [int(word) for word in sys.argv[1:]] or [0]
    runs = [cached({"benchmark": "event_update", "seed": seed}, lambda seed=seed: update(seed)) for seed in seeds]

    def mean(name: str) -> float:
        return float(np.mean([run[name] for run in runs]))

    more: dict[str, Any] = {"seeds": len(seeds), "runs": runs}
    report("event_update_seconds", max(run["seconds"] for run in runs), "s", bar=180.0, higher=False, **more)
    report("event_update_new_slice", mean("new") - mean("new_before"), "points", bar=5.0, seeds=len(seeds))
    report("event_update_old_rows", mean("old") - mean("old_before"), "points", bar=-1.0, seeds=len(seeds))
    failed = sum(run["failed"] for run in runs)
    report("event_update_unanswered", failed, f"of {sum(run['asked'] for run in runs)} requests", bar=0, higher=False)


def update(seed: int) -> dict[str, Any]:
    """One update of one server."""
    train, test = rows("train"), rows("test")
    rng = np.random.default_rng(seed)
    labels = sorted({label for _, label in train})
    weak = {labels[i] for i in rng.permutation(len(labels))[:SLICE]}
    first: Rows = []
    fixes: Rows = []
    for label in labels:
        own = [row for row in train if row[1] == label]
        own = [own[i] for i in rng.permutation(len(own))]
        first += own[: WEAK if label in weak else ROWS]
        fixes += own[WEAK : WEAK + CORRECTED] if label in weak else []
    asked = {"old": [row for row in test if row[1] not in weak], "new": [row for row in test if row[1] in weak]}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SAVILE_HOME"] = f"{folder}/home"
        written(f"{folder}/base.csv", first)
        written(f"{folder}/fixes.csv", fixes)
        start = ["--set", "adapt.method=full", "--set", f"adapt.budget.minutes={MINUTES}"]
        savile("run", f"{folder}/base.csv", "--label", "category", *start)
        with server() as url, Client(url, [text for text, _ in test]) as client:
            before = {name: accuracy(url, part) for name, part in asked.items()}
            old, started = client.release, time.perf_counter()
            said = savile("improve", f"{folder}/fixes.csv")
            seconds = time.perf_counter() - started
            end = time.perf_counter() + SWAP_SECONDS
            while client.release == old and said["release"] and time.perf_counter() < end:
                time.sleep(0.05)
            swapped = time.perf_counter() - started
            after = {name: accuracy(url, part) for name, part in asked.items()}
            assert client.release != old or not said["release"], "the server still answers with the old release"
    found = {"seconds": seconds, "swapped_after": swapped, "corrections": len(fixes), "verdict": said["verdict"]}
    found |= {**after, **{f"{name}_before": value for name, value in before.items()}}
    return {**found, "asked": client.asked, "failed": client.failed, "releases_seen": len(client.releases)}


class Client(threading.Thread):
    """Asks one text after the other until the end, and counts what is not answered."""

    def __init__(self, url: str, texts: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self.url, self.texts = url, texts
        self.asked = self.failed = 0
        self.release, self.releases = "", set[str]()
        self.over = threading.Event()

    def run(self) -> None:
        """Ask until it is over."""
        while not self.over.wait(0.02):
            text = self.texts[self.asked % len(self.texts)]
            self.asked += 1
            try:
                self.release = ask(self.url, [text])[0]["release"]
                self.releases.add(self.release)
            except OSError:
                self.failed += 1

    def __enter__(self) -> Client:
        self.start()
        while not self.release and self.is_alive():
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()


def ask(url: str, texts: Sequence[str]) -> list[dict[str, Any]]:
    """The answers to some texts."""
    body = json.dumps({"texts": texts}).encode()
    request = urllib.request.Request(f"{url}/v1/classify", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: list[dict[str, Any]] = json.loads(answer.read())["answers"]
    return found


def accuracy(url: str, part: Rows) -> float:
    """Percent of a part's rows that the server answers right."""
    right = 0
    for start in range(0, len(part), ASKED):
        some = part[start : start + ASKED]
        said = ask(url, [text for text, _ in some])
        right += sum(one["label"] == label for one, (_, label) in zip(said, some, strict=True))
    return 100 * right / len(part)


@contextmanager
def server() -> Iterator[str]:
    """`savile serve champion`, once it is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "savile.cli", "serve", "champion", "--port", str(port), "--keys", "none"]
    with subprocess.Popen(command, stdout=sys.stderr) as process:
        try:
            end = time.monotonic() + START_SECONDS
            while True:
                assert process.poll() is None, "the server ended"
                assert time.monotonic() < end, "the server does not answer"
                try:
                    ask(f"http://127.0.0.1:{port}", ["hello"])
                    break
                except OSError:
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def savile(*words: str) -> dict[str, Any]:
    """One command, and the JSON it answered."""
    done = subprocess.run(
        [sys.executable, "-m", "savile.cli", *words, "--json"], stdout=subprocess.PIPE, text=True, check=False
    )
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode in (0, 3), found
    return found


def rows(part: str) -> Rows:
    path = SAMPLES / f"{part}.csv"
    with path.open(encoding="utf-8") if path.exists() else gzip.open(f"{path}.gz", "rt", encoding="utf-8") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


def written(path: str, some: Rows) -> None:
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "category"), *some])


if __name__ == "__main__":
    main()
