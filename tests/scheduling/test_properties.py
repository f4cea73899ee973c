"""What holds for every policy in every world: hypothesis makes the worlds, small ones for policies that solve programs; the
benchmark makes 10,000 of them."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from savile import scheduling
from savile._testing import small_world
from savile.base import catalogue
from savile.scheduling import SimBackend, policy, run

CASES = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
QUICK = ("first_fit", "best_fit", "sjf", "srpt", "drf", "queue", "fgd")
SLOW = tuple(sorted(set(catalogue.names("policies")) - set(QUICK)))


def held(outcome):
    """Room, recomputed from the log alone, never below nothing; gangs whole and in one region; residency kept."""
    kernel, world = outcome.kernel, outcome.world
    nodes = {node.id: node for node in world.nodes}
    tags = {region.id: {region.id, *region.tags} for region in world.regions}
    for spell in kernel.ledger.spells:
        job = kernel.jobs[spell.job]
        assert job.pods <= len(spell.places) <= max(job.pods, job.most)
        sites = {nodes[node].region for node, _ in spell.places}
        assert len(sites) == 1
        assert not job.residency or job.residency & tags[sites.pop()]
        assert all(not job.pod.types or nodes[node].device.type in job.pod.types for node, _ in spell.places)
    moments = sorted({spell.start for spell in kernel.ledger.spells})
    for at in moments:
        running = [spell for spell in kernel.ledger.spells if spell.start <= at < spell.end]
        for name, node in nodes.items():
            pods = [(kernel.jobs[s.job].pod, devices) for s in running for where, devices in s.places if where == name]
            assert sum(pod.cpu_milli for pod, _ in pods) <= node.cpu_milli
            assert sum(pod.mem_mib for pod, _ in pods) <= node.mem_mib
            used = [sum(min(pod.gpu_milli, 1000) for pod, devices in pods if d in devices) for d in range(node.devices)]
            assert max(used, default=0) <= 1000


def outcome_held(name, seed, jobs):
    """A run whose every moment was held against the laws, and that gives the same log again."""
    world = small_world(seed, jobs)
    backend = SimBackend(world, round_s=3600.0)
    outcome = run(policy(name), backend, seed)
    held(outcome)
    assert run(policy(name), backend, seed).log.text() == outcome.log.text()
    return outcome


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
@CASES
@given(seed=st.integers(0, 2**31), jobs=st.integers(1, 14))
def test_capacity_gangs_residency_order_and_no_starvation(name, seed, jobs):
    assert not outcome_held(name, seed, jobs).kernel.waits, "nobody starves"


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
@CASES
@given(seed=st.integers(0, 2**31), jobs=st.integers(1, 4))
def test_the_same_for_policies_that_solve_programs(name, seed, jobs):
    assert not outcome_held(name, seed, jobs).kernel.waits, "nobody starves"


@pytest.mark.slow
@CASES
@given(seed=st.integers(0, 2**31))
def test_energy_and_money_add_up(seed):
    outcome = run("srpt", SimBackend(small_world(seed, 10)), seed)
    figures, kernel = outcome.figures, outcome.kernel
    own = sum(spell.kwh for spell in kernel.ledger.spells)
    assert 0 <= own <= figures["kwh"] + 1e-9
    assert figures["cost_eur"] == pytest.approx(figures["energy_eur"] + figures["rent_eur"] + figures["egress_eur"])
    assert (
        scheduling.report([outcome])["figures"]["jct_mean_s"]["value"]
        >= scheduling.report([outcome])["figures"]["jct_mean_s"]["bound"] * 0.999
    )
