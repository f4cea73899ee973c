"""Regions and hours by linear program: jobs run where and when energy, carbon and rent cost least, before their deadlines.

Every hour the program of `_hours` is solved over the outlook, with what runs already taking part; jobs start, wait, stop or
move as it says. What a job is charged is the posted price: the energy it takes plus the dual of the capacity it takes.
A job whose deadline leaves no more slack starts wherever it fits. Between, only such jobs start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from savile.base.cluster import State
from savile.base.series import HOUR, Forecast
from savile.base.work import WHOLE, Decision, Event, Job, Migrate, Node, Preempt, Price, Start
from savile.scheduling._hours import Plan, plan
from savile.scheduling._place import DAY_S, Placing, spread
from savile.scheduling.best_fit import choose

deterministic = True
CORES = 16_000  # milli: as many cores as usually go with a device


@dataclass(frozen=True)
class Settings:
    """What counts, and how far is looked ahead.

    Attributes:
        carbon_eur_t: EUR per tonne of CO2 beside the money that is really paid.
        hours: hours looked ahead.
        slack_s: how long a job without a deadline may be put off.
        margin: share by which estimates are stretched when slack is counted.
        stop: whether running jobs may be stopped, and moved.
        patience_s: a job that waited so long past its slack is overtaken no more.
    """

    carbon_eur_t: float = 80.0
    hours: int = 48
    slack_s: float = 6 * HOUR
    margin: float = 0.3
    stop: bool = True
    patience_s: float = DAY_S


DEFAULT = Settings()


def decide(state: State, event: Event, rng: np.random.Generator, settings: Settings = DEFAULT) -> Sequence[Decision]:
    """Plan at the first round of every hour; between them start only what can wait no longer."""
    if not len(state.pending) and (event.kind != "round" or not state.running):
        return []
    urgent = [n for n in state.pending.tolist() if slack(state, n, settings) <= float(state.options.get("round_s", 0.0))]
    placing = Placing(state, event if urgent else Event("arrive", event.at), choose, settings.patience_s, "no more slack")
    placing.apart()  # more jobs may be urgent than `Placing` itself would try at this event
    urgent = [n for n in urgent if state.jobs[n].id not in {start.job for start in placing.starts}]
    for number in sorted(urgent, key=lambda n: (slack(state, n, settings), n)):
        placing.start(number)
    if "round_s" in state.options and (event.kind != "round" or event.at % HOUR >= state.options["round_s"]):
        return placing.starts
    started = {start.job for start in placing.starts}
    numbers = [n for n in (*state.running, *state.pending.tolist()) if state.jobs[n].id not in started]
    numbers = [n for n in numbers if n in state.running or n not in urgent]
    return [*placing.starts, *_follow(state, placing, numbers, settings)] if numbers else placing.starts


def slack(state: State, number: int, settings: Settings) -> float:
    """Seconds a job can still be put off; 0 for jobs without an end."""
    job, left = state.jobs[number], state.left_s(number)
    if not np.isfinite(left):
        return 0.0
    due = job.deadline_s
    if due is None:
        due = job.release_s + (job.work_s or 0.0) * (1 + settings.margin) + settings.slack_s
    return due - state.now - left * (1 + settings.margin) - job.restart_s - job.ckpt_s


def _follow(state: State, placing: Placing, numbers: list[int], settings: Settings) -> list[Decision]:
    """Do in this hour what the plan does in its first."""
    placing.apart()
    made = hours(state, numbers, settings)
    decisions: list[Decision] = []
    regions = list(state.regions)
    for row, number in enumerate(numbers):
        use = made.use[row, :, 0]
        wanted = width(state.jobs[number])
        best = int(use.argmax())
        runs = use.sum() >= 0.5 * min(wanted, _hours_left(state, number) * wanted)
        if number in state.running:
            if settings.stop and np.isfinite(state.left_s(number)):
                decisions += _change(state, placing, number, regions[best] if runs else "")
        elif runs:
            inside = state.site == best
            if placing.free is not None:
                inside &= placing.free
            places = spread(state, placing.room, state.jobs[number], choose, inside)
            if places is not None:
                eur = float(made.duals[best, 0] * wanted * min(_hours_left(state, number), 1.0))
                decisions.append(Start(state.jobs[number].id, places, f"cheapest hour in {regions[best]}"))
                if eur > 0:
                    decisions.append(Price(state.jobs[number].id, eur, "worth of the capacity in this hour"))
    return decisions


def _change(state: State, placing: Placing, number: int, region: str) -> list[Decision]:
    """Stop or move a running job if that saves more than its checkpoint and restart cost in time."""
    job, run = state.jobs[number], state.running[number]
    here = state.nodes[state.index[run.places[0][0]]].region
    if region == here or state.now - run.begins < 4 * (job.ckpt_s + job.restart_s):
        return []
    if not region:
        return [Preempt(job.id, "dearer now than later")]
    if job.data:
        return []
    inside = state.site == list(state.regions).index(region)
    places = spread(state, placing.room, job, choose, inside if placing.free is None else inside & placing.free)
    return [Migrate(job.id, places, f"cheaper in {region}")] if places is not None else []


def hours(state: State, numbers: list[int], settings: Settings) -> Plan:
    """The plan for these jobs, each a class of its own, on the whole capacity of up nodes less what others hold."""
    jobs = [state.jobs[n] for n in numbers]
    regions = list(state.regions)
    cost = np.stack([_cost(state, job, settings) for job in jobs])
    speed = np.array([[_speed(state, job, r) for r in range(len(regions))] for job in jobs])
    work = np.array([min(_hours_left(state, n), settings.hours) * width(state.jobs[n]) for n in numbers])
    window = np.zeros((len(jobs), settings.hours), dtype=bool)
    for row, number in enumerate(numbers):
        window[row, : _window(state, number, settings)] = True
    widths = np.array([width(job) for job in jobs])
    capacity = np.repeat(_capacity(state)[:, None], settings.hours, axis=1)
    return plan(cost, speed, work, widths, window, capacity)


def width(job: Job) -> float:
    """Devices that a job holds; for jobs without, cores over 16, the usual share of a device."""
    return job.pods * (job.pod.gpu_milli / WHOLE if job.pod.gpu_milli else max(job.pod.cpu_milli, 1) / CORES)


def _hours_left(state: State, number: int) -> float:
    left = state.left_s(number) / HOUR
    return left if np.isfinite(left) else 1e6


def _window(state: State, number: int, settings: Settings) -> int:
    """Hours until the work must be done, at least as many as it takes."""
    ends = slack(state, number, settings) / HOUR + _hours_left(state, number)
    return int(np.clip(np.ceil(max(ends, _hours_left(state, number))), 1, settings.hours))


def _capacity(state: State) -> np.ndarray:
    """Devices of each region; of regions without any, cores over 16."""
    full = np.array([state.capacity.total[state.site == r].sum() / WHOLE for r in range(len(state.regions))])
    cores = np.array([state.capacity.cpu[state.site == r].sum() / CORES for r in range(len(state.regions))])
    return np.where(full > 0, full, cores)


def _speed(state: State, job: Job, region: int) -> float:
    usable = (state.allowed(job) & (state.site == region) & state.capacity.fits(job.pod)).nonzero()[0]
    return state.rate(job, ((state.nodes[int(usable[0])].id, ()),) * job.pods) if len(usable) else 0.0


def _cost(state: State, job: Job, settings: Settings) -> np.ndarray:
    """EUR per device hour in each region and hour: energy, carbon, rent; data that must come are spread over the work."""
    rows = []
    for r, (name, region) in enumerate(state.regions.items()):
        usable = (state.allowed(job) & (state.site == r)).nonzero()[0]
        node = state.nodes[int(usable[0])] if len(usable) else state.nodes[int((state.site == r).argmax())]
        watts = _watts(node, job)
        kwh = watts * region.pue / 1000
        ahead = state.outlook(name)
        price, carbon = _values(ahead.price, settings.hours), _values(ahead.carbon, settings.hours)
        rent = (region.spot_rent if node.spot else region.rent).get(node.device.type, 0.0)
        moved = sum(state.items[item].gib for item in job.data if name not in state.items[item].replicas)
        egress = moved * region.egress_eur / max(width(job) * (job.work_s or HOUR) / HOUR, 1e-3)
        rows.append(kwh * (price / 1000 + carbon * settings.carbon_eur_t / 1e6) + rent + egress)
    return np.stack(rows)


def _watts(node: Node, job: Job) -> float:
    """Watts that a device of a node adds when it works; of CPU-only jobs, what as many cores add."""
    if job.pod.gpu_milli:
        return node.device.peak_w - node.device.idle_w
    return (node.peak_w - node.idle_w) / max(node.cpu_milli / CORES, 1.0)


def _values(ahead: Forecast | None, count: int) -> np.ndarray:
    return np.array(ahead.values[:count]) if ahead is not None else np.zeros(count)
