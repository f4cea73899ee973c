"""The tide: the queueing rule, replicas that follow a load, room lent and taken back; in the simulator."""

from itertools import pairwise

import numpy as np
import pytest
from clusters import job, node
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_properties import held

from savile.base.work import Job, Load, Pod
from savile.scheduling import Requests, SimBackend, World, policy, replay, run, tide


def service(name="web", release=0.0, hours=1.0, **more):
    given = {"pods": 1, "most": 4, "slo_ms": 2000.0, "restart_s": 5.0, "kind": "serve", **more}
    return Job(name, Pod(1000, 1024, 1000), release, hours * 3600.0, **given)


def requests(steps, busy_s, seed=0):
    """Requests at random moments, at rates that hold from one time to the next: [(from, to, rate), …]."""
    rng = np.random.default_rng(seed)
    at = np.concatenate([np.sort(rng.uniform(a, b, rng.poisson((b - a) * rate))) for a, b, rate in steps])
    return Requests(at, rng.exponential(busy_s, len(at)))


def followed(jobs, asked, nodes=None, **more):
    world = World(tuple(nodes or [node()]), tuple(jobs), requests=asked)
    return run(policy("tide", **more), SimBackend(world))


def replicas(outcome, at, name="web"):
    number = outcome.kernel.numbers[name]
    return sum(len(s.places) for s in outcome.kernel.ledger.spells if s.job == number and s.start <= at < s.end)


@pytest.mark.parametrize(
    ("rate", "busy_s", "target_s"), [(2.0, 1.0, 1.0), (0.3, 20.0, 10.0), (50.0, 0.1, 0.05), (5.0, 1.0, 0.0)]
)
def test_the_rule_gives_the_fewest_servers_that_keep_the_promise(rate, busy_s, target_s):
    c = tide.servers(rate, busy_s, target_s)
    rng = np.random.default_rng(0)
    at, busy = np.cumsum(rng.exponential(1 / rate, 100_000)), rng.exponential(busy_s, 100_000)
    late = {}
    for many in (c, c - 1):
        station = simulated(at, busy, many)
        late[many] = float((station[5_000:] > target_s).mean())
    assert late[c] < 0.007, "0.5 %, and what chance adds"
    assert late[c - 1] > 0.005


def simulated(at, busy, servers):
    """Waits in a queue with so many servers, written down anew: whoever is free first takes the next."""
    free, waits = np.zeros(servers), np.zeros(len(at))
    for i in range(len(at)):
        k = free.argmin()
        start = max(at[i], free[k])
        waits[i], free[k] = start - at[i], start + busy[i]
    return waits


@given(st.floats(0, 200), st.floats(0.001, 30), st.floats(0, 60), st.floats(0, 3))
def test_more_load_and_less_patience_never_need_fewer(rate, busy_s, target_s, spread):
    c = tide.servers(rate, busy_s, target_s, spread)
    assert c >= rate * busy_s
    assert tide.servers(rate * 1.1, busy_s, target_s, spread) >= c
    assert tide.servers(rate, busy_s, target_s / 2, spread) >= c


def test_a_load_that_steps_up_is_followed_within_seconds_and_a_lull_is_waited_out():
    asked = {"web": requests([(0, 1200, 0.5), (1200, 2400, 2.0), (2400, 3600, 0.5)], 1.0)}
    found = followed([service(most=8)], asked, [node(devices=8)], keep_s=300.0)
    before, after = replicas(found, 1190.0), replicas(found, 2390.0)
    need = tide.servers(2.0, 1.0, 2.0)
    assert before < need <= after
    rise = next(at for at in np.arange(1200.0, 2400.0) if replicas(found, at) >= need)
    assert rise - 1200 <= 30
    assert replicas(found, 2550.0) >= need > replicas(found, 3500.0), "fewer only when fewer did for five minutes"
    assert found.figures["target_kept"] > 0.9
    assert found.figures["replica_h"] < need


def test_devices_are_lent_to_training_and_given_back_when_the_load_comes():
    asked = {"web": requests([(0, 1200, 0.2), (1200, 2400, 3.0), (2400, 7200, 0.2)], 1.0)}
    training = [job(f"train{i}", 1000, 10.0 + i, 3000.0, ckpt_s=5.0, restart_s=5.0, kind="train") for i in range(3)]
    found = followed([service(hours=2.0), *training], asked)
    gave_way = [s for s in found.kernel.ledger.spells if s.how == "preempted" and 1200 <= s.end < 1300]
    assert gave_way, "borrowers gave way within seconds"
    still = [s for s in found.kernel.ledger.spells if s.start < 1200 and s.end > 1300 and s.how != "moved"]
    assert max((s.start for s in still), default=0.0) <= min(s.start for s in gave_way), "the youngest of them"
    assert all(how == "finished" for _, how in found.kernel.ended.values()), "and went on afterwards"
    assert replicas(found, 2000.0) >= 3
    assert any("needs the room" in d.why for e in found.log.entries for d in e.decisions)


def test_a_service_that_loses_a_node_goes_on_elsewhere_for_as_long_as_was_asked():
    asked = {"web": requests([(0, 3600, 2.0)], 1.0)}
    nodes = (node("n0"), node("n1"))
    world = World(nodes, (service(most=8),), requests=asked, outages=(("n0", 1000.0, 2000.0),))
    found = run(policy("tide"), SimBackend(world))
    there = [s for s in found.kernel.ledger.spells if s.start <= 1500.0 < s.end]
    assert {name for s in there for name, _ in s.places} == {"n1"}
    assert sum(len(s.places) for s in there) >= tide.servers(2.0, 1.0, 2.0)
    assert found.kernel.ended[0] == (pytest.approx(3600.0), "finished")
    assert found.figures["requests_in_time"] > 0.95


def test_after_a_day_the_same_time_of_day_is_expected():
    steps = [(d * 86_400 + a * 3600, d * 86_400 + b * 3600, r) for d in range(2) for a, b, r in ((0, 12, 0.01), (12, 24, 2.0))]
    asked = {"web": requests(steps, 1.0)}
    nodes, noon = [node(devices=8)], 86_400 + 12 * 3600
    with_, without = (followed([service(hours=48.0, most=8)], asked, nodes, days=days) for days in (7, 0))
    assert replicas(with_, noon - 60.0) > replicas(without, noon - 60.0)
    first = {name: _late(outcome, noon) for name, outcome in (("with", with_), ("without", without))}
    assert first["with"] < first["without"]


def _late(outcome, at):
    rows = outcome.served["web"]
    near = rows[(rows[:, 0] >= at) & (rows[:, 0] < at + 60)]
    return float((near[:, 1] > 2.0).mean())


def test_what_never_comes_up_and_what_nobody_asks():
    quiet = followed([service()], {"web": Requests(np.zeros(0), np.zeros(0))})
    assert replicas(quiet, 1800.0) == 1
    assert "target_kept" not in quiet.figures
    assert tide.wanted(service(), [(5.0, Load(0.0))], 5.0, tide.DEFAULT) == (1, 1)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**31))
def test_rooms_gangs_and_replays_hold_whatever_the_load(seed):
    rng = np.random.default_rng(seed)
    steps = [(i * 300, i * 300 + 300, float(rng.choice([0.0, 0.3, 1.0, 3.0]))) for i in range(6)]
    jobs = [service("web", hours=0.5), service("api", 100.0, 0.4, most=3, at_once=2)]
    jobs += [
        job(f"j{i}", int(rng.choice([500, 1000, 2000])), float(rng.uniform(0, 900)), float(rng.uniform(60, 900)), ckpt_s=2.0)
        for i in range(5)
    ]
    asked = {"web": requests(steps, 1.0, seed), "api": requests(steps, 0.5, seed + 1)}
    world = World((node("n0"), node("n1", "there")), tuple(jobs), requests=asked)
    backend = SimBackend(world, load_s=20.0)
    found = run(policy("tide"), backend)
    held(found)
    assert not found.kernel.waits
    text = found.log.text()
    assert replay(text, policy("tide"), backend.kernel()).text() == text
    number = found.kernel.numbers["web"]
    own = sorted((s.start, s.end) for s in found.kernel.ledger.spells if s.job == number)
    assert own[-1][1] - own[0][0] == pytest.approx(1800.0), "offered for as long as was asked"
    assert all(a[1] == pytest.approx(b[0]) for a, b in pairwise(own)), "without a gap"
