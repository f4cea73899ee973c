"""H9: the auction of 100 agents, 4 configurations, 3 resources; 10,000 misreports; and no price without a proven optimum."""

import time

import numpy as np

from _report import cached, report
from savile.base.errors import RefusalError
from savile.scheduling import _auction

MISREPORTS, EACH = 10_000, 100


def market(rng, agents, configs=4, resources=3):
    values, demand = rng.uniform(1, 10, (agents, configs)), rng.integers(1, 9, (agents, configs, resources)).astype(float)
    return values, demand, np.full(resources, agents * 1.5)


def large():
    values, demand, capacity = market(np.random.default_rng(0), 100)
    started = time.process_time()
    _auction.allocate(*market(np.random.default_rng(1), 4))
    few = time.process_time() - started
    started = time.process_time()
    _auction.allocate(*market(np.random.default_rng(1), 12))
    cold = time.process_time() - started
    started = time.process_time()
    chosen, _ = _auction.allocate(values, demand, capacity)
    first = time.process_time() - started
    _, pays = _auction.payments(values, demand, capacity)
    total = time.process_time() - started - first
    sound = all(0 <= p <= values[i, c] + 1e-9 if c >= 0 else p == 0 for i, (c, p) in enumerate(zip(chosen, pays, strict=True)))
    return {"cold": cold, "few": few, "allocate": first, "payments": total, "winners": int((chosen >= 0).sum()), "sound": sound}


def misreports(seed):
    """`EACH` lies in one market: others' values, scaled values, one configuration hidden.

    Of 6 agents, whose choices are gone through one by one, and every other time of 9, for whom the solvers are asked.
    """
    rng = np.random.default_rng(seed)
    agents = 6 if seed % 2 else 9
    values, demand, capacity = market(rng, agents, 3, 2)
    honest, paid = _auction.payments(values, demand, capacity)
    single, single_paid = _auction.greedy(values[:, 0], demand[:, 0], capacity)
    worst = worst_greedy = -np.inf
    for _ in range(EACH):
        i, lie = int(rng.integers(agents)), values.copy()
        kind = rng.integers(3)
        lie[i] = (
            rng.uniform(0, 20, 3)
            if kind == 0
            else values[i] * rng.uniform(0, 3)
            if kind == 1
            else values[i] * (rng.random(3) < 0.6)
        )
        chosen, _ = _auction.allocate(lie, demand, capacity)
        without = lie.copy()
        without[i] = -np.inf
        others = _auction.allocate(without, demand, capacity)[1]
        rest = sum(lie[j, chosen[j]] for j in range(agents) if chosen[j] >= 0 and j != i)
        utility = values[i, chosen[i]] - (others - rest) if chosen[i] >= 0 else 0.0
        worst = max(worst, utility - (values[i, honest[i]] - paid[i] if honest[i] >= 0 else 0.0))
        wins, pays = _auction.greedy(lie[:, 0], demand[:, 0], capacity)
        worst_greedy = max(worst_greedy, (values[i, 0] - pays[i]) * wins[i] - (values[i, 0] - single_paid[i]) * single[i])
    return {"worst": float(worst), "worst_greedy": float(worst_greedy)}


def refuses():
    values, demand, capacity = market(np.random.default_rng(1), 400, 8, 5)
    try:
        _auction.payments(values, demand, capacity, limit_s=1e-3)
    except RefusalError:
        return True
    return False


def main():
    found = cached({"benchmark": "auction", "apart": "cold"}, large)
    report("VCG, 100 agents x 4 x 3: allocate, solvers imported, CPU seconds", found["allocate"], "s", 0.2, higher=False)
    report("VCG: first auction of 12 agents in a process, importing the solvers, CPU seconds", found["cold"], "s", higher=False)
    report("VCG: first auction of 4 agents in a process, CPU seconds", found["few"], "s", 0.2, higher=False)
    report(f"VCG, 100 agents x 4 x 3: all {found['winners']} payments, CPU seconds", found["payments"], "s", 10.0, higher=False)
    report("VCG: payments between 0 and the bid, losers pay nothing", float(found["sound"]), "", 1.0)
    runs = [cached({"benchmark": "misreports", "seed": s}, lambda s=s: misreports(s)) for s in range(MISREPORTS // EACH)]
    for name, key in (("VCG", "worst"), ("monotone greedy", "worst_greedy")):
        profitable = sum(run[key] > 1e-6 for run in runs)
        worst = max(run[key] for run in runs)
        what = f"{name}: markets with a profitable misreport, of {MISREPORTS} misreports; largest gain {worst:.2e}"
        report(what, profitable, "", 0.0, higher=False, seeds=len(runs))  # fmt: skip
    report("VCG refuses to price an unproven optimum", float(refuses()), "", 1.0)


if __name__ == "__main__":
    main()
