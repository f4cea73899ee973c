"""What `savile.testing.check_policy` does: small worlds with everything in them, run again and again."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from savile import scheduling
from savile.base.series import HOUR, Series
from savile.base.work import DataItem, Device, Job, Node, Pod, Region

DAY_S = 24 * HOUR
ROUND_S = 900.0


class Twice:
    """A policy that is asked twice each time, and must say the same."""

    def __init__(self, policy: Any) -> None:
        self.policy, self.name, self.deterministic = policy, scheduling.name_of(policy), policy.deterministic

    def decide(self, state: Any, event: Any, rng: np.random.Generator) -> Any:
        """What the policy decides."""
        again = copy.deepcopy(rng)
        first, second = list(self.policy.decide(state, event, rng)), list(self.policy.decide(state, event, again))
        _require(first == second, f"decide() must be a function of its arguments; asked twice on {event.kind}, it differs")
        return first


def check_policy(policy: Any) -> None:
    """Raise AssertionError with one sentence for the first thing that is not so."""
    for seed in range(3):
        world = small_world(seed)
        first = scheduling.run(Twice(policy), _backend(world), seed)  # the kernel raises where capacity or a gang is broken
        text = first.log.text()
        _require(scheduling.run(policy, _backend(world), seed).log.text() == text, "the same run must give the same log")
        if policy.deterministic:
            other = scheduling.run(policy, _backend(world), seed + 1)
            _require(_decisions(other) == _decisions(first), "a deterministic policy must leave rng alone")
        again = scheduling.replay(text, policy, _backend(world).kernel(), seed)
        _require(again.text() == text, "a replayed log must give the same decisions")
        _require(not first.kernel.waits and not first.kernel.running, "every job that fits must end, or be rejected")
    _check_starvation(policy)


def _check_starvation(policy: Any) -> None:
    outcome = scheduling.run(policy, scheduling.SimBackend(crowd(), round_s=HOUR))
    kernel = outcome.kernel
    number = kernel.numbers["large"]
    started = kernel.started.get(number, np.inf)
    last = max(job.release_s for job in kernel.jobs)
    _require(
        started < last or kernel.ended.get(number, (0.0, ""))[1] == "rejected",
        "a large job must start (or be rejected) while small ones keep coming",
    )


def _backend(world: scheduling.World) -> scheduling.SimBackend:
    return scheduling.SimBackend(world, round_s=ROUND_S)


def _decisions(outcome: scheduling.Outcome) -> list[Any]:
    return [list(entry.decisions) for entry in outcome.log.entries]


def small_world(seed: int, jobs: int = 40) -> scheduling.World:
    """Two regions with prices, two device types, a spot node that goes, shares, gangs, residency, data, deadlines, tenants."""
    rng = np.random.default_rng(seed)
    small, large = Device("small", 16, 20, 150), Device("large", 40, 50, 400, speed=2.0)
    kinds = (small, small, large, Device("cpu"))
    nodes = tuple(
        Node(
            f"n{i}", ("north", "south")[i % 2], 32_000, 131_072, kinds[i % 4], 0 if i % 4 == 3 else 4, 80.0, 200.0,
            spot=i == 6,
        )
        for i in range(8)
    )  # fmt: skip
    hours = 24 * 12
    regions = tuple(
        Region(
            name, pue, tags, Series(0.0, tuple(rng.uniform(-20, 200, hours))), Series(0.0, tuple(rng.uniform(50, 600, hours))),
            {"small": 1.0, "large": 3.0}, {"small": 0.4, "large": 1.0}, egress_eur=0.02,
        )
        for name, pue, tags in (("north", 1.1, frozenset({"eu"})), ("south", 1.4, frozenset()))
    )  # fmt: skip
    items = (DataItem("records", 50.0, frozenset({"north"})), DataItem("secret", 5.0, frozenset({"north"}), frozenset({"eu"})))
    made = tuple(_job(rng, i) for i in range(jobs))
    real = {job.id: float(job.work_s or 0) * float(rng.lognormal(0, 0.3)) for job in made}
    outages = (("n6", 3 * HOUR, 5 * HOUR), ("n0", 9 * HOUR, 9.5 * HOUR))
    return scheduling.World(nodes, made, regions, items, real, outages=outages)


def _job(rng: np.random.Generator, number: int) -> Job:
    milli = int(rng.choice([0, 250, 500, 1000, 2000, 4000]))
    release, work = float(rng.uniform(0, DAY_S)), float(rng.lognormal(8, 1))
    place = int(rng.integers(6))
    return Job(
        f"j{number}",
        Pod(int(rng.integers(1, 9)) * 1000, int(rng.integers(1, 17)) * 1024, milli, frozenset({"small"} if place == 1 else ())),
        release,
        work,
        pods=min(int(rng.choice([1, 1, 1, 2, 3])), 2 if place == 1 else 3),  # two nodes have all that place 1 asks for
        spread=0.3,
        deadline_s=release + work * float(rng.uniform(1, 20)) if rng.random() < 0.5 else None,
        tenant=f"t{rng.integers(3)}",
        kind="train" if milli else "batch",
        ckpt_s=10.0,
        restart_s=30.0,
        ckpt_every_s=600.0,
        data=(("records",), ("secret",), (), (), (), ())[place],
        residency=frozenset({"eu"} if place in (1, 2) else ()),
        value=float(rng.uniform(1, 50)),
        bid=float(rng.uniform(1, 50)),
        on_spot=bool(rng.random() < 0.5),
    )


def crowd() -> scheduling.World:
    """One device, half-device jobs that keep it busy for twelve days, and one job that needs the whole of it."""
    small = [Job(f"s{i}", Pod(1000, 1024, 500), i * 3000.0, 7200.0, value=1.0, bid=1.0) for i in range(345)]
    large = Job("large", Pod(1000, 1024, 1000), DAY_S / 2, 3 * HOUR, value=1.0, bid=1.0)
    return scheduling.World((Node("n0", "here", 8000, 65_536, Device("small"), 1),), (*small, large))


def _require(holds: Any, sentence: str) -> None:
    if not holds:
        raise AssertionError(sentence)
