"""Tide, live on Ray on this machine: how many seconds after a step of the load all replicas that it needs answer.

Real: processes, HTTP, waiting. Servers keep each request for 0.1 s, so replicas are worth what they cost; three fit. The load
steps from 2 to 25 requests a second, which two cannot answer; seconds are counted by the caller, from the step to the first
answer of the third replica. Training that holds the other cores gives way.
"""

import socket
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from _report import report

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "scheduling"))
import test_live
import test_live_tide
from test_live_tide import Asking, Server

from savile.base.work import Job, Node, Pod
from savile.scheduling import RayBackend, policy, run
from savile.scheduling._ray import cluster

RUNS, BEFORE, AFTER = 3, (6.0, 2.0), (20.0, 25.0)
NODES = (Node("a", "here", 4000, 4096),)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def step(folder):
    port = free_port()
    web = Job("web", Pod(1000, 256), 0.0, 45.0, pods=1, most=3, kind="serve", slo_ms=200.0)
    train = Job("train", Pod(2000, 256), 0.5, 20.0, kind="train")
    backend = RayBackend([(web, Server(port)), (train, test_live.Steps(400, 0.02))], NODES, folder, load_s=1.0)
    asking = Asking(port, [BEFORE, AFTER])
    asking.start()
    found = run(policy("tide", short_s=3.0), backend)
    asking.join()
    came = sorted((when, said.rpartition(" ")[2], float(text.split()[1])) for text, said, when in asking.answers)
    at = min(due for *_, due in came) + BEFORE[0]
    first = {}
    for when, rank, _ in came:
        first.setdefault(rank, when)
    third = first.get("2", np.inf) - at
    late = [when - due > 0.3 + 0.1 for when, _, due in came if due >= at + 10.0]  # answered in 0.1 s after a wait of 0.2 s
    failed = sum(not said.startswith(text) for text, said, _ in asking.answers)
    finished = sum(how == "finished" for _, how in found.kernel.ended.values())
    return {"third": third, "late": float(np.mean(late)), "failed": failed, "finished": finished, "asked": len(came)}


def main():
    with cluster(NODES) as ray, TemporaryDirectory() as folder:
        for module in (test_live, test_live_tide):
            ray.cloudpickle.register_pickle_by_value(module)
        runs = [step(Path(folder) / str(i)) for i in range(RUNS)]
    print(runs, file=sys.stderr)
    third = [round(one["third"], 2) for one in runs]
    what = "tide, live: seconds from a step of the load to the first answer of the third replica"
    report(what, float(np.median(third)), "s", 30.0, higher=False, seeds=RUNS, runs=third)
    failed, asked = (sum(one[key] for one in runs) for key in ("failed", "asked"))
    report(
        f"tide, live: requests of {asked} that failed while replicas came and went", failed, "", 0.0, higher=False, seeds=RUNS
    )
    late = [round(one["late"], 4) for one in runs]
    report("tide, live: requests late, from 10 s after the step on", float(np.median(late)), "share", 0.01, higher=False,
           seeds=RUNS, runs=late)  # fmt: skip
    report(
        "tide, live: jobs that finished, training that gave way among them", min(one["finished"] for one in runs), "jobs", 2.0
    )


if __name__ == "__main__":
    main()
