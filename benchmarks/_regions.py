"""Philly's jobs of 2017 moved to 2022 and to six US regions: the world of the benchmarks on regions.

Replayed: arrivals, durations and sizes of jobs, hourly carbon intensity of the six regions, Belgian day-ahead prices.
Modelled: the prices of each region (the Belgian ones, shifted by its time zone and scaled), the machines and their power,
estimates of durations (wrong by a factor whose logarithm has a standard deviation of 0.3), deadlines.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from savile.base.series import HOUR, Series
from savile.base.work import Device, Job, Node, Region
from savile.scheduling import World
from savile.scheduling._hours import plan
from savile.scheduling._traces import CARBON_OFFSET_H, carbon, philly, prices

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve()
CARD = Device("V100", 32, idle_w=60, peak_w=300)
OTHERS = (CARD, Device("T4", 16, idle_w=14, peak_w=70, speed=0.4), Device("A100", 40, idle_w=80, peak_w=400, speed=2.0))
SCALES = {"CA": 1.3, "NY": 1.1, "TX": 0.8, "VA": 0.9, "WA": 0.6, "GA": 0.8}
YEARS_S = 1_735 * 86_400.0  # from 2017-10-02, a Monday, to 2022-07-04, a Monday
WEEK_S = 7 * 86_400.0
LONGEST_S = 36 * HOUR
DOUBT, MARGIN, SLACK_S = 0.3, 0.3, 12 * HOUR
EUR_PER_TONNE = 80.0  # of CO2
DEVICES = 8  # of a machine


def world(seed: int, jobs: int = 1000, nodes: int = 1, mixed: bool = False, published: bool = True) -> World:
    """A week of jobs in six regions.

    Args:
        seed: chooses the jobs, the week of 2022, the order of the nodes and the errors of the estimates.
        jobs: how many.
        nodes: machines of eight devices in each region.
        published: prices of the next day are known from 13 o'clock on, as the day-ahead market publishes them; else as carbon,
            which is known when it has happened.
        mixed: regions have devices of three speeds, modelled, instead of one.
    """
    rng = np.random.default_rng(seed)
    week = float(rng.integers(-20, 20)) * WEEK_S
    first = 1_506_902_400.0  # 2017-10-02
    trace = [job for job in _trace() if first <= job.release_s < first + WEEK_S and job.pods <= nodes]
    trace = [job for job in trace if float(job.work_s or 0) <= LONGEST_S]
    chosen = sorted(rng.choice(len(trace), jobs, replace=False).tolist())
    names = sorted(CARBON_OFFSET_H)
    made, real = [], {}
    for i in chosen:
        job = trace[i]
        real[job.id] = float(job.work_s or 0)
        guess = real[job.id] * float(rng.lognormal(0, DOUBT))
        at = job.release_s + YEARS_S + week
        due = at + real[job.id] * (1 + MARGIN) + SLACK_S
        estimate = {"work_s": guess, "spread": DOUBT, "ckpt_s": 60.0, "restart_s": 120.0}
        made.append(replace(job, release_s=at, deadline_s=due, **estimate))
    shape = {"devices": DEVICES, "idle_w": 200.0, "peak_w": 600.0}
    cards = [OTHERS[r % 3] if mixed else CARD for r in range(len(names))]
    machines = [
        Node(f"{name}{i}", name, 64_000, 524_288, card, **shape)
        for name, card in zip(names, cards, strict=True)
        for i in range(nodes)
    ]
    order = rng.permutation(len(machines)).tolist()
    marks = {"kwh": "modelled", "energy_eur": "modelled", "gco2": "modelled"}
    return World(
        tuple(machines[i] for i in order), tuple(made), regions(published), (), real, marks=marks, name="philly in six regions"
    )


def regions(published: bool = True) -> tuple[Region, ...]:
    """Six regions with replayed carbon and modelled prices."""
    known = {} if published else {"published_h": None}
    return tuple(
        Region(
            name,
            1.2,
            price=replace(prices(SAMPLES / "energy-price", -CARBON_OFFSET_H[name] - 1, SCALES[name]), **known),
            carbon=carbon(SAMPLES / "energy-carbon", name),
        )
        for name in sorted(CARBON_OFFSET_H)
    )


def paid(outcome: object) -> dict[str, float]:
    """What the work itself cost: energy it drew, CO2 at `EUR_PER_TONNE`; idle machines apart."""
    ledger = outcome.kernel.ledger  # type: ignore[attr-defined]
    energy = sum(spell.eur for spell in ledger.spells)
    grams = sum(spell.gco2 for spell in ledger.spells)
    return {"energy_eur": energy, "kg": grams / 1000, "eur": energy + grams * EUR_PER_TONNE / 1e6}


def oracle(given: World) -> float:
    """A bound on `paid`: the linear program with the true durations, prices and carbon, hours whole and jobs divisible."""
    start = min(job.release_s for job in given.jobs) // HOUR * HOUR
    end = max(float(job.deadline_s or 0) for job in given.jobs)
    count = int((end - start) // HOUR) + 1
    names = [region.id for region in given.regions]
    size = np.array([job.pods * job.pod.gpu_milli / 1000 for job in given.jobs])
    work = size * np.array([given.work_s[job.id] / HOUR for job in given.jobs])
    window = np.zeros((len(given.jobs), count), dtype=bool)
    for row, job in enumerate(given.jobs):
        window[row, int((job.release_s - start) // HOUR) : int((float(job.deadline_s or 0) - start) // HOUR) + 1] = True
    hourly = np.stack([_hourly(region, start, count) for region in given.regions])
    watts = np.array([_watts(job) for job in given.jobs])
    cost = watts[:, None, None] * hourly[None]
    devices = {name: sum(node.devices for node in given.nodes if node.region == name) for name in names}
    capacity = np.repeat(np.array([float(devices[name]) for name in names])[:, None], count, axis=1)
    found = plan(cost, np.ones((len(given.jobs), len(names))), work, size, window, capacity)
    return found.cost


def _watts(job: Job) -> float:
    """Watts that a device adds when it works, with its share of the machine's processors."""
    cores = job.pod.cpu_milli / 64_000 * 400 / max(job.pod.gpu_milli / 1000, 1e-3)
    return CARD.peak_w - CARD.idle_w + cores


def _hourly(region: Region, start: float, count: int) -> np.ndarray:
    """EUR for a watt during each hour, carbon included."""
    assert isinstance(region.price, Series)
    assert isinstance(region.carbon, Series)
    kwh = region.pue / 1000
    hours = [start + HOUR * h for h in range(count)]
    return np.array([kwh * (region.price.at(h) / 1000 + region.carbon.at(h) * EUR_PER_TONNE / 1e6) for h in hours])


def _trace() -> list[Job]:
    if not _KNOWN:
        _KNOWN.extend(philly(SAMPLES / "gpu-philly"))
    return _KNOWN


_KNOWN: list[Job] = []
