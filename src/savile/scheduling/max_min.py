"""Max-min fairness over unlike devices: time shares from a linear program, followed round by round (Gavel, OSDI 2020).

At each round a linear program gives every job its share of time on every device type, so that the smallest throughput, relative
to what an equal split would give, is as large as can be. Jobs then run in order of how far they are behind their share. Between
rounds, what is free goes to whoever waits. Jobs without devices are placed by best fit. This is the paper's basic policy; it is
not strategy-proof.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from savile.base.cluster import Room, State
from savile.base.work import WHOLE, Decision, Event, Place, Preempt, Start
from savile.scheduling._place import place, spread
from savile.scheduling.best_fit import DEFAULT, Settings, choose

deterministic = True
STAY = 1.05  # a job that runs keeps its place unless another is further behind by this much


def shares(throughput: np.ndarray, size: np.ndarray, devices: np.ndarray) -> tuple[np.ndarray, float]:
    """The fairest time shares.

    Args:
        throughput: work per second of m jobs on a device types, 0 where a job cannot run, float64 (m, a).
        size: devices that each job holds while it runs, float64 (m,).
        devices: devices of each type, float64 (a,).

    Returns:
        Shares X in [0, 1], (m, a), and the smallest relative throughput: max t with sum_a T X / T_equal >= t, sum_a X <= 1 and
        sum_m size X <= devices, solved by HiGHS with an interior point, which is 50 times as fast as simplex on large ones.
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_matrix, hstack, kron, vstack
    from scipy.sparse import eye as identity

    m, a = throughput.shape
    equal = devices / m / max(1.0, float(devices.sum()) / m)
    reference = np.maximum(throughput @ equal, 1e-12)
    rows, columns = np.repeat(np.arange(m), a), np.arange(m * a)
    gain = csr_matrix((-(throughput / reference[:, None]).ravel(), (rows, columns)), shape=(m, m * a))
    per_job = csr_matrix((np.ones(m * a), (rows, columns)), shape=(m, m * a))
    per_type = kron(size[None, :], identity(a), format="csr")
    blocks = [hstack([gain, np.ones((m, 1))]), hstack([per_job, csr_matrix((m, 1))]), hstack([per_type, csr_matrix((a, 1))])]
    cost = np.zeros(m * a + 1)
    cost[-1] = -1.0
    bounds = np.column_stack([np.zeros(m * a + 1), np.append((throughput.ravel() > 0).astype(float), np.inf)])
    limit = np.concatenate([np.zeros(m), np.ones(m), devices])
    solved = linprog(cost, A_ub=vstack(blocks, format="csr"), b_ub=limit, bounds=bounds, method="highs-ipm")
    return solved.x[:-1].reshape(m, a), float(solved.x[-1])


def decide(state: State, event: Event, rng: np.random.Generator, settings: Settings = DEFAULT) -> Sequence[Decision]:
    """At a round, who is furthest behind runs; at other times, what is free is used."""
    active = [n for n in (*state.running, *state.pending.tolist()) if state.jobs[n].pod.gpu_milli]
    if event.kind != "round" or not active or not any(state.jobs[n].pod.gpu_milli for n in state.pending.tolist()):
        return place(state, event, choose, patience_s=settings.patience_s, why="free between rounds")
    return _turn(state, sorted(active))


def _turn(state: State, active: list[int]) -> Sequence[Decision]:
    types = sorted({node.device.type for node in state.nodes if node.devices})
    where = np.array([types.index(node.device.type) if node.devices else -1 for node in state.nodes])
    devices = np.array([state.capacity.total[where == t].sum() / WHOLE for t in range(len(types))])
    throughput = np.array([[_speed(state, n, where == t) for t in range(len(types))] for n in active])
    size = np.array([state.jobs[n].pods * state.jobs[n].pod.gpu_milli / WHOLE for n in active])
    wanted, _ = shares(throughput, size, devices)
    behind = _behind(state, active, types, wanted)
    return _fill(state, active, where, behind)


def _speed(state: State, number: int, of_type: np.ndarray) -> float:
    """Work per second on nodes of a type; 0 where it may not run or never fits."""
    job = state.jobs[number]
    usable = (state.allowed(job) & of_type & state.capacity.fits(job.pod)).nonzero()[0]
    return state.rate(job, ((state.nodes[int(usable[0])].id, ()),) * job.pods) if len(usable) else 0.0


def _behind(state: State, active: list[int], types: list[str], wanted: np.ndarray) -> np.ndarray:
    """Wanted share over received share, (m, a): the paper's priority; who has received nothing comes first."""
    got = np.zeros(wanted.shape)
    for row, number in enumerate(active):
        run, job = state.running.get(number), state.jobs[number]
        for kind, seconds in state.served.get(number, {}).items():
            got[row, types.index(kind)] += seconds
        if run is not None:
            got[row, types.index(state.nodes[state.index[run.places[0][0]]].device.type)] += state.now - run.since
        got[row] /= max(state.now - job.release_s, 1.0)
    return np.where(wanted > 1e-6, wanted / (got + 1e-3), 0.0)


def _fill(state: State, active: list[int], where: np.ndarray, behind: np.ndarray) -> Sequence[Decision]:
    """Run jobs in order of how far they are behind, running ones where they are."""
    room = _without(state, active)
    chosen: dict[int, tuple[Place, ...]] = {}
    for flat in np.argsort(-_sticky(state, active, where, behind), axis=None, kind="stable").tolist():
        row, kind = divmod(flat, behind.shape[1])
        number = active[row]
        if number in chosen or behind[row, kind] <= 0:
            continue
        places = _stay(state, room, number, where, kind) or spread(state, room, state.jobs[number], choose, where == kind)
        if places is not None:
            chosen[number] = places
    stops = [n for n in active if n in state.running and chosen.get(n) != state.running[n].places]
    starts = [n for n in active if n in chosen and (n not in state.running or n in stops)]
    return [
        *(Preempt(state.jobs[n].id, "others are further behind their share") for n in stops),
        *(Start(state.jobs[n].id, chosen[n], "furthest behind its share") for n in starts),
    ]


def _sticky(state: State, active: list[int], where: np.ndarray, behind: np.ndarray) -> np.ndarray:
    kept = behind.copy()
    for row, number in enumerate(active):
        if number in state.running:
            kept[row, where[state.index[state.running[number].places[0][0]]]] *= STAY
    return kept


def _without(state: State, active: list[int]) -> Room:
    """The room there would be if none of them ran."""
    room = state.room.copy()
    for number in active:
        if number in state.running:
            for node, devices in state.running[number].places:
                room.give(state.jobs[number].pod, state.index[node], devices)
    return room


def _stay(state: State, room: Room, number: int, where: np.ndarray, kind: int) -> tuple[Place, ...] | None:
    """The places a job holds, taken again, when they are of the type and still free."""
    run, pod = state.running.get(number), state.jobs[number].pod
    if run is None or where[state.index[run.places[0][0]]] != kind:
        return None
    trial = room.copy()
    for node, devices in run.places:
        n = state.index[node]
        free = trial.cpu[n] >= pod.cpu_milli and trial.mem[n] >= pod.mem_mib
        if not free or any(trial.gpu[n, d] < min(pod.gpu_milli, WHOLE) for d in devices):
            return None
        trial.take(pod, n, devices)
    for node, devices in run.places:
        room.take(pod, state.index[node], devices)
    return run.places
