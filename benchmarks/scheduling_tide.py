"""Tide: a service that follows its load against a fixed fleet, on requests for generated images (LoRA trace, 2026).

Replayed: when requests came and how many device seconds each took. Modelled: waiting and replicas (the simulator), 20 s until a
new replica is of use, a promise that 99 of 100 requests wait at most 30 s, 24 devices. Settings were chosen on the first
fourteen days; figures are of the last nine. Also the trace ten times as dense (modelled), where a fleet is worth more; how long
a step in the load takes to be followed; and training jobs that live on what is lent.
"""

import os
from pathlib import Path

import numpy as np

from _report import cached, report
from savile.base.work import Device, Job, Node, Pod
from savile.scheduling import Requests, SimBackend, World, run, tide, traces

FOLDER = Path(os.environ["SAVILE_DATA"]) / "gpu-lora-requests"
DAY_S, SPLIT, LAST = 86_400.0, 14, 23
SLO_MS, READY_S, DENSE = 30_000.0, 20.0, 10
KEEP = ("requests", "requests_in_time", "target_kept", "replica_h", "request_wait_p99_s")
STEP = (600.0, 1.0, 8.0)  # when, and requests of a second's work a second before and after


def asked(dense):
    """The last nine days of the trace; every request `dense` times, each within half an hour of when it came."""
    jobs = traces.lora_requests(FOLDER)
    at, busy = np.array([job.release_s for job in jobs]), np.array([job.work_s for job in jobs])
    at -= at[0] // DAY_S * DAY_S
    later = (at >= SPLIT * DAY_S) & (at < LAST * DAY_S)
    at, busy = at[later] - SPLIT * DAY_S, busy[later]
    if dense == 1:
        return Requests(at, busy)
    many = (at + np.random.default_rng(0).uniform(-1_800, 1_800, (dense, len(at)))).ravel()
    order = np.argsort(many, kind="stable")
    return Requests(many[order], np.tile(busy, dense)[order])


def world(dense, least, most, devices, training=0):
    length = (LAST - SPLIT) * DAY_S
    device = Device("d", idle_w=50, peak_w=300)
    service = Job(
        "images", Pod(1000, 4096, 1000), 0.0, length, least, most, kind="serve", slo_ms=SLO_MS, restart_s=READY_S
    )  # fmt: skip
    rng = np.random.default_rng(1)
    jobs = [
        Job(f"train{i}", Pod(1000, 4096, 1000), float(rng.uniform(0, length / 2)), float(rng.lognormal(9.5, 0.5)), kind="train",
            ckpt_s=20.0, restart_s=30.0)
        for i in range(training)
    ]  # fmt: skip
    node = Node("n", "here", 1000 * devices, 4096 * devices, device, devices)
    return World((node,), (service, *jobs), requests={"images": asked(dense)})


def follow(dense, devices, training=0):
    found = run("tide", SimBackend(world(dense, 1, devices, devices, training)))
    own = found.kernel.numbers["images"]
    trained = sum(s.end - s.start for s in found.kernel.ledger.spells if s.job != own) / 3600
    keep = {name: found.figures[name] for name in KEEP}
    return {**keep, "lent_h": trained, "preempted": found.kernel.preempted, "finished": found.figures["finished"]}


def fixed(dense, replicas):
    found = run("best_fit", SimBackend(world(dense, replicas, replicas, replicas), load_s=3_600.0))
    return {name: found.figures[name] for name in KEEP}


def peak(dense, kept, devices):
    """The smallest fixed fleet that keeps the promise for at least that share of the time."""
    low, high = 1, devices
    while low < high:
        middle = (low + high) // 2
        reached = cached({"benchmark": "tide fixed", "dense": dense, "n": middle}, lambda n=middle: fixed(dense, n))
        low, high = (low, middle) if reached["target_kept"] >= kept else (middle + 1, high)
    return low, cached({"benchmark": "tide fixed", "dense": dense, "n": low}, lambda: fixed(dense, low))


def reaction(seed):
    """Seconds from a step of the load until as many replicas answer as the rule wants for it."""
    rng, (when, before, after) = np.random.default_rng(seed), STEP
    at = np.concatenate([np.sort(rng.uniform(a, b, rng.poisson((b - a) * r))) for a, b, r in
                         ((0, when, before), (when, 2 * when, after))])  # fmt: skip
    node = Node("n", "here", 64_000, 65_536, Device("d"), 24)
    service = Job("s", Pod(1000, 1024, 1000), 0.0, 2 * when, 1, 24, kind="serve", slo_ms=1_000.0, restart_s=2.0)
    found = run(
        "tide", SimBackend(World((node,), (service,), requests={"s": Requests(at, rng.exponential(1.0, len(at)))}), load_s=1.0)
    )
    need = tide.servers(after, 1.0, 1.0)
    rise = min((s.start for s in found.kernel.ledger.spells if s.start >= when and len(s.places) >= need), default=np.inf)
    return {"seconds": rise + 2.0 - when}


def main():
    for dense, devices in ((1, 24), (DENSE, 120)):
        what = "as it was" if dense == 1 else f"{DENSE} times as dense"
        found = cached({"benchmark": "tide", "dense": dense}, lambda d=dense, n=devices: follow(d, n))
        low, fleet = peak(dense, found["target_kept"], devices)
        report(f"tide, LoRA requests {what}: share of the time that the promise was kept", found["target_kept"], "share", 0.95,
               baseline=f"fixed fleet of {low}", baseline_value=fleet["target_kept"])  # fmt: skip
        report(f"tide, LoRA requests {what}: requests taken in time", found["requests_in_time"], "share", 0.99,
               baseline=f"fixed fleet of {low}", baseline_value=fleet["requests_in_time"])  # fmt: skip
        report(f"tide, LoRA requests {what}: replica hours", round(found["replica_h"], 1), "h", fleet["replica_h"],
               higher=False, baseline=f"smallest fixed fleet that keeps it as often, {low}",
               baseline_value=fleet["replica_h"])  # fmt: skip
    lent = cached({"benchmark": "tide", "training": 200}, lambda: follow(1, 24, 200))
    report("tide, LoRA requests as they were, beside 200 training jobs: share of the time that the promise was kept",
           lent["target_kept"], "share", 0.95)  # fmt: skip
    report(f"tide: device hours lent to training, {lent['preempted']} times taken back", round(lent["lent_h"], 1), "h")
    steps = [cached({"benchmark": "tide step", "seed": s}, lambda s=s: reaction(s))["seconds"] for s in range(10)]
    report("tide: a load that steps to eight times is followed within, 2 s of them until a replica is ready",
           float(np.median(steps)), "s", 30.0, higher=False, seeds=len(steps), runs=steps)  # fmt: skip


if __name__ == "__main__":
    main()
