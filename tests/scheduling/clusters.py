"""Small clusters with known numbers."""

from savile.base.work import Device, Event, Job, Node, Pod
from savile.scheduling import Kernel, SimBackend, World, run

FAST = Device("fast", 40, idle_w=50, peak_w=250)


def node(name="n0", region="here", **more):
    return Node(name, region, 16_000, 65_536, FAST, more.pop("devices", 4), **more)


def job(name="a", gpu=1000, release=0.0, work=3600.0, **more):
    return Job(name, Pod(1000, 1024, gpu, more.pop("types", frozenset())), release, work, **more)


def kernel_with(*jobs, nodes=None, **more):
    """A kernel in which the jobs have arrived."""
    kernel = Kernel(nodes or [node()], **more)
    for each in jobs:
        kernel.happen(Event("arrive", each.release_s, each.id), each)
    return kernel


def simulate(policy, nodes, jobs, round_s=None, until_s=None, **more):
    return run(policy, SimBackend(World(tuple(nodes), tuple(jobs), **more), round_s, until_s))


def starts(outcome):
    """Job id -> when it started first."""
    return {outcome.kernel.jobs[n].id: at for n, at in outcome.kernel.started.items()}
