"""Training checkpoints that survive a kill: a folder counts when its manifest is there, and that is written last."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from savile.base.records import canonical, digest
from savile.models._bases import sha256
from savile.models._team import team

MANIFEST = "manifest.json"
NOT_YET = -1


def save(root: Path, step: int, tensors: Mapping[str, torch.Tensor], state: Mapping[str, Any]) -> None:
    """Write ``root/step-<step>`` atomically and drop all but the newest two checkpoints."""
    root.mkdir(parents=True, exist_ok=True)
    scratch, final = root / f".writing-{os.getpid()}", root / f"step-{step:09d}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, scratch / "tensors.safetensors")
    _flush(scratch / "tensors.safetensors")
    body = {"step": step, "state": dict(state), "tensors": sha256(scratch / "tensors.safetensors")}
    (scratch / MANIFEST).write_text(canonical({**body, "digest": digest(canonical(body))}))
    _flush(scratch / MANIFEST)
    _flush(scratch)
    shutil.rmtree(final, ignore_errors=True)
    scratch.rename(final)
    _flush(root)
    for old in sorted(root.glob("step-*"))[:-2]:
        shutil.rmtree(old, ignore_errors=True)


def newest(root: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Tensors and state of the newest complete checkpoint; damaged or unfinished ones are passed over."""
    for folder in sorted(root.glob("step-*"), reverse=True):
        try:
            manifest = json.loads((folder / MANIFEST).read_text())
            expected = manifest.pop("digest")
            path = folder / "tensors.safetensors"
            if digest(canonical(manifest)) == expected and sha256(path) == manifest["tensors"]:
                return load_file(path), {**manifest["state"], "step": manifest["step"]}
        except (OSError, ValueError, KeyError):
            continue
    return None


def under(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The tensors whose names begin so, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def settle(root: Path | None, name: str, measure: Callable[[], int]) -> int:
    """A number that is measured once for a run, and found again by the run that goes on from it.

    Args:
        root: the run's folder; None measures every time.
        name: of the number.
        measure: measures it.
    """
    us, path = team(), root / name if root is not None else None
    known = us.agreed(int(path.read_text()) if path is not None and path.exists() else NOT_YET)
    if known != NOT_YET:
        return int(known)
    number = int(us.agreed(measure()))
    if path is not None and us.rank == 0:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{name}-{os.getpid()}")
        aside.write_text(str(number))
        _flush(aside)
        aside.replace(path)
        _flush(path.parent)
    return number


def clear(root: Path) -> None:
    """Forget every checkpoint of a finished run."""
    shutil.rmtree(root, ignore_errors=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
