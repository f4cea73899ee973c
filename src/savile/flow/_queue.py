"""A queue file becomes nodes, regions, jobs and the work behind each; what a person writes about a cluster, checked.

    policy: queue                                     # a policy's name, or {name: queue, off_peak: [22, 6]}
    nodes: [{id: here, region: home, cpus: 2, mem_gib: 8}]
    regions: [{id: home, price: 120, carbon: 300, pue: 1.2, rent: {cpu: 0.05}}]
    jobs: [{id: a, recipe: tickets.savile.yaml, hours: 0.2, cpus: 1, deadline_h: 12, tenant: desk}]

A job with ``serve``, a release or an alias, is a service: `pods` to `most` replicas for `hours`, where 99 of 100 requests wait
at most `slo_ms`. `load`, requests a second as one number or 24, and `answer_s` say what a what-if asks it. See `_service`.

`price` is EUR/MWh and `carbon` g/kWh: one number, or one for each hour of a day, UTC. Hours that are not given are estimated
from the recipe. `start_h` is the hour of the day (UTC) at which a what-if begins; without it, and live, that is now.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict

from savile.base import recipe as recipes
from savile.base._sections import SECTION
from savile.base.errors import InputError, MachineError
from savile.base.series import HOUR, Series
from savile.base.work import WHOLE, Device, Job, Node, Pod, Region
from savile.flow import _service
from savile.flow._order import Order, settle
from savile.flow._result import Result
from savile.scheduling import Requests

DAY_S = 86_400.0
DAYS = 30  # for which a day's prices are repeated
POLL_S = 0.2
SLO_MS = 1000.0  # where a service does not say
SAVILE = (sys.executable, "-c", "import sys; from savile.cli import main; sys.exit(main())")


@dataclass(frozen=True)
class NodeSays:
    """A node of a queue file."""

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    id: str
    region: str = "here"
    cpus: float = 1.0
    mem_gib: float = 4.0
    device: str = "cpu"
    devices: int = 0
    idle_w: float = 20.0
    peak_w: float = 60.0
    device_idle_w: float = 30.0
    device_peak_w: float = 250.0
    spot: bool = False


@dataclass(frozen=True)
class RegionSays:
    """A region of a queue file."""

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    id: str
    price: float | tuple[float, ...] | None = None
    carbon: float | tuple[float, ...] | None = None
    pue: float = 1.0
    rent: dict[str, float] | None = None
    spot_rent: dict[str, float] | None = None
    tags: tuple[str, ...] = ()
    egress_eur: float = 0.0


@dataclass(frozen=True)
class JobSays:
    """A job of a queue file."""

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    id: str
    recipe: str | None = None
    command: str | None = None
    hours: float | None = None
    after_h: float = 0.0
    deadline_h: float | None = None
    cpus: float = 1.0
    mem_gib: float = 2.0
    devices: float = 0.0
    types: tuple[str, ...] = ()
    pods: int = 1
    tenant: str = "all"
    kind: Literal["train", "batch", "serve", "compress", "evaluate"] = "train"
    residency: tuple[str, ...] = ()
    value: float = 0.0
    on_spot: bool = True
    serve: str | None = None
    most: int = 0
    slo_ms: float | None = None
    at_once: int = 1
    port: int = 0
    ready_s: float = 5.0
    load: float | tuple[float, ...] | None = None
    answer_s: float = 0.05


@dataclass(frozen=True)
class Queue:
    """What a queue file says."""

    policy: str
    settings: dict[str, Any]
    nodes: tuple[Node, ...]
    regions: tuple[Region, ...]
    jobs: tuple[Job, ...]
    commands: dict[str, tuple[str, ...]]
    ports: dict[str, int] = field(default_factory=dict)  # service -> where it answers, 0 for a free port
    requests: dict[str, Requests] = field(default_factory=dict)  # service -> what a what-if asks it
    start_s: float = 0.0  # seconds of the UTC day at which it begins; what jobs say of time counts from then


def now_s() -> float:
    """Seconds of the UTC day that have passed."""
    return time.time() % DAY_S


def read(path: Path) -> Queue:
    """Read and check a queue file, or a recipe, which is a queue of one on this machine.

    Raises:
        InputError: there is no such file, or something in it is not so.
    """
    said = recipes.document(path, "queue")
    if "jobs" not in said:
        said = {"jobs": [{"id": path.name.partition(".")[0], "recipe": path.name}], "policy": "best_fit"}
    unknown = set(said) - {"policy", "nodes", "regions", "jobs", "start_h"}
    if unknown:
        raise InputError("policy, nodes, regions, jobs and start_h", ", ".join(sorted(unknown)), "See docs/scheduling.md.")
    chosen = said.get("policy", "queue")
    settings = {} if isinstance(chosen, str) else {k: _tuples(v) for k, v in chosen.items() if k != "name"}
    nodes = [_node(recipes.fill(NodeSays, each, "nodes")) for each in said.get("nodes") or [_here()]]
    regions = [_region(recipes.fill(RegionSays, each, "regions")) for each in said.get("regions") or []]
    says = [recipes.fill(JobSays, each, "jobs") for each in said["jobs"] or []]
    if not says:
        raise InputError("at least one job", "none", "Write one under jobs.")
    start = _start(said.get("start_h"))
    jobs = tuple(_job(each, path.parent, start) for each in says)
    commands = {each.id: _command(each, path.parent) for each in says}
    name = chosen if isinstance(chosen, str) else str(chosen["name"])
    ports = {job.id: each.port for job, each in zip(jobs, says, strict=True) if job.service}
    requests = {
        job.id: _service.requests(job, _hourly(each.load), each.answer_s)
        for job, each in zip(jobs, says, strict=True)
        if job.service and each.load is not None
    }
    return Queue(name, settings, tuple(nodes), tuple(regions), jobs, commands, ports, requests, start)


def one(order: Order, settings: Mapping[str, Any]) -> Result:
    """Follow a recipe's file as the only job of a queue on this machine: ``run: {where: schedule}``.

    Raises:
        InputError: the recipe has no file.
        MachineError: the job failed.
    """
    from savile.flow.schedule import live
    from savile.scheduling import policy

    if order.file is None:
        raise InputError("a recipe in a file", "one made in Python", "Write it to a file, or leave run.where at local.")
    found = read(order.file)
    (job,) = found.jobs
    given = [word for key, value in settings.items() if key != "run.where" for word in ("--set", f"{key}={json.dumps(value)}")]
    said = live(replace(found, commands={job.id: (*found.commands[job.id], *given)}), policy("best_fit"))
    if not said["well"]:
        raise MachineError(
            f"the run of {job.id}", "a job that failed", f"Look at {said['log']}, or run it with run.where=local."
        )
    answer = json.loads(said["jobs"][0]["result"])
    answer["pages"] = [*answer["pages"], *said["pages"]]
    return Result(answer, [f"Ran on {', '.join(said['jobs'][0]['nodes'])} by the schedule; see {said['pages'][0]}."])


def _here() -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"id": "here", "cpus": float(os.cpu_count() or 1), "mem_gib": round(memory, 1)}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value


def _node(said: NodeSays) -> Node:
    device = Device(said.device, idle_w=said.device_idle_w, peak_w=said.device_peak_w) if said.devices else Device("cpu")
    return Node(
        said.id, said.region, round(said.cpus * 1000), round(said.mem_gib * 1024), device, said.devices,
        said.idle_w, said.peak_w, spot=said.spot,
    )  # fmt: skip


def _region(said: RegionSays) -> Region:
    price, carbon = _series(said.price), _series(said.carbon)
    rent, spot = said.rent or {}, said.spot_rent or {}
    return Region(said.id, said.pue, frozenset(said.tags), price, carbon, rent, spot, egress_eur=said.egress_eur)


def _series(said: float | tuple[float, ...] | None) -> Series | None:
    return None if said is None else Series(-7 * 24 * HOUR, _hourly(said) * (DAYS + 7), HOUR)


def _hourly(said: float | tuple[float, ...]) -> tuple[float, ...]:
    """A number for each hour of a day."""
    values = said if isinstance(said, tuple) else (said,)
    if len(values) not in (1, 24):
        raise InputError("one number, or 24 for the hours of a day", f"{len(values)} numbers", "Write all 24.")
    return values * (24 // len(values))


def _start(said: object) -> float:
    if said is None:
        return now_s()
    if isinstance(said, bool) or not isinstance(said, int | float) or not 0 <= said < 24:
        raise InputError("start_h, an hour of the day from 0 to below 24", repr(said), "Write when it begins, UTC.")
    return float(said) * HOUR


def _job(said: JobSays, folder: Path, start: float) -> Job:
    given = [name for name in ("recipe", "command", "serve") if getattr(said, name) is not None]
    if len(given) != 1:
        received = f"job {said.id!r} with {' and '.join(given) or 'none'}"
        raise InputError("a recipe or a command, or what to serve", received, "Give one.")
    if said.recipe is not None:  # what is wrong with it is told now, not when its turn has come
        settle(folder / said.recipe, {}, None)
    hours = said.hours if said.hours is not None else _hours(said, folder)
    after = start + said.after_h * HOUR
    deadline = None if said.deadline_h is None else start + said.deadline_h * HOUR
    milli = round(said.devices * WHOLE)
    pod = Pod(round(said.cpus * 1000), round(said.mem_gib * 1024), milli, frozenset(said.types))
    kind, slo = ("serve", said.slo_ms or SLO_MS) if said.serve is not None else (said.kind, said.slo_ms)
    job = Job(
        said.id, pod, after, hours * HOUR, said.pods, said.most, deadline_s=deadline, tenant=said.tenant, kind=kind,
        residency=frozenset(said.residency), value=said.value, on_spot=said.on_spot, slo_ms=slo, at_once=said.at_once,
    )  # fmt: skip
    return replace(job, restart_s=said.ready_s) if job.service else job


def _hours(said: JobSays, folder: Path) -> float:
    """Hours that following a recipe is estimated to take here."""
    if said.recipe is None:
        raise InputError(f"hours of job {said.id!r}", "none", "Write how many hours the command takes, or the service lasts.")
    from savile.flow.run import plan

    planned = plan(folder / said.recipe).json["plan"]
    return max(float(planned["seconds"]), 1.0) / HOUR


def _command(said: JobSays, folder: Path) -> tuple[str, ...]:
    if said.command is not None:
        return ("sh", "-c", f"cd {json.dumps(str(folder.absolute()))} && {said.command}")
    if said.serve is not None:
        return (*SAVILE, "serve", said.serve)
    return (*SAVILE, "run", str((folder / str(said.recipe)).absolute()), "--set", "run.where=local", "--json")


@dataclass(frozen=True)
class Command:
    """A command line as a piece of work: what was asked to stop is interrupted, and goes on the next time.

    Training writes checkpoints and goes on from the last, so an interrupt costs seconds. Gives back the last line of stdout.
    """

    words: tuple[str, ...]
    home: str

    def __call__(self, turn: Any) -> str:
        """Run it to its end, or until it is asked to stop.

        Raises:
            RuntimeError: it ended with another code than 0, or 3, which is a gate that was not passed.
        """
        environment = {**os.environ, "SAVILE_HOME": self.home}
        with (turn.folder / "output").open("w+") as out:
            process = subprocess.Popen(self.words, stdout=out, stderr=subprocess.DEVNULL, env=environment)
            while process.poll() is None:
                if turn.stop():
                    process.terminate()
                    process.wait()
                    return ""
                try:
                    process.wait(POLL_S)
                except subprocess.TimeoutExpired:
                    continue
            out.seek(0)
            said = out.read().strip().splitlines()
        if process.returncode not in (0, 3):
            raise RuntimeError(f"{' '.join(self.words[-4:])} ended with {process.returncode}")
        return said[-1] if said else ""
