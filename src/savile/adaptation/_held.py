"""Answers on rows a candidate has not seen, kept beside the store so that candidates can be compared and fused."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from savile.base import outputs
from savile.base.records import Model
from savile.base.store import Store

PARTS = ("chosen", "calibrated")


@dataclass(frozen=True)
class Held:
    """Answers on rows the model has not seen: logits (n, outputs), or `Tokens`, and what is right, in the task's own units."""

    logits: Any
    gold: np.ndarray


def joined(first: Held, second: Held) -> Held:
    """The rows of both."""
    return Held(*(outputs.joined([getattr(one, name) for one in (first, second)]) for name in ("logits", "gold")))


def keep(store: Store, model: Model, chosen_on: Held, calibrated_on: Held) -> None:
    """Keep what a candidate answered on the rows it is chosen on and on those it is calibrated on."""
    from safetensors.numpy import save_file

    path = _path(store, model)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(f".{os.getpid()}")
    parts = dict(zip(PARTS, (chosen_on, calibrated_on), strict=True))
    save_file(
        {
            f"{part}/{name}/{what}": np.ascontiguousarray(array)
            for part, held in parts.items()
            for name, value in vars(held).items()
            for what, array in outputs.arrays(value).items()
        },
        aside,
    )
    aside.replace(path)


def kept(store: Store, model: Model) -> tuple[Held, Held] | None:
    """What was kept of a candidate, if it is still there."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found = load_file(_path(store, model))
        chosen, calibrated = (Held(_under(found, f"{part}/logits/"), _under(found, f"{part}/gold/")) for part in PARTS)
    except (OSError, SafetensorError, KeyError):
        return None
    return chosen, calibrated


def _under(found: Mapping[str, np.ndarray], prefix: str) -> Any:
    named = {name.removeprefix(prefix): array for name, array in found.items() if name.startswith(prefix)}
    return outputs.of_arrays(named)


def _path(store: Store, model: Model) -> Path:
    return store.home / "held" / f"{model.ref.partition('@')[2]}.safetensors"
