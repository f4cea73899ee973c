"""What running costs: energy as an integral over every change of power, money, carbon and rent, with the spells behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from savile.base.cluster import Run
from savile.base.work import WHOLE, Job, Node, Place, Region

JOULES = 3.6e6  # per kWh
HOUR_S = 3600.0
GBIT = 8.589934592  # of a GiB


@dataclass(frozen=True, slots=True)
class Spell:
    """One stretch of time in which a job held places: when, at which dynamic watts, what it cost, and how it ended."""

    job: int
    places: tuple[Place, ...]
    start: float
    begins: float
    end: float
    watts: float
    kwh: float
    eur: float
    gco2: float
    rent: float
    how: str


class Account:
    """Energy of one region: joules, EUR and grams, integrated whenever the power changes."""

    __slots__ = ("eur", "gco2", "joules", "last", "region", "watts")

    def __init__(self, region: Region, watts: float, at: float) -> None:
        self.region, self.watts, self.last = region, watts, at
        self.joules = self.eur = self.gco2 = 0.0

    def change(self, at: float, watts: float) -> None:
        """From now on the machines draw `watts` more (or less)."""
        if self.watts and at > self.last:
            joules, eur, gco2 = energy(self.region, self.watts, self.last, at)
            self.joules += joules
            self.eur += eur
            self.gco2 += gco2
        self.last = at
        self.watts += watts


def energy(region: Region, watts: float, start: float, end: float) -> tuple[float, float, float]:
    """Joules, EUR and grams of CO2 (location-based average) of a constant draw over [start, end], the site's share included."""
    drawn = watts * region.pue
    price = region.price.integral(start, end) if region.price is not None else 0.0
    carbon = region.carbon.integral(start, end) if region.carbon is not None else 0.0
    return drawn * (end - start), drawn * price / JOULES / 1000, drawn * carbon / JOULES


class Ledger:
    """The books of one run.

    Attributes:
        accounts: region -> energy of all its machines, idle power included.
        spells: every stretch in which a job held places; the dynamic energy and the rent of each is the job's own.
        egress, moved_gib: EUR paid for data that left a region, and how much moved.
        revenue: job number -> EUR charged.
        lost_s: device seconds of work that was lost with a node. `waiting_s`: device seconds in which a job held places and
            waited for its data or its checkpoint.
    """

    def __init__(self, nodes: Sequence[Node], regions: Mapping[str, Region]) -> None:
        self.nodes, self.regions = nodes, regions
        idle = dict.fromkeys(regions, 0.0)
        for node in nodes:
            idle[node.region] += idle_w(node)
        self.idle, self.accounts = idle, dict[str, Account]()
        self.spells: list[Spell] = []
        self.egress = self.moved_gib = self.lost_s = self.waiting_s = 0.0
        self.revenue: dict[int, float] = {}

    def open(self, at: float) -> None:
        """The run begins: from here on idle machines draw power."""
        self.accounts = {name: Account(region, self.idle[name], at) for name, region in self.regions.items()}

    def close(self, at: float) -> None:
        """The run ends."""
        for account in self.accounts.values():
            account.change(at, -account.watts)

    def dynamic_w(self, job: Job, places: Sequence[tuple[int, object]]) -> float:
        """Watts that a job's pods add to idle nodes, at full use of what they hold."""
        pod, watts = job.pod, 0.0
        for n, _ in places:
            node = self.nodes[n]
            watts += pod.gpu_milli / WHOLE * (node.device.peak_w - node.device.idle_w)
            watts += pod.cpu_milli / max(node.cpu_milli, 1) * (node.peak_w - node.idle_w)
        return watts

    def rent_h(self, job: Job, places: Sequence[tuple[int, object]]) -> float:
        """EUR per hour of rent for what a job holds."""
        total = 0.0
        for n, _ in places:
            node = self.nodes[n]
            region = self.regions[node.region]
            rent = region.spot_rent if node.spot else region.rent
            if rent:
                total += (
                    rent.get(node.device.type, 0.0) * job.pod.gpu_milli / WHOLE
                    + rent.get("cpu", 0.0) * job.pod.cpu_milli / 1000
                )
        return total

    def stop(self, job: Job, run: Run, numbers: Sequence[tuple[int, object]], at: float, how: str) -> None:
        """A job gave its places back: its spell is booked."""
        region = self.regions[self.nodes[numbers[0][0]].region]
        watts = self.dynamic_w(job, numbers)
        joules, eur, gco2 = energy(region, watts, run.since, at) if watts else (0.0, 0.0, 0.0)
        rent = self.rent_h(job, numbers) * (at - run.since) / HOUR_S
        self.accounts[region.id].change(at, -watts)
        self.waiting_s += (min(run.begins, at) - run.since) * max(1.0, job.pod.gpu_milli / WHOLE) * len(numbers)
        self.spells.append(Spell(run.job, run.places, run.since, run.begins, at, watts, joules / JOULES, eur, gco2, rent, how))


def idle_w(node: Node) -> float:
    """Watts of a node that is on and has nothing to do."""
    return node.idle_w + node.devices * node.device.idle_w
