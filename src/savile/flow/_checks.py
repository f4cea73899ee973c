"""What `doctor` looks at in the machine itself: store, disk, memory, processor, cards, clock, port."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from savile.base import machine
from savile.base.store import Store

LEAST_DISK, LEAST_MEMORY = 2e9, 3e9  # bytes for a run on the smallest base, its forms included
BUSY = 0.5  # share of the cores that others keep busy, above which times will not be as planned
ADVANCED = 300.0  # seconds a record may lie in the future before the clock is wrong
# what an instruction set does for the work; the first that a processor has is told
MEANS = {
    "amx_bf16": "tiles multiply in bf16: training and serving several times as fast as in fp32",
    "avx512_bf16": "multiplies in bf16: trains two to four times as fast as in fp32, and serves fast in bf16",
    "bf16": "multiplies in bf16: trains and serves faster than in fp32",
    "avx512_vnni": "trains in fp32; serves fast in int8",
    "avx_vnni": "trains in fp32; serves fast in int8",
    "avx512f": "wide fp32 and no bf16: training takes two to four times as long as where there is",
    "avx2": "fp32 in eights, no bf16 and no fast int8: training takes about four times as long",
    "asimd": "fp32 in fours: training takes about four times as long as with bf16",
}
SLOW = ("avx2", "asimd")


def check(what: str, state: str, found: str, do: str = "") -> dict[str, str]:
    """One thing looked at; `state` is ``good``, ``lacking`` (something else still works) or ``bad``; `do` mends it."""
    return {"what": what, "state": state, "found": found, "do": do}


def home(store: Store) -> dict[str, str]:
    """Whether one can write where records go: by trying, for rights alone do not say."""
    folder = _existing(store.home)
    try:
        with tempfile.TemporaryFile(dir=folder):
            return check("store", "good", f"{store.home}, {len(store.list())} records")
    except OSError as error:
        do = "Set SAVILE_HOME to a folder of yours."
        return check("store", "bad", f"cannot write in {folder}: {error.strerror}", do)


def disk(store: Store) -> dict[str, str]:
    """Room for the forms of a model."""
    free = shutil.disk_usage(_existing(store.home)).free
    found = f"{free / 1e9:.1f} GB free of {LEAST_DISK / 1e9:.0f} GB that a run may take"
    do = f"Free some space on the disk of {_existing(store.home)}, or set SAVILE_HOME to another."
    return check("disk", "good", found) if free >= LEAST_DISK else check("disk", "bad", found, do)


def memory() -> dict[str, str]:
    """What this process may still take."""
    free, total = machine.free_memory(), machine.memory()
    found = f"{free / 1e9:.1f} of {total / 1e9:.1f} GB free"
    do = "Close other programs, or use the family linear: --set model.family=linear"
    return check("memory", "good", found) if free >= LEAST_MEMORY else check("memory", "lacking", found, do)


def processor() -> dict[str, str]:
    """Cores, instruction sets and what they mean for speed."""
    flags = machine.cpu_flags()
    best = next((flag for flag in MEANS if flag in flags), None)
    means = MEANS[best] if best else "no instruction set that is known here"
    found = f"{machine.processor()}, {machine.physical_cores()} cores; {', '.join(flags) or 'no known flags'}: {means}"
    do = "Give training a budget (adapt.budget.minutes), use method head, or a processor with AVX-512 or AMX in bf16."
    slow = best is None or best in SLOW
    return check("processor", "lacking", found, do) if slow else check("processor", "good", found)


def threads() -> dict[str, str]:
    """Whether every core may be used."""
    may, cores, told = machine.available_threads(), os.cpu_count() or 1, os.environ.get("OMP_NUM_THREADS")
    if told is not None and told.isdigit() and int(told) < may:
        found = f"{told} of {may} threads, because OMP_NUM_THREADS says so"
        return check("threads", "lacking", found, "unset OMP_NUM_THREADS, unless other work needs the other cores.")
    if may < cores:
        do = "Start it without taskset or the container's limit on processors, if it should be faster."
        return check("threads", "lacking", f"{may} of {cores} threads allowed to this process", do)
    return check("threads", "good", f"all {may}")


def load() -> dict[str, str]:
    """What else keeps the cores busy: measured times and plans hold for a machine of one's own."""
    busy, may = os.getloadavg()[0], machine.available_threads()
    found = f"{busy:.1f} of {may} threads busy in the last minute"
    if busy <= BUSY * may:
        return check("load", "good", found)
    return check("load", "lacking", found, "Wait until other work is done, or expect longer times than planned.")


def gpu() -> dict[str, str]:
    """A card that torch can use; without one everything runs on the processor."""
    cards = machine.gpus()
    if not cards:
        return check("GPU", "good", "none; everything runs on the processor")
    try:
        import torch

        usable = torch.cuda.is_available()
    except ImportError:
        usable = False
    named = ", ".join(cards)
    if usable:
        return check("GPU", "good", f"{named}; training uses the first")
    do = "Install the CUDA build of torch, as PyTorch's install page says; the pinned one runs on the processor."
    return check("GPU", "lacking", f"{named}, which this torch cannot use", do)


def clock(store: Store) -> dict[str, str]:
    """Whether time has not gone back since the last record: lineage and the audit log tell times."""
    newest = max((datetime.fromisoformat(row["created"]).timestamp() for row in store.list()), default=0.0)
    ahead, now = newest - time.time(), datetime.now(UTC)
    if ahead > ADVANCED:
        do = "Set the clock, as with: timedatectl set-ntp true"
        return check("clock", "bad", f"{now:%Y-%m-%d %H:%M} UTC, {ahead / 60:.0f} min before the newest record", do)
    return check("clock", "good", f"{now:%Y-%m-%d %H:%M} UTC, not before any record")


def port(host: str, number: int) -> dict[str, str]:
    """Whether `serve` can listen where the recipe says."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((host, number))
        except OSError as error:
            do = "Use another port: savile serve --port 0 takes a free one."
            return check("port", "lacking", f"{host}:{number}: {error.strerror}", do)
    return check("port", "good", f"{host}:{number} is free")


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())
