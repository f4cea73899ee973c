"""Energy, data, portfolios, lending and agents: each does what its name says, in worlds small enough to check by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from clusters import job, node, simulate, starts
from hypothesis import given, settings
from hypothesis import strategies as st

from savile import scheduling
from savile.base.cluster import State
from savile.base.work import DataItem, Device, Event, Job, Node, Pod, Region, Start
from savile.scheduling import SimBackend, World, piggyback, portfolio, run
from savile.scheduling._environment import Environment, linear_wish

HUNGRY = Device("fast", 40, idle_w=50, peak_w=250)


def machines(count: int) -> list[Node]:
    return [Node(f"n{i}", "here", 16_000, 65_536, HUNGRY, 4, idle_w=100, peak_w=200) for i in range(count)]


def test_packing_never_costs_more_energy_than_spreading_at_the_same_makespan() -> None:
    jobs = [job(f"j{i}", release=i * 60.0) for i in range(4)]
    packed, spread = (run(policy, SimBackend(World(tuple(machines(3)), tuple(jobs)))) for policy in ("energy", "first_fit"))
    assert packed.figures["makespan_s"] <= spread.figures["makespan_s"]
    assert packed.figures["kwh"] < spread.figures["kwh"]  # first fit packs too, but leaves empty machines on


def test_energy_is_the_integral_of_what_is_on() -> None:
    outcome = simulate("energy", machines(1), [job("a", work=3600.0)])
    watts = 100 + 4 * 50 + 200 + 100 / 16  # idle machine and devices, one busy device, one core of sixteen
    assert outcome.figures["kwh"] == pytest.approx(watts / 1000, rel=1e-6)


def test_a_machine_is_switched_on_when_work_waits() -> None:
    late = [job("a"), *(job(f"b{i}", release=20_000.0) for i in range(8))]
    outcome = simulate("energy", machines(3), late, round_s=600.0)
    assert outcome.figures["finished"] == 9


def far_data(slack: float, budget: float = float("inf")) -> scheduling.Outcome:
    """Jobs that read 100 GiB from the south, which is full most of the time."""
    nodes = [node("n0", "north", devices=4), node("s0", "south", devices=1)]
    regions = (Region("north", gbps=10.0), Region("south", gbps=10.0))
    items = (DataItem("sales", 100.0, frozenset({"south"})),)
    jobs = [job(f"j{i}", release=i * 600.0, work=1800.0, data=("sales",)) for i in range(12)]
    policy = scheduling.policy("piggyback", slack=slack, budget_gib=budget)
    return simulate(policy, nodes, jobs, regions=regions, items=items)


def test_data_that_was_carried_is_not_carried_again() -> None:
    outcome = far_data(slack=0.5)
    assert outcome.figures["moved_gib"] == 100.0  # twelve readers, one journey
    fit = far_data_by_best_fit()
    assert outcome.figures["moved_gib"] < fit.figures["moved_gib"]
    assert outcome.figures["jct_mean_s"] <= fit.figures["jct_mean_s"]


def far_data_by_best_fit() -> scheduling.Outcome:
    world = far_data(0.5).world
    return run("best_fit", SimBackend(world))


class Watched:
    """Piggyback, with every choice held against the job's own best at that moment."""

    name, deterministic = "watched", False

    def __init__(self, slack: float) -> None:
        self.settings = piggyback.Settings(slack=slack)
        self.ratios: list[float] = []

    def decide(self, state: State, event: Event, rng: np.random.Generator) -> list[Start]:
        made = list(piggyback.decide(state, event, rng, self.settings))
        room = state.room.copy()
        for start in made:
            number = state.number(start.job)
            every = piggyback.options(state, room, number, piggyback.Settings(slack=1e9))
            region = state.nodes[state.index[start.places[0][0]]].region
            self.ratios.append(every[region][0] / min(took for took, _ in every.values()))
            for name, devices in start.places:
                room.take(state.jobs[number].pod, state.index[name], devices)
        return made


@pytest.mark.parametrize("slack", [0.0, 0.05, 0.3])
def test_no_job_ends_later_than_its_own_best_allows(slack: float) -> None:
    policy = Watched(slack)
    outcome = run(policy, SimBackend(far_data(slack).world))
    assert outcome.figures["finished"] == 12
    assert max(policy.ratios) <= 1 + slack + 1e-9


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_a_portfolio_is_the_best_of_all(seed: int) -> None:
    pytest.importorskip("ortools", reason="portfolios need the extra schedule")
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    value, demand = rng.uniform(0, 5, n).round(2), rng.integers(1, 6, (n, 2))
    capacity = rng.integers(3, 12, 2)
    pairs = {(i, j): round(float(rng.uniform(-2, 2)), 2) for i, j in itertools.combinations(range(n), 2) if rng.random() < 0.4}

    def total(chosen: tuple[int, ...]) -> float:
        return float(value[list(chosen)].sum()) + sum(extra for (i, j), extra in pairs.items() if i in chosen and j in chosen)

    subsets = itertools.chain.from_iterable(itertools.combinations(range(n), size) for size in range(n + 1))
    best = max(total(s) for s in subsets if (demand[list(s)].sum(axis=0) <= capacity).all())
    found = portfolio.select(value, pairs, demand, capacity)
    assert (demand[found].sum(axis=0) <= capacity).all()
    assert total(tuple(found)) == pytest.approx(best, abs=1e-6)


def test_an_owner_has_its_part_again_after_one_round() -> None:
    borrowed = [job(f"b{i}", work=50_000.0, tenant="borrower", ckpt_s=1.0) for i in range(4)]
    own = [job("o0", release=5000.0, work=600.0, tenant="owner"), job("o1", release=5000.0, work=600.0, tenant="owner")]
    outcome = simulate("two_stage", [node()], [*borrowed, *own], round_s=60.0)
    began = starts(outcome)
    assert max(began["o0"], began["o1"]) <= 5060.0
    assert outcome.figures["finished"] == 6  # who gave way goes on afterwards


def test_agents_see_regions_and_are_paid_for_short_completion() -> None:
    nodes = (node("s0", "slow", devices=2), Node("f0", "fast", 16_000, 65_536, Device("quick", speed=4.0), 2))
    jobs = tuple(Job(f"j{i}", Pod(1000, 1024, 1000), i * 10.0, 3600.0) for i in range(2))
    environment = Environment(SimBackend(World(nodes, jobs)))
    towards, away = np.zeros(8), np.zeros(8)
    towards[1], away[1] = 1.0, -1.0  # the speed of the region
    assert environment.episode(linear_wish(towards)) > environment.episode(linear_wish(away))


def test_several_jobs_may_be_urgent_at_once() -> None:
    """Jobs that waited for a better hour and lose their slack together are placed one after the other, on free devices."""
    waiting = [job(f"u{i}", release=100.0, work=1000.0, deadline_s=100.0 + 1300.0 + 4000.0) for i in range(3)]
    jobs = [job("first", work=10.0), *waiting, job("last", release=700.0, work=10.0)]
    outcome = simulate("region_lp", [node(devices=4)], jobs, round_s=3600.0)
    assert outcome.figures["finished"] == 5
    assert starts(outcome)["u2"] == 700.0
