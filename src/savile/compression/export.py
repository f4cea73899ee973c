"""Export: the trained network as graphs for fast engines, OpenVINO in bf16 and ONNX in fp32 and static int8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from savile.base import catalogue, events
from savile.base.errors import InputError, UnknownNameError
from savile.base.records import Calibration, Model
from savile.models._vectors import VECTOR, singles

FORMS = ("openvino-bf16", "onnx-fp32", "onnx-int8")


@dataclass(frozen=True)
class Settings:
    """What is made.

    Attributes:
        forms: among ``openvino-bf16``, ``onnx-fp32`` and ``onnx-int8``; by default those that suit the family.
        calibration_rows: training texts that set the ranges of int8.
        keep_error: matrix products whose result int8 would change by more than this share of its size, token by
            token, stay in fp32: those that read what a few huge activations share with many small ones.
    """

    forms: tuple[str, ...] = ()
    calibration_rows: int = 512
    keep_error: float = 0.025

    def __post_init__(self) -> None:
        if self.calibration_rows < 1 or self.keep_error < 0:
            received = f"calibration_rows {self.calibration_rows}, keep_error {self.keep_error:g}"
            raise InputError(
                "one row or more to calibrate by, and an error of 0 or more", received, "Correct compress.settings."
            )


def apply(model: Model, calibration: Sequence[str], settings: Settings | None = None) -> Model:
    """The model with one more form for each that `settings` names; each carries its tokenizer, cut-off included.

    Args:
        model: a trained model of a family with a torch network.
        calibration: training texts.
        settings: what is made.

    Raises:
        InputError: the family has no torch network to export.
        UnknownNameError: no such form.
    """
    settings = settings or Settings()
    for form in settings.forms:
        if form not in FORMS:
            raise UnknownNameError("form to export", form, FORMS)
    family = catalogue.get("families", model.family)
    if family.trains != "loop":
        do = "Serve it as it is: its one form is small and quick already."
        raise InputError("a model with a torch network", f"the family {model.family}", do)
    from savile.compression._graphs import to_onnx

    network = family.load(model, family.FORM)
    calibration = singles(calibration) if network.loss == VECTOR else calibration
    forms = settings.forms or _fitting(family, network)
    catalogue.get("methods", network.method).merge(network)
    events.emit("progress", stage="export", done=0, total=len(forms))
    chosen = np.linspace(0, len(calibration) - 1, min(len(calibration), settings.calibration_rows)).astype(np.int64)
    rows = network.encode([calibration[i] for i in chosen])
    onnx = to_onnx(network, rows)
    trained = model.calibrations.get(family.FORM, Calibration())
    tokenizer = family.tokenizer_files(network)
    for done, form in enumerate(forms, 1):
        model = model.with_form(form, {**_graph(form, onnx, rows, settings), **tokenizer}, trained)
        events.emit("progress", stage="export", done=done, total=len(forms))
    return model


def _fitting(family: Any, network: Any) -> tuple[str, ...]:
    """The forms that suit a family, or fp32 alone where rounding would move more answers than the proof allows."""
    if getattr(network, "pairs", False) or not getattr(network, "speaks", True):
        what = "the angle between two texts" if getattr(network, "pairs", False) else "what the head of a language model reads"
        events.emit("note", text=f"It is served in fp32: rounding would move {what} further than the proof allows.")
        return ("onnx-fp32",)
    forms: tuple[str, ...] = getattr(family, "EXPORTS", FORMS)
    return forms


def _graph(form: str, onnx: bytes, rows: Sequence[Sequence[int]], settings: Settings) -> Mapping[str, Path | bytes]:
    if form == "openvino-bf16":
        files: Mapping[str, Path | bytes] = catalogue.get("engines", "openvino").convert(onnx, "bf16")
        return files
    if form == "onnx-fp32":
        return {"model.onnx": onnx}
    from savile.compression._int8 import quantised

    return {"model.onnx": quantised(onnx, rows, settings.keep_error)}
