"""H3, H4, H5: a replay of 100,000 jobs on 1,000 nodes; rounds of minimum-cost flow; max-min programs; each against HiGHS where
there is an optimum to equal. Processor seconds of one thread.
"""

import time

import numpy as np

from _report import cached, report
from savile.base.work import Device, Job, Node, Pod
from savile.scheduling import SimBackend, World, _flows, max_min, policy, run

JOBS, NODES, LOAD = 100_000, 1_000, 0.9


def crowd(seed):
    """Gangs, shares and whole devices, log-normal times, arriving so that 90 % of the devices are wanted."""
    rng, device = np.random.default_rng(seed), Device("d", idle_w=50, peak_w=300)
    nodes = tuple(Node(f"n{i}", "r", 96_000, 393_216, device, 8) for i in range(NODES))
    sizes = rng.choice([0, 250, 500, 1000, 2000, 4000, 8000], JOBS, p=[0.1, 0.15, 0.1, 0.4, 0.1, 0.1, 0.05])
    work = rng.lognormal(7, 1.5, JOBS)
    span = float((sizes / 1000 * work).sum()) / (8 * NODES * LOAD)
    release = np.sort(rng.random(JOBS)) * span
    pods = [Pod(max(1, int(s) // 1000) * 4000, 8192, int(s)) for s in sizes]
    return World(nodes, tuple(Job(f"j{i}", pods[i], float(release[i]), float(work[i])) for i in range(JOBS)))


def replay(name, seed):
    there = crowd(seed)
    started = time.process_time()
    outcome = run(policy(name), SimBackend(there))
    return {"seconds": time.process_time() - started, **outcome.figures}


def flow_round(tasks, servers=1_213, arcs=16, seed=0):
    """Every task its own source, with `arcs` servers it may go to, or waiting."""
    rng = np.random.default_rng(seed)
    heads = tasks + rng.integers(0, servers, (tasks, arcs))
    sink = tasks + servers
    tails = np.concatenate([np.repeat(np.arange(tasks), arcs), np.arange(tasks), tasks + np.arange(servers)])
    ends = np.concatenate([heads.ravel(), np.full(tasks, sink), np.full(servers, sink)])
    capacity = np.concatenate([np.ones(tasks * arcs + tasks, dtype=int), np.full(servers, tasks // servers + 1)])
    cost = np.concatenate([rng.random(tasks * arcs), np.full(tasks, 1.5), np.zeros(servers)])
    supply = np.zeros(sink + 1, dtype=int)
    supply[:tasks], supply[sink] = 1, -tasks
    return _flows.Network(tails, ends, capacity, _flows.scaled(cost), supply)


def timed(act, times=3):
    best, found = float("inf"), None
    for _ in range(times):
        started = time.process_time()
        found = act()
        best = min(best, time.process_time() - started)
    return best, found


def measure_flow(tasks):
    network = flow_round(tasks)
    seconds, (_, cost) = timed(lambda: _flows.solve(network))
    return {"seconds": seconds, "cost": cost, "lp": _flows.relaxed(network) if tasks <= 10_000 else None}


def measure_lp(jobs, types=6):
    rng = np.random.default_rng(0)
    throughput, size = rng.uniform(0.2, 3.0, (jobs, types)), rng.choice([1.0, 2.0, 4.0, 8.0], jobs)
    devices = np.full(types, jobs / 4)
    seconds, (_, smallest) = timed(lambda: max_min.shares(throughput, size, devices), 2)
    return {"seconds": seconds, "objective": smallest, "simplex": simplex(throughput, size, devices) if jobs <= 256 else None}


def simplex(throughput, size, devices):
    """The same optimum, written down densely and solved by dual simplex."""
    from scipy.optimize import linprog

    m, a = throughput.shape
    equal = devices / m / max(1.0, devices.sum() / m)
    relative = throughput / (throughput @ equal)[:, None]
    rows = [np.append(-np.kron(np.eye(m)[i], relative[i]), 1.0) for i in range(m)]
    rows += [np.append(np.kron(np.eye(m)[i], np.ones(a)), 0.0) for i in range(m)]
    rows += [np.append(np.kron(size, np.eye(a)[t]), 0.0) for t in range(a)]
    limits = [0.0] * m + [1.0] * m + devices.tolist()
    return -float(linprog([*[0.0] * (m * a), -1.0], A_ub=np.array(rows), b_ub=limits, method="highs-ds").fun)


def main():
    for tasks, bar in ((10_000, 0.25), (100_000, 4.0)):
        found = cached({"benchmark": "flow", "tasks": tasks}, lambda t=tasks: measure_flow(t))
        report(f"flow round, {tasks} tasks, 1,213 servers, 16 arcs, CPU seconds", found["seconds"], "s", bar, higher=False)
        if found["lp"] is not None:
            gap = abs(found["cost"] - found["lp"]) / max(abs(found["lp"]), 1.0)
            report(f"flow round, {tasks} tasks: relative difference to the HiGHS optimum", gap, "", 1e-9, higher=False,
                   baseline="HiGHS LP cost", baseline_value=found["lp"])  # fmt: skip
    for jobs, bar in ((256, None), (2_048, 0.5), (8_192, 2.0)):
        found = cached({"benchmark": "max_min", "jobs": jobs}, lambda j=jobs: measure_lp(j))
        report(f"max-min program, {jobs} jobs x 6 types, CPU seconds", found["seconds"], "s", bar, higher=False)
        if found["simplex"] is not None:
            gap = abs(found["objective"] - found["simplex"]) / found["simplex"]
            report("max-min program: relative difference to the dual-simplex optimum", gap, "", 1e-6, higher=False)
    for name in ("best_fit", "fgd"):
        seeds = range(2) if name == "best_fit" else range(1)
        runs = [cached({"benchmark": "crowd", "policy": name, "seed": s}, lambda n=name, s=s: replay(n, s)) for s in seeds]
        seconds, p99 = [r["seconds"] for r in runs], [r["decision_p99_ms"] for r in runs]
        fast = name == "best_fit"
        what = f"replay of 100,000 jobs on 1,000 nodes at 90 % load: {name}"
        report(f"{what}, CPU seconds", max(seconds), "s", 10.0 if fast else None, higher=False, seeds=len(seeds), runs=seconds)
        report(f"{what}, decision p99", max(p99), "ms", 1.0, higher=False, seeds=len(seeds), runs=p99)


if __name__ == "__main__":
    main()
