"""Ray: a cluster that runs already, or one of this machine alone, which listens nowhere else and reports nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from savile.base.errors import MissingExtraError

STORE_BYTES = 256 << 20  # of memory for objects, in a cluster that is begun here


@contextmanager
def connected(cpus: int, resources: Mapping[str, float] | None = None, address: str = "") -> Iterator[Any]:
    """The module `ray`, connected; a cluster that was begun here ends with the block.

    Args:
        cpus: logical cores of a cluster that is begun here.
        resources: what else it is said to have.
        address: of a cluster that runs; empty takes the one this process is in, or that of RAY_ADDRESS, or begins one.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's 15 starves a job beside anything else on its machine
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what Ray 2.60 would warn of
    try:
        import ray
    except ImportError:
        raise MissingExtraError("ray", "ray") from None
    if ray.is_initialized():
        yield ray
        return
    address = address or os.environ.get("RAY_ADDRESS", "")
    if address:
        ray.init(address, log_to_driver=False)
    else:
        ray.init(
            "local", num_cpus=cpus, num_gpus=None if _gpus() else 0, resources=dict(resources or {}), include_dashboard=False,
            object_store_memory=STORE_BYTES, log_to_driver=False, _node_ip_address="127.0.0.1",
        )  # fmt: skip
    try:
        yield ray
    finally:
        ray.shutdown()


def _gpus() -> bool:
    """Whether there may be accelerators: without their driver Ray need not look for any."""
    return os.path.exists("/dev/nvidiactl")  # noqa: PTH110
