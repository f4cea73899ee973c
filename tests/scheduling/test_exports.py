"""What is written for SkyPilot, Kueue and Slurm: golden files, and the fields that those tools ask for."""

from pathlib import Path

import pytest
import yaml

from savile.base.errors import InputError
from savile.base.work import Device, Job, Node, Pod, Region
from savile.scheduling import exports

GOLDEN = Path(__file__).parent / "golden"
JOB = Job("Card Support!", Pod(4000, 16_384, 2000, frozenset({"A100"})), work_s=3600.0, pods=2, tenant="desk")
NODES = [
    Node("n0", "north", 32_000, 131_072, Device("A100"), 4),
    Node("n1", "south", 16_000, 65_536, Device("L4"), 2, spot=True),
]
REGIONS = [Region("north"), Region("south")]


@pytest.mark.parametrize("kind", ["skypilot", "kueue", "slurm"])
def test_golden_files(kind):
    written = exports.written(kind, [JOB], {JOB.id: "savile run card.savile.yaml"}, NODES, REGIONS)
    for name, text in written.items():
        assert text == (GOLDEN / name).read_text(encoding="utf-8"), f"{name} has changed; look at it and write it anew"


def test_a_skypilot_task_has_only_fields_that_sky_knows():
    task = exports.skypilot(JOB, ["north", "south"], "true")
    assert set(task) <= {"name", "num_nodes", "resources", "setup", "run", "envs", "workdir", "file_mounts", "service"}
    assert set(task["resources"]) <= {
        "cpus",
        "memory",
        "accelerators",
        "use_spot",
        "job_recovery",
        "ordered",
        "any_of",
        "infra",
    }
    assert task["num_nodes"] == 2
    assert [place["infra"] for place in task["resources"]["ordered"]] == ["north", "south"]


def test_kueue_objects_hang_together():
    objects = exports.kueue(NODES, REGIONS, [("desk", 0.5), ("lab", 0.5)])
    kinds = {kind: [o for o in objects if o["kind"] == kind] for kind in ("ResourceFlavor", "ClusterQueue", "LocalQueue")}
    assert all(o["apiVersion"] == "kueue.x-k8s.io/v1beta1" for o in objects)
    flavours = [o["metadata"]["name"] for o in kinds["ResourceFlavor"]]
    assert flavours == ["north-a100", "south-l4"]
    for queue in kinds["ClusterQueue"]:
        (group,) = queue["spec"]["resourceGroups"]
        assert [f["name"] for f in group["flavors"]] == flavours
        assert all([r["name"] for r in f["resources"]] == group["coveredResources"] for f in group["flavors"])
    queues = {o["metadata"]["name"] for o in kinds["ClusterQueue"]}
    assert {o["spec"]["clusterQueue"] for o in kinds["LocalQueue"]} == queues
    job = exports.workload(JOB, "true")
    assert job["spec"]["suspend"]
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] in queues
    assert yaml.safe_load(yaml.safe_dump(job)) == job


def test_a_slurm_script_asks_for_what_the_job_needs():
    lines = exports.slurm(JOB, "savile run x.yaml", ["gpu"]).splitlines()
    assert lines[0] == "#!/bin/bash"
    asked = dict(line.removeprefix("#SBATCH --").partition("=")[::2] for line in lines if line.startswith("#SBATCH"))
    assert (asked["nodes"], asked["cpus-per-task"], asked["mem"], asked["gres"]) == ("2", "4", "16384M", "gpu:A100:2")
    assert int(asked["time"]) == 90
    with pytest.raises(InputError, match="one line"):
        exports.slurm(JOB, "a\nb")
