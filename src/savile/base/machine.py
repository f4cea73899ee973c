"""Facts of this machine, for reports, benchmarks and `savile doctor`: what a measured figure was measured on."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import sys
import threading
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

WATTS = 10.0  # a busy server core with its share of memory and cooling; real ones take 5 to 15
CPUINFO, MEMINFO, STATUS = Path("/proc/cpuinfo"), Path("/proc/meminfo"), Path("/proc/self/status")
CGROUP, GPUS = Path("/sys/fs/cgroup"), Path("/proc/driver/nvidia/gpus")
UNLIMITED = 1 << 60  # what control groups of the first kind write for no limit is more than this
TRIMMED = 20  # steps of a loop after which freed memory is handed back
PACKAGES = ("numpy", "torch", "transformers", "openvino", "onnxruntime", "scikit-learn")
# what decides which precision is fast: Intel SDM names as the Linux kernel writes them
FLAGS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx_vnni",
    "amx_tile",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "bf16",
    "i8mm",
)


def facts() -> dict[str, Any]:
    """JSON-able: system, processor, cores, instruction sets, bytes of memory, versions of what was used."""
    return {
        "system": platform.platform(),
        "processor": processor(),
        "cores": physical_cores(),
        "threads": available_threads(),
        "flags": list(cpu_flags()),
        "memory": memory(),
        "python": platform.python_version(),
        "packages": packages(),
    }


def processor() -> str:
    """The model name of the CPU, or else its architecture."""
    return next(iter(_cpuinfo("model name")), "") or platform.processor() or platform.machine()


def physical_cores() -> int:
    """Cores, not counting twice those that run two threads."""
    cores = set(zip(_cpuinfo("physical id"), _cpuinfo("core id"), strict=True))
    return len(cores) or os.cpu_count() or 1


def available_threads() -> int:
    """Hardware threads this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_flags() -> tuple[str, ...]:
    """The instruction sets among `FLAGS` that this CPU has, in that order."""
    line = next(iter(_cpuinfo("flags") or _cpuinfo("Features")), "")
    present = set(line.split())
    return tuple(flag for flag in FLAGS if flag in present)


def energy(seconds: float, watts: float = WATTS) -> float:
    """Kilowatt-hours that so many seconds of processor time take: an estimate at `watts` for each busy core."""
    return seconds * watts / 3.6e6


def memory() -> int:
    """Bytes of physical memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def free_memory() -> int:
    """Bytes this process may still take: what the kernel would give, within the limits of its control group and its own."""
    free = next((int(value.split()[0]) * 1024 for value in _lines(MEMINFO, "MemAvailable")), memory())
    limits = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))
    for limit, used in limits:
        most, taken = _number(CGROUP / limit), _number(CGROUP / used)
        if most is not None and taken is not None and most < UNLIMITED:
            free = min(free, max(0, most - taken))
    own = resource.getrlimit(resource.RLIMIT_AS)[0]
    if own != resource.RLIM_INFINITY:
        mapped = next((int(value.split()[0]) * 1024 for value in _lines(STATUS, "VmSize")), 0)
        free = min(free, max(0, own - mapped))
    return free


def working_memory() -> int:
    """Bytes of memory this process may take when nothing else runs: the same each time, on one machine with one limit."""
    groups = (_number(CGROUP / "memory.max"), _number(CGROUP / "memory/memory.limit_in_bytes"))
    own = (resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA))
    return min([memory(), *(limit for limit in groups if limit), *(limit for limit in own if limit != resource.RLIM_INFINITY)])


def resident() -> int:
    """Bytes of memory this process holds now."""
    return next((int(value.split()[0]) * 1024 for value in _lines(STATUS, "VmRSS")), peak())


def peak() -> int:
    """The most bytes of memory this process has held so far."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def trim(step: int = 0) -> None:
    """Hand freed memory that the allocator keeps back to the system, if the C library can; of a loop, once in `TRIMMED` steps.

    Batches of unlike lengths leave gaps that are never filled: memory would double within a few hundred steps.
    """
    if step % TRIMMED:
        return
    handed = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if handed is not None:
        handed(0)


class Watch:
    """Context manager: the most memory beyond what was held at its start, bytes in `most`, looked at 500 times a second.

    What the allocator keeps of freed memory is handed back first, or the block would take it unseen.
    """

    def __enter__(self) -> Watch:
        trim()
        self._start, self.most, self._over = resident(), 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            self.most = max(self.most, resident() - self._start)
            if self._over.wait(0.002):
                self.most = max(self.most, resident() - self._start)
                return


def gpus() -> list[str]:
    """Names of the NVIDIA cards the kernel's driver shows; nothing is loaded to find out."""
    found = sorted(GPUS.glob("*/information"))
    return [next(iter(_lines(path, "Model")), path.parent.name) for path in found]


def packages() -> dict[str, str]:
    """name -> version of the packages that decide speed and answers; left out when not installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _cpuinfo(key: str) -> list[str]:
    """The values of a key of Linux's list of processors, one per hardware thread; empty elsewhere."""
    return _lines(CPUINFO, key)


def _lines(path: Path, key: str) -> list[str]:
    """The values of a key in a file of lines ``key: value``; none where there is no such file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [value.strip() for name, _, value in (line.partition(":") for line in lines) if name.strip() == key]


def _number(path: Path) -> int | None:
    """The number a file holds; None where there is no such file, or it holds a word."""
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
