"""The same jobs for other schedulers: a SkyPilot task, Kueue objects, a Slurm script. Text only; nothing is sent anywhere."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from savile.base.errors import InputError
from savile.base.recipe import as_yaml
from savile.base.work import WHOLE, Job, Node, Region

LABEL = "savile.dev/region"


def skypilot(job: Job, regions: Sequence[str], command: str) -> dict[str, Any]:
    """A SkyPilot task (``sky launch task.yaml``).

    Args:
        job: what to run.
        regions: in the policy's order of preference, as ``cloud/region`` or a plain region; they become ``ordered``.
        command: the command line.
    """
    resources: dict[str, Any] = {
        "cpus": f"{max(1, -(-job.pod.cpu_milli // 1000))}+",
        "memory": f"{max(1, -(-job.pod.mem_mib // 1024))}+",
    }
    if job.pod.gpu_milli:
        count = max(1, job.pod.gpu_milli // WHOLE)
        types = sorted(job.pod.types) or [""]
        resources["accelerators"] = f"{types[0] or 'L4'}:{count}" if len(types) == 1 else dict.fromkeys(types, count)
    if job.on_spot:
        resources |= {"use_spot": True, "job_recovery": {"strategy": "EAGER_NEXT_REGION"}}
    places = [dict(zip(("infra",), (region,), strict=True)) for region in regions]
    if places:
        resources["ordered"] = places
    return {"name": name(job.id), "num_nodes": job.pods, "resources": resources, "run": command}


def kueue(
    nodes: Sequence[Node], regions: Sequence[Region], tenants: Sequence[tuple[str, float]], group: str = "savile"
) -> list[dict[str, Any]]:
    """Kueue objects: a flavour for each region and device type, and a queue for each tenant with its share of the quota.

    Args:
        nodes, regions: what there is; the first region's flavours are tried first.
        tenants: name and share of the cluster that is nominally its own; the rest may be borrowed within the cohort.
    """
    order = [region.id for region in regions] or list(dict.fromkeys(node.region for node in nodes))
    flavours = sorted({(order.index(node.region), node.region, node.device.type) for node in nodes})
    objects: list[dict[str, Any]] = [
        {
            "apiVersion": "kueue.x-k8s.io/v1beta1",
            "kind": "ResourceFlavor",
            "metadata": {"name": name(f"{region}-{kind}")},
            "spec": {"nodeLabels": {LABEL: region, "savile.dev/device": kind}},
        }
        for _, region, kind in flavours
    ]
    for tenant, share in tenants:
        rows = [_quota(nodes, region, kind, share) for _, region, kind in flavours]
        queue = {"resourceGroups": [{"coveredResources": ["cpu", "memory", "nvidia.com/gpu"], "flavors": rows}]}
        spec = {"cohort": group, "namespaceSelector": {}, "queueingStrategy": "BestEffortFIFO", **queue}
        spec["preemption"] = {"reclaimWithinCohort": "Any", "withinClusterQueue": "LowerPriority"}
        objects.append(
            {"apiVersion": "kueue.x-k8s.io/v1beta1", "kind": "ClusterQueue", "metadata": {"name": name(tenant)}, "spec": spec}
        )
        local = {"clusterQueue": name(tenant)}
        meta = {"name": name(tenant), "namespace": name(tenant)}
        objects.append({"apiVersion": "kueue.x-k8s.io/v1beta1", "kind": "LocalQueue", "metadata": meta, "spec": local})
    return objects


def _quota(nodes: Sequence[Node], region: str, kind: str, share: float) -> dict[str, Any]:
    mine = [node for node in nodes if (node.region, node.device.type) == (region, kind)]
    there = {
        "cpu": sum(node.cpu_milli for node in mine) / 1000,
        "memory": sum(node.mem_mib for node in mine) / 1024,
        "nvidia.com/gpu": sum(node.devices for node in mine),
    }
    whole = {what: int(many * share) for what, many in there.items()}
    quotas = [{"name": what, "nominalQuota": f"{many}Gi" if what == "memory" else many} for what, many in whole.items()]
    return {"name": name(f"{region}-{kind}"), "resources": quotas}


def workload(job: Job, command: str, image: str = "savile:latest") -> dict[str, Any]:
    """The Kubernetes job that Kueue admits: suspended, with its queue's label, all pods or none."""
    asks: dict[str, Any] = {"cpu": f"{job.pod.cpu_milli}m", "memory": f"{job.pod.mem_mib}Mi"}
    if job.pod.gpu_milli:
        asks["nvidia.com/gpu"] = max(1, job.pod.gpu_milli // WHOLE)
    container = {
        "name": "work",
        "image": image,
        "command": ["sh", "-c", command],
        "resources": {"requests": asks, "limits": dict(asks)},
    }
    spec = {"suspend": True, "parallelism": job.pods, "completions": job.pods, "completionMode": "Indexed"}
    template = {"spec": {"restartPolicy": "OnFailure", "containers": [container]}}
    labels = {"kueue.x-k8s.io/queue-name": name(job.tenant)}
    meta = {"name": name(job.id), "namespace": name(job.tenant), "labels": labels}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": {**spec, "template": template}}


def slurm(job: Job, command: str, partitions: Sequence[str] = ()) -> str:
    """An sbatch script; the partitions are in the policy's order of preference."""
    if "\n" in command:
        raise InputError("a command of one line", repr(command[:40]), "Put it into a script and name that.")
    lines = ["#!/bin/bash", f"#SBATCH --job-name={name(job.id)}", f"#SBATCH --account={name(job.tenant)}"]
    lines += [
        f"#SBATCH --nodes={job.pods}",
        "#SBATCH --ntasks-per-node=1",
        f"#SBATCH --cpus-per-task={max(1, -(-job.pod.cpu_milli // 1000))}",
    ]
    lines += [f"#SBATCH --mem={max(1, job.pod.mem_mib)}M"]
    if job.pod.gpu_milli:
        kind = f"{sorted(job.pod.types)[0]}:" if len(job.pod.types) == 1 else ""
        lines.append(f"#SBATCH --gres=gpu:{kind}{max(1, job.pod.gpu_milli // WHOLE)}")
    if job.work_s:
        minutes = max(1, -(-int(job.work_s * 1.5) // 60))  # half as long again before it is cut off
        lines.append(f"#SBATCH --time={minutes}")
    if partitions:
        lines.append(f"#SBATCH --partition={','.join(partitions)}")
    lines += ["#SBATCH --requeue", "#SBATCH --signal=B:TERM@120", "", f"srun {command}", ""]
    return "\n".join(lines)


def written(
    kind: str, jobs: Sequence[Job], commands: Mapping[str, str], nodes: Sequence[Node], regions: Sequence[Region]
) -> dict[str, str]:
    """File name -> text: one for each job; ``kueue`` the objects of the cluster, too."""
    order = [region.id for region in regions] or list(dict.fromkeys(node.region for node in nodes))
    if kind == "slurm":
        return {f"{name(job.id)}.sbatch": slurm(job, commands[job.id], order) for job in jobs}
    if kind == "skypilot":
        tasks = {job.id: skypilot(job, order, commands[job.id]) for job in jobs}
        return {f"{name(job)}.sky.yaml": as_yaml(task) for job, task in tasks.items()}
    tenants = sorted({job.tenant for job in jobs})
    objects = kueue(nodes, regions, [(tenant, 1 / len(tenants)) for tenant in tenants])
    workloads = {job.id: workload(job, commands[job.id]) for job in jobs}
    files = {f"{name(job)}.kueue.yaml": as_yaml(each) for job, each in workloads.items()}
    return {"objects.kueue.yaml": as_yaml(*objects), **files}


def name(text: str) -> str:
    """A name that Kubernetes, SkyPilot and Slurm take: lower case letters, digits and dashes, at most 63."""
    return re.sub(r"-+", "-", re.sub(r"[^a-z0-9-]", "-", text.lower())).strip("-")[:63].strip("-") or "job"
