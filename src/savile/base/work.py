"""Work and places: jobs, devices, nodes and regions, what happens to them, and what a policy decides.

Times are UTC seconds, money is EUR, energy is kWh, sizes are GiB (GB for transfers are not used). A node keeps the free part of
each of its devices apart, never one number of devices, because what fits is decided device by device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from math import isfinite
from typing import Any, Literal

from savile.base.errors import InputError
from savile.base.series import Series

WHOLE = 1000  # a device, in thousandths
Kind = Literal["train", "batch", "serve", "compress", "evaluate"]
Happens = Literal["arrive", "finish", "fail", "down", "up", "round", "load"]


@dataclass(frozen=True, slots=True)
class Device:
    """One accelerator type: memory and power of one device, and how fast it is where a job does not say (1 = reference)."""

    type: str
    mem_gib: float = 0.0
    idle_w: float = 0.0
    peak_w: float = 0.0
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class Node:
    """One machine: `devices` devices of one type, CPU, memory, and its power without devices.

    Attributes:
        spot: it may be taken away; its rent is the region's spot rent.
        boot_s: seconds from being switched on to being of use.
    """

    id: str
    region: str
    cpu_milli: int
    mem_mib: int
    device: Device = Device("cpu")
    devices: int = 0
    idle_w: float = 0.0
    peak_w: float = 0.0
    link_gbps: float = 10.0
    spot: bool = False
    boot_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Region:
    """A place with its own prices. `price` and `carbon` are the truth and are hidden from policies.

    Attributes:
        pue: power drawn by the site for each watt of the machines.
        tags: what a job's residency may name, beside the region's id.
        rent: device type -> EUR per device hour; ``cpu`` is per core hour. `spot_rent` the same for spot nodes.
        egress: region -> EUR per GiB moved there from here; `egress_eur` where a region is not listed.
        gbps: link to other regions.
    """

    id: str
    pue: float = 1.0
    tags: frozenset[str] = frozenset()
    price: Series | None = None
    carbon: Series | None = None
    rent: Mapping[str, float] = field(default_factory=dict)
    spot_rent: Mapping[str, float] = field(default_factory=dict)
    egress: Mapping[str, float] = field(default_factory=dict)
    egress_eur: float = 0.0
    rtt_ms: float = 0.0
    gbps: float = 10.0


@dataclass(frozen=True, slots=True)
class DataItem:
    """A data set that jobs read: its size, the regions that hold it, and where it may be kept (empty: anywhere)."""

    id: str
    gib: float
    replicas: frozenset[str]
    residency: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Pod:
    """What one worker of a job needs: below 1,000 thousandths a share of one device, else whole devices.

    Attributes:
        types: device types it runs on; empty: any.
    """

    cpu_milli: int = 0
    mem_mib: int = 0
    gpu_milli: int = 0
    types: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if min(self.cpu_milli, self.mem_mib, self.gpu_milli) < 0 or (self.gpu_milli > WHOLE and self.gpu_milli % WHOLE):
            raise InputError(
                "a share of one device (up to 1,000) or whole devices (2,000, 3,000 …), nothing negative",
                f"{self}",
                "Round it.",
            )


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work: a gang of `pods` equal pods that start together.

    Attributes:
        work_s: expected seconds on the reference device with `pods` pods; None runs until it is stopped. An estimate: how long
            a job really takes is known to the world, not to policies.
        spread: standard deviation of the logarithm of the real work, 0 where it is exact.
        most: pods it can use at most, when it may be resized; with k pods it is ``(k / pods) ** alpha`` times as fast.
        speed: device type -> speed on it; the device's own speed where not listed.
        ckpt_s, restart_s: seconds to write a checkpoint and to come back from one.
        ckpt_every_s: seconds between checkpoints; a job that loses a node falls back to the last one.
        data: data items it reads.
        residency: regions or tags it must stay in; empty: anywhere.
        slo_ms: of a service: how long 99 of 100 requests may wait to be taken by a replica. A job of kind ``serve`` with one
            is a service: each pod is a replica, there are `pods` to `most` of them, and `work_s` is how long it is offered.
        at_once: requests that a replica answers at a time.
        value, bid: what it is worth and what its tenant says it is worth, in EUR.
        on_spot: whether it may run where machines are taken away.
    """

    id: str
    pod: Pod
    release_s: float = 0.0
    work_s: float | None = None
    pods: int = 1
    most: int = 0
    alpha: float = 1.0
    spread: float = 0.0
    deadline_s: float | None = None
    tenant: str = "all"
    kind: Kind = "batch"
    speed: Mapping[str, float] = field(default_factory=dict)
    ckpt_s: float = 0.0
    restart_s: float = 0.0
    ckpt_every_s: float = 3600.0
    data: tuple[str, ...] = ()
    residency: frozenset[str] = frozenset()
    value: float = 0.0
    bid: float | None = None
    slo_ms: float | None = None
    at_once: int = 1
    on_spot: bool = True

    def __post_init__(self) -> None:
        if self.pods < 1 or (self.work_s is not None and self.work_s < 0) or not 0 < self.alpha <= 1:
            raise InputError("a job with pods >= 1, work >= 0 and 0 < alpha <= 1", f"{self.id}: {self.pods} pods", "Mend it.")

    @property
    def service(self) -> bool:
        """Whether it answers requests, with more replicas or fewer, instead of getting something done."""
        return self.kind == "serve" and self.slo_ms is not None


@dataclass(frozen=True, slots=True)
class Load:
    """What a service was asked of late.

    Attributes:
        rate: requests a second that came since the last time this was measured.
        busy_s: mean seconds for which a request, once taken, kept its place in a replica; 0 before the first.
        spread: variance of those seconds over their squared mean.
        waiting: requests that wait to be taken now.
    """

    rate: float
    busy_s: float = 0.0
    spread: float = 1.0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: a job arrived, finished or failed, a node went or came, a round began, a load was measured."""

    kind: Happens
    at: float
    job: str = ""
    node: str = ""
    load: Load | None = None


Place = tuple[str, tuple[int, ...]]  # a node, and the numbers of its devices that a pod uses


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a decision was expected to bring: when the job ends, its energy, money and carbon."""

    end_s: float | None
    kwh: float = 0.0
    eur: float = 0.0
    gco2: float = 0.0


@dataclass(frozen=True, slots=True)
class Start:
    """Start a pending job, one place for each pod. `keep`: data it fetches stay in the region as replicas."""

    job: str
    places: tuple[Place, ...]
    why: str = ""
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Preempt:
    """Checkpoint a running job and put it back in the queue."""

    job: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Resize:
    """Checkpoint a running job and go on in other places, with another number of pods or on other nodes."""

    job: str
    places: tuple[Place, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Migrate:
    """Checkpoint a running job and go on in another region; what it reads is fetched there."""

    job: str
    places: tuple[Place, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Replicate:
    """Copy a data item into a region, or drop the copy there."""

    item: str
    region: str
    drop: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse a pending job for good."""

    job: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Price:
    """Charge a job's tenant, or post a price; EUR."""

    job: str
    eur: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Power:
    """Switch an empty node on or off."""

    node: str
    on: bool
    why: str = ""


Decision = Start | Preempt | Resize | Migrate | Replicate | Reject | Price | Power


def plain(value: Any) -> Any:
    """The JSON form of a record of this file: no fields left at their defaults, sorted lists for sets, None for no limit."""
    if isinstance(value, float) and not isfinite(value):
        return None
    if is_dataclass(value):
        return {f.name: plain(each) for f in fields(value) if f.init and (each := getattr(value, f.name)) != _default(f)}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def _default(of: Any) -> Any:
    return of.default_factory() if of.default_factory is not MISSING else of.default
