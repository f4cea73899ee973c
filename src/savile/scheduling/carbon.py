"""Carbon scaling: a job runs wide in clean hours and narrow, or not at all, in dirty ones (CarbonScaler, Hanafy et al. 2023).

For each job the hours and pods with the most work per gram are taken until the work is done before the deadline; with speedups
that are concave, as ``pods ** alpha`` is, that is optimal for the forecast. At each round a job does what its plan does now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from savile.base.cluster import State
from savile.base.series import HOUR
from savile.base.work import Decision, Event, Job, Preempt, Resize
from savile.scheduling._place import DAY_S, Placing, spread
from savile.scheduling.best_fit import choose

deterministic = True


@dataclass(frozen=True)
class Settings:
    """How much may be put off.

    Attributes:
        slack_s: how long a job without a deadline may be put off.
        margin: share by which estimates are stretched.
        stop: whether running jobs may be stopped and resized.
        patience_s: a job that waited so long past its slack is overtaken no more.
    """

    slack_s: float = 12 * HOUR
    margin: float = 0.2
    stop: bool = True
    patience_s: float = DAY_S


DEFAULT = Settings()


def widths(grams: np.ndarray, work_h: float, least: int, most: int, alpha: float) -> np.ndarray:
    """Pods in each hour.

    Args:
        grams: carbon intensity of each hour up to the deadline, float64 (h,).
        work_h: hours of work with `least` pods.
        least, most: pods when it runs.
        alpha: with k pods it is ``(k / least) ** alpha`` times as fast.

    Returns:
        int64 (h,): 0 or `least` to `most`, greedy by work per gram; all `most` when even that is not enough.
    """
    hours = len(grams)
    floor = float(np.min(grams)) if hours else 0.0
    cost = grams - min(floor, 0.0) + 1e-9
    steps = []
    for k in range(least, most + 1):
        gain = 1.0 if k == least else (k / least) ** alpha - ((k - 1) / least) ** alpha
        pods = least if k == least else 1
        steps += [(-gain / (pods * cost[h]), h, k, gain) for h in range(hours)]
    pods_at, done = np.zeros(hours, dtype=np.int64), 0.0
    for _, h, k, gain in sorted(steps):
        if done >= work_h - 1e-9:
            break
        pods_at[h] = k  # gains fall with k, so hours fill from `least` upwards
        done += gain
    return pods_at


def decide(state: State, event: Event, rng: np.random.Generator, settings: Settings = DEFAULT) -> Sequence[Decision]:
    """At rounds, start, stop and resize as planned; between them start what can wait no longer."""
    placing = Placing(state, Event("round", event.at) if len(state.pending) else event, choose, settings.patience_s)
    for number in placing.tried.tolist():
        job = state.jobs[number]
        now, region = _now(state, number, settings)
        if now:
            inside = state.site == region
            before = placing.free
            placing.free = inside if before is None else inside & before
            placing.failed.clear()
            started = placing.start(number, f"{now} pods are right for this hour")
            placing.free = before
            placing.failed.clear()
            if started is None and _late(state, number, settings):
                placing.start(number, f"{job.id} has no more slack")
    if event.kind != "round" or not settings.stop:
        return placing.starts
    changes = [change for number in state.running if (change := _change(state, placing, number, settings)) is not None]
    return [*placing.starts, *changes]


def _change(state: State, placing: Placing, number: int, settings: Settings) -> Decision | None:
    """Stop or resize a running job as planned."""
    job, run = state.jobs[number], state.running[number]
    region = int(state.site[state.index[run.places[0][0]]])
    if job.work_s is None or state.now - run.begins < 4 * (job.ckpt_s + job.restart_s):
        return None
    now, _ = _now(state, number, settings, region)
    if now == len(run.places):
        return None
    if not now:
        return Preempt(job.id, "cleaner hours will come")
    room = placing.room.copy()
    places = list(run.places)[:now]
    more = None
    if now > len(places):
        more = Job(job.id, job.pod, pods=now - len(places), residency=job.residency, on_spot=job.on_spot)
    if more is not None:
        inside = state.site == region
        found = spread(state, room, more, choose, inside if placing.free is None else inside & placing.free)
        if found is None:
            return None
        places += found
        placing.room, placing.several = room, True
    return Resize(job.id, tuple(places), f"{now} pods are right for this hour")


def _late(state: State, number: int, settings: Settings) -> bool:
    return _ends(state, number, settings) - state.now <= state.left_s(number) * (1 + settings.margin) + HOUR


def _ends(state: State, number: int, settings: Settings) -> float:
    job = state.jobs[number]
    if job.deadline_s is not None:
        return job.deadline_s
    return job.release_s + (job.work_s or 0.0) * (1 + settings.margin) + settings.slack_s


def _now(state: State, number: int, settings: Settings, only: int | None = None) -> tuple[int, int]:
    """Pods that are right now, and the region whose plan is cleanest."""
    job, left = state.jobs[number], state.left_s(number)
    usable = state.allowed(job) & state.capacity.fits(job.pod)
    found = []
    for r, name in enumerate(state.regions):
        if (only is not None and r != only) or not (usable & (state.site == r)).any():
            continue
        if not np.isfinite(left):
            return max(job.pods, len(state.running[number].places) if number in state.running else 0), r
        ahead = state.outlook(name).carbon
        hours = max(1, int((_ends(state, number, settings) - state.now) // HOUR))
        grams = np.ones(hours)
        if ahead is not None:
            known = np.array(ahead.values[:hours])
            grams = np.append(known, np.full(hours - len(known), known[-1]))
        work = left * (1 + settings.margin) / HOUR
        pods = widths(grams, work, job.pods, max(job.pods, job.most), job.alpha)
        found.append((float(grams @ pods) if work < hours else float(grams.mean() * work * job.pods), r, int(pods[0])))
    if not found:
        return job.pods, 0
    _, r, pods_now = min(found)
    return pods_now, r
