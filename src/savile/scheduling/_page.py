"""The page of a run: who ran where and when, price and load, fragmentation, what it cost, and why each job is where it is."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from savile.base.page import Bar, Page, Point, Span, number
from savile.base.work import WHOLE
from savile.scheduling._fragmentation import fragmentation
from savile.scheduling._outcome import Outcome
from savile.scheduling._report import report
from savile.scheduling._service import figures
from savile.scheduling._units import measured, rankings

HOUR = 3600.0
SAMPLES = 200
ROWS = 60  # nodes and jobs that are drawn; the tables have all
TENANTS = 5
KEY = (  # figure, its title, what it is divided by, its unit
    ("jct_mean_s", "Mean completion", HOUR, "h"),
    ("wait_mean_s", "Mean wait", HOUR, "h"),
    ("makespan_s", "Makespan", HOUR, "h"),
    ("cost_eur", "Cost", 1.0, "EUR"),
    ("kwh", "Energy", 1.0, "kWh"),
    ("gco2", "Carbon", 1000.0, "kg CO2"),
    ("deadlines_met", "Deadlines met", 0.01, "%"),
    ("gpu_allocation", "Devices held", 0.01, "%"),
)


def page(outcome: Outcome) -> str:
    """The page as HTML."""
    figures = report([outcome])["figures"]
    made = Page(f"Schedule by {outcome.policy}")
    made.text(_lead(outcome), "lead")
    made.text(
        "Every figure is real, replayed or modelled; energy is modelled from the powers that nodes and devices state.", "note"
    )
    made.figures(
        [
            (title, f"{number(figures[name]['value'] / unit)} {word}", figures[name]["source"])
            for name, title, unit, word in KEY
            if name in figures
        ]
    )
    _gantts(made, outcome)
    _loads(made, outcome)
    _services(made, outcome)
    _costs(made, outcome)
    _tenants(made, outcome)
    _reasons(made, outcome)
    made.heading("All figures")
    rows = [[name, f["value"], f.get("bound"), f["source"]] for name, f in figures.items()]
    made.table(["figure", "value", "no schedule can pass", "source"], rows)
    return made.html()


def _lead(outcome: Outcome) -> str:
    f = outcome.figures
    late = f" {f['deadlines_met']:.0%} of the deadlines were met." if "deadlines_met" in f else ""
    done = f"{f['finished']:.0f} of {f['jobs']:.0f} jobs finished, {f['preemptions']:.0f} preemptions"
    return f"{done}, {f['lost']:.0f} lost with a node.{late}"


def _start(outcome: Outcome) -> float:
    return min(job.release_s for job in outcome.kernel.jobs)


def _gantts(made: Page, outcome: Outcome) -> None:
    kernel, start = outcome.kernel, _start(outcome)
    tenants = sorted({job.tenant for job in kernel.jobs})[:TENANTS]
    nodes: dict[str, list[Span]] = defaultdict(list)
    regions: dict[str, list[Span]] = defaultdict(list)
    for spell in kernel.ledger.spells:
        job = kernel.jobs[spell.job]
        colour = tenants.index(job.tenant) if job.tenant in tenants else TENANTS - 1
        span = Span(f"{job.id} ({job.tenant}), {spell.how}", (spell.start - start) / HOUR, (spell.end - start) / HOUR, colour)
        for name in dict.fromkeys(node for node, _ in spell.places):
            nodes[name].append(span)
        regions[kernel.nodes[kernel.index[spell.places[0][0]]].region].append(span)
    made.heading("By node").gantt("Jobs on nodes", dict(sorted(nodes.items())[:ROWS]), "hours", tenants)
    if len(kernel.regions) > 1 and len(kernel.ledger.spells) <= 400:
        made.heading("By region").gantt("Jobs in regions", dict(sorted(regions.items())), "hours", tenants)


def _loads(made: Page, outcome: Outcome) -> None:
    kernel, start = outcome.kernel, _start(outcome)
    end = max(kernel.state.now, start + 1.0)
    times = [start + (end - start) * i / SAMPLES for i in range(SAMPLES + 1)]
    devices = float(kernel.state.capacity.total.sum()) / WHOLE
    cores = float(kernel.state.capacity.cpu.sum()) / 1000
    load: dict[str, list[Point]] = {"devices, %": [], "cores, %": []}
    for at in times:
        running = [s for s in kernel.ledger.spells if s.start <= at < s.end]
        pods = [(kernel.jobs[s.job].pod, len(s.places)) for s in running]
        hour = (at - start) / HOUR
        load["cores, %"].append(Point(hour, 100 * sum(pod.cpu_milli * n for pod, n in pods) / 1000 / max(cores, 1e-9)))
        if devices:
            load["devices, %"].append(Point(hour, 100 * sum(pod.gpu_milli * n for pod, n in pods) / WHOLE / devices))
    made.heading("Load and price")
    made.line("Load", {name: points for name, points in load.items() if points}, ("hours", "% held"))
    for what, unit in (("price", "EUR/MWh"), ("carbon", "g CO2 per kWh")):
        curves = {
            name: [Point((at - start) / HOUR, series.at(at)) for at in times]
            for name, region in list(kernel.regions.items())[:TENANTS]
            if (series := getattr(region, what)) is not None
        }
        if curves:
            made.line(what.capitalize(), curves, ("hours", unit))
    if devices:
        points = [Point((at - start) / HOUR, 100 * share) for at, share in fragmentation(kernel, times[:: SAMPLES // 40])]
        made.line("Fragmentation: free devices that typical jobs cannot use", {"% of all devices": points}, ("hours", "%"))


def _services(made: Page, outcome: Outcome) -> None:
    """What each service was asked, in replicas' worth of work, and the replicas it had."""
    kernel, start = outcome.kernel, _start(outcome)
    for n, loads in kernel.loads.items():
        job, every = kernel.jobs[n], max(len(loads) // SAMPLES, 1)
        spells = [spell for spell in kernel.ledger.spells if spell.job == n]
        asked, held = list[Point](), list[Point]()
        for i in range(0, len(loads), every):
            part = [load for _, load in loads[i : i + every]]
            at = loads[i][0]
            work = sum(load.rate * load.busy_s for load in part) / len(part) / job.at_once
            asked.append(Point((at - start) / HOUR, work))
            held.append(Point((at - start) / HOUR, sum(len(s.places) for s in spells if s.start <= at < s.end)))
        made.heading(f"Service {job.id}")
        made.line("Replicas", {"replicas": held, "work that came, in replicas": asked}, ("hours", "replicas"))
        kept = figures([(job, outcome.served[job.id])]) if job.id in outcome.served else {}
        if kept:
            made.text(
                f"{kept['requests']:.0f} requests; {kept['requests_in_time']:.2%} waited no longer than {job.slo_ms:g} ms, and "
                f"in {kept['target_kept']:.1%} of the 5-minute stretches 99 of 100 did."
            )


def _costs(made: Page, outcome: Outcome) -> None:
    f, kernel = outcome.figures, outcome.kernel
    made.heading("What it cost")
    split = [Bar("energy", f["energy_eur"]), Bar("rent", f["rent_eur"]), Bar("moving data", f["egress_eur"])]
    made.bars("EUR by kind", split)
    held: dict[str, float] = defaultdict(float)
    for spell in kernel.ledger.spells:
        held[kernel.jobs[spell.job].tenant] += spell.eur + spell.rent
    made.bars(
        "EUR by tenant, for what its jobs held",
        [Bar(name, eur) for name, eur in sorted(held.items(), key=lambda x: -x[1])[:20]],
    )


def _tenants(made: Page, outcome: Outcome) -> None:
    """Who had how much, by three measures that need not agree."""
    found = measured(outcome)
    made.heading("Who had how much")
    rows = [[tenant, *(values[tenant] for values in found.values())] for tenant in found["dominant_share"]]
    made.table(["tenant", *(name.replace("_", " ") for name in found)], rows)
    values = {name: np.array(list(each.values())) for name, each in found.items()}
    for (one, other), pairs in rankings(values)["reversals"].items():
        if pairs:
            names = ", ".join(f"{rows[i][0]} and {rows[j][0]}" for i, j in pairs[:TENANTS])
            by = " and by ".join(name.replace("_", " ") for name in (one, other))
            made.text(f"Who had more is not the same by {by}: {names}.")


def _reasons(made: Page, outcome: Outcome) -> None:
    why: dict[str, list[str]] = defaultdict(list)
    for entry in outcome.log.entries:
        for decision in entry.decisions:
            if getattr(decision, "job", "") and decision.why:  # type: ignore[union-attr]
                why[decision.job].append(f"{type(decision).__name__.lower()}: {decision.why}")  # type: ignore[union-attr]
    start = _start(outcome)
    rows = [
        [
            *(row["job"], row["tenant"], *(_hours(row[at], start) for at in ("release_s", "start_s", "end_s")), row["how"]),
            *(", ".join(row["nodes"][:3]), "; ".join(why[row["job"]][:3]), row["eur"], row["kwh"]),
        ]
        for row in outcome.jobs()[:2000]
    ]
    made.heading("Why this node")
    made.table(["job", "tenant", "came, h", "started, h", "ended, h", "how", "nodes", "why", "EUR", "kWh"], rows)


def _hours(at: float | None, start: float) -> float | None:
    return None if at is None else (at - start) / HOUR
