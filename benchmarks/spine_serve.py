"""Serving banking77 test texts to 32 clients at once, beside plain FastAPI with a transformers pipeline; and the model alone.

The peer answers with the same tuned weights in fp32: one text a request, in FastAPI's thread pool, with one torch thread or as
many as there are cores, whichever serves more. Servers and load generator share the machine. p99 is taken at 70 % of the
capacity measured in the same run, in an open loop, counted from when a request was due. The model alone answers batches of 64
texts of like length on one core; only real tokens are counted. Five runs; medians, and all of them in `runs`.
"""

from __future__ import annotations

import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from _report import HERE, cached, report, source

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve() / "intent-banking77"
HOME = HERE / ".cache" / f"serve-{source()[:12]}"
RUNS, CLIENTS, SECONDS, LOAD = 5, 32, 10.0, 0.7
START_SECONDS = 120
OURS = """
import sys
from savile import serving
from savile.base.store import Store
serving.serve(Store.open().load(sys.argv[1]), port=int(sys.argv[2]), keys=False)
"""


def main() -> None:
    prepared()
    runs = [cached({"benchmark": "serve", "run": number}, lambda number=number: one(number)) for number in range(RUNS)]

    def every(*path: str) -> list[float]:
        return [found[path[0]] if len(path) == 1 else found[path[0]][path[1]] for found in runs]

    middle = statistics.median
    ours, theirs = every("ours", "rate"), every("theirs", "rate")
    ratio = middle(mine / peer for mine, peer in zip(ours, theirs, strict=True))
    peer = {"baseline": "FastAPI, transformers pipeline, fp32", "seeds": RUNS}
    report(
        "serve_requests", middle(ours), "requests/s", baseline_value=middle(theirs), ratio=ratio, runs=[ours, theirs], **peer
    )
    report("serve_requests_ratio", ratio, "times", bar=5.0, seeds=RUNS)
    p99 = every("at_load", "p99")
    report("serve_p99_at_70_percent", middle(p99), "ms", bar=80.0, higher=False, seeds=RUNS, runs=p99)
    fast, slow = every("tokens"), every("torch_tokens")
    ratio = middle(mine / peer for mine, peer in zip(fast, slow, strict=True))
    torch = {"baseline": "torch fp32", "baseline_value": middle(slow), "ratio": ratio, "seeds": RUNS}
    report("model_tokens", middle(fast), "real tokens/s and core", runs=[fast, slow], **torch)
    report("model_tokens_ratio", ratio, "times", bar=4.0, seeds=RUNS)


def one(number: int) -> dict[str, Any]:
    """One run: the model alone, our server full and at 70 %, the peer full."""
    found: dict[str, Any] = json.loads(_python("--model", number))
    texts, ref = _texts(number), (HOME / "release").read_text()
    with _server([sys.executable, "-c", OURS, ref], "/healthz") as url:
        _load(url, "/v1/classify", "closed", CLIENTS, SECONDS / 2, texts)
        found["ours"] = _load(url, "/v1/classify", "closed", CLIENTS, SECONDS, texts)
        found["at_load"] = _load(url, "/v1/classify", "open", LOAD * found["ours"]["rate"], SECONDS, texts)
    peers = []
    for threads in (1, os.cpu_count() or 1):
        with _server([sys.executable, str(HERE / "_peer.py"), str(threads)], "/openapi.json") as url:
            _load(url, "/classify", "closed", CLIENTS, SECONDS / 2, texts)
            peers.append({**_load(url, "/classify", "closed", CLIENTS, SECONDS, texts), "threads": threads})
    found["theirs"] = max(peers, key=lambda peer: float(peer["rate"]))
    print(json.dumps(found), file=sys.stderr)
    return found


def prepared() -> None:
    """A tuned, compressed, released model in a home of its own; made once."""
    os.environ["SAVILE_HOME"] = str(HOME)
    if (HOME / "release").exists():
        return
    from savile import data, serving
    from savile.adaptation import adapt
    from savile.compression import compress
    from savile.evaluation import evaluate

    rows = data.govern(SAMPLES / "train.csv.gz", test=SAMPLES / "test.csv")
    model = compress(adapt(rows, method="full"), rows)
    served = model.facts["served"]
    print(served["why"], file=sys.stderr)
    found = evaluate(model, rows, served["form"], served["engine"], {"floor": 0.9})
    release = serving.release(model, served["form"], served["engine"], found, rows, "benchmark")
    (HOME / "release").write_text(release.ref)


def alone(number: int) -> dict[str, float]:
    """Real tokens a second and core of the served form and of torch in fp32, model only."""
    from savile.base.store import Store
    from savile.compression import _measure
    from savile.models import Predictor

    release = Store.open().load((HOME / "release").read_text())
    model, texts = Store.open().load(release.model), _texts(number)
    predictor = Predictor(model, release.form, release.engine, threads=1)
    ours = _measure.tokens_per_second(predictor._run, predictor.tokens(texts))
    return {"tokens": ours, "torch_tokens": _measure.trained_tokens_per_second(model, "torch", texts)}


def _texts(seed: int) -> list[str]:
    import csv

    with (SAMPLES / "test.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    random.Random(seed).shuffle(texts)
    return texts


@contextmanager
def _server(command: list[str], health: str) -> Iterator[str]:
    """A server of its own process, once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen([*command, str(port)], stdout=sys.stderr) as process:
        try:
            end = time.monotonic() + START_SECONDS
            while not _answers(url + health):
                assert process.poll() is None, "the server ended"
                assert time.monotonic() < end, "the server does not answer"
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()
            process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _load(url: str, path: str, kind: str, amount: float, seconds: float, texts: list[str]) -> dict[str, float]:
    command = [sys.executable, str(HERE / "_load.py"), url, path, kind, str(amount), str(seconds)]
    done = subprocess.run(command, input=json.dumps(texts), stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _python(*arguments: Any) -> str:
    """This file again, in a process of its own."""
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    os.environ["SAVILE_HOME"] = str(HOME)
    if sys.argv[1:2] == ["--model"]:
        print(json.dumps(alone(int(sys.argv[2]))))
    else:
        main()
