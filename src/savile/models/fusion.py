"""Several trained models that answer together, each with the weight that makes their answers surest and right."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from savile.base import catalogue
from savile.base.contracts import HeadSpec, Reads, Rows
from savile.base.errors import CorruptError, InputError
from savile.base.records import Calibration, Model, canonical

trains: Literal["loop", "own"] = "own"
reads: Reads = "text"
FORM = "fusion"
PAIRS = True  # where its members do
SPEC = "fusion.json"
MOST_WEIGHT = 20.0


@dataclass(frozen=True)
class Settings:
    """Nothing to set: a fusion is of models that were trained by themselves."""


@dataclass(frozen=True)
class Fusion:
    """Members as they were loaded, the files they came from, and the weight of each."""

    members: tuple[Model, ...]
    answerers: tuple[Any, ...]
    weights: np.ndarray


def fit(data: Rows, task: str = "classify", settings: Settings | None = None) -> Fusion:
    """Refused: `savile.adaptation` makes a fusion of the candidates it has tried.

    Raises:
        InputError: always.
    """
    do = "Use adapt.method: auto, which fuses what it has tried where that is better."
    raise InputError("trained models to fuse", "the family fusion by itself", do)


def fuse(members: Sequence[Model], weights: np.ndarray) -> dict[str, Path | bytes]:
    """The files of the form ``fusion`` of trained models."""
    said: list[dict[str, Any]] = []
    files: dict[str, Path | bytes] = {}
    for number, (member, weight) in enumerate(zip(members, weights, strict=True)):
        form = catalogue.get("families", member.family).FORM
        said.append({"family": member.family, "task": member.task, "labels": list(member.labels), "weight": float(weight)})
        files |= {f"{number}-{name}": content for name, content in member.forms[form].items()}
    return {SPEC: canonical(said).encode(), **files}


def save(fusion: Fusion) -> dict[str, Path | bytes]:
    """The files of the form ``fusion``."""
    return fuse(fusion.members, fusion.weights)


def load(model: Model, form: str = FORM) -> Fusion:
    """The members of a saved model, ready to answer.

    Raises:
        CorruptError: its files do not fit together.
    """
    files = {name: Path(str(path)) for name, path in model.forms[form].items()}
    try:
        said = json.loads(files[SPEC].read_text())
        members = tuple(_member(one, number, files) for number, one in enumerate(said))
    except (KeyError, ValueError) as error:
        raise CorruptError("the files of a fusion", repr(error), "Adapt again.") from error
    answerers = tuple(catalogue.get("families", one.family).load(one, next(iter(one.forms))) for one in members)
    return Fusion(members, answerers, np.array([one["weight"] for one in said]))


def predict(fusion: Fusion, texts: Sequence[str]) -> np.ndarray:
    """Texts -> the weighted sum of the members' logits, float32 (n, outputs)."""
    several = [
        catalogue.get("families", member.family).predict(answerer, texts)
        for member, answerer in zip(fusion.members, fusion.answerers, strict=True)
    ]
    return together(several, fusion.weights)


def together(logits: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Logits (n, outputs) of each member -> their weighted sum, float32."""
    return np.asarray(sum(weight * one for weight, one in zip(weights, logits, strict=True)), dtype=np.float32)


def best_weights(head: HeadSpec, logits: Sequence[np.ndarray], gold: np.ndarray, start: Calibration) -> np.ndarray:
    """The weights, none below 0, with the lowest log loss on rows no member has learned from.

    Args:
        head: of the task.
        logits: of each member, (n, outputs).
        gold: what is right, as the task's targets are.
        start: units of a number.
    """
    from scipy.optimize import minimize

    from savile.models._calibrate import log_loss

    def loss(weights: np.ndarray) -> float:
        return log_loss(head, together(logits, weights), gold, start)

    begin = np.full(len(logits), 1.0 / len(logits))
    found = minimize(loss, begin, method="Powell", bounds=[(0.0, MOST_WEIGHT)] * len(logits), options={"xtol": 1e-3})
    return np.asarray(found.x)


def _member(said: Mapping[str, Any], number: int, files: Mapping[str, Path]) -> Model:
    """One member, its files under their own names again."""
    own: dict[str, Path | bytes] = {
        name.partition("-")[2]: path for name, path in files.items() if name.startswith(f"{number}-")
    }
    form = catalogue.get("families", said["family"]).FORM
    return Model(said["family"], tuple(said["labels"]), task=said["task"], forms={form: own})
