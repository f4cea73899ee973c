"""kill -9 at 50 random moments of training: acknowledged records lost, and runs whose weights differ from an undisturbed one's.

Each run trains the same tiny encoder; it is killed five times on its way, at a random number of milliseconds after it began to
train, and then left in peace. Kills while records are written and promoted are the benchmark `spine_kill_store`.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from _report import report
from savile.base.store import Store
from savile.testing import tiny_encoder

ENDS = {"train": (0, 240), "valid": (240, 270), "calib": (270, 300), "test": (0, 0)}
RUNS, KILLS = 10, 5
WORDS = ("card stolen blocked pin", "parcel order late courier", "money refund charged twice")
SCRIPT = """
import numpy as np, pyarrow as pa, torch
torch.set_num_threads(1)
from savile.adaptation import adapt
from savile.base.events import listening
from savile.base.records import Dataset

rng, words = np.random.default_rng(0), {words!r}
targets = np.arange(300) % 3
texts = [" ".join(rng.choice(words[i].split(), 3)) for i in targets]
table = pa.table({{"text": texts, "label": [f"class {{i}}" for i in targets]}})
parts = {{name: np.arange(*ends) for name, ends in {ends!r}.items()}}
data = Dataset(table, {{"text": "text", "label": "label"}}, parts, labels=("class 0", "class 1", "class 2"))

def tell(event):
    if event.kind == "progress":
        print(event.facts["done"], flush=True)

with listening(tell):
    settings = dict(epochs=10, learning_rate=3e-3, batch_rows=8, checkpoint_seconds=0.0)
    print(adapt(data, {base!r}, "full", settings=settings).ref, flush=True)
"""


def main() -> None:
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "base").mkdir()
        base = tiny_encoder(Path(folder) / "base", WORDS)
        start(base, Path(folder) / "peace").communicate()
        expected = weights(Path(folder) / "peace")
        lost = differing = landed = 0
        for number in range(RUNS):
            home = Path(folder) / f"war-{number}"
            for _ in range(KILLS):
                landed += kill(start(base, home), rng)
            start(base, home).communicate()
            differing += weights(home) != expected
            lost += faults(home)
            print(f"run {number + 1} of {RUNS}: {landed} kills landed", file=sys.stderr)
    seeds = [0]
    report("kill_training_records_lost", lost, "records", bar=0, higher=False, seeds=seeds, runs={"kills": landed})
    report("kill_training_weights_differ", differing, "runs", bar=0, higher=False, seeds=seeds, runs={"kills": landed})


def start(base: Path, home: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "SAVILE_HOME": str(home), "OMP_NUM_THREADS": "1"}
    script = SCRIPT.format(words=WORDS, ends=ENDS, base=str(base))
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment)


def kill(process: subprocess.Popen[str], rng: random.Random) -> bool:
    """Kill at a random moment after the first step; whether it was still at work."""
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(rng.uniform(0.0, 0.4))
    running = process.poll() is None
    process.kill()
    process.communicate()
    return running


def weights(home: Path) -> dict[str, str]:
    """File of the trained form -> its blob's name, which is its SHA-256."""
    (record,) = Store(home).list("model")
    forms = Store(home).load(record["ref"]).forms["torch"]
    return {name: Path(str(path)).name for name, path in forms.items()}


def faults(home: Path) -> int:
    """Records that do not verify, lines of the audit log that are wrong, checkpoints left behind."""
    store = Store(home)
    for record in store.list():
        store.verify(record["ref"])
    return len(store.audit.verify()) + len(list((home / "training").iterdir()))


if __name__ == "__main__":
    main()
