"""What came of a run, and its figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from savile.base.work import WHOLE, Job
from savile.scheduling._fragmentation import fragmentation
from savile.scheduling._kernel import Kernel
from savile.scheduling._ledger import JOULES
from savile.scheduling._log import Log
from savile.scheduling._service import figures
from savile.scheduling._session import Session

SAMPLED = 20_000  # spells up to which fragmentation is sampled


@dataclass(frozen=True)
class Outcome:
    """One run of one policy.

    Attributes:
        kernel: the cluster as it was at the end, with its books.
        log: every event and decision.
        seconds: time of deciding and applying, per event, float64.
        world: the simulated world, None for a live run.
        mark: ``modelled`` for simulated time, ``real`` for live runs.
        served: id of a service -> when each request came and how long it waited, float64 (n, 2).
    """

    policy: str
    seed: int
    kernel: Kernel
    log: Log
    seconds: np.ndarray
    world: Any = None
    mark: str = "modelled"
    served: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, session: Session, backend: Any) -> Outcome:
        """The outcome of a session that was driven to its end."""
        name = str(session.log.header["policy"])
        world = getattr(backend, "world", None)
        return cls(
            name, session.seed, session.kernel, session.log, np.array(session.seconds), world, backend.mark, backend.served
        )

    def jobs(self) -> list[dict[str, Any]]:
        """One row per job that arrived: when it was released, started and ended, how, where, and what it cost."""
        kernel, rows = self.kernel, []
        spells = defaultdict(list)
        for spell in kernel.ledger.spells:
            spells[spell.job].append(spell)
        for number, job in enumerate(kernel.jobs):
            own, (ended, how) = (
                spells[number],
                kernel.ended.get(number, (None, "running" if number in kernel.running else "waiting")),
            )
            rows.append(
                {
                    "job": job.id,
                    "tenant": job.tenant,
                    "release_s": job.release_s,
                    "start_s": kernel.started.get(number),
                    "end_s": ended,
                    "how": how,
                    "nodes": list(dict.fromkeys(node for spell in own for node, _ in spell.places)),
                    "kwh": sum(spell.kwh for spell in own),
                    "eur": sum(spell.eur + spell.rent for spell in own),
                    "gco2": sum(spell.gco2 for spell in own),
                }
            )
        return rows

    @cached_property
    def figures(self) -> dict[str, float]:
        """Every figure of the run by name; what does not apply is left out."""
        parts = (self._times(), self._use(), self._costs(), self._fairness(), self._services(), self._decisions())
        return {name: value for part in parts for name, value in part.items()}

    def _finished(self) -> list[tuple[int, Job, float]]:
        return [(n, self.kernel.jobs[n], at) for n, (at, how) in self.kernel.ended.items() if how == "finished"]

    def _times(self) -> dict[str, float]:
        kernel, finished = self.kernel, self._finished()
        waits = [start - kernel.jobs[n].release_s for n, start in kernel.started.items()]
        found = {"jobs": float(len(kernel.jobs)), "finished": float(len(finished)), "preemptions": float(kernel.preempted)}
        found |= {"lost": float(kernel.lost), "rejected": float(sum(how == "rejected" for _, how in kernel.ended.values()))}
        found["unplaced"] = float(kernel.waits)
        if waits:
            found |= {"wait_mean_s": float(np.mean(waits)), "wait_p99_s": float(np.quantile(waits, 0.99))}
        if finished:
            jct = np.array([at - job.release_s for _, job, at in finished])
            found |= {
                "jct_mean_s": float(jct.mean()),
                "jct_p50_s": float(np.median(jct)),
                "jct_p99_s": float(np.quantile(jct, 0.99)),
            }
            found["makespan_s"] = max(at for *_, at in finished) - min(job.release_s for job in kernel.jobs)
        due = [(n, job) for n, job in enumerate(kernel.jobs) if job.deadline_s is not None]
        if due:
            met = sum(
                kernel.ended.get(n, (np.inf, ""))[0] <= float(job.deadline_s or 0) and kernel.ended[n][1] == "finished"
                for n, job in due
            )
            found["deadlines_met"] = met / len(due)
        return found

    def _use(self) -> dict[str, float]:
        kernel = self.kernel
        start = min((job.release_s for job in kernel.jobs), default=0.0)
        span, devices = kernel.state.now - start, float(kernel.state.capacity.total.sum())
        held = useful = 0.0
        for spell in kernel.ledger.spells:
            milli = kernel.jobs[spell.job].pod.gpu_milli * len(spell.places)
            held += milli * (spell.end - spell.start)
            useful += milli * max(0.0, spell.end - max(spell.begins, spell.start))
        for number, run in kernel.running.items():
            held += kernel.jobs[number].pod.gpu_milli * len(run.places) * (kernel.state.now - run.since)
        ledger = kernel.ledger
        found = {"wasted_device_h": (ledger.lost_s + ledger.waiting_s) / 3600}
        if devices and span > 0:
            found["gpu_allocation"] = held / devices / span
            times = np.linspace(start, kernel.state.now, 21)[:-1] + span / 40
            if len(ledger.spells) <= SAMPLED:
                found["fragmentation"] = float(np.mean([share for _, share in fragmentation(kernel, times.tolist())]))
        if held:
            found["goodput"] = (useful - ledger.lost_s * WHOLE) / held
        return found

    def _costs(self) -> dict[str, float]:
        ledger = self.kernel.ledger
        energy = sum(account.eur for account in ledger.accounts.values())
        rent = sum(spell.rent for spell in ledger.spells)
        return {
            "kwh": sum(account.joules for account in ledger.accounts.values()) / JOULES,
            "gco2": sum(account.gco2 for account in ledger.accounts.values()),
            "energy_eur": energy,
            "rent_eur": rent,
            "egress_eur": ledger.egress,
            "cost_eur": energy + rent + ledger.egress,
            "jobs_eur": sum(spell.eur for spell in ledger.spells) + rent + ledger.egress,
            "jobs_gco2": sum(spell.gco2 for spell in ledger.spells),
            "moved_gib": ledger.moved_gib,
        }

    def _fairness(self) -> dict[str, float]:
        """Jain's index (1984) of the service of tenants, finish-time fairness (Themis 2020), envy, welfare and revenue."""
        kernel = self.kernel
        tenants = sorted({job.tenant for job in kernel.jobs})
        devices = max(float(kernel.state.capacity.total.sum()) / WHOLE, 1.0)
        service, ratios = defaultdict[str, list[float]](list), []
        welfare = 0.0
        for _, job, at in self._finished():
            work = job.work_s or 0.0
            welfare += job.value if job.deadline_s is None or at <= job.deadline_s else 0.0
            took = at - job.release_s
            if took > 0 and work > 0:
                service[job.tenant].append(min(1.0, work / took))
                share = job.pods * max(job.pod.gpu_milli, 1) / WHOLE * len(tenants) / devices
                ratios.append(took / (work * max(1.0, share)))
        means = np.array([float(np.mean(service[t])) if service[t] else 0.0 for t in tenants])
        found = {"welfare_eur": welfare, "revenue_eur": sum(kernel.ledger.revenue.values())}
        found["regret_eur"] = sum(job.value for job in kernel.jobs) - welfare
        if means.any():
            found["jain"] = float(means.sum() ** 2 / (len(means) * (means**2).sum()))
        if ratios:
            found |= {"fairness_mean": float(np.mean(ratios)), "fairness_worst": float(np.max(ratios))}
        found["envy_pairs"] = float(self._envy(tenants))
        return found

    def _envy(self, tenants: list[str]) -> int:
        """Pairs of tenants (i, j): i waited, and by its own speeds would rather have had the device hours of j."""
        kernel = self.kernel
        hours: dict[str, dict[str, float]] = {tenant: defaultdict(float) for tenant in tenants}
        speeds: dict[str, dict[str, float]] = {tenant: {} for tenant in tenants}
        waited = dict.fromkeys(tenants, False)
        for number, job in enumerate(kernel.jobs):
            speeds[job.tenant].update(job.speed)
            waited[job.tenant] |= kernel.started.get(number, np.inf) > job.release_s
        types = {node.id: node.device for node in kernel.nodes}
        for spell in kernel.ledger.spells:
            job = kernel.jobs[spell.job]
            for node, _ in spell.places:
                hours[job.tenant][types[node].type] += job.pod.gpu_milli / WHOLE * (spell.end - spell.start) / 3600
        default = {device.type: device.speed for device in types.values()}

        def worth(tenant: str, held: dict[str, float]) -> float:
            return sum(h * speeds[tenant].get(kind, default[kind]) for kind, h in held.items())

        own = {tenant: worth(tenant, hours[tenant]) for tenant in tenants}
        pairs = ((i, j) for i in tenants for j in tenants if i != j and waited[i])
        return sum(worth(i, hours[j]) > own[i] * (1 + 1e-9) for i, j in pairs)

    def _services(self) -> dict[str, float]:
        jobs = self.kernel.jobs
        held = [(s.end - s.start) * len(s.places) for s in self.kernel.ledger.spells if jobs[s.job].service]
        found = {"replica_h": sum(held) / 3600} if held else {}
        return found | figures([(job, self.served[job.id]) for job in jobs if job.id in self.served])

    def _decisions(self) -> dict[str, float]:
        if not len(self.seconds):
            return {"violations": 0.0}
        p50, p99 = np.quantile(self.seconds, [0.5, 0.99]) * 1000
        return {"decision_p50_ms": float(p50), "decision_p99_ms": float(p99), "violations": 0.0}
