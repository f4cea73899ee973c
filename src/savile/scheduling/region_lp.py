"""Regions and hours: jobs run where and when energy, carbon and rent cost least, before their deadlines, at posted prices.

Every hour the linear program of `_hours` is solved over the outlook, with what runs taking part. Its duals are the prices of
capacity in the hours to come. At those prices every job's best course is known (`_course`), and what each first step would
cost; the jobs then take the steps that together cost least and fit (an exact program for this hour alone). Jobs start, wait,
stop or move so; what a job is charged is the dual of the capacity it takes now.

How long a job takes is an estimate, and is known better the longer it has run: time is kept in hand for as many standard
deviations of what is left as the settings say. A job without time to spare runs wherever it fits, cheapest region first.
Between the hours only such jobs start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from savile.base.cluster import State
from savile.base.series import HOUR, Forecast
from savile.base.work import WHOLE, Decision, Event, Job, Node, Preempt, Price, Start
from savile.scheduling._course import Course, costs, penalty, settle
from savile.scheduling._hours import plan
from savile.scheduling._place import DAY_S, Placing, spread
from savile.scheduling.best_fit import choose

deterministic = True
CORES = 16_000  # milli: as many cores as usually go with a device
SHORTEST_H = 1 / 60
NEVER = 100.0  # hours of work not done in time: what no choice is worth
SURE = 1 - 1e-9


@dataclass(frozen=True)
class Settings:
    """What counts, and how far is looked ahead.

    Attributes:
        carbon_eur_t: EUR per tonne of CO2 beside the money that is really paid.
        hours: hours looked ahead.
        slack_s: how long a job without a deadline may be put off.
        margin: share by which estimates are stretched that say nothing about their error.
        sigmas: standard deviations of the error of an estimate for which time is kept in hand: at least the first, and up to
            the second as long as that takes no more than `reserve` of the time by which the job could be put off at first.
        reserve: see `sigmas`.
        stop: whether running jobs may be stopped, and moved.
        patience_s: a job that waited so long past its slack is overtaken no more.
        most: jobs planned at a time, those with the least slack; the others wait.
    """

    carbon_eur_t: float = 80.0
    hours: int = 60
    slack_s: float = 6 * HOUR
    margin: float = 0.3
    sigmas: tuple[float, float] = (2.0, 4.0)
    reserve: float = 0.2
    stop: bool = True
    patience_s: float = DAY_S
    most: int = 300


DEFAULT = Settings()
Ahead = Sequence[np.ndarray]  # what a kWh costs in each region, hour by hour, float64 (t,)


@dataclass(frozen=True)
class Wait:
    """What is known of a job, in hours: what is likely left, until when that must be done, and what a restart loses."""

    left: float
    due: float
    lost: float

    @property
    def slack(self) -> float:
        """Hours it can still be put off."""
        return self.due - self.left - self.lost


def decide(state: State, event: Event, rng: np.random.Generator, settings: Settings = DEFAULT) -> Sequence[Decision]:
    """Plan at the first round of every hour; between them start only what can wait no longer."""
    if not len(state.pending) and (event.kind != "round" or not state.running):
        return []
    every = float(state.options.get("round_s", 0.0))
    ahead = _ahead(state, settings)
    waits = {number: wait(state, number, settings) for number in (*state.running, *state.pending.tolist())}
    placing = Placing(state, Event("arrive", event.at), choose, np.inf, "no more slack")
    placing.apart()
    urgent = sorted((waits[n].slack, n) for n in state.pending.tolist() if waits[n].slack * HOUR <= every)
    if urgent and urgent[0][0] * HOUR < -settings.patience_s:
        placing.hold(urgent.pop(0)[1])
    if every and (event.kind != "round" or event.at % HOUR >= every):
        for _, number in urgent:
            _anywhere(state, placing, number, ahead)
        return placing.starts
    started = {state.number(start.job) for start in placing.starts}
    fixed = {n for n in state.running if not (settings.stop and np.isfinite(waits[n].left)) or state.jobs[n].data}
    open_ = [n for n in waits if n not in started | fixed and (n in state.running or np.isfinite(waits[n].left))]
    open_ = sorted(open_, key=lambda n: (n not in state.running, waits[n].slack, n))[: settings.most]
    decisions = _follow(state, placing, {n: waits[n] for n in open_}, ahead) if open_ else []
    for _, number in urgent:
        if number not in open_:
            _anywhere(state, placing, number, ahead)
    stops = [each for each in decisions if isinstance(each, Preempt)]
    return [*stops, *placing.starts, *[each for each in decisions if not isinstance(each, Preempt)]]


def wait(state: State, number: int, settings: Settings) -> Wait:
    """How long a job can be put off; a job without an end not at all."""
    job = state.jobs[number]
    if not np.isfinite(state.left_s(number)):
        return Wait(np.inf, -np.inf, 0.0)
    due = job.deadline_s
    if due is None:
        due = job.release_s + (job.work_s or 0.0) * (1 + settings.margin) + settings.slack_s
    likely, more = _left(state, number, settings)
    spare = settings.reserve * ((due - job.release_s - (job.work_s or 0.0)) / HOUR)
    kept = max(more[0], min(more[1], spare))
    return Wait(likely, (due - state.now) / HOUR - kept, (job.restart_s + job.ckpt_s) / HOUR)


def _left(state: State, number: int, settings: Settings) -> tuple[float, tuple[float, float]]:
    """Hours that are likely left, and how many more it may take; log-normal work, given that it has not ended yet."""
    job, run = state.jobs[number], state.running.get(number)
    guess = max((job.work_s or 0.0) / HOUR, SHORTEST_H)
    done = (run.progress(state.now) if run else state.done_s.get(number, 0.0)) / HOUR
    if not job.spread:
        left = max(guess - done, SHORTEST_H)
        return left, (left * settings.margin, left * settings.margin)
    from scipy.special import ndtr, ndtri

    below = min(float(ndtr(np.log(max(done, 1e-9) / guess) / job.spread)), SURE)
    quantiles = below + (1 - below) * ndtr(np.array([0.0, *settings.sigmas]))
    likely, least, most = guess * np.exp(job.spread * ndtri(quantiles.clip(max=SURE))) - done
    return max(float(likely), SHORTEST_H), (float(least - likely), float(most - likely))


def _anywhere(state: State, placing: Placing, number: int, ahead: Ahead) -> None:
    """Start a job wherever it fits, cheapest region first."""
    job = state.jobs[number]
    free = np.ones(len(state.nodes), dtype=bool) if placing.free is None else placing.free
    for r in np.argsort(_price(state, job, ahead)[:, 0], kind="stable").tolist():
        places = spread(state, placing.room, job, choose, free & (state.site == r))
        if places is not None:
            placing.starts.append(Start(job.id, places, "no more slack"))
            return


def _follow(state: State, placing: Placing, waits: dict[int, Wait], ahead: Ahead) -> list[Decision]:
    """Plan, and do what is best for this hour."""
    numbers = list(waits)
    jobs = [state.jobs[n] for n in numbers]
    regions, size = list(state.regions), np.array([width(job) for job in jobs])
    here = np.array([regions.index(_region(state, n)) if n in state.running else -1 for n in numbers])
    price = np.stack([_price(state, job, ahead) for job in jobs])
    speed = np.array([[_speed(state, job, r) for r in range(len(regions))] for job in jobs])
    ends = np.array([max(np.ceil(each.due), np.ceil(each.left) + 1) for each in waits.values()])
    hours = price.shape[2]
    ends = ends.clip(1, hours).astype(int)
    now, later = _capacity(state, placing, jobs, size, here)
    capacity = np.repeat(later[:, None], hours, axis=1)
    capacity[:, 0] = now
    work = np.minimum([each.left for each in waits.values()], ends) * size
    made = plan(price, speed, work, size, np.arange(hours) < ends[:, None], capacity)
    worth = made.duals.copy()
    worth[:, 0] = 0.0  # this hour's capacity is shared out exactly
    steps = np.empty((len(jobs), len(regions) + 1))
    for i, (number, each) in enumerate(waits.items()):
        fresh = number not in state.done_s and here[i] < 0
        course = Course(each.left, speed[i], each.lost, int(here[i]), fresh)
        slots = np.minimum(1.0, np.maximum(each.due - np.arange(ends[i]), 0.0)) if each.slack > 1 else np.ones(ends[i])
        dear = (price[i] + worth)[:, : ends[i]] * size[i]
        steps[i] = costs(course, dear, slots)
        never = NEVER * penalty(dear)
        steps[i, :-1][speed[i] <= 0] += never
        if each.slack < 1:  # by the next plan it would be late
            steps[i, -1] += never
        if here[i] >= 0 and state.now - state.running[number].begins < 2 * each.lost * HOUR:
            steps[i, np.arange(len(regions) + 1) != here[i]] += 2 * never  # it has hardly come back
    return _apply(state, placing, numbers, (here, settle(steps, size, now)), made.duals[:, 0])


def _apply(
    state: State, placing: Placing, numbers: list[int], steps: tuple[np.ndarray, np.ndarray], posted: np.ndarray
) -> list[Decision]:
    """Stop first, then start, large jobs first; whatever finds no place in its region waits."""
    decisions: list[Decision] = []
    regions = list(state.regions)
    moving = [(n, int(was), int(now)) for n, was, now in zip(numbers, *steps, strict=True) if was != now]
    for number, was, _ in moving:
        if was >= 0:
            job = state.jobs[number]
            for node, devices in state.running[number].places:
                placing.room.give(job.pod, state.index[node], devices)
            decisions.append(Preempt(job.id, "dearer now than later, or than elsewhere"))
    for number, _, now in sorted(moving, key=lambda each: (-width(state.jobs[each[0]]), each[0])):
        if now == len(regions):
            continue
        job, inside = state.jobs[number], state.site == now
        places = spread(state, placing.room, job, choose, inside if placing.free is None else inside & placing.free)
        if places is not None:
            decisions.append(Start(job.id, places, f"cheapest course begins in {regions[now]}"))
            eur = float(posted[now]) * width(job) * min(state.left_s(number) / HOUR, 1.0)
            if eur > 0:
                decisions.append(Price(job.id, eur, "worth of the capacity in this hour"))
    return decisions


def width(job: Job) -> float:
    """Devices that a job holds; for jobs without, cores over 16, the usual share of a device."""
    return job.pods * (job.pod.gpu_milli / WHOLE if job.pod.gpu_milli else max(job.pod.cpu_milli, 1) / CORES)


def _region(state: State, number: int) -> str:
    return state.nodes[state.index[state.running[number].places[0][0]]].region


def _capacity(
    state: State, placing: Placing, jobs: Sequence[Job], size: np.ndarray, here: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Devices of each region for these jobs, in this hour and later; of regions without any, cores over 16."""
    usable = np.zeros(len(state.nodes), dtype=bool)
    for job in jobs:
        usable |= state.allowed(job)
    if placing.free is not None:
        usable &= placing.free
    now, later = np.zeros(len(state.regions)), np.zeros(len(state.regions))
    for r in range(len(state.regions)):
        inside = usable & (state.site == r)
        devices = state.capacity.total[inside].sum() > 0
        for many, room in ((now, placing.room), (later, state.capacity)):
            many[r] = room.total[inside].sum() / WHOLE if devices else room.cpu[inside].sum() / CORES
        now[r] += size[here == r].sum()
    return now, np.maximum(now, later)


def _speed(state: State, job: Job, region: int) -> float:
    usable = (state.allowed(job) & (state.site == region) & state.capacity.fits(job.pod)).nonzero()[0]
    return state.rate(job, ((state.nodes[int(usable[0])].id, ()),) * job.pods) if len(usable) else 0.0


def _price(state: State, job: Job, ahead: Ahead) -> np.ndarray:
    """EUR per device hour in each region and hour from now: energy, carbon, rent; data that must come, over the work."""
    rows = []
    for r, (name, region) in enumerate(state.regions.items()):
        usable = (state.allowed(job) & (state.site == r)).nonzero()[0]
        node = state.nodes[int(usable[0])] if len(usable) else state.nodes[int((state.site == r).argmax())]
        rents = region.spot_rent if node.spot else region.rent
        rent = rents.get(node.device.type, 0.0) + rents.get("cpu", 0.0) * job.pods * job.pod.cpu_milli / 1000 / width(job)
        moved = sum(state.items[item].gib for item in job.data if name not in state.items[item].replicas)
        egress = moved * region.egress_eur / max(width(job) * (job.work_s or HOUR) / HOUR, 1e-3)
        kwh = _watts(node, job) * region.pue / 1000
        rows.append(kwh * ahead[r] + rent + egress)
    return np.stack(rows)


def _watts(node: Node, job: Job) -> float:
    """Watts that a job adds to a node, for each device it holds."""
    pod = job.pod
    watts = pod.gpu_milli / WHOLE * (node.device.peak_w - node.device.idle_w)
    watts += pod.cpu_milli / max(node.cpu_milli, 1) * (node.peak_w - node.idle_w)
    return watts * job.pods / width(job)


def _ahead(state: State, settings: Settings) -> Ahead:
    """EUR per kWh in each region and hour from now, the price of carbon in it."""
    times = state.now + HOUR * np.arange(settings.hours + 1)

    def means(known: Forecast | None) -> np.ndarray:
        return np.zeros(settings.hours) if known is None else known.means(times)

    outlooks = map(state.outlook, state.regions)
    return [means(each.price) / 1000 + means(each.carbon) * settings.carbon_eur_t / 1e6 for each in outlooks]
