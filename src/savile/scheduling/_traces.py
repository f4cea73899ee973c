"""Public traces as jobs, nodes and series. Nothing is shipped: each loader takes the folder in which a trace's files lie.

Powers are nameplate figures of the vendors and are marked modelled; what a trace does not say is not made up, except where an
argument says so.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from savile.base.errors import DataError
from savile.base.series import Series
from savile.base.work import WHOLE, Device, Job, Node, Pod

PUBLISHED_H = 13.0  # by the clock of the prices: the day-ahead auction says them at about 12:57
IDLE = 0.2  # of a device's peak power, as measured for data-centre cards at rest
WATTS = {
    "P100": 250.0,
    "T4": 70.0,
    "V100": 300.0,
    "V100M16": 300.0,
    "V100M32": 300.0,
    "A10": 150.0,
    "A100": 400.0,
    "H800": 700.0,
}
TYPICAL_W = 300.0
CARBON_OFFSET_H = {"CA": -8, "NY": -5, "TX": -6, "VA": -5, "WA": -8, "GA": -5}  # standard time of the six US regions


def device(kind: str) -> Device:
    """A device type with its nameplate power; types whose names the traces hide are taken as `TYPICAL_W`."""
    peak = WATTS.get(kind, TYPICAL_W)
    return Device(kind, idle_w=IDLE * peak, peak_w=peak)


def alibaba_2023(folder: str | Path, pods: str = "default", devices_only: bool = True) -> tuple[list[Node], list[Job]]:
    """The openb trace (Weng et al., ATC 2023): nodes, and one job per task in order of creation.

    Durations are censored in this trace, so `work_s` is what was seen where a task ended, and None where it went on.

    Args:
        folder: holds ``openb_node_list_all_node.csv`` and ``openb_pod_list_<pods>.csv.gz``.
        pods: which list of tasks.
        devices_only: leave out the nodes without devices.
    """
    nodes = [
        Node(row["sn"], "openb", int(row["cpu_milli"]), int(row["memory_mib"]), device(row["model"] or "cpu"), int(row["gpu"]))
        for row in _rows(Path(folder) / "openb_node_list_all_node.csv")
        if int(row["gpu"]) or not devices_only
    ]
    jobs = [_openb(row) for row in _rows(Path(folder) / f"openb_pod_list_{pods}.csv.gz")]
    return nodes, sorted(jobs, key=lambda job: (job.release_s, job.id))


def _openb(row: dict[str, str]) -> Job:
    milli = int(row["gpu_milli"]) if int(row["num_gpu"]) == 1 else int(row["num_gpu"]) * WHOLE
    types = frozenset(row["gpu_spec"].split("|")) if row["gpu_spec"] else frozenset()
    ran = row["pod_phase"] == "Succeeded" and row["scheduled_time"] and row["deletion_time"]
    work = max(0.0, float(row["deletion_time"]) - float(row["scheduled_time"])) if ran else None
    pod = Pod(int(row["cpu_milli"]), int(row["memory_mib"]), milli, types)
    return Job(row["name"], pod, float(row["creation_time"]), work, tenant=row["qos"], kind="train")


def alibaba_2025(folder: str | Path) -> list[Job]:
    """Instances of recommendation services (disaggregated DLRM): one serving job each, its app the tenant, without an end."""
    return [_instance(row) for row in _rows(Path(folder) / "disaggregated_DLRM_trace.csv.gz")]


def _instance(row: dict[str, str]) -> Job:
    cpu, mem = round(float(row["cpu_request"]) * 1000), round(float(row["memory_request"]) * 1024)
    pod = Pod(cpu, mem, int(float(row["gpu_request"])) * WHOLE)
    return Job(row["instance_sn"], pod, float(row["creation_time"] or 0.0), tenant=row["app_name"], kind="serve")


def alibaba_2026(folder: str | Path, mem_mib_per_core: int = 8192, spot: bool = True) -> list[Node]:
    """Nodes of the spot GPU trace; memory is not in the trace and is set by an argument."""
    return [
        Node(
            row["node_name"], "spot", int(float(row["cpu_num"])) * 1000, int(float(row["cpu_num"])) * mem_mib_per_core,
            device(row["gpu_model"]), int(float(row["gpu_capacity_num"])), spot=spot,
        )
        for row in _rows(Path(folder) / "node_info_df.csv")
    ]  # fmt: skip


def philly(folder: str | Path, cpu_milli: int = 4000, mem_mib: int = 16_384) -> list[Job]:
    """Microsoft's Philly jobs (Jeon et al., ATC 2019) in order of submission, their virtual cluster the tenant.

    Jobs of more than eight devices become gangs of eight-device pods. CPU and memory per device are not in the trace and are
    set by arguments.
    """
    found = []
    for number, row in enumerate(_rows(Path(folder) / "philly_jobs.csv.gz")):
        devices, seconds = int(row["num_gpus"]), float(row["duration"])
        if devices < 1 or not seconds > 0:
            continue
        pods = 1 if devices <= 8 else -(-devices // 8)
        each = devices if pods == 1 else 8
        at = datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC).timestamp()
        pod = Pod(cpu_milli * each, mem_mib * each, each * WHOLE)
        found.append(Job(f"p{number}", pod, at, seconds, pods, tenant=row["cluster"], kind="train"))
    return sorted(found, key=lambda job: (job.release_s, job.id))


def lora_requests(folder: str | Path) -> list[Job]:
    """Requests for generated images (2026), in order of time: device seconds; the tenant is base model and adapters."""
    found = []
    for number, row in enumerate(_rows(Path(folder) / "lora_request_trace.csv.gz")):
        seconds = float(row["exec_time_seconds"] or "nan")
        if row["predict_status"] != "SUCCEED" or not seconds > 0:
            continue
        at = datetime.fromisoformat(row["gmt_create"]).replace(tzinfo=UTC).timestamp()
        adapters = f"+{row['num_lora']}" if row["num_lora"] not in ("", "0") else ""
        model = f"{row['checkpoint_model_version_id']}{adapters}"
        found.append(Job(f"r{number}", Pod(1000, 4096, WHOLE), at, seconds, tenant=model, kind="serve"))
    return sorted(found, key=lambda job: (job.release_s, job.id))


def prices(folder: str | Path, shift_h: int = 0, scale: float = 1.0) -> Series:
    """Belgian day-ahead prices 2022-2024 as EUR/MWh, by the hour; the clock is taken as UTC.

    Hours listed twice keep their first price, hours missing within take the one before, the missing tail is left out. The
    prices of a day are public from `PUBLISHED_H` on the day before.

    Args:
        shift_h: what a region that lives so many hours later would see; the result is modelled then.
        scale: what its prices are multiplied by; likewise.
    """
    known: dict[int, float] = {}
    for row in _rows(Path(folder) / "DAM_prices_BE.csv.gz"):
        at = datetime.strptime(row["time"].title(), "%d%b%Y %H:%M:%S").replace(tzinfo=UTC).timestamp()
        if row["DAM_price"]:
            known.setdefault(round(at / 3600), float(row["DAM_price"]) * 1000 * scale)
    return replace(_hourly(known, shift_h), published_h=PUBLISHED_H)


def carbon(folder: str | Path, region: str) -> Series:
    """Average carbon intensity of a US region in 2022, g/kWh by the hour; hours without a value take the one before."""
    known = {}
    for row in _rows(Path(folder) / f"{region}_2022_hourly.csv.gz"):
        value = float(row["avg_CI"] or "nan")
        if not math.isnan(value):
            known[round(datetime.fromisoformat(row["timestamp"]).timestamp() / 3600)] = value
    return _hourly(known, 0)


def _hourly(known: dict[int, float], shift_h: int) -> Series:
    first, last = min(known), max(known)
    values, current = [], known[first]
    for hour in range(first, last + 1):
        current = known.get(hour, current)
        values.append(current)
    return Series((first + shift_h) * 3600.0, tuple(values))


def _rows(path: Path) -> Iterator[dict[str, str]]:
    if not path.is_file():
        raise DataError(
            f"the trace file {path.name}", f"no such file in {path.parent}", "See docs/scheduling.md for where it is from."
        )
    packed = path.read_bytes()
    text = (gzip.decompress(packed) if path.suffix == ".gz" else packed).decode("utf-8")
    yield from csv.DictReader(text.splitlines())
