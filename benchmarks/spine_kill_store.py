"""kill -9 at random moments of writing records and moving an alias: what was acknowledged must be there, whole.

A writer stores records with two files, moves ``champion`` to each and appends to the audit log, saying so on stdout after each
act. It is killed at a random moment; then everything it acknowledged is read back and held against its digests.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from savile.base.errors import SavileError
from savile.base.store import Store

KILLS = 50
WRITER = """
import os, sys
from pathlib import Path
from savile.base.records import Entry
from savile.base.store import Store

store = Store.open(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    noise = os.urandom(8)
    entry = store.put(Entry("model", {"noise": noise.hex()}, files={"small": noise, "large": noise * 100_000}))
    print("put", entry.ref, flush=True)
    store.remember(noise.hex(), entry.ref)
    print("remember", noise.hex(), flush=True)
    store.alias("champion", entry.ref)
    print("alias", entry.ref, flush=True)
    print("append", store.audit.append("promote", entry.ref), flush=True)
"""


def main() -> None:
    from _report import report

    rng, acts, bad = random.Random(0), 0, []
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "home")
        for _ in range(KILLS):
            said = killed_writer(store.home, rng.uniform(0.0, 0.6))
            acts += len(said)
            bad += lost(store, said)
    for problem in bad:
        print(problem, file=sys.stderr)
    report("store_kill_9_acknowledged_lost", len(bad), "records", bar=0, higher=False, seeds=KILLS)
    report("store_kill_9_acknowledged", acts, "acts", seeds=KILLS)


def killed_writer(home: Path, seconds: float) -> list[str]:
    """Let a writer work for so long, kill it, and give the acts it acknowledged: every line that is whole."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(home)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    time.sleep(seconds)
    writer.kill()
    return [line.strip() for line in writer.communicate()[0].splitlines(keepends=True) if line.endswith("\n")]


def lost(store: Store, acknowledged: Iterable[str]) -> list[str]:
    """What a killed writer acknowledged and is not there, and whatever else is not whole."""
    problems, last = [], {"alias": "", "append": "0"}
    for line in acknowledged:
        act, _, subject = line.partition(" ")
        last[act] = subject
        if act == "remember" and store.recall(subject) is None:
            problems.append(f"{subject} was remembered and is forgotten")
        if act == "put":
            problems += _broken(store, subject)
    for row in store.list():
        problems += _broken(store, row["ref"])
    champion = store.aliases().get("champion", "")
    if last["alias"] and _age(store, champion) < _age(store, last["alias"]):
        problems.append(f"champion is {champion}, older than {last['alias']}")
    if champion:
        problems += _broken(store, champion)
    if store.exists and store.audit.state().count < int(last["append"]):
        problems.append(f"the audit log ends before act {last['append']}")
    return problems + store.audit.verify()


def _broken(store: Store, ref: str) -> list[str]:
    try:
        store.verify(ref)
    except SavileError as error:
        return [str(error)]
    return []


def _age(store: Store, ref: str) -> str:
    return next((row["created"] for row in store.list() if row["ref"] == ref), "")


if __name__ == "__main__":
    main()
