"""What each policy is for, on clusters small enough to know the answer."""

import itertools

import numpy as np
import pytest
from clusters import FAST, job, node, simulate, starts
from hypothesis import given, settings
from hypothesis import strategies as st

from savile import scheduling
from savile.base.errors import InputError, RefusalError, UnknownNameError
from savile.base.series import HOUR, Series
from savile.base.work import DataItem, Device, Job, Node, Pod, Region
from savile.scheduling import _auction, _flows, _fragmentation, _hours, carbon, fgd, max_min


def test_a_typo_in_a_policy_or_a_setting_says_the_nearest_name():
    with pytest.raises(UnknownNameError, match="best_fit"):
        scheduling.policy("bestfit")
    with pytest.raises(UnknownNameError, match="patience_s"):
        scheduling.policy("best_fit", patience=1.0)


def test_best_fit_fills_the_fuller_node_and_first_fit_the_first():
    nodes = [node("n0"), node("n1"), node("n2", devices=2)]
    jobs = [job("a", 2000), job("b", 1000, release=1.0)]
    placed = {p: simulate(p, nodes, jobs) for p in ("first_fit", "best_fit")}
    where = {p: [d.places[0][0] for e in o.log.entries for d in e.decisions] for p, o in placed.items()}
    assert where == {"first_fit": ["n0", "n0"], "best_fit": ["n2", "n0"]}


def test_short_jobs_go_first_and_srpt_stops_long_ones_for_them():
    jobs = [job("long", 4000, 0.0, 10_000.0), job("middle", 4000, 1.0, 5_000.0), job("short", 4000, 2.0, 100.0)]
    sjf, srpt = simulate("sjf", [node()], jobs), simulate("srpt", [node()], jobs)
    assert starts(sjf) == {"long": 0.0, "short": 10_000.0, "middle": 10_100.0}
    assert starts(srpt)["short"] == 2.0
    assert srpt.figures["preemptions"] >= 1
    assert srpt.figures["jct_mean_s"] < sjf.figures["jct_mean_s"]


def test_srpt_reaches_its_bound_on_one_machine():
    rng = np.random.default_rng(0)
    jobs = [
        job(f"j{i}", 4000, float(rng.uniform(0, 20_000)), float(rng.choice([10.0, 100.0, 1_000.0, 9_000.0]))) for i in range(40)
    ]
    said = scheduling.report([simulate("srpt", [node()], jobs)])["figures"]["jct_mean_s"]
    assert said["bound"] <= said["value"] < said["bound"] * 1.1


def test_drf_serves_the_tenant_with_least():
    later = [job(f"{tenant}{i}", 1000, at, 50.0, tenant=tenant) for tenant, at in (("a", 1.0), ("b", 2.0)) for i in range(6)]
    jobs = [job("full", 4000, 0.0, 100.0), *later]
    began = starts(simulate("drf", [node()], jobs))
    first = [name for name, at in began.items() if at == 100.0]
    assert sorted(name[0] for name in first) == ["a", "a", "b", "b"]


def test_fragmentation_is_what_typical_jobs_cannot_use():
    demands = ((Pod(1000, 0, 500), 0.5), (Pod(1000, 0, 2000), 0.5))
    mix = _fragmentation.Mix(demands, ["fast"])
    gpu = np.array([[1000, 1000, 400, -1], [400, 400, 400, -1], [1000, 0, 0, -1]])
    got = mix.fragmented(np.array([8000, 8000, 500]), gpu, np.zeros(3, dtype=int))
    assert got.tolist() == [0.5 * 400 + 0.5 * 400, 1200.0, 1000.0]


def test_fgd_keeps_scores_and_gives_what_it_would_give_afresh():
    rng = np.random.default_rng(1)
    nodes = [node(f"n{i}", devices=int(rng.integers(1, 5))) for i in range(30)]
    jobs = [job(f"j{i}", int(rng.choice([0, 300, 500, 1000, 2000])), float(i)) for i in range(120)]
    demands = _fragmentation.typical(jobs)
    kept = simulate(scheduling.policy("fgd", demands=demands), nodes, jobs).log.text()
    fgd._scores.cache_clear()
    assert simulate(scheduling.policy("fgd", demands=demands), nodes, jobs).log.text() == kept

    class Afresh:
        name, deterministic, settings = "fgd", True, fgd.Settings(demands)

        def decide(self, state, event, rng):
            fgd._scores.cache_clear()
            return fgd.decide(state, event, rng, self.settings)

    assert simulate(Afresh(), nodes, jobs).log.text() == kept


def test_max_min_equals_the_optimum_and_never_gives_more_than_there_is():
    rng = np.random.default_rng(0)
    throughput, size, devices = rng.uniform(0.1, 3, (12, 3)), rng.choice([1.0, 2.0, 4.0], 12), np.array([4.0, 3.0, 5.0])
    shares, smallest = max_min.shares(throughput, size, devices)
    equal = devices / 12
    relative = (throughput * shares).sum(axis=1) / (throughput @ equal)
    assert relative.min() == pytest.approx(smallest, rel=1e-6)
    assert (shares.sum(axis=1) <= 1 + 1e-9).all()
    assert (size @ shares <= devices + 1e-9).all()
    from scipy.optimize import linprog

    rows = [np.append(-np.kron(np.eye(12)[i], throughput[i] / (throughput[i] @ equal)), 1.0) for i in range(12)]
    rows += [np.append(np.kron(np.eye(12)[i], np.ones(3)), 0.0) for i in range(12)]
    rows += [np.append(np.kron(size, np.eye(3)[a]), 0.0) for a in range(3)]
    exact = linprog([*[0.0] * 36, -1.0], A_ub=rows, b_ub=[0.0] * 12 + [1.0] * 12 + devices.tolist(), method="highs-ds")
    assert smallest == pytest.approx(-exact.fun, rel=1e-7)


def test_max_min_takes_turns_where_best_fit_lets_one_wait():
    jobs = [job(name, 4000, 0.0, 36_000.0, tenant=name, ckpt_s=5.0, restart_s=5.0) for name in "ab"]
    ended = {p: simulate(p, [node()], jobs, round_s=360.0).figures for p in ("best_fit", "max_min")}
    assert ended["max_min"]["preemptions"] > 10
    assert ended["max_min"]["wait_mean_s"] < ended["best_fit"]["wait_mean_s"] / 10


@pytest.mark.parametrize("seed", range(5))
def test_a_flow_costs_what_the_linear_program_says_whatever_the_order(seed):
    pytest.importorskip("ortools")
    rng = np.random.default_rng(seed)
    sources, servers = 30, 8
    tails, heads = np.divmod(np.arange(sources * servers), servers)
    cost = _flows.scaled(rng.random(len(tails)))
    arcs = [
        np.concatenate([tails, np.full(sources, 0) + np.arange(sources), sources + np.arange(servers)]),
        np.concatenate([sources + heads, np.full(sources, sources + servers), np.full(servers, sources + servers)]),
    ]
    capacity = np.concatenate([np.ones(len(tails) + sources, dtype=int), rng.integers(1, 5, servers)])
    costs = np.concatenate([cost, _flows.scaled(np.full(sources, 1.5)), np.zeros(servers, dtype=int)])
    supply = np.zeros(sources + servers + 1, dtype=int)
    supply[:sources], supply[-1] = 1, -sources
    network = _flows.Network(*arcs, capacity, costs, supply)
    flow, total = _flows.solve(network)
    assert total == pytest.approx(_flows.relaxed(network), abs=1e-6)
    balance = np.bincount(network.tails, flow, len(supply)) - np.bincount(network.heads, flow, len(supply))
    assert balance.tolist() == supply.tolist()
    order = rng.permutation(len(costs))
    shuffled = _flows.Network(arcs[0][order], arcs[1][order], capacity[order], costs[order], supply)
    assert _flows.solve(shuffled)[1] == total


def test_a_flow_refuses_to_overflow_and_to_leave_somebody_out():
    pytest.importorskip("ortools")
    one = np.array([1])
    with pytest.raises(InputError, match="2\\^62"):
        _flows.solve(_flows.Network(np.array([0]), one, np.array([10]), np.array([2**60]), np.array([10, -10])))
    with pytest.raises(RefusalError, match="meets every supply"):
        _flows.solve(_flows.Network(np.array([0]), one, np.array([1]), np.array([1]), np.array([2, -2])))


def test_flow_sends_jobs_to_their_data_while_there_is_room():
    pytest.importorskip("ortools")
    items = (DataItem("records", 500.0, frozenset({"south"})),)
    jobs = [job(f"j{i}", 1000, 0.0, 100.0, data=("records",)) for i in range(4)]
    regions = (Region("here", gbps=1.0), Region("south", gbps=1.0))
    found = simulate("flow", [node("n0", "here"), node("n1", "south")], jobs, items=items, regions=regions)
    assert {place[0] for spell in found.kernel.ledger.spells for place in spell.places} == {"n1"}
    assert found.figures["moved_gib"] == 0


def brute(values, demand, capacity):
    best = 0.0
    for picks in itertools.product(range(-1, values.shape[1]), repeat=len(values)):
        used = sum((demand[i, c] for i, c in enumerate(picks) if c >= 0), np.zeros(len(capacity)))
        if (used <= capacity + 1e-9).all():
            best = max(best, sum(values[i, c] for i, c in enumerate(picks) if c >= 0))
    return best


@pytest.mark.parametrize("seed", range(4))
def test_the_auction_is_exact_and_pays_between_nothing_and_the_bid(seed):
    rng = np.random.default_rng(seed)
    values, demand, capacity = rng.uniform(1, 10, (5, 2)), rng.integers(1, 6, (5, 2, 3)).astype(float), np.full(3, 9.0)
    chosen, pays = _auction.payments(values, demand, capacity)
    welfare = sum(values[i, c] for i, c in enumerate(chosen) if c >= 0)
    assert welfare == pytest.approx(brute(values, demand, capacity))
    assert all(-1e-9 <= pays[i] <= values[i, c] + 1e-9 if c >= 0 else pays[i] == 0 for i, c in enumerate(chosen))
    assert pays.sum() >= 0


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**31), agents=st.integers(1, 5), configs=st.integers(1, 3))
def test_few_choices_gone_through_are_as_good_as_solved_and_as_all_of_them(seed, agents, configs):
    rng = np.random.default_rng(seed)
    values, demand = rng.uniform(-1, 10, (agents, configs)), rng.integers(0, 6, (agents, configs, 2)).astype(float)
    values[rng.random(values.shape) < 0.2] = -np.inf
    chosen, welfare = _auction.allocate(values, demand, np.full(2, 7.0))
    assert welfare == pytest.approx(brute(np.where(np.isfinite(values), values, -1e9), demand, np.full(2, 7.0)))
    assert sum((demand[i, c] for i, c in enumerate(chosen) if c >= 0), np.zeros(2)).max() <= 7.0


@pytest.mark.parametrize("few", [0, 5_000])
def test_solvers_and_search_agree(few, monkeypatch):
    monkeypatch.setattr(_auction, "FEW", few)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        values, demand = rng.uniform(1, 10, (5, 2)), rng.integers(1, 6, (5, 2, 3)).astype(float)
        assert _auction.allocate(values, demand, np.full(3, 9.0))[1] == pytest.approx(brute(values, demand, np.full(3, 9.0)))


@pytest.mark.parametrize("few", [0, 5_000])
@pytest.mark.parametrize("seed", range(3))
def test_no_misreport_pays(seed, few, monkeypatch):
    monkeypatch.setattr(_auction, "FEW", few)
    rng = np.random.default_rng(seed)
    values, demand, capacity = rng.uniform(1, 10, (6, 2)), rng.integers(1, 6, (6, 2, 2)).astype(float), np.full(2, 9.0)
    truthful, paid = _auction.payments(values, demand, capacity)
    single, single_paid = _auction.greedy(values[:, 0], demand[:, 0], capacity)
    for _ in range(34):  # 204 in all
        i = int(rng.integers(6))
        lie = values.copy()
        lie[i] = rng.uniform(0, 20, 2)
        chosen, pays = _auction.payments(lie, demand, capacity)
        honest = values[i, truthful[i]] - paid[i] if truthful[i] >= 0 else 0.0
        gain = (values[i, chosen[i]] - pays[i] if chosen[i] >= 0 else 0.0) - honest
        assert gain <= 1e-6
        wins, greedy_pays = _auction.greedy(lie[:, 0], demand[:, 0], capacity)
        gain = (values[i, 0] - greedy_pays[i]) * wins[i] - (values[i, 0] - single_paid[i]) * single[i]
        assert gain <= 1e-6


def test_an_unproven_optimum_is_not_priced():
    rng = np.random.default_rng(0)
    values, demand = rng.uniform(1, 2, (120, 6)), rng.uniform(1, 9, (120, 6, 4))
    with pytest.raises(RefusalError, match="proven optimum"):
        _auction.payments(values, demand, np.full(4, 150.0), limit_s=1e-3)


def test_the_auction_charges_winners_and_lets_losers_wait():
    jobs = [job(name, 4000, 0.0, 600.0, bid=bid) for name, bid in (("low", 3.0), ("high", 8.0))]
    found = simulate("vcg", [node()], jobs, round_s=300.0)
    assert starts(found)["high"] == 0.0
    assert found.kernel.ledger.revenue[found.kernel.numbers["high"]] == pytest.approx(3.0)
    assert found.kernel.ledger.revenue[found.kernel.numbers["low"]] == 0.0


def test_the_plan_of_hours_is_an_equilibrium():
    rng = np.random.default_rng(0)
    cost = rng.uniform(1, 5, (6, 2, 24))
    speed, work, width = np.ones((6, 2)), rng.uniform(5, 30, 6), rng.uniform(2, 6, 6)
    window = np.arange(24)[None, :] < rng.integers(10, 25, 6)[:, None]
    capacity = np.full((2, 24), 6.0)
    made = _hours.plan(cost, speed, work, width, window, capacity)
    assert made.gap == pytest.approx(0.0, abs=1e-5)
    used = made.use.sum(axis=0)
    assert (used <= capacity + 1e-6).all()
    assert (made.duals[used < capacity - 1e-4] <= 1e-5).all()
    assert _hours.plan(2 * cost, speed, work, width, window, capacity).cost == pytest.approx(2 * made.cost, rel=1e-6)
    tight = _hours.plan(cost, speed, width, width, np.arange(24)[None, :] < np.ones((6, 1)), np.full((2, 24), 99.0))
    assert tight.cost == pytest.approx(float((cost[:, :, 0].min(axis=1) * width).sum()), rel=1e-6)


def priced(levels, **more):
    return Series(0.0, tuple(levels), HOUR, **more)


def test_region_lp_goes_where_and_when_it_is_cheap_and_keeps_deadlines():
    day = [100.0] * 12 + [10.0] * 12
    regions = (Region("dear", price=priced(day * 12)), Region("cheap", price=priced([v / 2 for v in day * 12])))
    start = 8 * 24 * HOUR
    jobs = [job(f"j{i}", 4000, start, 2 * HOUR, deadline_s=start + 24 * HOUR, restart_s=10.0) for i in range(4)]
    found = simulate("region_lp", [node("n0", "dear"), node("n1", "cheap")], jobs, round_s=HOUR, regions=regions)
    plain = simulate("first_fit", [node("n0", "dear"), node("n1", "cheap")], jobs, round_s=HOUR, regions=regions)
    cost = {name: sum(s.eur for s in o.kernel.ledger.spells) for name, o in (("lp", found), ("first", plain))}
    assert found.figures["deadlines_met"] == 1.0
    assert cost["lp"] < 0.3 * cost["first"]
    assert all(at >= start + 12 * HOUR for at in starts(found).values())


def test_uniform_progress_uses_spot_and_is_never_late():
    nodes = [node("spot", spot=True), node("sure")]
    region = Region("here", rent={"fast": 3.0}, spot_rent={"fast": 1.0})
    outages = tuple(("spot", h * HOUR, (h + 3) * HOUR) for h in range(1, 40, 6))
    jobs = [job("a", 1000, 0.0, 10 * HOUR, deadline_s=16 * HOUR, restart_s=120.0, ckpt_every_s=600.0)]
    found = simulate("uniform_progress", nodes, jobs, round_s=600.0, regions=(region,), outages=outages)
    sure = simulate("uniform_progress", [node("sure")], jobs, round_s=600.0, regions=(region,))
    assert found.figures["deadlines_met"] == 1.0
    assert sure.figures["deadlines_met"] == 1.0
    assert found.figures["rent_eur"] < 0.8 * sure.figures["rent_eur"]


@pytest.mark.parametrize("alpha", [0.5, 0.8, 1.0])
def test_carbon_widths_are_optimal(alpha):
    grams = np.array([3.0, 1.0, 2.0, 5.0])
    work, most = 3.0, 3
    got = carbon.widths(grams, work, 1, most, alpha)
    done = sum((k**alpha for k in got if k), 0.0)
    best = min(
        float(np.dot(grams, ks))
        for ks in itertools.product(range(most + 1), repeat=4)
        if sum(k**alpha for k in ks if k) >= work - 1e-9
    )
    assert done >= work - 1e-9
    assert float(grams @ got) <= best + grams.max()  # greedy stops within one step of the optimum, whole pods being whole
    if alpha == 1.0:
        assert float(grams @ got) == best


def test_carbon_waits_for_clean_hours():
    day = [500.0] * 12 + [50.0] * 12
    region = Region("here", carbon=priced(day * 12))
    start = 8 * 24 * HOUR
    jobs = [job("a", 4000, start, 4 * HOUR, deadline_s=start + 24 * HOUR)]
    found, plain = (simulate(p, [node()], jobs, round_s=HOUR, regions=(region,)) for p in ("carbon", "first_fit"))
    grams = [sum(spell.gco2 for spell in o.kernel.ledger.spells) for o in (found, plain)]
    assert found.figures["deadlines_met"] == 1.0
    assert grams[0] < 0.2 * grams[1]


def test_devices_differ_and_jobs_go_where_they_may():
    slow = Device("slow")
    nodes = [Node("s", "here", 16_000, 65_536, slow, 4), node("f")]
    jobs = [Job("only", Pod(1000, 1024, 1000, frozenset({"fast"})), 0.0, 100.0), Job("any", Pod(1000, 1024, 4000), 0.0, 100.0)]
    found = simulate("best_fit", nodes, jobs)
    where = {d.job: d.places[0][0] for e in found.log.entries for d in e.decisions}
    assert where["only"] == "f"
    assert where["any"] == "s"
    assert FAST.speed == 1.0
