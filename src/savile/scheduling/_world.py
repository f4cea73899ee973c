"""The world of a simulation: the machines, the jobs, and the truth that no policy sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from savile.base.errors import InputError
from savile.base.work import DataItem, Job, Node, Region
from savile.scheduling._service import Requests


@dataclass(frozen=True)
class World:
    """What is simulated.

    Attributes:
        nodes, regions, jobs, items: what there is; jobs in any order.
        work_s: job id -> the seconds of work it really takes; the job's own estimate where it is not listed.
        requests: id of a service -> what it is asked.
        outages: (node, from, to) in UTC seconds: the node is down, by failure or because a spot machine was taken away.
        marks: figure -> ``real``, ``replayed`` or ``modelled``, for what is known about prices, power and so on.
        name: for reports.
    """

    nodes: tuple[Node, ...]
    jobs: tuple[Job, ...]
    regions: tuple[Region, ...] = ()
    items: tuple[DataItem, ...] = ()
    work_s: Mapping[str, float] = field(default_factory=dict)
    requests: Mapping[str, Requests] = field(default_factory=dict)
    outages: tuple[tuple[str, float, float], ...] = ()
    marks: Mapping[str, str] = field(default_factory=dict)
    name: str = "world"

    def __post_init__(self) -> None:
        if not self.nodes or not self.jobs:
            raise InputError("a world with nodes and jobs", f"{len(self.nodes)} nodes, {len(self.jobs)} jobs", "Add some.")

    def real_s(self, job: Job) -> float | None:
        """The seconds of work a job really takes; None runs until it is stopped."""
        return self.work_s.get(job.id, job.work_s)
