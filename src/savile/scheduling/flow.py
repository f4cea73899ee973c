"""Minimum-cost flow over servers and links: all that waits is placed at once (as HIRE, ASPLOS 2021, without switches).

Waiting pods of a kind are one source. They flow to servers directly where their data are, else over the link of a region, which
carries as many as its bandwidth allows in a round; or they go on waiting. An arc costs the mean of normalised terms: how unused
and how lopsided the server would be, and how long the data take; waiting costs more the longer somebody has waited. One unit of
flow is one pod, so vectors of demand are held against the room again when pods are placed, and gangs start whole or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from savile.base.cluster import State
from savile.base.work import WHOLE, Event, Start
from savile.scheduling._flows import Network, scaled, solve
from savile.scheduling._place import Placing, copies
from savile.scheduling.best_fit import DEFAULT, Settings, choose

deterministic = True
NEAREST = 64  # servers that a kind is connected to, cheapest first
ROUND_S = 3600.0
GBIT = 8.589934592  # of a GiB
WAIT = 4.0  # cost of waiting for somebody who just came; placing costs at most 3


def decide(state: State, event: Event, rng: np.random.Generator, settings: Settings = DEFAULT) -> Sequence[Start]:
    """Place what waits: at rounds where there are rounds, else at every event."""
    if not len(state.pending) or ("round_s" in state.options and event.kind != "round"):
        return []
    placing = Placing(state, Event("round", event.at), choose, settings.patience_s, "cheapest flow")
    kinds = _kinds(state, placing.tried)
    if not kinds:
        return placing.starts
    network, sources, servers = build(state, placing, kinds)
    flow, _ = solve(network)
    used = flow[: len(servers)]
    for k, (_, numbers) in enumerate(kinds):
        mine = (sources == k) & (used > 0)
        wanted = np.zeros(len(state.nodes), dtype=bool)
        wanted[servers[mine]] = True
        pods = int(used[mine].sum())
        for number in numbers:
            if state.jobs[number].pods > pods:
                continue
            before, placing.free = placing.free, wanted if placing.free is None else wanted & placing.free
            started = placing.start(number)
            placing.free = before
            placing.failed.clear()  # it failed on these servers only
            pods -= state.jobs[number].pods if started is not None else 0
    return placing.starts


def _kinds(state: State, tried: np.ndarray) -> list[tuple[int, list[int]]]:
    """Kinds of waiting jobs with the jobs of each, longest waiting first; jobs with the same data only are alike."""
    found: dict[object, list[int]] = {}
    for number in tried.tolist():
        found.setdefault((int(state.kind[number]), state.jobs[number].data), []).append(number)
    return [(numbers[0], numbers) for numbers in found.values()]


def build(state: State, placing: Placing, kinds: Sequence[tuple[int, list[int]]]) -> tuple[Network, np.ndarray, np.ndarray]:
    """The network: kinds, then links (a kind into a region), then servers, then the sink.

    Returns:
        The network, whose first arcs end in servers, and for each of those the number of its kind and of its server.
    """
    regions = list(state.regions)
    links = len(kinds)
    first_server = links + len(kinds) * len(regions)
    sink = first_server + len(state.nodes)
    into, over, waits = [], [], []
    room_for = np.zeros(len(state.nodes), dtype=np.int64)
    supply = np.zeros(sink + 1, dtype=np.int64)
    for k, (number, numbers) in enumerate(kinds):
        job, units = state.jobs[number], sum(state.jobs[n].pods for n in numbers)
        many = copies(placing.room, job.pod) * state.allowed(job)
        many = many if placing.free is None else many * placing.free
        room_for = np.maximum(room_for, many)
        cost = _unused(state, placing, number)
        at = many.nonzero()[0]
        at = at[np.argsort(cost[at], kind="stable")[:NEAREST]]
        for n in at.tolist():
            far = job.data and _missing(state, number, regions[int(state.site[n])]) > 0
            tail = links + k * len(regions) + int(state.site[n]) if far else k
            into.append((tail, first_server + n, min(int(many[n]), units), cost[n], k, n))
        for r, region in enumerate(regions):
            gib = _missing(state, number, region)
            if gib > 0:
                seconds = gib * GBIT / state.regions[region].gbps
                fetched = int(_round_s(state) // max(seconds, 1e-9))
                over.append((k, links + k * len(regions) + r, fetched, min(1.0, seconds / _round_s(state))))
        waited = max(state.now - state.jobs[n].release_s for n in numbers)
        waits.append((k, sink, units, WAIT + waited / _round_s(state)))
        supply[k], supply[sink] = units, supply[sink] - units
    ends = [(first_server + n, sink, int(room_for[n]), 0.0) for n in room_for.nonzero()[0].tolist()]
    arcs = [*(arc[:4] for arc in into), *over, *waits, *ends]
    tails, heads, capacity, cost = (np.array(column) for column in zip(*arcs, strict=True))
    network = Network(tails, heads, capacity, scaled(cost), supply)
    return network, np.array([k for *_, k, _ in into], dtype=np.int64), np.array([n for *_, n in into], dtype=np.int64)


def _unused(state: State, placing: Placing, number: int) -> np.ndarray:
    """Share of a server left unused plus how lopsided it would be, each in [0, 1], float64 (n,)."""
    room, full, pod = placing.room, state.capacity, state.jobs[number].pod
    cpu = (room.cpu - pod.cpu_milli) / np.maximum(full.cpu, 1)
    devices = np.where(full.total > 0, (room.total - pod.gpu_milli) / np.maximum(full.total, WHOLE), cpu)
    unused: np.ndarray = (cpu + devices) / 2 + np.abs(cpu - devices)
    return unused.clip(0.0, 2.0)


def _missing(state: State, number: int, region: str) -> float:
    """GiB that a job would have to fetch into a region."""
    return sum(state.items[item].gib for item in state.jobs[number].data if region not in state.items[item].replicas)


def _round_s(state: State) -> float:
    return float(state.options.get("round_s", ROUND_S))
